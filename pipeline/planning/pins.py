"""What is given is looked at before a device is touched, and becomes pins at frames."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from math import log
from pathlib import Path

from pipeline.asked import ClipRequest, FittedRequest
from pipeline.errors import BadRequest
from pipeline.frames import seconds_of
from pipeline.given.footage import Excerpt, Footage, look_at_clip
from pipeline.given.media import Picture, look_at
from pipeline.latents import is_latents, look_at_latents
from pipeline.planning.segments import Pin
from pipeline.request import AnimateRequest, StoryboardRequest, TransitionRequest

Given = Picture | Footage

# Shapes whose ratios differ by less than this need no word about cropping.
ALIKE = 0.02


def given_in(request: ClipRequest) -> dict[str, Given]:
    """Look at every picture and clip of a request, by path, in their order; raise BadRequest for what is none."""
    if isinstance(request, AnimateRequest):
        stills = [("at", still.image) for still in request.at]
        paths = [("image", request.image), *stills, ("last", request.last)]
        return {path: look_at(path, field) for field, path in paths if path}
    if isinstance(request, StoryboardRequest):
        shown = [(card.image or card.video, bool(card.image)) for card in request.cards]
        return _before(request) | {path: _look(path, "cards", still) for path, still in shown if path}
    clips = [(field, getattr(request, field, None)) for field in ("video", "first", "second")]
    return {path: _look(path, field, isinstance(request, TransitionRequest)) for field, path in clips if path}


def _before(request: StoryboardRequest) -> dict[str, Given]:
    return {request.video: _look(request.video, "video", still=False)} if request.video else {}


def _look(path: str, field: str, still: bool) -> Given:
    """Look at a clip; pages ask for the same one at every keystroke."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return look_at_clip(path, field)
    return _look_once(path, field, still, (found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=64)
def _look_once(path: str, field: str, still: bool, _as_of: tuple[int, int]) -> Given:
    if is_latents(path):
        return look_at_latents(path, field)
    try:
        return look_at_clip(path, field)
    except BadRequest as refused:
        # A picture is a clip where it may stand still.
        with suppress(BadRequest):
            if still:
                return look_at(path, field)
        raise refused from None


def pins_of(request: AnimateRequest, num_frames: int, fps: int) -> Iterator[Pin]:
    """Yield the pins of a request in their order in time; raise BadRequest for what lies outside of the clip."""
    own = ((still, request.strength if still.strength is None else still.strength) for still in request.at)
    stills = [(still.seconds * fps, still.image, strength) for still, strength in own]
    ends = [(0.0, request.image, request.strength), (num_frames - 1.0, request.last, request.strength)]
    taken: set[int] = set()
    for at, path, strength in sorted((*stills, *ends), key=lambda each: each[0]):
        if path:
            excerpt = Excerpt(path, fit=request.fit, focus=request.focus)
            yield Pin(_free_frame(round(at), num_frames, fps, taken), excerpt, strength)


def _free_frame(frame: int, num_frames: int, fps: int, taken: set[int]) -> int:
    if num_frames == 1:
        raise BadRequest("frames", "One frame cannot move. Ask for more frames, or for some seconds.")
    if frame >= num_frames:
        end = seconds_of(num_frames - 1, fps)
        raise BadRequest("at", f"A picture stands at {frame / fps:g} s: choose from 0 to {end:g} s, or a longer clip.")
    if frame in taken:
        raise BadRequest("at", f"Two pictures stand at {frame / fps:g} s. Move one of them, or leave it out.")
    taken.add(frame)
    return frame


def fit_notes(request: ClipRequest, given: Iterable[Given], size: tuple[int, int]) -> Iterator[str]:
    """Say what was cropped or padded to a size (width, height)."""
    done = "padded" if isinstance(request, FittedRequest) and request.fit == "pad" else "cropped"
    for found in given:
        if abs(log(found.width / found.height * size[1] / size[0])) > ALIKE:
            yield f"{found.name}, {found.width}×{found.height}, was {done} to the shape of {size[0]}×{size[1]}."
