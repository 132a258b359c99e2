"""What is given becomes pins: pictures at frames, looked at before a device is touched."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import log

from pipeline.errors import BadRequest
from pipeline.frames import seconds_of
from pipeline.media import MIDDLE, Fit, Focus, Picture, look_at
from pipeline.request import Request, TextRequest

# Shapes whose ratios differ by less than this need no word about cropping.
ALIKE = 0.02


@dataclass(frozen=True)
class Pin:
    """A picture that is given at a frame, with a strength of 0..1, and how it is brought to the clip's size."""

    frame: int
    picture: str
    strength: float = 1.0
    fit: Fit = "crop"
    focus: Focus = MIDDLE


def pictures_of(request: Request) -> dict[str, Picture]:
    """Look at every picture of a request, by path, the first frame's first; raise BadRequest for what is none."""
    if isinstance(request, TextRequest):
        return {}
    stills = [("at", still.image) for still in request.at]
    paths = [("image", request.image), *stills, ("last", request.last)]
    return {path: look_at(path, field) for field, path in paths if path}


def pins_of(request: Request, num_frames: int, fps: int) -> Iterator[Pin]:
    """Yield the pins of a request in their order in time; raise BadRequest for what lies outside of the clip."""
    if isinstance(request, TextRequest):
        return
    stills = [(still.seconds * fps, still.image, still.strength) for still in request.at]
    ends = [(0.0, request.image, request.strength), (num_frames - 1.0, request.last, request.strength)]
    taken: set[int] = set()
    for at, path, strength in sorted((*stills, *ends), key=lambda each: each[0]):
        if path:
            yield Pin(_free_frame(round(at), num_frames, fps, taken), path, strength, request.fit, request.focus)


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


def fit_notes(pins: Iterable[Pin], given: Mapping[str, Picture], size: tuple[int, int]) -> Iterator[str]:
    """Say which pictures were cropped or padded to a size (width, height)."""
    for pin in pins:
        picture = given[pin.picture]
        if abs(log(picture.width / picture.height * size[1] / size[0])) > ALIKE:
            done = "cropped" if pin.fit == "crop" else "padded"
            yield f"{picture.name}, {picture.width}×{picture.height}, was {done} to the shape of {size[0]}×{size[1]}."
