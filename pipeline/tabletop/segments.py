"""Which pixels of a clip are a solid's, told by colour.

What a program's solids can look like in its light is laid against what its floor, sky and wall look like in each row.
Nothing is learned here, so that what judges generated clips cannot have learned their faults.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.camera import floor_distances
from pipeline.tabletop.render import CLEAR, FOG, build_scene, render_empty
from pipeline.tabletop.surfaces import FLOOR_RGB, SKY_LIGHT, solid_colours
from pipeline.tabletop.truth import foot_rows
from pipeline.tabletop.world import COLOURS, Program

LIT: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
SECTORS: Final = (0.0, 0.5, 1.0)
MIRRORED: Final = (0.14, 0.3)
DISTANCES: Final = (5.5, 8.0)
"""How far from the camera solids are, where fog matters."""

WATER_SHARES: Final = (0.42, 0.5, 0.6)
"""How much of what is seen in water is what it mirrors, at the angles at which the camera looks down on it."""

FOOTING: Final = 4
"""Rows of 128 by which a solid may rest higher or lower than its program says."""

COLUMNS: Final = 24
"""Samples of a row's own colours."""


@dataclass(frozen=True)
class View:
    """A program's light (RGB: sky at the horizon, sun, all else), and how it looks without its solids.

    `steepness` is how much of the sun falls on the floor; `empty` is (frames, height, width, 3) in 0..1, one frame if
    the camera stands.
    """

    program: Program
    horizon: Tensor
    sun: Tensor
    ambient: Tensor
    steepness: float
    empty: Tensor

    @property
    def shadow(self) -> Tensor:
        """What is left of the floor's colour in a shadow, (3,)."""
        return self.ambient / (self.ambient + self.sun * self.steepness)

    def under_light(self, colours: Tensor, lit: tuple[float, ...]) -> Tensor:
        """Colours (n, 3) under so much of the sun each, (n · len(lit), 3)."""
        light = self.ambient + self.sun * torch.tensor(lit)[:, None]
        return (colours[:, None] * light).flatten(0, 1)

    def shaded(self, shade: float = 1.0) -> Tensor:
        """`empty` in a shadow that takes so much of the sun: the far floor's haze stays."""
        kept = 1 - shade * (1 - self.shadow)
        thick = FOG if self.program.fog else CLEAR
        haze = 1 - torch.exp(-thick * floor_distances(self.program).clamp(max=200.0).square())
        return self.empty * kept + haze[:, None, None] * self.horizon * (1 - kept)

    def through_air(self, colours: Tensor) -> Tensor:
        """Colours as they look from where the camera is: paler in fog."""
        if not self.program.fog:
            return colours.clamp(0, 1)
        shares = [float(1 - torch.exp(torch.tensor(-FOG * distance**2))) for distance in DISTANCES]
        return torch.cat([torch.lerp(colours, self.horizon, share) for share in shares]).clamp(0, 1)


@lru_cache(maxsize=8)
def view(program: Program) -> View:
    """What a program looks like but for its solids."""
    _, horizon, sun, ambient, _ = (torch.tensor(value) for value in SKY_LIGHT[program.sky])
    steepness = float(build_scene(program, torch.device("cpu")).sun[1])
    still = replace(program, frames=1) if program.camera == "stands" else program
    return View(program, horizon, sun, ambient, steepness, render_empty(still).float() / 255)


def paints(colour: str) -> Tensor:
    """What a solid of a colour is painted with, from its own colour to the paler one of its marks, (n, 3)."""
    base, pale = (torch.tensor(value) for value in solid_colours(colour))
    return torch.stack([torch.lerp(base, pale, sector) for sector in SECTORS])


def solid_palette(seen: View, colour: str, shiny: bool) -> Tensor:
    """What the surface of a solid can look like, (n, 3)."""
    own = paints(colour)
    looks = seen.under_light(own, LIT)
    if shiny:
        around = torch.stack([seen.horizon, seen.empty[0, -8:].flatten(0, 1).mean(0)])
        mirrored = [torch.lerp(looks[:, None], around, share).flatten(0, 1) for share in MIRRORED]
        looks = torch.cat([looks, *mirrored, seen.under_light(own, (1.0,)) + 0.4 * seen.sun])
    return seen.through_air(looks)


def row_palettes(seen: View) -> Tensor:
    """What is in each row when no solid is, in the sun and in shadow, (frames, height, n, 3)."""
    every = max(1, seen.empty.shape[2] // COLUMNS)
    own = seen.empty[:, :, every // 2 :: every]
    if seen.program.floor == "water":
        # Only what water shows of itself is darker in a shadow, not what it mirrors.
        lost = torch.tensor(FLOOR_RGB["water"]).mean(0) * seen.sun * seen.steepness
        return torch.cat([own, *(own - (1 - share) * lost for share in WATER_SHARES), own - lost / 4], 2)
    shaded = [seen.shaded(shade)[:, :, every // 2 :: every] for shade in (1.0, 0.5)]
    return torch.cat([own, *shaded], 2)


def mirror_palette(seen: View, colour: str) -> Tensor:
    """What a solid can look like in water, in the sun and in its own shadow, (n, 3)."""
    own = seen.under_light(torch.tensor(FLOOR_RGB["water"]), (0.0, seen.steepness))
    solid = solid_palette(seen, colour, False)
    return torch.cat([torch.lerp(own[:, None], solid, share).flatten(0, 1) for share in WATER_SHARES])


def nearest(pixels: Tensor, palette: Tensor) -> Tensor:
    """Distance of pixels (..., 3) to the nearest colour of a palette (n, 3)."""
    parts = [torch.cdist(part, palette).amin(1) for part in torch.split(pixels.reshape(-1, 3), 1 << 15)]
    return torch.cat(parts).view(pixels.shape[:-1])


def nearest_in_rows(pixels: Tensor, palettes: Tensor) -> Tensor:
    """The same for pixels (frames, height, width, 3) with a palette per row."""
    return torch.stack([torch.cdist(*pair).amin(-1) for pair in zip(pixels, palettes, strict=True)])


def from_empty(pixels: Tensor, seen: View) -> Tensor:
    """Distance of pixels (frames, height, width, 3) to what is in their rows where there is no solid."""
    return nearest_in_rows(pixels, row_palettes(seen).expand(len(pixels), -1, -1, -1))


@dataclass(frozen=True)
class Segments:
    """Where each solid is seen, and where water mirrors it, (solids, frames, height, width); the frames in 0..1.

    `bare` (frames, height, width) is how far a pixel is from what it shows where there is no solid.
    """

    masks: Tensor
    mirrored: Tensor
    pixels: Tensor
    bare: Tensor
    seen: View


def segment(frames: Tensor, program: Program) -> Segments:
    """Tell a clip's solids (uint8 frames) from each other and from everything else."""
    pixels, seen = frames.float() / 255, view(program)
    empty = from_empty(pixels, seen)
    own = torch.stack([nearest(pixels, solid_palette(seen, solid.colour, solid.shiny)) for solid in program.solids])
    mirrored = torch.full_like(own, torch.inf)
    if program.floor == "water":
        mirrored = torch.stack([nearest(pixels, mirror_palette(seen, solid.colour)) for solid in program.solids])
    either = torch.minimum(own, mirrored)
    distance, first = either.min(0)
    masks = torch.stack([(distance < empty) & (first == index) for index in range(len(own))])
    above = (
        above_water(masks, mirrored - own, foot_rows(program)) if program.floor == "water" else torch.ones_like(masks)
    )
    return Segments(masks & above, masks & ~above, pixels, empty, seen)


def above_water(masks: Tensor, likely: Tensor, feet: Tensor) -> Tensor:
    """Which rows are above each solid's mirror image: down to about where it would rest, and where the images part.

    `likely` is by how much nearer a pixel is to a solid's looks than to those of its mirror image, `feet` (solids,
    frames) the row where a solid rests.
    """
    number = torch.arange(masks.shape[2])
    rows = (likely * masks).sum(-1).cumsum(-1)
    near = (number - feet[..., None]).abs() <= FOOTING * masks.shape[2] / 128
    cut = torch.where(near, rows, -torch.inf).argmax(-1, keepdim=True)
    return (number <= cut)[..., None]


def read_colour(pixels: Tensor, seen: View, shiny: bool = False) -> str:
    """The colour of a solid whose pixels (n, 3) in 0..1 are given: the one whose looks most of them are nearest to."""
    distances = torch.stack([nearest(pixels, solid_palette(seen, colour, shiny)) for colour in COLOURS])
    return COLOURS[int(torch.bincount(distances.argmin(0), minlength=len(COLOURS)).argmax())]
