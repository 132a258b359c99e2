"""How far a clip that was made anew is from the one that it started from."""

import torch
from torch import Tensor

from pipeline.planning.segments import Segment


def change_since(latents: Tensor, start: Tensor, segment: Segment, grid: int) -> float:
    """Return the distance of latents to where they started, 1 for two that have nothing to do with each other.

    Only what is made counts, not the frames that are given around it, unless all latents hold some of those.
    """
    made = torch.ones(latents.shape[2], dtype=torch.bool)
    for pin in segment.pins:
        made[pin.frame // grid : (pin.frame + pin.given.frames - 1) // grid + 1] = False
    if not made.any():
        made[:] = True
    return float(((latents - start)[:, :, made].square().mean() / 2).sqrt())
