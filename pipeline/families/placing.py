"""Puts the parts of a pipeline where a policy has them, whichever family it is of."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from diffusers.hooks import apply_group_offloading

from pipeline.errors import CannotDo
from pipeline.memory import Policy, free_ram_mb

# Compiled code cannot wait for weights that are being brought.
COMPILES = frozenset({"whole", "fp8", "int8"})
# Triton converts from fp8 on cards from this capability on.
FP8_IN_TRITON = (8, 9)

log = logging.getLogger(__name__)


def place(pipe: Any, policy: Policy, device: str, compiled: bool = False) -> None:
    """Put a loaded pipeline on a device: its transformer as the policy says, all else whole.

    Raise CannotDo for a policy whose package is not installed.
    """
    # The autoencoder stays out of the groups: its first convolution is not brought in time (diffusers#11086).
    for name, part in pipe.components.items():
        if isinstance(part, torch.nn.Module) and name != "transformer":
            part.to(device)
    PLACES[policy](pipe.transformer, torch.device(device))
    if compiled and _compiles(policy, device):
        pipe.transformer.compile_repeated_blocks()
    elif compiled:
        log.warning("nothing is compiled: %s weights on this device cannot be", policy)


def bring(module: torch.nn.Module, device: torch.device, what: str) -> None:
    """Keep a module's weights in memory, and bring each block or leaf (`what`) while the one before it computes."""
    # A stream reads from pinned memory: a copy of all weights is made at first, or where that does not fit, of each
    # group every time.
    size = sum(each.numel() * each.element_size() for each in module.parameters()) // 10**6
    stream = {"use_stream": True, "low_cpu_mem_usage": size > free_ram_mb()} if device.type == "cuda" else {}
    blocks = {"num_blocks_per_group": 1} if what == "block" else {}
    apply_group_offloading(module, onload_device=device, offload_type=f"{what}_level", **blocks, **stream)


def _compiles(policy: Policy, device: str) -> bool:
    old = device == "cuda" and torch.cuda.get_device_capability() < FP8_IN_TRITON
    return policy in COMPILES and not (policy == "fp8" and old)


def _whole(transformer: Any, device: torch.device) -> None:
    transformer.to(device)


def _fp8(transformer: Any, device: torch.device) -> None:
    """Keep weights in half the bytes and widen each layer's as it computes, which any card can do."""
    transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=transformer.dtype)
    transformer.to(device)


def _int8(transformer: Any, device: torch.device) -> None:
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise CannotDo("memory", "int8 needs the package torchao. Install it (pip install torchao).") from error
    # Layer by layer: the weights are never on the card whole.
    quantize_(transformer, Int8WeightOnlyConfig(), device=device)
    transformer.to(device)


def _group(transformer: Any, device: torch.device) -> None:
    bring(transformer, device, "block")


def _sequential(transformer: Any, device: torch.device) -> None:
    bring(transformer, device, "leaf")


PLACES: Mapping[Policy, Callable[[Any, torch.device], None]] = {
    "whole": _whole,
    "fp8": _fp8,
    "int8": _int8,
    "group": _group,
    "sequential": _sequential,
}
