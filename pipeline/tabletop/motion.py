"""Where everything is at each frame: poses of the solids, and the rays of the camera."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.solids import LOWEST
from pipeline.tabletop.world import FPS, Program, Solid

CAMERA_DISTANCE: Final = 6.6
CAMERA_HEIGHT: Final = 2.5
LOOK_HEIGHT: Final = 0.95
FOCAL: Final = 1.22
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


def pose_program(program: Program, device: torch.device) -> Poses:
    """Poses of every solid in every frame."""
    time = torch.arange(program.frames, device=device, dtype=torch.float32) / FPS
    centre = torch.stack([place(solid, time, program.seconds) for solid in program.solids])
    rotation = torch.stack([turn(solid, time, program.seconds) for solid in program.solids])
    return Poses(centre, rotation, tuple(solid.size for solid in program.solids))


def camera_angles(program: Program, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Orbit angle, pan angle (radians) and zoom factor at each frame."""
    swing = program.camera_speed * (frame.float() / FPS - program.seconds / 2)
    swing = swing * min(1.0, 4.0 / program.seconds)
    zero = torch.zeros_like(swing)
    moves: dict[str, Callable[[], tuple[Tensor, Tensor, Tensor]]] = {
        "stands": lambda: (zero, zero, zero + 1),
        "orbits": lambda: (1.3 * swing, zero, zero + 1),
        "pans": lambda: (zero, 0.5 * swing, zero + 1),
        "zooms": lambda: (zero, zero, torch.exp(0.8 * swing)),
    }
    return moves[program.camera]()


def camera_rays(program: Program, where: Tensor, offset: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Origins and unit directions (n, 3) of the rays through pixels `where` (n, 3: frame, row, column)."""
    orbit, pan, zoom = camera_angles(program, where[:, 0])
    focal = FOCAL * math.sqrt(program.width * program.height) * zoom
    px = (where[:, 2] + 0.5 + offset[0] - program.width / 2) / focal
    py = (program.height / 2 - where[:, 1] - 0.5 - offset[1]) / focal
    tilt = math.atan2(LOOK_HEIGHT - CAMERA_HEIGHT, CAMERA_DISTANCE)
    up = py * math.cos(tilt) + math.sin(tilt)
    ahead = -math.cos(tilt) + py * math.sin(tilt)
    yaw = orbit + pan
    direction = torch.stack([px * yaw.cos() + ahead * yaw.sin(), up, -px * yaw.sin() + ahead * yaw.cos()], dim=-1)
    origin = torch.stack([orbit.sin(), torch.zeros_like(orbit), orbit.cos()], dim=-1) * CAMERA_DISTANCE
    origin[:, 1] = CAMERA_HEIGHT
    return origin, torch.nn.functional.normalize(direction, dim=-1)
