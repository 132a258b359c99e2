"""Where the camera stands and looks at each frame: from pixels to rays, and from points to pixels."""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.stories import story_x
from pipeline.tabletop.world import FPS, PACES, Program

CAMERA_DISTANCE: Final = 6.6
CAMERA_HEIGHT: Final = 2.5
LOOK_HEIGHT: Final = 0.95
FOCAL: Final = 1.22
TILT: Final = math.atan2(LOOK_HEIGHT - CAMERA_HEIGHT, CAMERA_DISTANCE)
CATCH_UP: Final = 0.5
"""Seconds in which a camera that follows turns to where the solid is."""

Angles = tuple[Tensor, Tensor, Tensor]


def camera_angles(program: Program, frame: Tensor) -> Angles:
    """Orbit angle, pan angle (radians) and zoom factor at each frame."""
    swing = program.camera_speed * (frame.float() / FPS - program.seconds / 2)
    swing = swing * min(1.0, 4.0 / program.seconds)
    zero = torch.zeros_like(swing)
    moves: dict[str, Callable[[], Angles]] = {
        "stands": lambda: (zero, zero, zero + 1),
        "orbits": lambda: (paced_orbit(program, frame) if program.pace else 1.3 * swing, zero, zero + 1),
        "returns": lambda: (paced_orbit(program, frame), zero, zero + 1),
        "pans": lambda: (zero, 0.5 * swing, zero + 1),
        "zooms": lambda: (zero, zero, torch.exp(0.8 * swing)),
        "follows": lambda: (zero, following_pan(program, frame), zero + 1),
    }
    return moves[program.camera]()


def paced_orbit(program: Program, frame: Tensor) -> Tensor:
    """Angle of an orbit at a named pace, from the camera's first place on, or there and back in equal times."""
    time = frame.float() / FPS
    if program.camera == "returns":
        time = torch.minimum(time, program.seconds - time)
    return math.copysign(PACES[program.pace], program.camera_speed) * time


def following_pan(program: Program, frame: Tensor) -> Tensor:
    """The camera waits, then turns to the first solid within CATCH_UP seconds and keeps it in the middle."""
    time = frame.float() / FPS
    bearing = -torch.atan2(story_x(program, time)[0], torch.full_like(time, CAMERA_DISTANCE - program.solids[0].z))
    share = ((time - program.camera_speed) / CATCH_UP).clamp(0, 1)
    return bearing * share * share * (3 - 2 * share)


def focal_length(program: Program) -> float:
    """Focal length in pixels before any zoom: the same view in each of the native shapes."""
    return FOCAL * math.sqrt(program.width * program.height)


def floor_distances(program: Program) -> Tensor:
    """Distance from the camera to the floor in each row's middle, (height,), while it does not zoom; inf above it."""
    ahead = (program.height / 2 - 0.5 - torch.arange(program.height)) / focal_length(program)
    down = -(ahead * math.cos(TILT) + math.sin(TILT)) / (1 + ahead.square()).sqrt()
    return torch.where(down > 0, CAMERA_HEIGHT / down.clamp(min=1e-6), torch.inf)


def half_view(size: tuple[int, int], z: float) -> float:
    """Half the width of the picture at a depth, in world units; size is (width, height) in pixels."""
    return size[0] / 2 / (FOCAL * math.sqrt(size[0] * size[1])) * (CAMERA_DISTANCE - z)


def camera_rays(program: Program, where: Tensor, offset: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Origins and unit directions (n, 3) of the rays through pixels `where` (n, 3: frame, row, column)."""
    orbit, pan, zoom = camera_angles(program, where[:, 0])
    focal = focal_length(program) * zoom
    px = (where[:, 2] + 0.5 + offset[0] - program.width / 2) / focal
    py = (program.height / 2 - where[:, 1] - 0.5 - offset[1]) / focal
    up = py * math.cos(TILT) + math.sin(TILT)
    ahead = -math.cos(TILT) + py * math.sin(TILT)
    yaw = orbit + pan
    direction = torch.stack([px * yaw.cos() + ahead * yaw.sin(), up, -px * yaw.sin() + ahead * yaw.cos()], dim=-1)
    origin = torch.stack([orbit.sin(), torch.zeros_like(orbit), orbit.cos()], dim=-1) * CAMERA_DISTANCE
    origin[:, 1] = CAMERA_HEIGHT
    return origin, torch.nn.functional.normalize(direction, dim=-1)


def project(program: Program, points: Tensor) -> Tensor:
    """Where points (..., frames, 3) are seen, (..., frames, 2: column, row); a pixel's middle is a whole number."""
    angles = camera_angles(program, torch.arange(program.frames, device=points.device))
    return project_from(program, points, angles)


def project_from(program: Program, points: Tensor, angles: Angles) -> Tensor:
    """The same from cameras of your own: angles as `camera_angles` gives them."""
    orbit, pan, zoom = angles
    origin = torch.stack([orbit.sin(), torch.zeros_like(orbit), orbit.cos()], dim=-1) * CAMERA_DISTANCE
    away = points - origin - points.new_tensor([0.0, CAMERA_HEIGHT, 0.0])
    x, up, z = away.unbind(-1)
    yaw = orbit + pan
    across, ahead = x * yaw.cos() - z * yaw.sin(), x * yaw.sin() + z * yaw.cos()
    depth = up * math.sin(TILT) - ahead * math.cos(TILT)
    focal = focal_length(program) * zoom / depth
    column = across * focal + program.width / 2 - 0.5
    row = program.height / 2 - (up * math.cos(TILT) + ahead * math.sin(TILT)) * focal - 0.5
    return torch.stack([column, row], dim=-1)
