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


def settle(frames: Pixels, before: Pixels, after: Pixels) -> Pixels:
    """Let made frames go on from real ones: what differs at each join fades towards the other.

    The made frames show `before` at their beginning and `after` at their end, as nearly as the model could. Spread over
    all frames between, no step shows what was missed; over a few, the join jumped where the model missed by much.
    """
    first, last = len(before), len(frames) - len(after)
    fade = (1 - np.arange(1, last - first + 1) / (last - first + 1))[:, None, None, None]
    missed, missed_after = before[-1].astype(float) - frames[first - 1], after[0].astype(float) - frames[last]
    settled = frames.astype(float)
    settled[first:last] += fade * missed + fade[::-1] * missed_after
    rounded: Pixels = settled.round().clip(0, 255).astype(np.uint8)
    return rounded


def match_colours(frames: Pixels, before: Pixels, after: Pixels) -> Pixels:
    """Give made frames the colours of the real ones that they begin and end as, changing over from one to the other.

    The made frames show `before` at their beginning and `after` at their end; the mean and deviation of each channel
    there say what to correct.
    """
    ends = [_correction(frames[: len(before)], before), _correction(frames[len(frames) - len(after) :], after)]
    share = np.clip((np.arange(len(frames)) - len(before) + 1) / (len(frames) - len(before) - len(after) + 1), 0, 1)
    share = share[:, None, None, None]
    gain, shift = (one * (1 - share) + other * share for one, other in zip(*ends, strict=True))
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
