"""A clip that is given, at a model's rate: how many of its frames there are, which are used, and what of it is told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pipeline.asked import FittedRequest
from pipeline.errors import BadRequest
from pipeline.frames import seconds_of
from pipeline.given.footage import Excerpt, Footage
from pipeline.given.media import Picture
from pipeline.given.sound import Sound
from pipeline.model_spec import ModelSpec
from pipeline.planning.pins import Given

HELD_SECONDS = 2.0
"""How long a picture stands that is given as a clip."""


@dataclass(frozen=True)
class Clip:
    """A given clip at a model's rate: where it lies, how it is fitted, and the frames that are used of it."""

    name: str
    excerpt: Excerpt
    fps: int

    @property
    def frames(self) -> int:
        """How many frames are used."""
        return self.excerpt.frames

    def cut(self, first: int, frames: int) -> Excerpt:
        """Return a stretch of it, in frames."""
        return replace(self.excerpt, start=self.excerpt.start + first / self.fps, frames=frames)


def given_clip(
    request: FittedRequest, path: str, spec: ModelSpec, found: Given, whole: bool = False
) -> tuple[Clip, tuple[str, ...]]:
    """Return the frames of a clip that a model can take, or the `whole` of it, with notes on what is cut."""
    seconds = HELD_SECONDS if isinstance(found, Picture) else found.seconds
    there = _frames_in(seconds, spec)
    if there <= spec.frame_grid:
        least = (spec.frame_grid + 1) / spec.fps
        raise BadRequest("video", f"{found.name} plays {seconds:.2f} s. Give a clip of at least {least:g} s.")
    used = there if whole else min(there, spec.max_frames)
    clip = Clip(found.name, Excerpt(path, 0.0, used, request.fit, request.focus), spec.fps)
    return clip, tuple(_clip_notes(found, used, spec))


def _frames_in(seconds: float, spec: ModelSpec) -> int:
    """Return how many frames a clip of so many seconds gives a model."""
    # Files round their length to ticks of their own, of up to a few milliseconds.
    return max(int(seconds * spec.fps + 0.05), 1)


def _clip_notes(found: Given, used: int, spec: ModelSpec) -> Iterator[str]:
    if isinstance(found, Picture):
        yield f"{found.name} is a picture: it is held for {HELD_SECONDS:g} s."
        return
    if abs(found.fps - spec.fps) > 0.5:
        yield f"{found.name} shows {found.fps:.3g} frames a second; {spec.title} makes {spec.fps}."
    if used < _frames_in(found.seconds, spec):
        plays = seconds_of(used, spec.fps)
        yield f"{found.name} plays {found.seconds:.1f} s; its first {plays:.1f} s are used: {spec.title} takes no more."


def sound_of(path: str, clip: Clip, given: Mapping[str, Given]) -> Sound | None:
    """Return the sound that goes along with a clip, which keeps its timing."""
    sounds = isinstance(found := given[path], Footage) and found.has_sound
    return Sound(path, clip.excerpt.start, seconds_of(clip.frames, clip.fps)) if sounds else None


def silent(given: Mapping[str, Given]) -> Iterator[str]:
    """Yield a note for each clip whose sound is left out."""
    for found in given.values():
        if isinstance(found, Footage) and found.has_sound:
            yield f"The sound of {found.name} is left out: its timing changes."
