"""How each task lays its take out in time: what is generated, what is given, and what is spliced around it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pipeline.errors import BadRequest, CannotDo
from pipeline.frames import context_frames, frames_for, place_window, seconds_of, snap_frames
from pipeline.given.footage import Excerpt, Footage
from pipeline.given.media import Picture
from pipeline.given.sound import Sound
from pipeline.model_spec import ModelSpec
from pipeline.planning.pins import Given, pins_of
from pipeline.planning.segments import Kept, Made, Part, Pin, Segment, Source
from pipeline.planning.strengths import noise_level, strength_notes, taken_notes
from pipeline.request import (
    AnimateRequest,
    ClipRequest,
    FittedRequest,
    LoopRequest,
    RestyleRequest,
    TransitionRequest,
)

SEAM_SECONDS: Mapping[str, float] = {"short": 0.5, "normal": 1.0, "long": 2.0}
TRANSITION_SECONDS = 1.0
HELD_SECONDS = 2.0
"""How long a picture stands that is given as a clip."""


@dataclass(frozen=True)
class Layout:
    """A segment, the parts of the take (none where the segment is all of it), notes, and the sound that goes along."""

    segment: Segment
    timeline: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()
    sound: Sound | None = None


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


def lay_out(request: ClipRequest, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    """Lay a request out for a model; `given` is what was found at its paths. Raise BadRequest for what cannot be."""
    match request:
        case RestyleRequest():
            return _restyle(request, spec, given)
        case TransitionRequest():
            return _transition(request, spec, given)
        case LoopRequest(video=None):
            return _rolled(request, spec)
        case LoopRequest():
            return _loop(request, spec, given)
    num_frames, notes = clip_length(request, spec)
    pins = tuple(pins_of(request, num_frames, spec.fps)) if isinstance(request, AnimateRequest) else ()
    return Layout(Segment(request.prompt, num_frames, pins), notes=tuple(notes))


def clip_length(request: ClipRequest, spec: ModelSpec) -> tuple[int, list[str]]:
    """Return the frames that a model makes for a request, with a note where that is not what was asked."""
    asked, name = asked_length(request, spec)
    made = snap_frames(asked, spec.frame_grid)
    if made == asked:
        return made, []
    step, plays = spec.frame_grid, seconds_of(made, spec.fps)
    return made, [
        f"{name} became {made} frames ({plays:.1f} s): {spec.title} makes 1, {step + 1}, {2 * step + 1}, … frames."
    ]


def asked_length(request: ClipRequest, spec: ModelSpec, whole: bool = False) -> tuple[float, str]:
    """Return the frames that were asked for, not yet rounded, and how that was said.

    A clip shows a time with both its ends, a frame more than a `whole` one that begins again.
    """
    if request.seconds is None:
        frames = spec.frames - whole if request.frames is None else request.frames
        within("frames", frames, 1, spec.max_frames)
        return frames, f"{frames} frames"
    within("seconds", request.seconds, 0, seconds_of(spec.max_frames - 1, spec.fps), " s")
    return frames_for(request.seconds, spec.fps) - whole, f"{request.seconds:g} s"


def within(field: str, value: float, least: float, most: float, unit: str = "") -> None:
    """Raise BadRequest for a number out of its range."""
    if not least <= value <= most:
        raise BadRequest(field, f"{field} is {value}{unit}: choose from {least:g} to {most:g}{unit}.")


def _restyle(request: RestyleRequest, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    clip, notes = _clip(request, request.video, spec, given[request.video])
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
        return replace(layout, notes=(*layout.notes, *_silent(given)))
    return replace(layout, sound=_sound(request.video, clip, given))


def _sound(path: str, clip: Clip, given: Mapping[str, Given]) -> Sound | None:
    """Return the sound that goes along with a clip, which keeps its timing."""
    sounds = isinstance(found := given[path], Footage) and found.has_sound
    return Sound(path, clip.excerpt.start, seconds_of(clip.frames, clip.fps)) if sounds else None


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
    (one, notes), (two, more) = (_clip(request, path, spec, given[path]) for path in (request.first, request.second))
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
    return Layout(segment, timeline, (*notes, *more, *short, *_silent(given)))


def _loop(request: LoopRequest, spec: ModelSpec, given: Mapping[str, Given]) -> Layout:
    if spec.pins != "any":
        raise CannotDo("video", f"{spec.title} loops words alone. Leave the clip out, or choose another model.")
    clip, notes = _clip(request, request.video or "", spec, given[request.video or ""])
    if request.range:
        first, frames = _range(request.range, clip, spec)
        clip = replace(clip, excerpt=clip.cut(first, frames))
        notes = (*notes, *_range_notes(request.range, first, frames, spec))
    context = context_frames(clip.frames, spec.frame_grid)
    made = _seam(SEAM_SECONDS[request.seam], spec.max_frames - 2 * context, spec)
    pins = (Pin(0, clip.cut(clip.frames - context, context)), Pin(context + made, clip.cut(0, context)))
    segment = Segment(request.prompt, context + made + context, pins)
    timeline = (Kept(clip.excerpt), Made(context, made, matched=True))
    return Layout(segment, timeline, (*notes, *_silent(given)))


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


def _clip(request: FittedRequest, path: str, spec: ModelSpec, found: Given) -> tuple[Clip, tuple[str, ...]]:
    """Return the frames of a clip that a model can take, with notes on what is cut."""
    seconds = HELD_SECONDS if isinstance(found, Picture) else found.seconds
    there = _frames_in(seconds, spec)
    if there <= spec.frame_grid:
        least = (spec.frame_grid + 1) / spec.fps
        raise BadRequest("video", f"{found.name} plays {seconds:.2f} s. Give a clip of at least {least:g} s.")
    used = min(there, spec.max_frames)
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
    if used == spec.max_frames < _frames_in(found.seconds, spec):
        plays = seconds_of(used, spec.fps)
        yield f"{found.name} plays {found.seconds:.1f} s; its first {plays:.1f} s are used: {spec.title} takes no more."


def _cut(clip: Clip, request: ClipRequest, spec: ModelSpec) -> tuple[Clip, list[str]]:
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


def _silent(given: Mapping[str, Given]) -> Iterator[str]:
    for found in given.values():
        if isinstance(found, Footage) and found.has_sound:
            yield f"The sound of {found.name} is left out: its timing changes."
