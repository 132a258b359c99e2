"""What is made around or between clips and pictures: out of something, towards something, on a model's grid."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipeline.errors import CannotDo
from pipeline.frames import seconds_of
from pipeline.given.footage import Excerpt
from pipeline.model_spec import ModelSpec
from pipeline.planning.chunks import chain
from pipeline.planning.segments import Kept, Made, Part, Pin, Segment


@dataclass(frozen=True)
class Shot:
    """Frames that are made, of a storyboard for a card; nothing of what they come from or lead to is among them.

    They go on from a clip's `head`, or from so many frames of the shot before as they `follow`, or begin with a
    picture, the `first` frame; they end on a picture, the `last` frame, or lead to a clip's `tail`. One that
    `leads_in` is made before the first card.
    """

    prompt: str
    frames: int
    card: int = 0
    head: Excerpt | None = None
    follows: int = 0
    first: Excerpt | None = None
    last: Excerpt | None = None
    tail: Excerpt | None = None
    leads_in: bool = False

    @property
    def lead(self) -> int:
        """How many frames stand before it that it goes on from."""
        return self.head.frames if self.head else self.follows

    @property
    def trail(self) -> int:
        """How many frames stand after it that it leads to."""
        return self.tail.frames if self.tail else 0

    @property
    def pins(self) -> tuple[Pin, ...]:
        """What is given to it, in a segment that begins with its lead."""
        end = self.lead + self.frames
        places = ((0, self.head), (0, self.first), (end - 1, self.last), (end, self.tail))
        return tuple(Pin(frame, given) for frame, given in places if given)

    def on_grid(self, grid: int) -> "Shot":
        """Return it as long as a model can make it: with what stands around it, a multiple of the grid and one."""
        rest = (1 - bool(self.lead) - bool(self.trail)) % grid
        frames = rest + grid * max(round((self.frames - rest) / grid), 0)
        least = 1 if self.lead or self.trail else 2
        return replace(self, frames=frames if frames >= least else frames + grid)


def made_of_shots(parts: Iterable[Shot | Kept], spec: ModelSpec) -> tuple[tuple[Segment, ...], tuple[Part, ...]]:
    """Return the segments that a take's shots are made as, and its parts; raise CannotDo for one that is too long."""
    segments, timeline = list[Segment](), list[Part]()
    for part in parts:
        if isinstance(part, Kept):
            timeline.append(part)
            continue
        made, shown = _made(part, spec, len(segments))
        segments += made
        timeline += shown
    alone = len(timeline) == 1 and segments and timeline[0] == Made(0, segments[0].frames)
    return tuple(segments), () if alone else tuple(timeline)


def _made(shot: Shot, spec: ModelSpec, number: int) -> tuple[tuple[Segment, ...], tuple[Part, ...]]:
    whole = shot.lead + shot.frames + shot.trail
    if whole <= spec.max_frames:
        segment = Segment(shot.prompt, whole, shot.pins, follows=shot.follows)
        return (segment,), (Made(shot.lead, shot.frames, bool(shot.lead or shot.trail), number),)
    if spec.chunks is None:
        most = seconds_of(spec.max_frames - shot.lead - shot.trail, spec.fps)
        raise CannotDo("cards", f"{spec.title} makes {most:.1f} s at once. Put another card in between.")
    return _in_chunks(shot, spec, number)


def _in_chunks(shot: Shot, spec: ModelSpec, number: int) -> tuple[tuple[Segment, ...], tuple[Part, ...]]:
    """Return a long shot as chunks, of which one of its own leads to what it ends with, if that is a clip."""
    if shot.tail:
        return _towards(shot, spec, number)
    chunks, parts = chain(Segment(shot.prompt, shot.lead + shot.frames, shot.pins, follows=shot.follows), spec, number)
    first = parts[0]
    if shot.head and isinstance(first, Made):
        first = replace(first, start=shot.lead, frames=first.frames - shot.lead, matched=True)
    return chunks, (first, *parts[1:])


def _towards(shot: Shot, spec: ModelSpec, number: int) -> tuple[tuple[Segment, ...], tuple[Part, ...]]:
    overlap = spec.chunks.overlap if spec.chunks else 0
    last = replace(shot, head=None, first=None, follows=overlap)
    last = replace(last, frames=spec.max_frames - overlap - shot.trail).on_grid(spec.frame_grid)
    if last.lead + last.frames + last.trail > spec.max_frames:
        last = replace(last, frames=last.frames - spec.frame_grid)
    rest = replace(shot, tail=None, frames=shot.frames - last.frames)
    segments, parts = _made(rest, spec, number)
    leading, shown = _made(last, spec, number + len(segments))
    return (*segments, *leading), (*parts, *shown)
