"""How a training sample is laid out as tokens: as `LTXConditionPipeline.prepare_latents` lays out its conditions.

At frame 0 given latents take their place. Anywhere else an image, or a clip's first two latents, become extra tokens in
front with coordinates of their own; what a clip has beyond two latents takes its place. A given token's sigma is
1 - strength, and never above the sample's own.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.network import SPATIAL, TEMPORAL
from pipeline.tabletop.world import FPS

PREFIX: Final = 2
"""Latent frames of a later clip that become extra tokens (the pipeline's num_prefix_latent_frames)."""


@dataclass(frozen=True)
class Given:
    """Latents (batch, channels, latent frames, h, w) that are given at a frame index with a strength."""

    latents: Tensor
    frame: int
    strength: float = 1.0


@dataclass(frozen=True)
class Tokens:
    """A laid-out batch: inputs, target (batch, tokens, channels), sigma (batch, tokens), coords (batch, 3, tokens)."""

    inputs: Tensor
    target: Tensor
    sigma: Tensor
    coords: Tensor


def pack(latents: Tensor) -> Tensor:
    """(batch, channels, frames, h, w) to tokens (batch, frames·h·w, channels)."""
    return latents.flatten(2).transpose(1, 2)


def token_coords(shape: torch.Size, frame: int = 0) -> Tensor:
    """Coordinates (3, tokens): seconds, and pixels from the top and from the left."""
    frames, height, width = shape[2:]
    time = (torch.arange(frames) * TEMPORAL + 1 - TEMPORAL).clamp(min=0) + frame
    top, left = torch.arange(height) * SPATIAL, torch.arange(width) * SPATIAL
    grid = torch.meshgrid(time / FPS, top.float(), left.float(), indexing="ij")
    return torch.stack(grid).flatten(1)


def noised(latents: Tensor, sigma: Tensor, noise: Tensor) -> Tokens:
    """Noise latents at a sigma per latent frame (batch, frames) and pack them."""
    per_token = sigma.repeat_interleave(latents[0, 0, 0].numel(), dim=1)
    clean, noise = pack(latents), pack(noise)
    mixed = torch.lerp(clean, noise, per_token[..., None])
    coords = token_coords(latents.shape).to(latents.device).expand(len(latents), -1, -1)
    return Tokens(mixed, noise - clean, per_token, coords)


def extra_tokens(given: Given, latents: Tensor, sigma: Tensor) -> Tokens:
    """Tokens in front for latents that are given somewhere after the first frame."""
    level = sigma.clamp(max=1 - given.strength)[:, None].expand(-1, latents.shape[2])
    tokens = noised(latents, level, torch.randn_like(latents))
    coords = token_coords(latents.shape, given.frame).to(latents.device).expand(len(latents), -1, -1)
    return Tokens(tokens.inputs, tokens.target, tokens.sigma, coords)


def count_tokens(latents: Tensor, given: list[Given]) -> int:
    """How many tokens `lay_out` makes of each clip."""
    extra = [item.latents[0, 0, :PREFIX].numel() for item in given if item.frame > 0]
    return latents[0, 0].numel() + sum(extra)


def lay_out(latents: Tensor, sigma: Tensor, given: list[Given]) -> Tokens:
    """Noise clean latents at sigma (batch,), some frames given; extra tokens come first, in the order of `given`."""
    level = sigma[:, None].repeat(1, latents.shape[2])
    latents = latents.clone()
    front = []
    for item in given:
        start, inside = 0, item.latents
        if item.frame > 0:
            front.append(extra_tokens(item, item.latents[:, :, :PREFIX], sigma))
            start, inside = item.frame // TEMPORAL + PREFIX, item.latents[:, :, PREFIX:]
        stop = start + inside.shape[2]
        latents[:, :, start:stop] = inside
        level[:, start:stop] = level[:, start:stop].clamp(max=1 - item.strength)
    parts = [*front, noised(latents, level, torch.randn_like(latents))]
    return Tokens(
        torch.cat([part.inputs for part in parts], 1),
        torch.cat([part.target for part in parts], 1),
        torch.cat([part.sigma for part in parts], 1),
        torch.cat([part.coords for part in parts], 2),
    )
