"""Reads from a clip's pixels what `truth.py` tells from its program: where solids are, what moves when, what stays.

Each reading is of colours and places only (`segments.py`), so it holds for renders and for generated clips alike. Of
what is not seen a tracker says so: None, or `seen` False.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.segments import Segments, read_colour, segment
from pipeline.tabletop.world import Program

SMALLEST: Final = 14
"""Pixels of the smallest piece of a solid that is taken for one, at 128×128."""

WHOLE: Final = 0.75
"""A solid that shows so much of its usual area is seen whole."""

MOVED: Final = 2.0
"""Pixels of 128 by which a solid that rests may seem to move."""

TOUCHING: Final = 5.0
"""Pixels of 128 between two solids that touch."""


def dilate(values: Tensor) -> Tensor:
    """The largest of each pixel's value and its eight neighbours', (frames, height, width) as given.

    By moved copies: many times faster than pooling, and this is what judging a clip mostly does.
    """
    for axis in (1, 2):
        length, widest = values.shape[axis] - 1, values.clone()
        lower, upper = widest.narrow(axis, 1, length), widest.narrow(axis, 0, length)
        torch.maximum(lower, values.narrow(axis, 0, length), out=lower)
        torch.maximum(upper, values.narrow(axis, 1, length), out=upper)
        values = widest
    return values


def largest_pieces(masks: Tensor) -> Tensor:
    """The largest connected piece in each frame, specks and bridges of a pixel's width left out."""
    core = ~dilate(~masks)
    core = dilate(dilate(core)) & masks
    marks = torch.arange(1, core[0].numel() + 1, dtype=torch.int32).view(1, *core.shape[1:]) * core
    while True:
        spread = dilate(marks) * core
        if torch.equal(spread, marks):
            break
        marks = spread
    best = torch.stack([torch.bincount(mark[mark > 0], minlength=1).argmax() for mark in marks])
    return core & (marks == best[:, None, None])


@dataclass(frozen=True)
class Track:
    """One solid through a clip: its largest piece in each frame, (frames, height, width)."""

    pieces: Tensor

    @cached_property
    def areas(self) -> Tensor:
        """Pixels of it in each frame."""
        return self.pieces.flatten(1).sum(1)

    @cached_property
    def seen(self) -> Tensor:
        """Whether anything of it is there, (frames,) booleans."""
        height, width = self.pieces.shape[1:]
        return self.areas >= SMALLEST * height * width / 128**2

    @cached_property
    def whole(self) -> Tensor:
        """Whether it is seen whole, as far as its area tells: in most frames in which it is seen it is."""
        usual = self.areas[self.seen].float().quantile(0.7) if self.seen.any() else torch.tensor(1.0)
        return self.seen & (self.areas >= WHOLE * usual)

    @cached_property
    def places(self) -> Tensor:
        """Where its middle is, (frames, 2: column, row); NaN where it is not seen."""
        rows, columns = torch.meshgrid(*(torch.arange(side) for side in self.pieces.shape[1:]), indexing="ij")
        sums = [(self.pieces * axis).flatten(1).sum(1) / self.areas for axis in (columns, rows)]
        return torch.where(self.seen[:, None], torch.stack(sums, 1), torch.nan)

    def span(self, axis: int) -> tuple[Tensor, Tensor]:
        """First and last column (axis 0) or row (axis 1) of it in each frame; NaN where it is not seen."""
        line = self.pieces.any(1 if axis == 0 else 2).float()
        first, last = line.argmax(1), line.shape[1] - 1 - line.flip(1).argmax(1)
        return tuple(torch.where(self.seen, end.float(), torch.nan) for end in (first, last))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Reading:
    """A clip (uint8 frames) told apart into the solids that its program has; no two are the same."""

    program: Program
    segments: Segments
    tracks: tuple[Track, ...]

    @property
    def pixel(self) -> float:
        """The side of a pixel of a 128×128 picture, in this clip's pixels."""
        return float((self.program.width * self.program.height) ** 0.5 / 128)


def read(frames: Tensor, program: Program) -> Reading:
    """Track a program's solids through a clip."""
    segments = segment(frames, program)
    return Reading(program, segments, tuple(Track(largest_pieces(masks)) for masks in segments.masks))


def colour_at(reading: Reading, index: int, frame: int) -> str | None:
    """The colour of what is where a solid is seen in a frame, of all eight; None where nothing is seen."""
    track = reading.tracks[index]
    if not track.seen[frame]:
        return None
    solid = reading.program.solids[index]
    return read_colour(reading.segments.pixels[frame][track.pieces[frame]], reading.segments.seen, solid.shiny)


def first_move(reading: Reading, index: int) -> int | None:
    """The first frame from which on a solid stays away from where it was; None where it rests."""
    track = reading.tracks[index]
    x = track.places[:, 0]
    rest = x[track.whole][:3].median()
    away = ((x - rest).abs() > MOVED * reading.pixel) | ~track.seen
    still = (~away).nonzero()
    if not track.whole.any() or not away[-1]:
        return None
    return int(still[-1]) + 1 if len(still) else 0


def first_touch(reading: Reading) -> int | None:
    """The first frame in which both solids are as near each other as they ever come; None where they never touch."""
    spans = [track.span(0) for track in reading.tracks]
    gap = (torch.maximum(spans[0][0] - spans[1][1], spans[1][0] - spans[0][1]) - 1).nan_to_num(torch.inf)
    near = (gap <= gap.amin() + reading.pixel).nonzero()
    return int(near[0]) if gap.amin() <= TOUCHING * reading.pixel else None
