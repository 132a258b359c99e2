"""What a plan costs: seconds from the operations and the speed of the machine, memory from where the weights lie."""

from dataclasses import dataclass

from pipeline.delivery import Pass, passes_flops, tokens_of
from pipeline.memory import SAYS, Placement, Policy, Work
from pipeline.model_spec import ModelSpec


@dataclass(frozen=True)
class Estimate:
    """What a plan is going to cost, loading left out, and where its weights lie meanwhile (see memory.Placement).

    Memory and tokens are those of its largest pass; `memory_mb` are on the card, or in memory without one; `wanted` is
    the policy where one was asked for.
    """

    seconds: float
    memory_mb: int
    tokens: int
    policy: Policy = "whole"
    beside: bool = True
    tiled: bool = False
    on_card: bool = False
    wanted: Policy | None = None

    def spoken(self) -> str:
        """Say in a few words what it costs."""
        time = f"{max(round(self.seconds), 1)} s" if self.seconds < 90 else f"{round(self.seconds / 60)} min"
        weights = f" of the card, {SAYS[self.policy]}" if self.on_card else ""
        return f"about {time}, {self.memory_mb:,} MB{weights}"


@dataclass(frozen=True)
class Speed:
    """What a machine does with one model: denoising in GFLOP/s, decoding and encoding in megapixels/s."""

    gflops: float
    megapixels: float


@dataclass(frozen=True)
class Denoising:
    """A segment of so many frames, made in one or two passes at a guidance scale."""

    frames: int
    passes: tuple[Pass, ...]
    guidance_scale: float

    @property
    def size(self) -> tuple[int, int]:
        """The (width, height) in pixels that come out."""
        return self.passes[-1].size

    def work(self, spec: ModelSpec) -> Work:
        """Return what its largest pass is to a model at once."""
        upsampler = spec.upsampler.memory_mb if spec.upsampler and len(self.passes) > 1 else 0
        return Work(tokens_of(spec, self.frames, self.size), self.size[0] * self.size[1], upsampler)


def default_speed(spec: ModelSpec) -> Speed:
    """Return the registry's guess, for a machine that has not run the model yet."""
    return Speed(spec.gflops_per_second, spec.decode_megapixels_per_second)


def estimate(spec: ModelSpec, made: Denoising, speed: Speed, placement: Placement, wanted: Policy | None) -> Estimate:
    """Return the costs at a speed, with the weights placed so."""
    where = (placement.policy, placement.beside, placement.tiled, placement.on_card)
    return Estimate(seconds_for(spec, made, speed), placement.memory_mb, made.work(spec).tokens, *where, wanted)


def seconds_for(spec: ModelSpec, made: Denoising, speed: Speed) -> float:
    """Return what denoising and decoding take at a speed."""
    width, height = made.size
    denoise = passes_flops(spec, made.frames, made.passes, made.guidance_scale) / 1e9 / speed.gflops
    return round(denoise + made.frames * height * width / 1e6 / speed.megapixels, 2)
