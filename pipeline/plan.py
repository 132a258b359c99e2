"""The central value: a request and a model become one frozen plan, cheaply, before any device is touched."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from math import log
from pathlib import PurePath
from typing import Any, Protocol

from pydantic import TypeAdapter

from pipeline import frames as arithmetic
from pipeline.adapters import Adapter, adapters_of
from pipeline.asked import SEED_LIMIT
from pipeline.errors import CannotDo
from pipeline.fields import said
from pipeline.given.footage import Excerpt
from pipeline.given.sound import Sound
from pipeline.halfway import Stopped
from pipeline.memory import Machine, choose
from pipeline.model_spec import ModelSpec
from pipeline.planning.abilities import check_abilities
from pipeline.planning.delivery import deliver, passes_of, steps_between
from pipeline.planning.estimate import Estimate, Making, default_speed, estimate, largest
from pipeline.planning.layouts import lay_out
from pipeline.planning.lengths import within
from pipeline.planning.pins import Given, fit_notes, given_in
from pipeline.planning.segments import Chunk, Kept, Layout, Part, Pin, Segment, joins_of, late_notes, sentences_of
from pipeline.planning.speed import Speed
from pipeline.planning.words import prompt_notes
from pipeline.request import ExtendRequest, Request, StoryboardRequest

# Seeds that we draw stay short enough to be read out and typed.
DRAWN_SEEDS = 2**31
PROCESSOR = Machine()
# In place of a file: the frames that were made before.
BEFORE = ""
# Until a plan's work is known.
UNKNOWN = Estimate(0.0, 0, 0)


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run, and the notes on what was rounded on the way.

    `timeline` is what the take is spliced from, nothing where it is the segments alone. Width and height in pixels
    are those of its latents and frames; `first_pass` is the (width, height) at which it is made before the model
    doubles it, `delivered` that of the file, and `asked` that asked for, each where it is another. A draft stops after
    so many of its steps, those of both passes counted; a plan that `resumes` a take does the steps after those. The
    first segments of one that was `begun` were made before, and are kept in files.
    """

    task: str
    model: str
    segments: tuple[Segment, ...]
    width: int
    height: int
    fps: int
    seed: int
    steps: int
    guidance_scale: float
    estimate: Estimate
    notes: tuple[str, ...] = ()
    delivered: tuple[int, int] | None = None
    first_pass: tuple[int, int] | None = None
    asked: tuple[int, int] | None = None
    timeline: tuple[Part, ...] = ()
    sound: Sound | None = None
    loras: tuple[Adapter, ...] = ()
    stop_after: int | None = None
    resumes: Stopped | None = None
    begun: tuple[Chunk, ...] = ()
    # What was asked, in the words of the request: two plans that make the same are equal however they were asked for.
    said: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def num_frames(self) -> int:
        """The frames of the take."""
        return sum(part.frames for part in self.timeline or self.segments)

    @property
    def joins(self) -> tuple[int, ...]:
        """The frames before which parts meet that belong together; 0 is where a loop begins again."""
        return (*([0] if self.task == "loop" else []), *joins_of(self.timeline, self.segments))

    @property
    def seconds(self) -> float:
        """How long the clip plays."""
        return arithmetic.seconds_of(self.num_frames, self.fps)

    @property
    def title(self) -> str:
        """The prompt, or what was done to what where there are no words."""
        given = dict.fromkeys(PurePath(excerpt.file).stem for part in self.segments for excerpt in part.excerpts)
        return self.prompt or f"{self.task}: {', '.join(given)}"

    @property
    def prompt(self) -> str:
        """The sentences of all segments, each once."""
        return sentences_of(self.segments)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of everything that is given, of LoRAs, and of where a take stopped, each once."""
        made = [excerpt for segment in self.segments for excerpt in segment.excerpts]
        kept = [part.excerpt for part in self.timeline if isinstance(part, Kept)]
        begun = (self.resumes,) if self.resumes else ()
        return tuple(dict.fromkeys(each.file for each in (*made, *kept, *self.loras, *begun, *self.begun)))

    @property
    def whole(self) -> "Plan":
        """The plan of the take, wherever this one goes on with it: from noise it makes the same frames."""
        return replace(self, resumes=None, begun=())

    def alone(self, number: int) -> "Plan":
        """Return the plan of one of its segments, with a seed of its own, and what it follows as given."""
        segment, seed = self.segments[number], (self.seed + number) % SEED_LIMIT
        if segment.follows:
            pins = (Pin(0, Excerpt(BEFORE, frames=segment.follows)), *segment.pins)
            segment = replace(segment, pins=pins, follows=0)
        guidance = segment.guided(self.guidance_scale)
        return replace(self, segments=(segment,), timeline=(), seed=seed, begun=(), guidance_scale=guidance)

    def first(self, segments: int) -> "Plan":
        """Return the plan of its first segments, which were made when it was stopped."""
        if segments == len(self.segments):
            return self
        parts = takewhile(lambda part: isinstance(part, Kept) or part.segment < segments, self.timeline)
        return replace(self, segments=self.segments[:segments], timeline=tuple(parts))

    def with_files(self, rename: Callable[[str], str]) -> "Plan":
        """Return the plan over files of other names."""
        return self.from_json(_with_files(self.to_json(), rename))

    def contract(self) -> str:
        """Say in one line what will come out and what it costs."""
        length = f"{self.num_frames} frames, {self.seconds:.1f} s" if self.num_frames > 1 else "1 picture"
        size = f"{self.width}×{self.height}"
        return f"{length}, {size}, {self.estimate.spoken()}"

    def to_json(self) -> dict[str, Any]:
        """Return the plan as values that json can write."""
        return asdict(self)

    def to_recipe(self) -> dict[str, Any]:
        """Return the plan for other people: what was given by its name, without the folders of this machine."""
        recipe: dict[str, Any] = _with_files(self.whole.to_json(), lambda file: PurePath(file).name)
        return recipe

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Plan":
        """Build the plan that `to_json` wrote, now or before pins could be clips."""
        segments = [segment | {"pins": [_renamed(pin) for pin in segment["pins"]]} for segment in data["segments"]]
        return _PLANS.validate_python({**data, "segments": segments})


_PLANS = TypeAdapter(Plan)


def _renamed(pin: dict[str, Any]) -> dict[str, Any]:
    if "picture" not in pin:
        return pin
    given = {"file": pin["picture"], "fit": pin["fit"], "focus": pin["focus"]}
    return {"frame": pin["frame"], "strength": pin["strength"], "given": given}


class Dice(Protocol):
    """Whatever draws a seed: the module `secrets`, or a test's own."""

    def randbelow(self, exclusive_upper_bound: int, /) -> int:
        """Return a whole number from 0 to below the bound."""


def make_plan(
    request: Request, spec: ModelSpec, speed: Speed | None = None, rng: Dice = secrets, machine: Machine = PROCESSOR
) -> Plan:
    """Turn a request into a plan for this model and machine; raise BadRequest for what is out of their limits."""
    if request.task not in spec.tasks:
        raise CannotDo("task", f"{spec.title} cannot do {request.task!r}. Choose one of: {', '.join(spec.tasks)}.")
    given = given_in(request)
    size, size_notes = _size(request, spec, tuple(given.values()))
    layout = lay_out(request, spec, given)
    for each in layout.segments:
        check_abilities(each, spec)
    segment = layout.segment
    lines = None if request.deliver is None else int(request.deliver.removesuffix("p"))
    delivery = deliver(lines, size, segment.start, spec)
    words = sentences_of(layout.segments)
    steps, guidance = _effort(request, words, spec)
    loras, lora_notes = adapters_of(request.loras, words, spec)
    plan = Plan(
        task=request.task,
        model=spec.name,
        segments=tuple(each.eased(spec.late_guidance) for each in layout.segments),
        width=delivery.made[0],
        height=delivery.made[1],
        fps=spec.fps,
        seed=rng.randbelow(DRAWN_SEEDS) if request.seed is None else request.seed,
        steps=steps,
        guidance_scale=guidance,
        estimate=UNKNOWN,
        delivered=delivery.delivered,
        first_pass=delivery.first_pass,
        asked=None if delivery.made == size else size,
        timeline=layout.timeline,
        sound=layout.sound,
        loras=loras,
        said=said(request),
    )
    makings = makings_of(plan, spec)
    placement = choose(spec, largest(makings, spec), machine, request.memory)
    notes = (*size_notes, *layout.notes, *fit_notes(request, given.values(), delivery.made))
    notes = (*notes, *delivery.notes, *placement.notes, *_prompt_notes(layout, spec), *lora_notes)
    notes += late_notes(plan.segments, guidance) if guidance != spec.guidance_scale else ()
    costs = estimate(spec, makings, speed or default_speed(spec), placement, request.memory)
    return replace(plan, estimate=costs, notes=notes)


def _prompt_notes(layout: Layout, spec: ModelSpec) -> tuple[str, ...]:
    """Return what is to say of the words of each segment, each thing once."""
    return tuple(dict.fromkeys(note for each in layout.segments for note in prompt_notes(each.prompt, spec)))


def makings_of(plan: Plan, spec: ModelSpec) -> tuple[Making, ...]:
    """Return what is made of a plan's segments, without the steps that were or will be done apart."""
    left = plan.segments[len(plan.begun) :] or plan.segments[-1:]
    return tuple(_making(plan, segment, spec, writes=segment is left[-1]) for segment in left)


def _making(plan: Plan, segment: Segment, spec: ModelSpec, writes: bool) -> Making:
    made, picture = (plan.width, plan.height), plan.num_frames == 1
    width, height = plan.delivered or made
    passes = passes_of(spec, segment, plan.steps, made, plan.first_pass)
    return Making(
        segment.frames,
        steps_between(passes, plan.resumes.steps if plan.resumes else 0, plan.stop_after),
        segment.guided(plan.guidance_scale),
        sum(excerpt.frames for excerpt in segment.excerpts) + segment.follows,
        plan.num_frames * width * height / 1e6 if writes else 0.0,
        f"{plan.task}, one picture" if picture else plan.task,
        segment.rolled,
    )


def place_again(plan: Plan, spec: ModelSpec, machine: Machine) -> Plan:
    """Return a plan that was made elsewhere with its weights placed for this machine; raise CannotDo as make_plan."""
    placement = choose(spec, largest(makings_of(plan, spec), spec), machine, plan.estimate.wanted)
    where = {name: getattr(placement, name) for name in ("policy", "beside", "tiled", "on_card", "memory_mb")}
    return replace(plan, estimate=replace(plan.estimate, **where))


def _effort(request: Request, words: str, spec: ModelSpec) -> tuple[int, float]:
    """Return steps and guidance scale; without words there is nothing to guide to."""
    steps = spec.steps if request.steps is None else request.steps
    guidance = spec.guided_by(request.guidance_scale)
    within("steps", steps, spec.min_steps, spec.max_steps)
    within("guidance_scale", guidance, 1, spec.max_guidance_scale)
    return steps, float(guidance) if words else 1.0


def _size(request: Request, spec: ModelSpec, given: Sequence[Given]) -> tuple[tuple[int, int], list[str]]:
    if request.width is None or request.height is None:
        return _own_size(request, spec, given) or spec.shapes[request.shape or _shape_of(given, spec)], []
    for name, side in (("width", request.width), ("height", request.height)):
        within(name, side, spec.min_side, spec.max_side, " pixels")
    width = arithmetic.snap_side(request.width, spec.grid)
    height = arithmetic.snap_side(request.height, spec.grid)
    if (width, height) == (request.width, request.height):
        return (width, height), []
    asked = f"{request.width}×{request.height}"
    note = f"{asked} became {width}×{height}: {spec.title} makes sides that are multiples of {spec.grid}."
    return (width, height), [note]


def _own_size(request: Request, spec: ModelSpec, given: Sequence[Given]) -> tuple[int, int] | None:
    """Return the size of a clip that goes on, where a model makes that size: then its frames stay as they are."""
    goes_on = isinstance(request, ExtendRequest) or (isinstance(request, StoryboardRequest) and request.video)
    if not goes_on or request.shape:
        return None
    sides = (given[0].width, given[0].height)
    fits = all(side % spec.grid == 0 and spec.min_side <= side <= spec.max_side for side in sides)
    return sides if fits else None


def _shape_of(given: Sequence[Given], spec: ModelSpec) -> str:
    """Name the shape that is nearest to the first picture's, or the model's own."""
    if not given:
        return spec.shape
    wanted = given[0].width / given[0].height
    return min(spec.shapes, key=lambda name: abs(log(spec.shapes[name][0] / spec.shapes[name][1] / wanted)))


def _with_files(value: Any, rename: Callable[[str], str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _with_files(part, rename, name) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_with_files(part, rename) for part in value]
    return rename(value) if key == "file" else value
