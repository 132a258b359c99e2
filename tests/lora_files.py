"""Writes LoRAs of Tabletop's size, and broken ones, for tests."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

RANK = 4


def low_rank(layer: str, inwards: int = 256, outwards: int = 256, seed: int = 0) -> dict[str, Tensor]:
    """Return both halves of a change of a layer, large enough to show."""
    noise = torch.Generator().manual_seed(seed)
    down, up = (torch.randn(shape, generator=noise) / 10 for shape in ((RANK, inwards), (outwards, RANK)))
    return {f"{layer}.lora_A.weight": down, f"{layer}.lora_B.weight": up}


def weights() -> dict[str, Tensor]:
    """Return a LoRA of all attention in Tabletop's transformer, as diffusers names it."""
    layers = [(b, a, p) for b in range(8) for a in ("attn1", "attn2") for p in ("to_q", "to_k", "to_v", "to_out.0")]
    found: dict[str, Tensor] = {}
    for seed, (block, attention, projection) in enumerate(layers):
        found |= low_rank(f"transformer.transformer_blocks.{block}.{attention}.{projection}", seed=seed)
    return found


def write(path: Path, tensors: Mapping[str, Tensor] | None = None, /, **metadata: str) -> str:
    """Write a LoRA, by default one that fits Tabletop, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights() if tensors is None else tensors), path, {"format": "pt", **metadata})
    return str(path)
