"""A linear map from latents to small pictures, quick enough to show every step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from pipeline.events import Pixels
from pipeline.given.media import fitted
from pipeline.model_spec import ModelSpec

PATCH = 4
# Keeps the map small where pictures leave a channel undecided.
RIDGE = 1e-2


@dataclass(frozen=True)
class Preview:
    """Weight (channels, 48) and bias (48): each latent becomes a patch of 4×4 pixels."""

    weight: Tensor
    bias: Tensor

    def __call__(self, latents: Tensor) -> Pixels:
        """Map normalised latents (1, channels, t, h, w) to pictures (t, 4h, 4w, 3)."""
        cells = latents[0].movedim(0, -1).float().cpu() @ self.weight + self.bias
        t, h, w, _ = cells.shape
        patches = cells.view(t, h, w, PATCH, PATCH, 3).permute(0, 1, 3, 2, 4, 5)
        pictures = patches.reshape(t, h * PATCH, w * PATCH, 3)
        return (pictures * 255).round().clamp(0, 255).to(torch.uint8).numpy()


def preview_for(spec: ModelSpec, assets: Path, encode: Callable[[Pixels], Tensor]) -> Preview:
    """Return the map that a model brings, or fit one to the pictures of the examples."""
    if spec.embedded:
        return _read_preview(assets / spec.repo / "preview.safetensors")
    return fit_preview(encode, sorted((assets / "examples").glob("*.jpg")), spec.shapes["square"])


def _read_preview(path: Path) -> Preview:
    kept = load_file(path)
    return Preview(kept["weight"].float(), kept["bias"].float())


def fit_preview(encode: Callable[[Pixels], Tensor], pictures: Sequence[Path], size: tuple[int, int]) -> Preview:
    """Fit the map of a model that brings none, by least squares over pictures brought to a size (width, height).

    `encode` turns frames (1, height, width, 3) into normalised latents (1, channels, 1, h, w).
    """
    pairs = [_pair(encode, path, size) for path in pictures]
    cells, patches = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    ones = torch.cat([cells, torch.ones(len(cells), 1)], dim=1)
    squares = ones.T @ ones + RIDGE * len(cells) * torch.eye(ones.shape[1])
    solved = torch.linalg.solve(squares, ones.T @ patches)
    return Preview(solved[:-1], solved[-1])


def _pair(encode: Callable[[Pixels], Tensor], path: Path, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return latents (cells, channels) of a picture and what they should look like (cells, 48)."""
    with Image.open(path) as image:
        picture = fitted(image.convert("RGB"), size, "crop", (0.5, 0.5))
    latents = encode(np.array(picture)[None])[0, :, 0].float().cpu()
    h, w = latents.shape[1:]
    small = torch.from_numpy(np.asarray(picture.resize((w * PATCH, h * PATCH), Image.Resampling.BOX)) / 255.0)
    patches = small.float().view(h, PATCH, w, PATCH, 3).permute(0, 2, 1, 3, 4).reshape(h * w, -1)
    return latents.flatten(1).T, patches
