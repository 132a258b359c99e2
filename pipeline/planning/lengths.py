"""How long a take is: what was asked for, and what a model makes of it."""

from pipeline.errors import BadRequest
from pipeline.frames import frames_for, seconds_of
from pipeline.model_spec import ModelSpec
from pipeline.request import Request


def clip_length(request: Request, spec: ModelSpec) -> tuple[int, list[str]]:
    """Return the frames that a model makes for a request, with a note where that is not what was asked."""
    asked, name = asked_length(request, spec)
    made, plays = spec.snap(asked), seconds_of(spec.snap(asked), spec.fps)
    if made == asked:
        return made, []
    first, second, third = _lengths(spec)
    return made, [
        f"{name} became {made} frames ({plays:.1f} s): {spec.title} makes {first}, {second}, {third}, … frames."
    ]


def asked_length(request: Request, spec: ModelSpec, whole: bool = False) -> tuple[float, str]:
    """Return the frames that were asked for, not yet rounded, and how that was said.

    A clip shows a time with both its ends, a frame more than a `whole` one that begins again, and than whole chunks.
    """
    most = spec.most_frames(request.task)
    if request.seconds is None:
        frames = spec.frames - whole if request.frames is None else request.frames
        within("frames", frames, 1, most)
        return frames, f"{frames} frames"
    within("seconds", request.seconds, 0, seconds_of(most - (not spec.remembers), spec.fps), " s")
    return frames_for(request.seconds, spec.fps) - (whole or spec.remembers), f"{request.seconds:g} s"


def _lengths(spec: ModelSpec) -> tuple[int, int, int]:
    """Return the three shortest takes of a model, in frames."""
    if spec.chunks and spec.remembers:
        return spec.chunks.frames, 2 * spec.chunks.frames, 3 * spec.chunks.frames
    return 1, spec.frame_grid + 1, 2 * spec.frame_grid + 1


def within(field: str, value: float, least: float, most: float, unit: str = "") -> None:
    """Raise BadRequest for a number out of its range."""
    if not least <= value <= most:
        raise BadRequest(field, f"{field} is {value}{unit}: choose from {least:g} to {most:g}{unit}.")
