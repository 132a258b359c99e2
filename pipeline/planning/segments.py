"""What a take is made of in time: segments that are generated, what pins them down, and what is spliced around them."""

from dataclasses import dataclass

from pipeline.given.footage import Excerpt
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
    are turned in time at each step (Mobius, arXiv 2502.20307), and it ends where it begins.
    """

    prompt: str
    frames: int
    pins: tuple[Pin, ...] = ()
    source: Source | None = None
    strength: float = 1.0
    rolled: bool = False

    @property
    def start(self) -> float:
        """The noise level at which its denoising begins: 1 is noise alone."""
        return self.strength if self.source else 1.0

    @property
    def excerpts(self) -> tuple[Excerpt, ...]:
        """Everything that it is given."""
        clips = (self.source.clip, self.source.other) if self.source else ()
        return (*(pin.given for pin in self.pins), *(clip for clip in clips if clip))


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
    """Frames of the generated segment from one on; matched ones take on the colours of their neighbours."""

    start: int
    frames: int
    matched: bool = False


Part = Kept | Made
