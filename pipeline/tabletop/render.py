"""An analytic ray tracer in torch: a program in, frames out, on CPU or CUDA.

Rays are flat lists; each knows its frame, so that one call traces a whole clip, a mirror bounce traces only the rays
that hit water or a shiny solid, and antialiasing traces only the pixels at edges again.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop import solids
from pipeline.tabletop.motion import Poses, camera_rays, pose_program
from pipeline.tabletop.world import Program

FAR: Final = 1e6
FLOOR_ID: Final = -1
EDGE: Final = 0.05
TILE: Final = 1.5
SUBPIXELS: Final = ((-0.3, -0.1), (0.1, -0.3), (0.3, 0.1), (-0.1, 0.3))

COLOUR_RGB: Final = {
    "red": (0.86, 0.10, 0.09),
    "orange": (0.96, 0.48, 0.05),
    "yellow": (0.96, 0.86, 0.12),
    "green": (0.10, 0.58, 0.16),
    "cyan": (0.10, 0.78, 0.82),
    "blue": (0.10, 0.22, 0.86),
    "purple": (0.52, 0.14, 0.70),
    "white": (0.95, 0.95, 0.95),
}
# Per sky: zenith, horizon, sun light, ambient light, height of the sun.
SKY_LIGHT: Final = {
    "day": ((0.25, 0.50, 0.86), (0.74, 0.86, 0.96), (0.80, 0.78, 0.72), (0.38, 0.40, 0.44), 1.1),
    "sunset": ((0.36, 0.24, 0.44), (0.98, 0.60, 0.32), (0.86, 0.58, 0.38), (0.36, 0.30, 0.34), 0.55),
    "night": ((0.03, 0.04, 0.13), (0.12, 0.15, 0.30), (0.46, 0.49, 0.60), (0.26, 0.28, 0.36), 1.0),
}


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
    """What each ray hit: distance, world point and normal, and the solid's index (-1 floor, -2 sky)."""

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


def find_hits(scene: Scene, frame: Tensor, origin: Tensor, direction: Tensor) -> Hits:
    """Intersect rays with the floor and every solid; frame (n,), origin and direction (n, 3)."""
    t = torch.where(direction[:, 1] < -1e-4, -origin[:, 1] / direction[:, 1].clamp(max=-1e-4), FAR)
    t = torch.where(t > 1e-3, t, FAR)
    which = torch.where(t < FAR, FLOOR_ID, FLOOR_ID - 1)
    normal = torch.zeros_like(direction)
    normal[:, 1] = 1.0
    stripe = torch.zeros_like(t)
    for index, solid in enumerate(scene.program.solids):
        rays = scene.poses.rays_near(index, frame, origin, direction)
        local_o, local_d = scene.poses.to_local(index, frame[rays], origin[rays], direction[rays])
        near, local_normal = solids.INTERSECT[solid.shape](local_o, local_d)
        closer = ((near < t[rays]) & (near > 1e-3)).nonzero().squeeze(1)
        rays, near = rays[closer], near[closer]
        t[rays] = near
        which[rays] = index
        normal[rays] = scene.poses.to_world(index, frame[rays], local_normal[closer])
        stripe[rays] = solids.stripes(local_o[closer] + near[:, None] * local_d[closer])
    return Hits(t, origin + t[:, None].clamp(max=200.0) * direction, normal, stripe, which)


def in_shadow(scene: Scene, frame: Tensor, hits: Hits) -> Tensor:
    """1 where a solid stands between the hit and the sun, else 0; a solid's own dark side comes from its normal."""
    origin = hits.point + 1e-3 * hits.normal
    direction = scene.sun.expand_as(origin)
    shadow = torch.zeros_like(hits.t)
    for index, solid in enumerate(scene.program.solids):
        rays = scene.poses.rays_near(index, frame, origin, direction)
        rays = rays[(hits.which[rays] != index) & (hits.which[rays] >= FLOOR_ID)]
        local_o, local_d = scene.poses.to_local(index, frame[rays], origin[rays], direction[rays])
        near, _ = solids.INTERSECT[solid.shape](local_o, local_d)
        shadow[rays[(near > 1e-3) & (near < FAR)]] = 1.0
    return shadow


def sky_colour(scene: Scene, direction: Tensor) -> Tensor:
    """The sky seen along a direction: a gradient from horizon to zenith and a glow around the sun."""
    up = direction[:, 1:2].clamp(0.0, 1.0).sqrt()
    glow = (direction @ scene.sun).clamp(min=0.0)[:, None] ** 12
    return scene.horizon * (1 - up) + scene.zenith * up + 0.25 * glow * scene.sun_light


def floor_colour(floor: str, point: Tensor) -> Tensor:
    """The floor's own colour at world points (n, 3); textures are smooth so that a small autoencoder can hold them."""
    x, z = point[:, 0], point[:, 2]
    blotch = 0.5 + 0.25 * (torch.sin(1.3 * x + 0.7 * z) + torch.sin(1.7 * z - 0.9 * x + 1.0))
    blotch = blotch[:, None]
    if floor == "checkered":
        tile = (torch.floor(x / TILE) + torch.floor(z / TILE)) % 2
        contrast = torch.exp(-0.012 * (z - TILE).clamp(max=0.0) ** 2) * torch.exp(-0.012 * x * x)
        return (0.52 + 0.19 * contrast * (1 - 2 * tile))[:, None].expand(-1, 3)
    low, high = {
        "grass": ((0.20, 0.42, 0.12), (0.34, 0.56, 0.18)),
        "sand": ((0.74, 0.60, 0.38), (0.86, 0.73, 0.50)),
        "snow": ((0.84, 0.88, 0.94), (0.95, 0.96, 0.98)),
        "water": ((0.05, 0.26, 0.42), (0.08, 0.34, 0.50)),
    }[floor]
    return point.new_tensor(low) * (1 - blotch) + point.new_tensor(high) * blotch


def own_colour(scene: Scene, hits: Hits) -> Tensor:
    """Colour of what was hit before any light falls on it, (n, 3)."""
    colour = floor_colour(scene.program.floor, hits.point)
    for index, solid in enumerate(scene.program.solids):
        base = hits.point.new_tensor(COLOUR_RGB[solid.colour])
        pale = base * 0.62 if solid.colour == "white" else base + (1.0 - base) * 0.42
        mix = hits.stripe[:, None]
        colour = torch.where((hits.which == index)[:, None], base * (1 - mix) + pale * mix, colour)
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


def trace(scene: Scene, frame: Tensor, origin: Tensor, direction: Tensor, bounce: bool = True) -> Tensor:
    """Colours (n, 3) seen along rays: frame (n,), origin and unit direction (n, 3)."""
    hits = find_hits(scene, frame, origin, direction)
    facing = (hits.normal @ scene.sun).clamp(min=0.0)
    lit = facing * (1 - in_shadow(scene, frame, hits))
    colour = own_colour(scene, hits) * (scene.ambient + scene.sun_light * lit[:, None])
    colour = colour + highlight(scene, hits, direction, (lit > 0).float())
    if bounce:
        colour = add_mirror(scene, frame, direction, hits, colour)
    fog = (1 - torch.exp(-0.0025 * hits.t.clamp(max=200.0) ** 2))[:, None]
    colour = torch.where((hits.which == FLOOR_ID)[:, None], colour * (1 - fog) + scene.horizon * fog, colour)
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


@torch.no_grad()
def render(program: Program, device: torch.device | str = "cpu") -> Tensor:
    """Render a program to uint8 frames of shape (frames, height, width, 3)."""
    device = torch.device(device)
    scene = build_scene(program, device)
    shape = (program.frames, program.height, program.width)
    where = torch.ones(shape, dtype=torch.bool, device=device).nonzero()
    image = trace(scene, where[:, 0], *camera_rays(program, where, (0.0, 0.0))).view(*shape, 3)
    edges = edge_pixels(image)
    if len(edges):
        again = [trace(scene, edges[:, 0], *camera_rays(program, edges, offset)) for offset in SUBPIXELS]
        image[edges[:, 0], edges[:, 1], edges[:, 2]] = torch.stack(again).mean(0)
    return (image * 255).round().to(torch.uint8)
