"""The central value: a request and a model become one frozen plan, cheaply, before any device is touched."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import log
from pathlib import PurePath
from statistics import median
from typing import Any, Protocol

from pipeline import frames as arithmetic
from pipeline.errors import BadRequest, CannotDo
from pipeline.media import Picture
from pipeline.models import ModelSpec
from pipeline.pins import Pin, fit_notes, pictures_of, pins_of
from pipeline.request import Request
from pipeline.words import prompt_notes

# Seeds that we draw stay short enough to be read out and typed.
DRAWN_SEEDS = 2**31


@dataclass(frozen=True)
class Segment:
    """A stretch of video made in one go; `source` is a clip to start from, with a strength of 0..1."""

    prompt: str
    frames: int
    pins: tuple[Pin, ...] = ()
    source: str | None = None
    strength: float = 1.0


@dataclass(frozen=True)
class Estimate:
    """What a plan is going to cost, loading left out."""

    seconds: float
    memory_mb: int
    tokens: int


@dataclass(frozen=True)
class Speed:
    """What a machine does with one model: denoising in GFLOP/s, decoding and encoding in megapixels/s."""

    gflops: float
    megapixels: float


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run, and the notes on what was rounded on the way.

    `delivered` is the (width, height) of the file in pixels where it is not the size that the model makes.
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

    @property
    def num_frames(self) -> int:
        """The frames of all segments together."""
        return sum(segment.frames for segment in self.segments)

    @property
    def seconds(self) -> float:
        """How long the clip plays."""
        return arithmetic.seconds_of(self.num_frames, self.fps)

    @property
    def prompt(self) -> str:
        """The sentences of all segments."""
        return " ".join(segment.prompt for segment in self.segments)

    def contract(self) -> str:
        """Say in one line what will come out and what it costs."""
        length = f"{self.num_frames} frames, {self.seconds:.1f} s" if self.num_frames > 1 else "1 picture"
        size = f"{self.width}×{self.height}"
        return f"{length}, {size}, about {_spoken(self.estimate.seconds)}, {self.estimate.memory_mb} MB"

    def to_json(self) -> dict[str, Any]:
        """Return the plan as values that json can write."""
        return asdict(self)

    def to_recipe(self) -> dict[str, Any]:
        """Return the plan for other people: pictures by their names, without the folders of this machine."""
        return replace(self, segments=tuple(map(_without_folders, self.segments))).to_json()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Plan":
        """Build the plan that `to_json` wrote."""
        segments = tuple(
            Segment(**{**segment, "pins": tuple(_pin_from_json(pin) for pin in segment["pins"])})
            for segment in data["segments"]
        )
        estimate = Estimate(**data["estimate"])
        sizes = {"delivered": tuple(data["delivered"])} if data.get("delivered") else {}
        return cls(**{**data, "segments": segments, "estimate": estimate, "notes": tuple(data["notes"]), **sizes})


class Dice(Protocol):
    """Whatever draws a seed: the module `secrets`, or a test's own."""

    def randbelow(self, exclusive_upper_bound: int, /) -> int:
        """Return a whole number from 0 to below the bound."""


def make_plan(request: Request, spec: ModelSpec, speed: Speed | None = None, rng: Dice = secrets) -> Plan:
    """Turn a request into a plan for this model; raise BadRequest for what is out of its limits."""
    if request.task not in spec.tasks:
        raise CannotDo("task", f"{spec.title} cannot do {request.task!r}. Choose one of: {', '.join(spec.tasks)}.")
    given = pictures_of(request)
    width, height, size_notes = _size(request, spec, tuple(given.values()))
    num_frames, length_notes = _length(request, spec)
    pins = tuple(pins_of(request, num_frames, spec.fps))
    delivered, delivery_notes = _delivery(request, (width, height))
    steps = _within("steps", request.steps, spec.steps, 1, spec.max_steps)
    guidance = _within("guidance_scale", request.guidance_scale, spec.guidance_scale, 1, spec.max_guidance_scale)
    return Plan(
        task=request.task,
        model=spec.name,
        segments=(Segment(request.prompt, num_frames, pins),),
        width=width,
        height=height,
        fps=spec.fps,
        seed=rng.randbelow(DRAWN_SEEDS) if request.seed is None else request.seed,
        steps=int(steps),
        guidance_scale=float(guidance),
        estimate=_estimate(spec, (num_frames, height, width), (int(steps), guidance), speed or default_speed(spec)),
        notes=(
            *size_notes,
            *length_notes,
            *fit_notes(pins, given, (width, height)),
            *delivery_notes,
            *prompt_notes(request.prompt, spec),
        ),
        delivered=delivered,
    )


def default_speed(spec: ModelSpec) -> Speed:
    """Return the registry's guess, for a machine that has not run the model yet."""
    return Speed(spec.gflops_per_second, spec.decode_megapixels_per_second)


def measured_speed(history: Iterable[tuple[Plan, Mapping[str, float]]], spec: ModelSpec) -> Speed:
    """Return the medians over finished runs and their timings (seconds); without any, the registry's guess."""
    gflops, megapixels = [], []
    for plan, timings in history:
        if plan.model == spec.name and timings["denoise"] > 0 and timings["decode"] + timings["encode"] > 0:
            tokens = plan.estimate.tokens
            flops = arithmetic.denoise_flops(spec.network, tokens, plan.steps, plan.guidance_scale)
            pixels = plan.num_frames * plan.width * plan.height
            gflops.append(flops / 1e9 / timings["denoise"])
            megapixels.append(pixels / 1e6 / (timings["decode"] + timings["encode"]))
    return Speed(median(gflops), median(megapixels)) if gflops else default_speed(spec)


def _size(request: Request, spec: ModelSpec, given: Sequence[Picture]) -> tuple[int, int, list[str]]:
    if request.width is None or request.height is None:
        width, height = spec.shapes[request.shape or _shape_of(given, spec)]
        return width, height, []
    for field, side in (("width", request.width), ("height", request.height)):
        _within(field, side, side, spec.min_side, spec.max_side, " pixels")
    width = arithmetic.snap_side(request.width, spec.grid)
    height = arithmetic.snap_side(request.height, spec.grid)
    if (width, height) == (request.width, request.height):
        return width, height, []
    asked = f"{request.width}×{request.height}"
    note = f"{asked} became {width}×{height}: {spec.title} makes sides that are multiples of {spec.grid}."
    return width, height, [note]


def _shape_of(given: Sequence[Picture], spec: ModelSpec) -> str:
    """Name the shape that is nearest to the first picture's, or the model's own."""
    if not given:
        return spec.shape
    wanted = given[0].width / given[0].height
    return min(spec.shapes, key=lambda name: abs(log(spec.shapes[name][0] / spec.shapes[name][1] / wanted)))


def _delivery(request: Request, made: tuple[int, int]) -> tuple[tuple[int, int] | None, list[str]]:
    """Return the size of the file, None where it is the size that is made."""
    if request.deliver is None:
        return None, []
    wanted = arithmetic.scale_to(made, int(request.deliver.removesuffix("p")))
    if wanted == made:
        return None, []
    done = "enlarged, not generated" if wanted[0] > made[0] else "made smaller"
    return wanted, [f"{made[0]}×{made[1]} is delivered as {wanted[0]}×{wanted[1]}: {done}."]


def _length(request: Request, spec: ModelSpec) -> tuple[int, list[str]]:
    if request.seconds is not None:
        longest = arithmetic.seconds_of(spec.max_frames - 1, spec.fps)
        _within("seconds", request.seconds, request.seconds, 0, longest, " s")
        asked, name = arithmetic.frames_for(request.seconds, spec.fps), f"{request.seconds:g} s"
    else:
        asked = _within("frames", request.frames, spec.frames, 1, spec.max_frames)
        name = f"{asked} frames"
    made = arithmetic.snap_frames(asked, spec.frame_grid)
    if made == asked:
        return made, []
    step = spec.frame_grid
    plays = arithmetic.seconds_of(made, spec.fps)
    return made, [
        f"{name} became {made} frames ({plays:.1f} s): {spec.title} makes 1, {step + 1}, {2 * step + 1}, … frames."
    ]


def _within(field: str, value: float | None, default: float, least: float, most: float, unit: str = "") -> float:
    value = default if value is None else value
    if not least <= value <= most:
        raise BadRequest(field, f"{field} is {value}{unit}: choose from {least:g} to {most:g}{unit}.")
    return value


def _estimate(spec: ModelSpec, clip: tuple[int, int, int], effort: tuple[int, float], speed: Speed) -> Estimate:
    """Cost a clip of (frames, height, width) at an effort of (steps, guidance scale)."""
    num_frames, height, width = clip
    latent_frames, rows, columns = arithmetic.latent_shape(*clip, spec.frame_grid, spec.side_stride)
    tokens = latent_frames * rows * columns
    denoise = arithmetic.denoise_flops(spec.network, tokens, *effort) / 1e9 / speed.gflops
    decode = num_frames * height * width / 1e6 / speed.megapixels
    memory = spec.memory_mb + tokens * spec.memory_kb_per_token / 1000
    return Estimate(round(denoise + decode, 2), 10 * round(memory / 10), tokens)


def _without_folders(segment: Segment) -> Segment:
    pins = tuple(replace(pin, picture=PurePath(pin.picture).name) for pin in segment.pins)
    return replace(segment, pins=pins)


def _pin_from_json(data: Mapping[str, Any]) -> Pin:
    return Pin(**{**data, "focus": tuple(data["focus"])})


def _spoken(seconds: float) -> str:
    return f"{max(round(seconds), 1)} s" if seconds < 90 else f"{round(seconds / 60)} min"
