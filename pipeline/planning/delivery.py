"""How a take comes to the size of its file: in two passes, straight at twice the size, or by a plain resize."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.frames import denoise_flops, latent_shape, scale_to
from pipeline.model_spec import ModelSpec
from pipeline.planning.segments import Segment

Size = tuple[int, int]


@dataclass(frozen=True)
class Delivery:
    """Sizes (width, height) in pixels of what comes out of the model, of a first pass, and of the file; what to tell.

    Without a first pass, or where the file is as made, these are None.
    """

    made: Size
    first_pass: Size | None = None
    delivered: Size | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pass:
    """One denoising of a segment: its size (width, height) in pixels and its noise levels, 0 at the end left out."""

    size: Size
    levels: tuple[float, ...]

    def tokens(self, spec: ModelSpec, frames: int) -> int:
        """Return the latent tokens of so many frames."""
        width, height = self.size
        latents, rows, columns = latent_shape(frames, height, width, spec.frame_grid, spec.side_stride * spec.patch)
        return latents * rows * columns


@dataclass(frozen=True)
class Stage(Pass):
    """A pass that also sees what the model remembers, so many tokens at every step."""

    remembered: int

    def tokens(self, spec: ModelSpec, frames: int) -> int:
        """Return the latent tokens of so many frames, and of what is remembered."""
        return super().tokens(spec, frames) + self.remembered


def deliver(lines: int | None, size: Size, start: float, spec: ModelSpec) -> Delivery:
    """Bring a take of a size to so many lines, None as made; `start` is the noise level that its denoising begins at.

    A model with an upsampler makes twice the size itself where more lines are asked for than it makes at once.
    """
    if lines is None or lines <= min(size) or spec.upsampler is None:
        return _resized(lines, Delivery(size))
    double = (2 * size[0], 2 * size[1])
    if max(double) > spec.upsampler.max_side:
        note = f"{_said(size)} is too large to be doubled: {spec.title} doubles to {spec.upsampler.max_side} pixels."
        return _resized(lines, Delivery(size, notes=(note,)))
    if start < spec.upsampler.levels[0]:
        # The second pass would add more noise than was asked for. A clip that is taken up below it has the shapes of
        # its frames already, as that pass needs them.
        note = f"Made at {_said(double)} by the model itself, from the clip at that size."
        return _resized(lines, Delivery(double, notes=(note,)))
    note = f"Made at {_said(size)}, doubled and refined to {_said(double)} by the model itself."
    return _resized(lines, Delivery(double, size, notes=(note,)))


def passes_of(spec: ModelSpec, segment: Segment, steps: int, made: Size, first_pass: Size | None) -> tuple[Pass, ...]:
    """Return the denoisings that make a segment: one, two, or those of a pyramid."""
    if spec.pyramid > 1:
        return tuple(_stages(spec, segment, steps, made))
    first = Pass(first_pass or made, tuple(spec.levels_from(segment.start, steps)))
    if first_pass is None or spec.upsampler is None:
        return (first,)
    return first, Pass(made, spec.upsampler.levels)


def steps_between(passes: tuple[Pass, ...], first: int, last: int | None) -> tuple[Pass, ...]:
    """Return what is left of passes when only their steps after the `first` ones are done, up to the `last`, if any."""
    left, before = [], 0
    for each in passes:
        levels = each.levels[max(first - before, 0) : None if last is None else max(last - before, 0)]
        left.append(replace(each, levels=levels))
        before += len(each.levels)
    return tuple(left)


def passes_flops(spec: ModelSpec, frames: int, passes: tuple[Pass, ...], guidance_scale: float) -> float:
    """Return the operations of all denoisings of so many frames."""
    return sum(
        denoise_flops(spec.network, each.tokens(spec, frames), len(each.levels), guidance_scale) for each in passes
    )


def _stages(spec: ModelSpec, segment: Segment, steps: int, made: Size) -> Iterator[Stage]:
    """Yield the stages of a pyramid; what has nothing to remember is made in twice the steps.

    Their levels are shares of a stage each: what noise they stand for, only its scheduler knows.
    """
    count = steps // spec.pyramid * (1 if segment.remembers else 2)
    levels = tuple(1 - step / count for step in range(count))
    columns, rows = (-(-side // (spec.side_stride * spec.patch)) for side in made)
    remembered = sum(
        -(-frames // times) * -(-rows // times) * -(-columns // times)
        for frames, times in zip(spec.memory, (1, 2, 4), strict=True)
    )
    for stage in reversed(range(spec.pyramid)):
        yield Stage((made[0] >> stage, made[1] >> stage), levels, remembered)


def _resized(lines: int | None, delivery: Delivery) -> Delivery:
    """Add the size of the file where it is another than what is made."""
    wanted = delivery.made if lines is None else scale_to(delivery.made, lines)
    if wanted == delivery.made:
        return delivery
    done = "enlarged, not generated" if wanted[0] > delivery.made[0] else "made smaller"
    note = f"{_said(delivery.made)} is delivered as {_said(wanted)}: {done}."
    return Delivery(delivery.made, delivery.first_pass, wanted, (*delivery.notes, note))


def _said(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
