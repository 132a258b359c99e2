"""What must be seen in a program's clip, told from the program alone: places, hiding, contact, shadows, mirror images.

Places in the picture are (column, row), a pixel's middle being a whole number. A fact per solid and frame is a tensor
(solids, frames), a place (solids, frames, 2).
"""

import math
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.camera import camera_angles, project
from pipeline.tabletop.motion import BOUND, GRAVITY, height_of, pose_program
from pipeline.tabletop.render import build_scene, render_alone, render_ids
from pipeline.tabletop.stories import contact_time
from pipeline.tabletop.world import FPS, Program, Solid

OUTLINE_MIDDLE: Final = {"ball": 0.0, "cube": 0.0, "cylinder": 0.0, "cone": -0.36}
"""Height of the middle of each unit solid's outline over its centre, as the camera looks down on it."""

FRONT: Final = {"ball": 0.28, "cube": 0.95, "cylinder": 0.74, "cone": 0.95}
"""How far before its axis each unit solid's outline meets the floor."""

UNSEEN: Final = 0.02
"""Of a solid that shows less than this share nothing can be told."""

CPU: Final = torch.device("cpu")


def centres(program: Program) -> Tensor:
    """Centres of the solids in the world, (solids, frames, 3)."""
    return pose_program(program, CPU).centre


def outline_points(program: Program) -> Tensor:
    """The points in the world that are seen in the middle of each outline, (solids, frames, 3)."""
    lift = torch.tensor([OUTLINE_MIDDLE[solid.shape] * solid.size for solid in program.solids])
    return centres(program) + torch.stack([torch.zeros_like(lift), lift, torch.zeros_like(lift)], -1)[:, None]


def middles(program: Program) -> Tensor:
    """Where the middle of each outline is in the picture, whether or not something hides it."""
    return project(program, outline_points(program))


@lru_cache(maxsize=256)
def visible_share(program: Program) -> Tensor:
    """How much of each solid's outline is seen: 0 behind a wall or out of the picture, 1 in full view."""
    ids = render_ids(program)
    around = 0 if reach(program).max() < 0 else max(program.width, program.height)
    shares = []
    for index in range(len(program.solids)):
        whole = render_alone(program, index, around).sum((1, 2))
        shares.append((ids == index).sum((1, 2)) / whole.clamp(min=1))
    return torch.stack(shares)


def size_in_pixels(program: Program, points: Tensor, times: float = 1.0) -> Tensor:
    """How many pixels so many times each solid's size is at points (solids, frames, 3), (solids, frames)."""
    sizes = torch.tensor([times * solid.size for solid in program.solids])
    tops = points + sizes[:, None, None] * torch.tensor([0.0, 1.0, 0.0])
    pixels: Tensor = (project(program, tops) - project(program, points)).norm(dim=-1)
    return pixels


def reach(program: Program) -> Tensor:
    """How many pixels each solid's bounding sphere reaches beyond the picture's edges; below 0 well inside them."""
    points = centres(program)
    places = project(program, points)
    radius = size_in_pixels(program, points, BOUND)
    last = torch.tensor([program.width - 1, program.height - 1])
    beyond: Tensor = torch.maximum(-places, places - last).amax(-1) + 1.15 * radius
    return beyond


def hidden(program: Program, index: int) -> Tensor:
    """In which frames a solid shows nothing of itself, (frames,) booleans."""
    return visible_share(program)[index] < UNSEEN


def contact_frame(program: Program) -> float | None:
    """When the first solid touches the second, in frames from the first; None where it does not within the clip."""
    if program.story != "pushes":
        return None
    frame = contact_time(program) * FPS
    return frame if frame < program.frames - 1 else None


def shadow_points(program: Program) -> Tensor:
    """Where the shadow of each outline's middle falls on the floor, in the picture."""
    points, sun = outline_points(program), build_scene(program, CPU).sun
    fallen = points - sun * (points[..., 1:2] / sun[1])
    return project(program, fallen)


def base_points(program: Program) -> Tensor:
    """The points on the floor below each centre, in the picture."""
    return project(program, centres(program) * torch.tensor([1.0, 0.0, 1.0]))


def foot_rows(program: Program) -> Tensor:
    """The row down to which each solid's outline reaches where it rests on the floor, (solids, frames)."""
    front = torch.tensor([FRONT[solid.shape] * solid.size for solid in program.solids])
    orbit, *_ = camera_angles(program, torch.arange(program.frames))
    towards = torch.stack([orbit.sin(), torch.zeros_like(orbit), orbit.cos()], -1)
    feet = centres(program) * torch.tensor([1.0, 0.0, 1.0]) + front[:, None, None] * towards
    return project(program, feet)[..., 1]


def shadow_side(program: Program) -> Tensor:
    """On which side of each solid its shadow falls in the picture: -1 left, 1 right."""
    return torch.sign(shadow_points(program)[..., 0] - base_points(program)[..., 0])


def mirror_points(program: Program) -> Tensor:
    """Where water mirrors the middle of each outline, in the picture."""
    return project(program, outline_points(program) * torch.tensor([1.0, -1.0, 1.0]))


def heights(program: Program) -> Tensor:
    """How far each solid is above its rest on the floor, in world units."""
    time = torch.arange(program.frames) / FPS
    return torch.stack([height_of(solid, time) for solid in program.solids])


def bounce_period(solid: Solid) -> float:
    """Seconds from one touch of the floor to the next, of a solid that bounces."""
    return 2 * math.sqrt(2 * 1.15 * solid.speed / GRAVITY)


def orbit_angle(program: Program) -> Tensor:
    """The camera's angle around the scene's middle at each frame, in radians, (frames,)."""
    return camera_angles(program, torch.arange(program.frames))[0]
