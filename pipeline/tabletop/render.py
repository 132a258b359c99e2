"""An analytic ray tracer in torch: a program in, frames out, on CPU or CUDA.

Rays are flat lists; each knows its frame, so that one call traces a whole clip, a mirror bounce traces only the rays
that hit water or a shiny solid, and antialiasing traces only the pixels at edges again.
"""

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop import solids
from pipeline.tabletop.camera import camera_rays
from pipeline.tabletop.motion import Poses, pose_program
from pipeline.tabletop.surfaces import COLOUR_RGB, SKY_LIGHT, floor_colour, wall_colour
from pipeline.tabletop.world import Program, Wall

FAR: Final = 1e6
FLOOR_ID: Final = -1
WALL_ID: Final = 99
WALL_DEPTH: Final = 0.24
CLEAR: Final = 0.0025
FOG: Final = 0.005
"""How thick the air is, per squared unit of distance: everywhere, where only the far floor pales, and in fog."""

FOG_ON_SKY: Final = 0.75
DEEP: Final = 1e3
"""So far under the floor a solid is neither seen nor in the way of the sun."""

EDGE: Final = 0.05
SUBPIXELS: Final = ((-0.3, -0.1), (0.1, -0.3), (0.3, 0.1), (-0.1, 0.3))


@dataclass(frozen=True)
class Scene:
    """A program with its poses and lights as tensors; colours are RGB in 0..1."""

    program: Program
    poses: Poses
    zenith: Tensor
    horizon: Tensor
    sun_light: Tensor
    ambient: Tensor
    sun: Tensor


@dataclass(frozen=True)
class Hits:
    """What each ray hit: distance, world point and normal, and the solid's index (-1 floor, -2 sky, WALL_ID wall)."""

    t: Tensor
    point: Tensor
    normal: Tensor
    stripe: Tensor
    which: Tensor


def build_scene(program: Program, device: torch.device) -> Scene:
    """Lay out the lights and the poses of every frame."""
    zenith, horizon, light, ambient, height = SKY_LIGHT[program.sky]
    east = torch.tensor([program.sun]).sin().item()
    sun = torch.tensor([1.1 * east, height, 0.55], device=device)

    def rgb(value: tuple[float, float, float]) -> Tensor:
        return torch.tensor(value, device=device)

    lights = (rgb(zenith), rgb(horizon), rgb(light), rgb(ambient))
    return Scene(program, pose_program(program, device), *lights, sun / sun.norm())


@dataclass(frozen=True)
class Meeting:
    """The rays that may meet one solid: their indices, their local origins and directions, distance and normal."""

    rays: Tensor
    origin: Tensor
    direction: Tensor
    near: Tensor
    normal: Tensor


def meet(
    scene: Scene, index: int, frame: Tensor, origin: Tensor, direction: Tensor, wanted: Tensor | None = None
) -> Meeting:
    """Intersect rays with one solid; `wanted` leaves rays out."""
    rays = scene.poses.rays_near(index, frame, origin, direction)
    rays = rays if wanted is None else rays[wanted[rays]]
    local_o, local_d = scene.poses.to_local(index, frame[rays], origin[rays], direction[rays])
    return Meeting(rays, local_o, local_d, *solids.INTERSECT[scene.program.solids[index].shape](local_o, local_d))


def meet_wall(wall: Wall, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Distance and normal where rays (n, 3) meet the wall."""
    middle = origin.new_tensor([wall.x, wall.height / 2, wall.z])
    half = origin.new_tensor([wall.half_width, wall.height / 2, WALL_DEPTH / 2])
    return solids.box(origin - middle, direction, half)


def find_hits(scene: Scene, frame: Tensor, origin: Tensor, direction: Tensor) -> Hits:
    """Intersect rays with the floor, every solid and the wall; frame (n,), origin and direction (n, 3)."""
    t = torch.where(direction[:, 1] < -1e-4, -origin[:, 1] / direction[:, 1].clamp(max=-1e-4), FAR)
    t = torch.where(t > 1e-3, t, FAR)
    which = torch.where(t < FAR, FLOOR_ID, FLOOR_ID - 1)
    normal = torch.zeros_like(direction)
    normal[:, 1] = 1.0
    stripe = torch.zeros_like(t)
    for index in range(len(scene.program.solids)):
        met = meet(scene, index, frame, origin, direction)
        closer = ((met.near < t[met.rays]) & (met.near > 1e-3)).nonzero().squeeze(1)
        rays, near = met.rays[closer], met.near[closer]
        t[rays] = near
        which[rays] = index
        normal[rays] = scene.poses.to_world(index, frame[rays], met.normal[closer])
        stripe[rays] = solids.stripes(met.origin[closer] + near[:, None] * met.direction[closer])
    if scene.program.wall:
        near, facing = meet_wall(scene.program.wall, origin, direction)
        closer = near < t
        t, which = torch.where(closer, near, t), torch.where(closer, WALL_ID, which)
        normal = torch.where(closer[:, None], facing, normal)
    return Hits(t, origin + t[:, None].clamp(max=200.0) * direction, normal, stripe, which)


def in_shadow(scene: Scene, frame: Tensor, hits: Hits) -> Tensor:
    """1 where something stands between the hit and the sun, else 0; its own dark side comes from its normal."""
    origin = hits.point + 1e-3 * hits.normal
    direction = scene.sun.expand_as(origin)
    shadow = torch.zeros_like(hits.t)
    for index in range(len(scene.program.solids)):
        met = meet(scene, index, frame, origin, direction, (hits.which != index) & (hits.which >= FLOOR_ID))
        shadow[met.rays[(met.near > 1e-3) & (met.near < FAR)]] = 1.0
    if scene.program.wall:
        near, _ = meet_wall(scene.program.wall, origin, direction)
        shadow = torch.where((near < FAR) & (hits.which != WALL_ID), 1.0, shadow)
    return shadow


def sky_colour(scene: Scene, direction: Tensor) -> Tensor:
    """The sky seen along a direction: a gradient from horizon to zenith and a glow around the sun."""
    up = direction[:, 1:2].clamp(0.0, 1.0).sqrt()
    glow = (direction @ scene.sun).clamp(min=0.0)[:, None] ** 12
    clear = scene.horizon * (1 - up) + scene.zenith * up + 0.25 * glow * scene.sun_light
    return torch.lerp(clear, scene.horizon, FOG_ON_SKY) if scene.program.fog else clear


def own_colour(scene: Scene, hits: Hits) -> Tensor:
    """Colour of what was hit before any light falls on it, (n, 3)."""
    colour = floor_colour(scene.program.floor, hits.point)
    for index, solid in enumerate(scene.program.solids):
        base = hits.point.new_tensor(COLOUR_RGB[solid.colour])
        pale = base * 0.62 if solid.colour == "white" else base + (1.0 - base) * 0.42
        mix = hits.stripe[:, None]
        colour = torch.where((hits.which == index)[:, None], base * (1 - mix) + pale * mix, colour)
    if scene.program.wall:
        wall = wall_colour(scene.program.wall.material, hits.point)
        colour = torch.where((hits.which == WALL_ID)[:, None], wall, colour)
    return colour


def mirror_share(scene: Scene, hits: Hits, direction: Tensor) -> Tensor:
    """How much of each hit's colour is its reflection: water and shiny solids, more at grazing angles (Schlick)."""
    share = torch.zeros_like(hits.t)
    grazing = (1 - (-(direction * hits.normal).sum(-1)).clamp(0, 1)) ** 3
    if scene.program.floor == "water":
        share = torch.where(hits.which == FLOOR_ID, 0.35 + 0.4 * grazing, share)
    for index, solid in enumerate(scene.program.solids):
        if solid.shiny:
            share = torch.where(hits.which == index, 0.14 + 0.4 * grazing, share)
    return share


def add_mirror(scene: Scene, frame: Tensor, direction: Tensor, hits: Hits, colour: Tensor) -> Tensor:
    """Trace one bounce for the rays that need one and mix it in."""
    share = mirror_share(scene, hits, direction)
    chosen = (share > 0).nonzero().squeeze(1)
    if len(chosen) == 0:
        return colour
    normal, ray = hits.normal[chosen], direction[chosen]
    bounced = ray - 2 * (ray * normal).sum(-1, keepdim=True) * normal
    seen = trace(scene, frame[chosen], hits.point[chosen] + 2e-3 * normal, bounced, bounce=False)
    part = share[chosen, None]
    return colour.index_copy(0, chosen, colour[chosen] * (1 - part) + seen * part)


def highlight(scene: Scene, hits: Hits, direction: Tensor, lit: Tensor) -> Tensor:
    """The sun's small reflection on shiny solids (Blinn-Phong), (n, 3)."""
    half = torch.nn.functional.normalize(scene.sun - direction, dim=-1)
    spot = (half * hits.normal).sum(-1).clamp(min=0.0) ** 40 * lit
    shiny = torch.zeros_like(spot)
    for index, solid in enumerate(scene.program.solids):
        if solid.shiny:
            shiny = torch.where(hits.which == index, spot, shiny)
    return 0.6 * shiny[:, None] * scene.sun_light


def add_air(scene: Scene, hits: Hits, colour: Tensor) -> Tensor:
    """The far floor fades into the horizon; in fog everything does."""
    fog = (1 - torch.exp(-(FOG if scene.program.fog else CLEAR) * hits.t.clamp(max=200.0) ** 2))[:, None]
    pale = hits.which >= FLOOR_ID if scene.program.fog else hits.which == FLOOR_ID
    return torch.where(pale[:, None], colour * (1 - fog) + scene.horizon * fog, colour)


def trace(scene: Scene, frame: Tensor, origin: Tensor, direction: Tensor, bounce: bool = True) -> Tensor:
    """Colours (n, 3) seen along rays: frame (n,), origin and unit direction (n, 3)."""
    hits = find_hits(scene, frame, origin, direction)
    facing = (hits.normal @ scene.sun).clamp(min=0.0)
    lit = facing * (1 - in_shadow(scene, frame, hits))
    colour = own_colour(scene, hits) * (scene.ambient + scene.sun_light * lit[:, None])
    colour = colour + highlight(scene, hits, direction, (lit > 0).float())
    if bounce:
        colour = add_mirror(scene, frame, direction, hits, colour)
    colour = add_air(scene, hits, colour)
    return torch.where((hits.which < FLOOR_ID)[:, None], sky_colour(scene, direction), colour).clamp(0, 1)


def edge_pixels(image: Tensor) -> Tensor:
    """Indices (frame, row, column) of pixels that differ from a neighbour; image is (frames, height, width, 3)."""
    right = (image[:, :, 1:] - image[:, :, :-1]).abs().amax(-1) > EDGE
    below = (image[:, 1:] - image[:, :-1]).abs().amax(-1) > EDGE
    edge = torch.zeros(image.shape[:3], dtype=torch.bool, device=image.device)
    edge[:, :, 1:] |= right
    edge[:, :, :-1] |= right
    edge[:, 1:] |= below
    edge[:, :-1] |= below
    return edge.nonzero()


def render(program: Program, device: torch.device | str = "cpu") -> Tensor:
    """Render a program to uint8 frames of shape (frames, height, width, 3)."""
    return render_scene(build_scene(program, torch.device(device)))


def render_empty(program: Program, device: torch.device | str = "cpu") -> Tensor:
    """The same without its solids: floor, sky and wall alone."""
    scene = build_scene(program, torch.device(device))
    centre = scene.poses.centre - scene.sun.new_tensor([0.0, DEEP, 0.0])
    return render_scene(replace(scene, poses=replace(scene.poses, centre=centre)))


@torch.no_grad()
def render_scene(scene: Scene) -> Tensor:
    """Render what was laid out."""
    program, device = scene.program, scene.sun.device
    shape = (program.frames, program.height, program.width)
    where = torch.ones(shape, dtype=torch.bool, device=device).nonzero()
    image = trace(scene, where[:, 0], *camera_rays(program, where, (0.0, 0.0))).view(*shape, 3)
    edges = edge_pixels(image)
    if len(edges):
        again = [trace(scene, edges[:, 0], *camera_rays(program, edges, offset)) for offset in SUBPIXELS]
        image[edges[:, 0], edges[:, 1], edges[:, 2]] = torch.stack(again).mean(0)
    return (image * 255).round().to(torch.uint8)


@torch.no_grad()
def render_ids(program: Program, device: torch.device | str = "cpu") -> Tensor:
    """What each pixel's middle shows, (frames, height, width): a solid's index, or the ids of `Hits`."""
    scene = build_scene(program, torch.device(device))
    shape = (program.frames, program.height, program.width)
    where = torch.ones(shape, dtype=torch.bool, device=device).nonzero()
    return find_hits(scene, where[:, 0], *camera_rays(program, where, (0.0, 0.0))).which.view(*shape)


@torch.no_grad()
def render_alone(program: Program, index: int, around: int = 0, device: torch.device | str = "cpu") -> Tensor:
    """Where a solid would be seen if nothing stood before it, as booleans (frames, height, width).

    `around` adds so many pixels to the picture on each side.
    """
    scene = build_scene(program, torch.device(device))
    shape = (program.frames, program.height + 2 * around, program.width + 2 * around)
    where = torch.ones(shape, dtype=torch.bool, device=device).nonzero()
    where[:, 1:] -= around
    met = meet(scene, index, where[:, 0], *camera_rays(program, where, (0.0, 0.0)))
    seen = torch.zeros(len(where), dtype=torch.bool, device=device)
    seen[met.rays] = met.near < FAR
    return seen.view(*shape)
