"""What a judge reads off a clip: the attributes of a world's programs, and their values."""

from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.captions import camera_move
from pipeline.tabletop.truth import middles
from pipeline.tabletop.world import (
    ALL_CAMERAS,
    CAMERAS,
    COLOURS,
    FLOORS,
    MOTIONS,
    PACES,
    SHAPES,
    SKIES,
    STORIES,
    WALLS,
    Program,
    Solid,
)

Attributes = dict[str, tuple[str, ...]]

ATTRIBUTES: Final[Attributes] = {
    "colour": COLOURS,
    "solid": SHAPES,
    "floor": FLOORS,
    "sky": SKIES,
    "motion": MOTIONS,
    "camera": CAMERAS,
}
"""Of the plain world, in scenes of one solid."""

NONE: Final = "none"

WHOLE_ATTRIBUTES: Final[Attributes] = {
    **ATTRIBUTES,
    "camera": ALL_CAMERAS,
    "story": (NONE, *STORIES),
    "direction": (NONE, "left", "right", "in", "out"),
    "pace": (NONE, *PACES),
    "second colour": (NONE, *COLOURS),
    "second solid": (NONE, *SHAPES),
    "wall": (NONE, *WALLS),
    "weather": ("clear", "fog"),
}
"""Of the whole world, in all its scenes; `direction` is the camera's."""

OF_WORLD: Final = {"plain": ATTRIBUTES, "whole": WHOLE_ATTRIBUTES}

RECOLOURED: Final = ("colour", "floor", "sky", "second colour", "wall", "weather")
"""Attributes that a recoloured clip does not show."""

UNSEEN: Final = -100
"""The label of what a clip does not show: no loss is taken there."""


def in_order(program: Program) -> tuple[Solid, ...]:
    """The solids as a clip tells them apart: where both rest, the left one in the first frame comes first."""
    solids = program.solids
    if len(solids) < 2 or program.story or solids[0].motion != "stays":
        return solids
    first, second = middles(program)[:, 0, 0].tolist()
    return solids if first <= second else solids[::-1]


def direction(program: Program) -> str:
    """Where the camera goes; none where it stands, or follows a solid."""
    if program.camera in ("stands", "follows"):
        return NONE
    if program.camera in ("orbits", "returns"):
        return "right" if program.camera_speed > 0 else "left"
    return camera_move(program).split()[1]


def truth(program: Program, world: str = "plain") -> dict[str, str]:
    """The attributes of a program."""
    first, *others = in_order(program) if world == "whole" else program.solids
    plain = {
        "colour": first.colour,
        "solid": first.shape,
        "floor": program.floor,
        "sky": program.sky,
        "motion": first.motion,
        "camera": program.camera,
    }
    if world == "plain":
        return plain
    return {
        **plain,
        "story": program.story or NONE,
        "direction": direction(program),
        "pace": program.pace or NONE,
        "second colour": others[0].colour if others else NONE,
        "second solid": others[0].shape if others else NONE,
        "wall": program.wall.material if program.wall else NONE,
        "weather": "fog" if program.fog else "clear",
    }


def labels(programs: list[Program], true_colours: bool = True, world: str = "plain") -> Tensor:
    """Attribute indices (programs, attributes)."""
    attributes = OF_WORLD[world]
    rows = [[values.index(truth(program, world)[name]) for name, values in attributes.items()] for program in programs]
    marks = torch.tensor(rows).view(len(programs), len(attributes))
    if not true_colours:
        marks[:, [list(attributes).index(name) for name in RECOLOURED if name in attributes]] = UNSEEN
    return marks
