"""How each task lays its take out in time: what is generated, what is given, and what is spliced around it."""

from collections.abc import Mapping
from dataclasses import replace

from pipeline.errors import BadRequest, CannotDo
from pipeline.frames import context_frames, place_window, seconds_of
from pipeline.model_spec import ModelSpec
from pipeline.planning.chunks import in_chunks
from pipeline.planning.extending import extend
from pipeline.planning.given_clip import Clip, given_clip, silent, sound_of
from pipeline.planning.lengths import asked_length, clip_length, within
from pipeline.planning.pins import Given, pins_of
from pipeline.planning.segments import Kept, Layout, Made, Pin, Segment, Source
from pipeline.planning.storyboard import storyboard
from pipeline.planning.strengths import noise_level, strength_notes, taken_notes
from pipeline.request import (
    AnimateRequest,
    ExtendRequest,
    LoopRequest,
    Request,
    RestyleRequest,
    StoryboardRequest,
    TransitionRequest,
)

SEAM_SECONDS: Mapping[str, float] = {"short": 0.5, "normal": 1.0, "long": 2.0}
TRANSITION_SECONDS = 1.0


def lay_out(request: Request, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    """Lay a request out for a model; `given` is what was found at its paths. Raise BadRequest for what cannot be."""
    match request:
        case RestyleRequest():
            return _restyle(request, spec, given)
        case TransitionRequest():
            return _transition(request, spec, given)
        case ExtendRequest():
            return extend(request, spec, given)
        case StoryboardRequest():
            return storyboard(request, spec, given)
        case LoopRequest(video=None):
            return _rolled(request, spec)
        case LoopRequest():
            return _loop(request, spec, given)
    num_frames, notes = clip_length(request, spec)
    pins = tuple(pins_of(request, num_frames, spec.fps)) if isinstance(request, AnimateRequest) else ()
    return in_chunks(Layout(Segment(request.prompt, num_frames, pins), notes=tuple(notes)), spec)


def _restyle(request: RestyleRequest, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    clip, notes = given_clip(request, request.video, spec, given[request.video])
    clip, cut = _cut(clip, request, spec)
    if clip.frames <= spec.frame_grid and request.range:
        few = f"{clip.frames} frames are too few for a range"
        raise BadRequest("range", f"{few}. Leave it out, or use more of the clip.")
    if request.range is None:
        clip, trimmed = _on_grid(clip, spec)
        layout = Layout(Segment(request.words, clip.frames, source=Source(clip.excerpt)), notes=tuple(trimmed))
    else:
        layout = _remade(request, clip, spec, request.range)
    level, steps = noise_level(request.strength, spec), spec.steps if request.steps is None else request.steps
    strengths = (*strength_notes(request.strength, spec), *taken_notes(level, spec, steps))
    layout = replace(layout, notes=(*notes, *cut, *layout.notes, *strengths))
    layout = replace(layout, segment=replace(layout.segment, strength=level))
    if clip.frames == 1:
        return replace(layout, notes=(*layout.notes, *silent(given)))
    return replace(layout, sound=sound_of(request.video, clip, given))


def _remade(request: RestyleRequest, clip: Clip, spec: ModelSpec, wanted: tuple[float, float]) -> Layout:
    """Lay out a range that is made anew between frames that stay."""
    begins, asked = _range(wanted, clip, spec)
    first, before, frames, after = place_window((begins, begins + asked), clip.frames, spec.frame_grid)
    whole = before + frames + after
    pins = [Pin(0, clip.cut(first - before, before))] if before else []
    pins += [Pin(before + frames, clip.cut(first + frames, after))] if after else []
    source = Source(clip.cut(first - before, whole))
    rest = clip.frames - first - frames
    ends = (Kept(clip.cut(0, first)), Kept(clip.cut(first + frames, rest)))
    timeline = tuple(part for part in (ends[0], Made(before, frames), ends[1]) if part.frames)
    notes = _range_notes(wanted, first, frames, spec)
    return Layout(Segment(request.words, whole, tuple(pins), source), timeline, tuple(notes))


def _transition(request: TransitionRequest, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    (one, notes), (two, more) = (
        given_clip(request, path, spec, given[path]) for path in (request.first, request.second)
    )
    seconds = TRANSITION_SECONDS if request.seconds is None else request.seconds
    longest = spec.max_frames - 2 * context_frames(spec.max_frames, spec.frame_grid)
    within("seconds", seconds, 0, longest / spec.fps, " s")
    overlap = _seam(seconds, min(one.frames - 1, two.frames - 1, longest), spec)
    short = _seam_notes(overlap, seconds * spec.fps, spec)
    before, after = (context_frames(clip.frames - overlap, spec.frame_grid) for clip in (one, two))
    first = one.frames - overlap
    pins = (Pin(0, one.cut(first - before, before)), Pin(before + overlap, two.cut(overlap, after)))
    source = Source(one.cut(first - before, before + overlap), two.cut(0, overlap + after), request.curve)
    if not spec.edits and request.curve != "linear":
        raise CannotDo("curve", f"{spec.title} finds its own way between clips. Choose linear, or another model.")
    timeline = (
        Kept(one.cut(0, first)),
        Made(before, overlap, matched=True),
        Kept(two.cut(overlap, two.frames - overlap)),
    )
    segment = Segment(request.prompt, before + overlap + after, pins, source if spec.edits else None, spec.blend)
    return Layout(segment, timeline, (*notes, *more, *short, *silent(given)))


def _loop(request: LoopRequest, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    if spec.pins != "any":
        raise CannotDo("video", f"{spec.title} loops words alone. Leave the clip out, or choose another model.")
    clip, notes = given_clip(request, request.video or "", spec, given[request.video or ""])
    if request.range:
        first, frames = _range(request.range, clip, spec)
        clip = replace(clip, excerpt=clip.cut(first, frames))
        notes = (*notes, *_range_notes(request.range, first, frames, spec))
    context = context_frames(clip.frames, spec.frame_grid)
    made = _seam(SEAM_SECONDS[request.seam], spec.max_frames - 2 * context, spec)
    pins = (Pin(0, clip.cut(clip.frames - context, context)), Pin(context + made, clip.cut(0, context)))
    # Both ends are given: guidance towards the words leads away from them, and what it makes jumps.
    segment = Segment(request.prompt, context + made + context, pins, most_guidance=spec.seam_guidance)
    timeline = (Kept(clip.excerpt), Made(context, made, matched=True))
    return Layout(segment, timeline, (*notes, *_less_guided(request, segment, spec), *silent(given)))


def _less_guided(request: LoopRequest, seam: Segment, spec: ModelSpec) -> tuple[str, ...]:
    """Tell that a seam is guided less than its words ask for, where it is."""
    asked = spec.guided_by(request.guidance_scale)
    guided = seam.guided(asked)
    if not request.prompt or guided == asked:
        return ()
    return (f"The seam is guided by {guided:g}: the clip's own ends tell what it shows.",)


def _rolled(request: LoopRequest, spec: ModelSpec) -> Layout:
    """Lay out a loop of words: each latent frame is as long as the others, for none is the first."""
    asked, name = asked_length(request, spec, whole=True)
    if asked <= 1:
        raise BadRequest("frames", "One frame cannot loop. Ask for more frames, or for some seconds.")
    latents = min(max(round(asked / spec.frame_grid), 2), spec.max_frames // spec.frame_grid)
    frames = latents * spec.frame_grid
    segment = Segment(request.prompt, frames - spec.frame_grid + 1, rolled=True)
    steps = ", ".join(str(spec.frame_grid * count) for count in (2, 3, 4))
    plays = seconds_of(frames, spec.fps)
    note = f"{name} became {frames} frames ({plays:.1f} s): loops of words have {steps}, … frames."
    return Layout(segment, (Made(0, frames),), () if frames == asked else (note,))


def _cut(clip: Clip, request: Request, spec: ModelSpec) -> tuple[Clip, list[str]]:
    """Use as much of a clip as was asked for."""
    if request.seconds is None and request.frames is None:
        return clip, []
    asked, notes = clip_length(request, spec)
    if asked > clip.frames:
        notes = [*notes, f"{clip.name} ends after {clip.frames} frames."]
    return replace(clip, excerpt=replace(clip.excerpt, frames=min(asked, clip.frames))), notes


def _on_grid(clip: Clip, spec: ModelSpec) -> tuple[Clip, list[str]]:
    """Cut a clip to what a model can make in one go."""
    frames = (clip.frames - 1) // spec.frame_grid * spec.frame_grid + 1
    if frames == clip.frames:
        return clip, []
    plays = seconds_of(frames, spec.fps)
    note = (
        f"The first {frames} frames ({plays:.1f} s) of {clip.name} are used: {spec.title} counts in {spec.frame_grid}s."
    )
    return replace(clip, excerpt=replace(clip.excerpt, frames=frames)), [note]


def _range(wanted: tuple[float, float], clip: Clip, spec: ModelSpec) -> tuple[int, int]:
    """Return the first frame of a range and its number of frames."""
    first, end = (round(min(seconds * spec.fps, clip.frames)) for seconds in wanted)
    if end - first < 1:
        plays = seconds_of(clip.frames, spec.fps)
        raise BadRequest("range", f"The range is empty. Choose two times from 0 to {plays:g} s, the earlier one first.")
    return first, end - first


def _range_notes(wanted: tuple[float, float], first: int, frames: int, spec: ModelSpec) -> list[str]:
    """Say where a range is another one than was asked for."""
    start, end = first / spec.fps, (first + frames) / spec.fps
    if (start, end) == wanted:
        return []
    return [f"The range became {start:g} to {end:g} s: {spec.title} makes frames in steps of {spec.frame_grid}."]


def _seam_notes(frames: int, asked: float, spec: ModelSpec) -> list[str]:
    """Say where a transition has another length than was asked for."""
    if abs(frames - asked) < 0.5:
        return []
    return [f"What is made in between is {frames} frames ({frames / spec.fps:.2g} s) long."]


def _seam(seconds: float, most: int, spec: ModelSpec) -> int:
    """Return frames between two pins that fill a model's grid: one less than a multiple of it."""
    grid, asked = spec.frame_grid, seconds * spec.fps
    frames = min(grid * max(round((asked + 1) / grid), 1), (most + 1) // grid * grid) - 1
    if frames < 1:
        raise BadRequest("seconds", f"The clips are too short. Give clips of at least {(grid + 1) / spec.fps:g} s.")
    return frames
