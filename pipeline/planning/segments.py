"""What a take is made of in time: segments that are generated, what pins them down, and what is spliced around them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from pipeline.given.footage import Excerpt
from pipeline.given.sound import Sound
from pipeline.request import Curve


@dataclass(frozen=True)
class Pin:
    """A picture or a stretch of a clip that is given from a frame on, with a strength of 0..1."""

    frame: int
    given: Excerpt
    strength: float = 1.0


@dataclass(frozen=True)
class Source:
    """The frames that a segment starts from: a clip, or one that dissolves into another along a curve.

    `other` ends with the segment; where both are, the curve says how much of `other` is seen.
    """

    clip: Excerpt
    other: Excerpt | None = None
    curve: Curve = "linear"


@dataclass(frozen=True)
class Segment:
    """A stretch of video made in one go.

    `strength` is the noise level 0..1 at which its source is taken up; a rolled one has no first frame: its latents
    are turned in time at each step (Mobius, arXiv 2502.20307), and it ends where it begins. So many of its first
    frames as it `follows` are the last ones of the segment before; one that `remembers` is made from the latents of all
    those before. Some have less guidance than their take; `late_guidance` is the share of it that is left once shapes
    and motion are there.
    """

    prompt: str
    frames: int
    pins: tuple[Pin, ...] = ()
    source: Source | None = None
    strength: float = 1.0
    rolled: bool = False
    follows: int = 0
    remembers: bool = False
    most_guidance: float | None = None
    late_guidance: float = 1.0

    @property
    def start(self) -> float:
        """The noise level at which its denoising begins: 1 is noise alone."""
        return self.strength if self.source else 1.0

    def guided(self, by: float) -> float:
        """Return how strongly it is guided in a take that is guided by so much."""
        return min(by, self.most_guidance or by)

    def eased(self, share: float) -> "Segment":
        """Return it with a share of the guidance left late, where it begins as noise alone: an edit needs all of it."""
        return self if self.start < 1 else replace(self, late_guidance=share)

    @property
    def excerpts(self) -> tuple[Excerpt, ...]:
        """Everything that it is given."""
        clips = (self.source.clip, self.source.other) if self.source else ()
        return (*(pin.given for pin in self.pins), *(clip for clip in clips if clip))


@dataclass(frozen=True)
class Chunk:
    """A segment that is made already: the file of what it takes to go on after it."""

    file: str


@dataclass(frozen=True)
class Kept:
    """Frames of a given clip that come into the take as they are."""

    excerpt: Excerpt

    @property
    def frames(self) -> int:
        """How many they are."""
        return self.excerpt.frames


@dataclass(frozen=True)
class Made:
    """Frames of a generated segment, by its number, from one on; matched ones take on their neighbours' colours."""

    start: int
    frames: int
    matched: bool = False
    segment: int = 0


Part = Kept | Made


@dataclass(frozen=True)
class Layout:
    """A segment, the parts of the take (none where the segment is all of it), notes, and the sound that goes along.

    A long take has `further` segments, which are made after it.
    """

    segment: Segment
    timeline: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()
    sound: Sound | None = None
    further: tuple[Segment, ...] = ()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All segments, in the order in which they are made."""
        return (self.segment, *self.further)


def sentences_of(segments: Iterable[Segment]) -> str:
    """Return the sentences of segments, each once."""
    return " ".join(dict.fromkeys(segment.prompt for segment in segments))


def joins_of(timeline: Sequence[Part], segments: Sequence[Segment]) -> tuple[int, ...]:
    """Return the frames before which parts of a take go on from each other; between others there is a cut."""
    starts = accumulate((part.frames for part in timeline), initial=0)
    pairs = zip(timeline, timeline[1:], list(starts)[1:], strict=False)
    return tuple(start for before, after, start in pairs if _joined(before, after, segments))


def _joined(before: Part, after: Part, segments: Sequence[Segment]) -> bool:
    if isinstance(after, Made):
        return after.start > 0 or segments[after.segment].remembers
    if isinstance(before, Kept):
        return False
    return any(pin.frame >= before.start + before.frames for pin in segments[before.segment].pins)


def late_notes(segments: Iterable[Segment], guidance: float) -> tuple[str, ...]:
    """Say by how much a take is guided late that is guided by so much before, where that is less."""
    late = {1 + (guidance - 1) * segment.late_guidance for segment in segments if not segment.most_guidance}
    late.discard(guidance)
    return tuple(f"Guided by {guidance:g} until shapes and motion are there, and then by {each:.2g}." for each in late)
