"""Clips that are hard to learn from, which a training draws more often than they are: what each kind of them is for."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.latents import FROM_THE_FIRST, OPPOSITE, LatentChunk, Sample, told_sample
from pipeline.tabletop.scenes import is_alone
from pipeline.tabletop.telling import Telling
from pipeline.tabletop.world import Program

SIDED_FROM: Final = 0.8
"""The lowest noise level where only words tell what goes where: below it the clip itself tells."""

SHORT: Final = 5
LONG: Final = 9
"""Latent frames of a short clip, and of one in which something is hidden for a while, at most."""

LIT: Final = 0.6
"""How often a clip without a story is told with the side that its light comes from."""


@dataclass(frozen=True)
class Lesson:
    """Which clips fit, up to how many latent frames, what is given of them, and at which noise levels; None: any."""

    fits: Callable[[Program], bool]
    longest: int = SHORT
    kind: str = "text"
    lowest: float | None = None

    def telling(self, chunk: LatentChunk) -> Telling:
        """How its clips are told: in full, or, where the first frames show it, with less."""
        if self.kind in FROM_THE_FIRST:
            return Telling(chunk.true_colours, shown=True)
        return Telling(chunk.true_colours, complete=True, lit=chunk.true_colours and random.random() < LIT)

    def draw(self, chunks: list[LatentChunk], tokens: int) -> Sample:
        """A batch of one shape, of so many tokens at most, of clips that fit; any clips where there is none."""
        usable = [chunk for chunk in chunks if chunk.true_colours and chunk.whole.shape[2] <= self.longest] or chunks
        rows = [[row for row, program in enumerate(chunk.programs) if self.fits(program)] for chunk in usable]
        if not any(rows):
            rows = [list(range(len(chunk.programs))) for chunk in usable]
        chunk, found = random.choices(list(zip(usable, rows, strict=True)), list(map(len, rows)))[0]
        drawn = torch.tensor(random.sample(found, min(max(1, tokens // chunk.tokens), len(found))))
        return told_sample(chunk, drawn, self.kind, self.telling(chunk))

    def sigma(self, count: int) -> Tensor | None:
        """Noise levels of a batch, where this says which."""
        return None if self.lowest is None else self.lowest + (1 - self.lowest) * torch.rand(count)


def is_sided(program: Program) -> bool:
    """Whether only words tell what goes where: which way the one solid rolls, or who of two stands on which side."""
    first, *others = program.solids
    plain = not program.story and program.camera == "stands"
    return plain and (bool(others) or first.motion in OPPOSITE)


def is_cast(program: Program) -> bool:
    """Whether one solid rests, so that what is left to learn is its shadow or mirror image."""
    return not program.story and program.camera == "stands" and is_alone(program, "stays")


def is_mirrored(program: Program) -> bool:
    """Whether one solid rests on water, which shows it once more."""
    return is_cast(program) and program.floor == "water"


def is_orbited(program: Program) -> bool:
    """Whether the camera goes around what is there, at a pace that is named."""
    return bool(program.pace)


def is_filmed(program: Program) -> bool:
    """Whether the camera moves before one solid, which easily seems to move in its stead."""
    return not program.story and len(program.solids) == 1 and program.camera != "stands"


def turns(program: Program) -> bool:
    """Whether one solid turns on the spot, which only the faces that it shows tell from one that rests."""
    return not program.story and is_alone(program, "turns")


def hides(program: Program) -> bool:
    """Whether something is hidden for a while, and has to come out as it went in."""
    return program.story in ("behind", "passes")


def meets(program: Program) -> bool:
    """Whether one solid bumps into another, which rests until then."""
    return program.story == "pushes"


SIDED: Final = Lesson(is_sided, lowest=SIDED_FROM)
CAST: Final = Lesson(is_cast)
MIRRORED: Final = Lesson(is_mirrored)
ORBITED: Final = Lesson(is_orbited)
FILMED: Final = Lesson(is_filmed)
HIDDEN: Final = Lesson(hides, longest=LONG, kind="head")
MET: Final = Lesson(meets, longest=LONG)
TURNED: Final = Lesson(turns)
LESSONS: Final = (
    SIDED,
    HIDDEN,
    ORBITED,
    FILMED,
    TURNED,
    HIDDEN,
    MIRRORED,
    MET,
    ORBITED,
    HIDDEN,
    FILMED,
    CAST,
    TURNED,
    HIDDEN,
    ORBITED,
    MIRRORED,
)
"""In their turn, what is learned slowest most often: what given frames alone show, orbits, turning, water, cameras."""
