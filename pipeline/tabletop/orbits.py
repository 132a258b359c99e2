"""How well an orbit at a named pace holds together: the program's camera laid over what a clip shows.

Where the solids stand is fitted, since words do not say it; how the camera goes is not, since the pace is named. A clip
that stands still cannot be told by the error alone, which is small for small orbits: `turned` says how far it went.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor
from torch.func import jacrev

from pipeline.tabletop.camera import project_from
from pipeline.tabletop.trackers import Reading
from pipeline.tabletop.truth import orbit_angle, outline_points
from pipeline.tabletop.world import Program

ROUNDS: Final = 20
DAMPING: Final = 1e-2
FASTEST: Final = 0.3
"""Radians between two frames, at the most."""

FEWEST: Final = 4
"""Frames in which each solid must be seen whole."""


@dataclass(frozen=True)
class OrbitFit:
    """Mean reprojection error in pixels of 128, the share of the named orbit that was turned, and the angles seen.

    `angles` (frames,) are those of the camera in each frame by itself, from where the solids were found to stand.
    """

    error: float
    turned: float
    angles: Tensor


@lru_cache(maxsize=2)
def fit_orbit(reading: Reading) -> OrbitFit | None:
    """Fit two resting solids to the orbit of their program; None where too little of them is seen."""
    seen = torch.stack([track.whole for track in reading.tracks])
    if seen.sum(1).min() < FEWEST:
        return None
    program, named = reading.program, orbit_angle(reading.program)
    places = torch.stack([track.places for track in reading.tracks]).nan_to_num()
    stand = descend(lambda at: (seen_from(program, at, named) - places)[seen].flatten(), middle_of(program))
    error = (seen_from(program, stand, named) - places).norm(dim=-1)[seen].mean()
    angles = angles_of(program, stand, places, seen)
    found, wanted = (value[seen.any(0)] for value in (angles, named))
    off_mean = wanted - wanted.mean()
    turned = ((found - found.mean()) * off_mean).sum() / off_mean.square().sum()
    return OrbitFit(float(error) / reading.pixel, float(turned), angles)


def middle_of(program: Program) -> Tensor:
    """Where the program's solids stand, (solids, 2: x, z)."""
    return outline_points(program)[:, 0, ::2]


@lru_cache(maxsize=64)
def heights_of(program: Program) -> Tensor:
    """How high the middles of the solids' outlines are, (solids,)."""
    return outline_points(program)[:, 0, 1]


def seen_from(program: Program, stand: Tensor, angles: Tensor) -> Tensor:
    """Where solids that stand at (solids, 2) are seen from an orbit's angles (n,), (solids, n, 2)."""
    points = torch.stack([stand[:, 0], heights_of(program), stand[:, 1]], -1)[:, None].expand(-1, len(angles), -1)
    still = torch.zeros_like(angles)
    return project_from(program, points, (angles, still, still + 1))


def descend(residual: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Damped Gauss–Newton: the argument that makes a vector of residuals least."""
    best = start
    for _ in range(ROUNDS):
        slope = jacrev(residual)(best).flatten(1)
        square = slope.T @ slope
        step = torch.linalg.solve(square + DAMPING * torch.eye(len(square)), slope.T @ residual(best))
        best = best - step.view_as(best)
    return best


def angles_of(program: Program, stand: Tensor, places: Tensor, seen: Tensor) -> Tensor:
    """The camera's angle in each frame: the one that fits best, and but for the first one near the last."""
    angles: list[Tensor] = []
    for frame in range(places.shape[1]):
        tried = angles[-1] + torch.linspace(-FASTEST, FASTEST, 241) if angles else torch.linspace(-3.0, 3.0, 1201)
        off = (seen_from(program, stand, tried) - places[:, frame, None]).norm(dim=-1)
        weight = seen[:, frame].float()[:, None]
        angles.append(tried[int((off * weight).sum(0).argmin())] if weight.any() else tried[len(tried) // 2])
    return torch.stack(angles)
