"""Where every solid is at each frame, and how it is turned."""

import math
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.solids import LOWEST
from pipeline.tabletop.stories import story_x
from pipeline.tabletop.world import FPS, Program, Solid

GRAVITY: Final = 5.0
BOUND: Final = 1.45
"""Radius of a sphere around any unit solid."""

REACH: Final = 1.5
"""How far from the middle a solid that crosses the picture starts and ends, in world units."""


@dataclass(frozen=True)
class Poses:
    """Centres (solids, frames, 3), rotations (solids, frames, 3, 3) from local to world, and sizes of the solids."""

    centre: Tensor
    rotation: Tensor
    size: tuple[float, ...]

    def rays_near(self, index: int, frame: Tensor, origin: Tensor, direction: Tensor) -> Tensor:
        """Indices of the rays (unit directions) that meet the solid's bounding sphere."""
        away = origin - self.centre[index][frame]
        along = (away * direction).sum(-1)
        reach = (BOUND * self.size[index]) ** 2
        return (along * along - (away * away).sum(-1) + reach > 0).nonzero().squeeze(1)

    def to_local(self, index: int, frame: Tensor, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Rays, sorted by frame, in the solid's own unit space; distances along a ray stay those of the world."""
        scaled = self.rotation[index] / self.size[index]
        centre = self.centre[index]
        counts = torch.bincount(frame, minlength=len(centre)).tolist()
        parts = zip(torch.split(origin, counts), torch.split(direction, counts), centre, scaled, strict=True)
        local = [((o - c) @ turned, d @ turned) for o, d, c, turned in parts]
        return torch.cat([o for o, _ in local]), torch.cat([d for _, d in local])

    def to_world(self, index: int, frame: Tensor, normal: Tensor) -> Tensor:
        """Turn local normals (n, 3) into the world."""
        counts = torch.bincount(frame, minlength=len(self.centre[index])).tolist()
        parts = zip(torch.split(normal, counts), self.rotation[index], strict=True)
        return torch.cat([part @ rotation.T for part, rotation in parts])


def crossing(solid: Solid, seconds: float) -> float:
    """Distance that a crossing solid covers in the clip: by its speed, but never out of the picture."""
    return min(1.15 * solid.speed * seconds, 2 * REACH)


def height_of(solid: Solid, time: Tensor) -> Tensor:
    """Height above rest for solids that bounce (parabolas) or fall (free fall, then rest)."""
    if solid.motion == "bounces":
        top = 1.15 * solid.speed
        period = 2 * math.sqrt(2 * top / GRAVITY)
        u = (time / period + solid.phase) % 1.0
        return 4 * top * u * (1 - u)
    if solid.motion == "falls":
        drop = 2.3 + 0.4 * solid.phase
        return (drop - 0.5 * GRAVITY * (time - 0.25).clamp(min=0) ** 2).clamp(min=0)
    return torch.zeros_like(time)


def place(solid: Solid, time: Tensor, seconds: float) -> Tensor:
    """Centre of a solid at each time (frames,) in seconds, as (frames, 3)."""
    way = crossing(solid, seconds) * (time / seconds - 0.5)
    sideways = {"left": -way, "right": way}.get(solid.motion, torch.zeros_like(way))
    depth = {"closer": 1.25 * way, "away": -1.25 * way}.get(solid.motion, torch.zeros_like(way))
    y = -LOWEST[solid.shape] * solid.size + height_of(solid, time)
    return torch.stack([solid.x + sideways, y, solid.z + depth], dim=-1)


def axis_rotation(axis: int, angle: Tensor) -> Tensor:
    """Rotation matrices (frames, 3, 3) about a world axis (0 x, 1 y, 2 z)."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = {
        0: (one, zero, zero, zero, c, -s, zero, s, c),
        1: (c, zero, s, zero, one, zero, -s, zero, c),
        2: (c, -s, zero, s, c, zero, zero, zero, one),
    }[axis]
    return torch.stack(rows, dim=-1).view(-1, 3, 3)


def turn(solid: Solid, time: Tensor, seconds: float) -> Tensor:
    """Rotation of a solid at each time: balls roll without slipping, what turns turns, the rest keeps a fixed angle."""
    right_angle = torch.full_like(time, math.pi / 2)
    rolled = crossing(solid, seconds) * (time / seconds) / solid.size
    if solid.shape == "ball" and solid.motion in ("left", "right"):
        sign = 1.0 if solid.motion == "left" else -1.0
        return axis_rotation(2, sign * rolled + solid.phase) @ axis_rotation(0, right_angle)
    if solid.shape == "ball" and solid.motion in ("closer", "away"):
        sign = 1.25 if solid.motion == "closer" else -1.25
        return axis_rotation(0, sign * rolled + solid.phase) @ axis_rotation(2, right_angle)
    rate = 1.7 * solid.speed if solid.motion == "turns" else 0.0
    return axis_rotation(1, rate * time + 2 * math.pi * solid.phase)


def story_centres(program: Program, time: Tensor) -> Tensor:
    """Centres (solids, frames, 3) of a story's solids: all of them stay on the floor and at their depth."""
    x = story_x(program, time)
    y = x.new_tensor([-LOWEST[solid.shape] * solid.size for solid in program.solids])
    z = x.new_tensor([solid.z for solid in program.solids])
    return torch.stack([x, y[:, None].expand_as(x), z[:, None].expand_as(x)], dim=-1)


def story_turn(solid: Solid, centre: Tensor, time: Tensor) -> Tensor:
    """Rotation of a story's solid: a ball rolls as far as it goes, the rest keeps its angle."""
    way = centre[:, 0] - centre[0, 0]
    if solid.shape != "ball" or not way.any():
        return turn(replace(solid, motion="stays"), time, 1.0)
    return axis_rotation(2, solid.phase - way / solid.size) @ axis_rotation(0, torch.full_like(time, math.pi / 2))


def pose_program(program: Program, device: torch.device) -> Poses:
    """Poses of every solid in every frame."""
    time = torch.arange(program.frames, device=device, dtype=torch.float32) / FPS
    solids, seconds = program.solids, program.seconds
    if program.story:
        centre = story_centres(program, time)
        turns = [story_turn(*pair, time) for pair in zip(solids, centre, strict=True)]
    else:
        centre = torch.stack([place(solid, time, seconds) for solid in solids])
        turns = [turn(solid, time, seconds) for solid in solids]
    return Poses(centre, torch.stack(turns), tuple(solid.size for solid in solids))
