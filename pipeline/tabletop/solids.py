"""Ray intersections with the unit solids: origins and directions (n, 3) in their space, distance and normal out."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

MISS: Final = 1e6
LOWEST: Final = {"ball": -1.0, "cube": -0.82, "cylinder": -0.9, "cone": -0.85}
"""Lowest point of each unit solid, so that it can rest on the floor."""

HALF_CUBE: Final = 0.82
CYLINDER: Final = (0.74, 0.9)
CONE_TOP: Final = 1.05
CONE_SLOPE: Final = 0.5

Intersection = tuple[Tensor, Tensor]


def first_root(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Both roots of a t² + 2 b t + c, nearer first; where there is none, MISS."""
    disc = b * b - a * c
    root = disc.clamp(min=0).sqrt()
    a = torch.where(a.abs() < 1e-9, torch.full_like(a, 1e-9), a)
    low, high = (-b - root) / a, (-b + root) / a
    hit = disc > 0
    return (
        torch.where(hit, torch.minimum(low, high), MISS),
        torch.where(hit, torch.maximum(low, high), MISS),
    )


def ball(o: Tensor, d: Tensor) -> Intersection:
    """The sphere of radius 1."""
    near, _ = first_root((d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - 1)
    near = torch.where(near > 1e-4, near, MISS)
    return near, o + near[:, None] * d


def box(o: Tensor, d: Tensor, half: Tensor | float) -> Intersection:
    """The axis-aligned box around the origin with the given half sides (slab method)."""
    safe = torch.where(d.abs() < 1e-8, 1e-8, d)
    t0, t1 = (-half - o) / safe, (half - o) / safe
    enter, axis = torch.minimum(t0, t1).max(-1)
    leave = torch.maximum(t0, t1).amin(-1)
    near = torch.where((enter < leave) & (enter > 1e-4), enter, MISS)
    normal = torch.nn.functional.one_hot(axis, 3).to(d.dtype) * -torch.sign(d)
    return near, normal


def cube(o: Tensor, d: Tensor) -> Intersection:
    """The axis-aligned cube."""
    return box(o, d, HALF_CUBE)


def cap(o: Tensor, d: Tensor, height: float, radius: float) -> Tensor:
    """Distance to a horizontal disc, or MISS."""
    t = (height - o[:, 1]) / torch.where(d[:, 1].abs() < 1e-8, 1e-8, d[:, 1])
    x, z = o[:, 0] + t * d[:, 0], o[:, 2] + t * d[:, 2]
    return torch.where((x * x + z * z < radius * radius) & (t > 1e-4), t, MISS)


def nearest(side: Tensor, side_normal: Tensor, caps: list[tuple[Tensor, float]]) -> Intersection:
    """The nearest of a curved side and flat caps; a cap is its distance and the y of its normal."""
    near, normal = side, torch.nn.functional.normalize(side_normal, dim=-1)
    for distance, up in caps:
        flat = torch.zeros_like(normal)
        flat[:, 1] = up
        normal = torch.where((distance < near)[:, None], flat, normal)
        near = torch.minimum(distance, near)
    return near, normal


def cylinder(o: Tensor, d: Tensor) -> Intersection:
    """The upright capped cylinder."""
    radius, half = CYLINDER
    ox, oz, dx, dz = o[:, 0], o[:, 2], d[:, 0], d[:, 2]
    side, _ = first_root(dx * dx + dz * dz, ox * dx + oz * dz, ox * ox + oz * oz - radius * radius)
    inside = (o[:, 1] + side * d[:, 1]).abs() < half
    side = torch.where(inside & (side > 1e-4), side, MISS)
    normal = (o + side[:, None] * d) * o.new_tensor([1.0, 0.0, 1.0])
    return nearest(side, normal, [(cap(o, d, half, radius), 1.0), (cap(o, d, -half, radius), -1.0)])


def cone(o: Tensor, d: Tensor) -> Intersection:
    """The upright cone with its base."""
    k, base = CONE_SLOPE**2, LOWEST["cone"]
    y = CONE_TOP - o[:, 1]
    a = d[:, 0] ** 2 + d[:, 2] ** 2 - k * d[:, 1] ** 2
    b = o[:, 0] * d[:, 0] + o[:, 2] * d[:, 2] + k * y * d[:, 1]
    c = o[:, 0] ** 2 + o[:, 2] ** 2 - k * y * y
    side = torch.full_like(y, MISS)
    for root in first_root(a, b, c):
        height = o[:, 1] + root * d[:, 1]
        good = (height > base) & (height < CONE_TOP) & (root > 1e-4)
        side = torch.where(good & (root < side), root, side)
    point = o + side[:, None] * d
    normal = torch.stack([point[:, 0], k * (CONE_TOP - point[:, 1]), point[:, 2]], dim=-1)
    return nearest(side, normal, [(cap(o, d, base, CONE_SLOPE * (CONE_TOP - base)), -1.0)])


INTERSECT: Final[dict[str, Callable[[Tensor, Tensor], Intersection]]] = {
    "ball": ball,
    "cube": cube,
    "cylinder": cylinder,
    "cone": cone,
}


HEIGHT: Final = {
    "ball": 2.0,
    "cube": 2 * HALF_CUBE,
    "cylinder": 2 * CYLINDER[1],
    "cone": CONE_TOP - LOWEST["cone"],
}


def half_width(shape: str, height: Tensor) -> Tensor:
    """How far a unit solid that stands straight reaches from its axis at heights above the floor; -MISS above it."""
    reach = {
        "ball": lambda: (1 - (height - 1).square()).clamp(min=0).sqrt(),
        "cube": lambda: torch.full_like(height, HALF_CUBE),
        "cylinder": lambda: torch.full_like(height, CYLINDER[0]),
        "cone": lambda: CONE_SLOPE * (HEIGHT["cone"] - height),
    }[shape]()
    return torch.where(height <= HEIGHT[shape], reach, -MISS)


def stripes(point: Tensor) -> Tensor:
    """0..1 over a solid's surface: pale sectors around its own axis, so that turning and rolling can be seen."""
    angle = torch.atan2(point[:, 2], point[:, 0])
    return (2.5 * torch.sin(2 * angle) + 0.2).clamp(0, 1)
