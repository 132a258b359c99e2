"""Where in a clip its solids are, their shadows and mirror images: what most of a picture is not, and all is judged by.

Nine tenths of the tokens are floor and sky, so most of a plain mean is how well grass is painted. A clip's tokens may
weigh more only where its noise still shows what is there: above that, to weigh by the answer would shift the mean
of what may be there, and paint a little of a solid in every place where one could be. Where first frames are given,
they tell what is where, and the noise need not.
"""

from functools import lru_cache
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import pad

from pipeline.tabletop.network import SPATIAL, TEMPORAL
from pipeline.tabletop.truth import middles, mirror_points, outline_points, shadow_points, size_in_pixels
from pipeline.tabletop.world import Program

REACH: Final = 0.95
"""Of a solid around the middle of its outline, to its size: the outline, not the corners."""

SHADOW_REACH: Final = 0.5
MIRROR_REACH: Final = 0.8
"""Of its shadow or mirror image around that one's middle: a shadow is flat."""

WEIGHT: Final = 6.0
"""Of a token in which something of a solid is, to 1 of any other."""

SHOWN: Final = 0.85
"""The noise level up to which it is."""


def near(program: Program, places: Tensor, reach: Tensor, cell: int) -> Tensor:
    """Which cells (solids, frames, height, width) lie within reach of each solid's places (solids, frames, 2)."""
    columns, rows = ((torch.arange(side // cell) + 0.5) * cell - 0.5 for side in (program.width, program.height))
    across = (columns - places[..., :1]).abs()[:, :, None, :]
    down = (rows - places[..., 1:]).abs()[:, :, :, None]
    off = (across - cell / 2).clamp(min=0).square() + (down - cell / 2).clamp(min=0).square()
    return off <= reach[..., None, None].square()


def by_latent(frames: Tensor) -> Tensor:
    """What is so in any frame (frames, height, width) of each latent frame."""
    later = frames[1:].view(-1, TEMPORAL, *frames.shape[1:]).any(1)
    return torch.cat([frames[:1], later])


def casts(program: Program, cell: int = SPATIAL) -> Tensor:
    """Which cells (solids, frames, height, width) show each solid's shadow, or on water its mirror image."""
    size = size_in_pixels(program, outline_points(program))
    if program.floor == "water":
        return near(program, mirror_points(program), MIRROR_REACH * size, cell)
    return near(program, shadow_points(program), SHADOW_REACH * size, cell)


@lru_cache(maxsize=2**15)
def solid_tokens(program: Program, cell: int = SPATIAL) -> Tensor:
    """Which latents (latent frames, height, width) show something of a solid, as booleans.

    `cell` is how many of the program's pixels a latent is across: more where a clip is encoded at half its size.
    """
    size = size_in_pixels(program, outline_points(program))
    own = near(program, middles(program), REACH * size, cell)
    return by_latent((own | casts(program, cell)).any(0))


def token_weights(shown: Tensor | None, sigma: Tensor, follows: bool = False) -> Tensor:
    """Weights of tokens at noise levels (batch, tokens), by which latents (batch, frames, h, w) show solids, if known.

    A clip that `follows` from given frames weighs them at every level. The clip's own tokens come last, as `layout.py`
    lays them out.
    """
    if shown is None:
        return torch.ones_like(sigma)
    marks = pad(shown.flatten(1), (sigma.shape[1] - shown[0].numel(), 0)).to(sigma.device)
    return torch.where(marks & (follows | (sigma <= SHOWN)), WEIGHT, 1.0)
