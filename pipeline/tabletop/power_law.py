"""How a loss falls with compute: the best that any size reaches at each amount, and a power law through that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from typing import Final

import numpy as np

from pipeline.errors import BadRequest

Point = tuple[float, float]
"""Compute and loss."""

GRID: Final = 40
"""Amounts of compute, evenly spread over its logarithm, at which the best loss is looked for."""

FLOORS: Final = 400
"""Losses that nothing goes below, tried from none to the lowest loss that was seen."""

FEWEST: Final = 5
"""Points of a frontier through which a law with a floor is fitted."""


@dataclass(frozen=True)
class Best:
    """The lowest loss at an amount of compute, and which size has it."""

    compute: float
    loss: float
    size: str


@dataclass(frozen=True)
class Law:
    """loss = scale · compute^-power + floor; `error` is the deviation of the logarithm of the loss from it.

    It is per degree of freedom, so that a floor has to pay for itself.
    """

    scale: float
    power: float
    floor: float
    error: float

    def at(self, compute: float) -> float:
        """The loss at an amount of compute."""
        return float(self.scale * compute**-self.power + self.floor)


def loss_at(curve: Sequence[Point], compute: float) -> float | None:
    """A curve's loss at an amount of compute, straight on logarithmic axes between its points; None beyond them."""
    for (before, loss), (after, less) in pairwise(curve):
        if before <= compute <= after:
            share = (log(compute) - log(before)) / (log(after) - log(before))
            return exp(log(loss) + share * (log(less) - log(loss)))
    return None


def frontier(curves: Mapping[str, Sequence[Point]]) -> list[Best]:
    """The best of all sizes over the amounts of compute that any of them had, as far as more of it was better."""
    ends = [point[0] for curve in curves.values() for point in curve]
    if len(ends) < 2 or min(ends) == max(ends):
        raise BadRequest("minutes", "There are too few points for a frontier. Train for longer.")
    found = list[Best]()
    for compute in np.geomspace(min(ends) * (1 + 1e-9), max(ends) * (1 - 1e-9), GRID).tolist():
        known = [(loss, name) for name, curve in curves.items() if (loss := loss_at(curve, compute)) is not None]
        if known and (not found or min(known)[0] < found[-1].loss):
            found.append(Best(compute, *min(known)))
    return found


def straight(points: Sequence[Point], floor: float) -> Law:
    """The least-squares line through the logarithms of compute and of the loss above a floor."""
    compute, loss = np.log([c for c, _ in points]), np.array([value for _, value in points])
    slope, start = np.polyfit(compute, np.log(loss - floor), 1)
    missed = np.log(np.exp(start + slope * compute) + floor) - np.log(loss)
    free = len(points) - (3 if floor else 2)
    error = float((missed**2).sum() / free) ** 0.5 if free > 0 else 0.0
    return Law(exp(start), -float(slope), floor, error)


def fit_laws(points: Sequence[Point]) -> dict[str, Law]:
    """The law without a floor, and, where there are points enough, with the floor that fits best."""
    if len(points) < 2:
        raise BadRequest("minutes", "One point makes no law. Train for longer.")
    laws = {"without floor": straight(points, 0.0)}
    if len(points) >= FEWEST:
        lowest = min(loss for _, loss in points)
        tried = (straight(points, float(floor)) for floor in np.linspace(0, lowest, FLOORS, endpoint=False)[1:])
        laws["with floor"] = min(tried, key=lambda law: law.error)
    return laws


def best_law(laws: Mapping[str, Law]) -> str:
    """Which of the laws is nearest to the points, its floor paid for."""
    return min(laws, key=lambda name: laws[name].error)
