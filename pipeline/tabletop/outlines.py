"""Which of the four solids an outline is, told by how wide it is at each height, against outlines of known ones."""

from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.render import render_alone
from pipeline.tabletop.world import SHAPES, Program, Solid

LEVELS: Final = 16
"""Heights at which widths are compared."""

DEPTHS: Final = (-1.2, -0.4, 0.4, 1.2)
PLACES: Final = (-1.8, 0.0, 1.8)
TURNS: Final = {"ball": 1, "cube": 6, "cylinder": 1, "cone": 1}


def profile(piece: Tensor) -> Tensor:
    """Widths of an outline (height, width) at LEVELS heights from its top down, in units of its height."""
    rows = piece.sum(1)[piece.any(1)].float()
    widths = torch.nn.functional.interpolate(rows[None, None], size=LEVELS, mode="linear", align_corners=False)[0, 0]
    return widths / len(rows)


def single(shape: str, x: float, z: float, phase: float) -> Program:
    """A program of one frame with one solid that stands there."""
    solid = Solid(shape, "red", shiny=False, motion="stays", x=x, z=z, size=0.75, speed=1.0, phase=phase)
    return Program((solid,), "snow", "day", "stands", 0.0, 0.8, 128, 128, 1)


@lru_cache(maxsize=1)
def known_profiles() -> tuple[tuple[str, ...], Tensor]:
    """Profiles of all solids as they stand about in the world, with their names."""
    names, profiles = [], []
    for shape in SHAPES:
        for step in range(TURNS[shape]):
            for x, z in ((x, z) for x in PLACES for z in DEPTHS):
                names.append(shape)
                # A quarter turn brings a cube back: phases are in whole turns.
                outline = render_alone(single(shape, x, z, step / TURNS[shape] / 4), 0, around=32)
                profiles.append(profile(outline[0]))
    return tuple(names), torch.stack(profiles)


def read_shape(piece: Tensor) -> str:
    """The solid that an outline (height, width) is nearest to."""
    names, profiles = known_profiles()
    return names[int((profiles - profile(piece)).abs().sum(1).argmin())]
