"""How a clip goes on: what is made is pinned to the clip's own last frames, or leads into its first ones."""

from collections.abc import Iterator, Mapping

from pipeline.errors import CannotDo
from pipeline.frames import seconds_of, snap_frames
from pipeline.model_spec import ModelSpec
from pipeline.planning.chunks import told
from pipeline.planning.given_clip import given_clip, sound_of
from pipeline.planning.lengths import within
from pipeline.planning.pins import Given
from pipeline.planning.segments import Kept, Layout
from pipeline.planning.shots import Shot, made_of_shots
from pipeline.request import ExtendRequest

EXTEND_SECONDS = 2.0
OVERLAP = 17
"""Frames of the clip that what is made goes on from, or those nearest to it on a model's grid: they show its motion."""


def extend(request: ExtendRequest, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    """Lay out a clip that goes on after its end, or begins earlier; all of its own frames stay."""
    if spec.pins != "any":
        raise CannotDo("video", f"{spec.title} holds no clips, so it cannot go on from one. Choose another model.")
    clip, notes = given_clip(request, request.video, spec, given[request.video], whole=True)
    overlap = overlap_of(clip.frames, spec)
    made = _made(request, overlap, spec)
    before, after = clip.cut(0, overlap), clip.cut(clip.frames - overlap, overlap)
    parts: list[Shot | Kept] = [Kept(clip.excerpt)]
    if request.direction != "forward":
        parts.insert(0, Shot(request.prompt, made, tail=before))
    if request.direction != "backward":
        parts.append(Shot(request.prompt, made, head=after))
    segments, timeline = made_of_shots(parts, spec)
    chained = (told(segments),) if segments[-1].follows else ()
    notes = (*notes, *_length_notes(made, request, spec), *chained, *_sound_notes(request, given))
    sound = sound_of(request.video, clip, given) if request.direction == "forward" else None
    return Layout(segments[0], timeline, notes, sound, segments[1:])


def overlap_of(frames: int, spec: ModelSpec) -> int:
    """Return how many frames of a clip what is made goes on from."""
    wanted = snap_frames(OVERLAP, spec.frame_grid)
    return wanted if wanted <= frames else (frames - 1) // spec.frame_grid * spec.frame_grid + 1


def _made(request: ExtendRequest, overlap: int, spec: ModelSpec) -> int:
    """Return the frames to make, a multiple of a model's grid."""
    seconds = EXTEND_SECONDS if request.seconds is None else request.seconds
    grid = spec.frame_grid
    # What comes before the clip is made in one go: nothing could be watched of a chain whose last part comes first.
    longest = spec.most_frames("extend") - 1 if request.direction == "forward" else spec.max_frames
    most = longest if longest > spec.max_frames else spec.max_frames - overlap
    within("seconds", seconds, 0, seconds_of(most, spec.fps), " s")
    return grid * max(round(seconds * spec.fps / grid), 1)


def _length_notes(made: int, request: ExtendRequest, spec: ModelSpec) -> Iterator[str]:
    asked = EXTEND_SECONDS if request.seconds is None else request.seconds
    each = " each" if request.direction == "both" else ""
    if abs(made / spec.fps - asked) > 0.01:
        became = f"{asked:g} s became {made} frames{each} ({made / spec.fps:.1f} s)"
        yield f"{became}: {spec.title} counts in {spec.frame_grid}s."


def _sound_notes(request: ExtendRequest, given: Mapping[str, Given]) -> Iterator[str]:
    found = given[request.video]
    if getattr(found, "has_sound", False):
        left_out = request.direction != "forward"
        yield f"The sound of {found.name} " + ("is left out." if left_out else "ends where the clip did.")
