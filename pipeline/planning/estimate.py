"""What a plan costs: seconds from its work and the speed of the machine, memory from where the weights lie."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.frames import LEAD, decode_windows
from pipeline.memory import SAYS, Placement, Policy, Work
from pipeline.model_spec import ModelSpec
from pipeline.planning.delivery import Pass, passes_flops
from pipeline.planning.speed import MARGINS, Amounts, Speed

# What the work of several makings is added up from.
ADDED = ("steps", "gflop", "given", "decoded", "written")


@dataclass(frozen=True)
class Estimate:
    """What a plan is going to cost, loading left out, and where its weights lie meanwhile (see memory.Placement).

    Memory and tokens are those of its largest pass; `memory_mb` are on the card, or in memory without one; `wanted` is
    the policy where one was asked for. Of the seconds, `denoise` go into the steps and `after` into decoding and
    writing what comes out; `measured` tells whether finished runs say so, and `margin` how far off they were.
    """

    seconds: float
    memory_mb: int
    tokens: int
    policy: Policy = "whole"
    beside: bool = True
    tiled: bool = False
    on_card: bool = False
    wanted: Policy | None = None
    denoise: float = 0.0
    after: float = 0.0
    measured: bool = False
    margin: float = MARGINS[1]

    def spoken(self) -> str:
        """Say in a few words what it costs."""
        time = f"{max(round(self.seconds), 1)} s" if self.seconds < 90 else f"{round(self.seconds / 60)} min"
        weights = f" of the card, {SAYS[self.policy]}" if self.on_card else ""
        return f"about {time}, {self.memory_mb:,} MB{weights}"


@dataclass(frozen=True)
class Making:
    """A segment of so many frames, made in one or two passes at a guidance scale, and what becomes of it.

    `given` are frames that it is made from, `written` the megapixels of the file; `kind` is the task and whatever else
    makes runs unlike. A `rolled` segment is decoded among neighbours on both sides.
    """

    frames: int
    passes: tuple[Pass, ...]
    guidance_scale: float
    given: int
    written: float
    kind: str = "text"
    rolled: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """The (width, height) in pixels that come out."""
        return self.passes[-1].size

    def work(self, spec: ModelSpec) -> Work:
        """Return what its largest pass is to a model at once."""
        upsampler = spec.upsampler.memory_mb if spec.upsampler and len(self.passes) > 1 else 0
        return Work(self.passes[-1].tokens(spec, self.frames), self.size[0] * self.size[1], upsampler)


def default_speed(spec: ModelSpec) -> Speed:
    """Return the registry's guess, for a machine that has not run the model yet."""
    return Speed(spec.gflops_per_second, spec.decode_megapixels_per_second)


def largest(makings: Sequence[Making], spec: ModelSpec) -> Work:
    """Return what the largest of several makings is to a model at once."""
    return max((made.work(spec) for made in makings), key=lambda work: work.tokens)


def amounts_of(spec: ModelSpec, makings: Sequence[Making]) -> Amounts:
    """Return how much work makings are together."""
    first, *others = (_amounts(spec, made) for made in makings)
    for each in others:
        added = {name: getattr(first, name) + getattr(each, name) for name in ADDED}
        first = replace(first, **added)
    return first


def _amounts(spec: ModelSpec, made: Making) -> Amounts:
    width, height = made.size
    latents = (made.frames - 1) // spec.frame_grid + 1 + (2 * LEAD if made.rolled else 0)
    windows = decode_windows(latents, spec.frame_grid, spec.windows.keep, spec.windows.context)
    decoded = sum((window.stop - window.start - 1) * spec.frame_grid + 1 for window in windows)
    return Amounts(
        made.kind,
        made.size,
        sum(len(each.levels) for each in made.passes),
        passes_flops(spec, made.frames, made.passes, made.guidance_scale) / 1e9,
        made.given * width * height / 1e6,
        decoded * width * height / 1e6,
        made.written,
    )


def estimate(
    spec: ModelSpec, makings: Sequence[Making], speed: Speed, placement: Placement, wanted: Policy | None
) -> Estimate:
    """Return the costs at a speed, with the weights placed so."""
    where = (placement.policy, placement.beside, placement.tiled, placement.on_card)
    costs = Estimate(0.0, placement.memory_mb, largest(makings, spec).tokens, *where, wanted)
    return timed(costs, spec, makings, speed)


def timed(costs: Estimate, spec: ModelSpec, makings: Sequence[Making], speed: Speed) -> Estimate:
    """Return costs with the seconds of makings at a speed."""
    takes = speed.seconds(amounts_of(spec, makings), costs.policy)
    return replace(
        costs,
        seconds=round(takes.total, 2),
        denoise=round(takes.denoise, 2),
        after=round(takes.decode + takes.encode, 2),
        measured=speed.known(costs.policy),
        margin=round(speed.margin(costs.policy), 2),
    )
