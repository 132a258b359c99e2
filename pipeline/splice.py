"""Frames brought together: two clips dissolved into each other, colours matched where made frames meet real ones."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.events import Pixels
from pipeline.request import Curve

Shares = NDArray[np.float64]
Statistics = tuple[Shares, Shares]

CURVES: Mapping[Curve, Callable[[Shares], Shares]] = {
    "linear": lambda t: t,
    "early": lambda t: 1 - (1 - t) ** 3,
    "late": lambda t: t**3,
    "hold": lambda t: 1 / (1 + np.exp(-14 * (t - 0.5))),
}
SETTLED = 3
"""Frames over which what differs at a single join fades."""

MOST_GAIN = 1.25
"""Contrast is changed by no more than this: a flat picture has none to match."""


def shares(curve: Curve, frames: int) -> Shares:
    """Return how much of the second clip is seen in each frame of an overlap, 0..1, never wholly none or all."""
    return CURVES[curve](np.arange(1, frames + 1) / (frames + 1))


def dissolve(one: Pixels, other: Pixels, frames: int, curve: Curve) -> Pixels:
    """Let a clip pass into another over `frames` in all; where both have a frame, the curve mixes them."""
    alone = frames - len(other)
    overlap = len(one) - alone
    share = shares(curve, overlap)[:, None, None, None]
    mixed = one[alone:] * (1 - share) + other[:overlap] * share
    return np.concatenate([one[:alone], mixed.round().astype(np.uint8), other[overlap:]])


def feather(made: Pixels, one: Pixels, other: Pixels) -> Pixels:
    """Let made frames come out of one clip and go into another, over a third of their number at each end.

    All three are of one length: the clips go on under what is made between them.
    """
    ramp = max(len(made) // 3, 1)
    rise = np.clip(np.arange(1, len(made) + 1) / (ramp + 1), 0, 1)[:, None, None, None]
    fall = rise[::-1]
    mixed = made * rise * fall + one * (1 - rise) + other * (1 - fall)
    feathered: Pixels = mixed.round().clip(0, 255).astype(np.uint8)
    return feathered


def joined(frames: Pixels, before: Pixels | None, after: Pixels | None) -> Pixels:
    """Let made frames go on from real ones, lead into real ones, or both: in their colours, then pixel by pixel.

    The made frames show `before` at their beginning and `after` at their end, as nearly as the model could.
    """
    return settle(match_colours(frames, before, after), before, after)


def settle(frames: Pixels, before: Pixels | None, after: Pixels | None) -> Pixels:
    """Let made frames go on from real ones: what differs at each join fades away from it.

    Between two joins it fades towards the other: over a few frames, the step showed where much was missed. After
    a single one it fades soon, or the outline of what has moved on by then stays as a ghost.
    """
    first, last = 0 if before is None else len(before), len(frames) - (0 if after is None else len(after))
    over = last - first if before is not None and after is not None else SETTLED
    fade = np.maximum(1 - np.arange(1, last - first + 1) / (over + 1), 0)[:, None, None, None]
    settled = frames.astype(float)
    if before is not None:
        settled[first:last] += fade * _missed(frames[first:last], before[-1], frames[first - 1])
    if after is not None:
        settled[first:last] += fade[::-1] * _missed(frames[first:last], after[0], frames[last])
    rounded: Pixels = settled.round().clip(0, 255).astype(np.uint8)
    return rounded


def _missed(made: Pixels, real: Pixels, shown: Pixels) -> Shares:
    """Return what made frames lack where they show a real one as `shown`, no more than leads up to the real one.

    Around what moves on more than that had left a ring, brighter than anything there.
    """
    lacks = real.astype(np.float64) - made
    return np.clip(real.astype(np.float64) - shown, np.minimum(lacks, 0), np.maximum(lacks, 0))


def match_colours(frames: Pixels, before: Pixels | None, after: Pixels | None) -> Pixels:
    """Give made frames the colours of the real ones that they begin and end as, changing over from one to the other.

    The mean and deviation of each channel at an end say what to correct; where only one end is real, it corrects all.
    """
    real = [(frames[: len(before)], before)] if before is not None else []
    real += [(frames[len(frames) - len(after) :], after)] if after is not None else []
    ends = [_correction(made, shown) for made, shown in real]
    between = len(frames) - sum(len(shown) for _, shown in real) + 1
    share = np.clip((np.arange(len(frames)) - len(real[0][1]) + 1) / between, 0, 1)
    share = share[:, None, None, None]
    gain, shift = (one * (1 - share) + other * share for one, other in zip(ends[0], ends[-1], strict=True))
    corrected: Pixels = (frames * gain + shift).round().clip(0, 255).astype(np.uint8)
    return corrected


def _correction(made: Pixels, real: Pixels) -> Statistics:
    """Return a gain and a shift per channel that give made frames the statistics of real ones."""
    (mean, spread), (wanted, wanted_spread) = _statistics(made), _statistics(real)
    gain = np.clip(wanted_spread / np.maximum(spread, 1e-6), 1 / MOST_GAIN, MOST_GAIN)
    return gain, wanted - mean * gain


def _statistics(frames: Pixels) -> Statistics:
    values = frames.reshape(-1, 3).astype(np.float64)
    return values.mean(0), values.std(0)
