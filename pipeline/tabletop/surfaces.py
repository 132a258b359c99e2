"""Colours of things before any light falls on them, and the lights; RGB in 0..1."""

from typing import Final

import torch
from torch import Tensor

TILE: Final = 1.5

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
# Of all but the checkered floor: the darkest and the lightest of its blotches.
FLOOR_RGB: Final = {
    "grass": ((0.20, 0.42, 0.12), (0.34, 0.56, 0.18)),
    "sand": ((0.74, 0.60, 0.38), (0.86, 0.73, 0.50)),
    "snow": ((0.84, 0.88, 0.94), (0.95, 0.96, 0.98)),
    "water": ((0.05, 0.26, 0.42), (0.08, 0.34, 0.50)),
}
# Per sky: zenith, horizon, sun light, ambient light, height of the sun.
SKY_LIGHT: Final = {
    "day": ((0.25, 0.50, 0.86), (0.74, 0.86, 0.96), (0.80, 0.78, 0.72), (0.38, 0.40, 0.44), 1.1),
    "sunset": ((0.36, 0.24, 0.44), (0.98, 0.60, 0.32), (0.86, 0.58, 0.38), (0.36, 0.30, 0.34), 0.55),
    "night": ((0.03, 0.04, 0.13), (0.12, 0.15, 0.30), (0.46, 0.49, 0.60), (0.26, 0.28, 0.36), 1.0),
}
WALL_RGB: Final = {"grey": (0.52, 0.53, 0.55), "wooden": (0.44, 0.31, 0.19), "dark": (0.15, 0.15, 0.17)}


def solid_colours(colour: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A solid's colour, and that of its pale sectors."""
    base = COLOUR_RGB[colour]
    pale = (value * 0.62 if colour == "white" else value + (1.0 - value) * 0.42 for value in base)
    return base, tuple(pale)


def floor_colour(floor: str, point: Tensor) -> Tensor:
    """The floor's own colour at world points (n, 3); textures are smooth so that a small autoencoder can hold them."""
    x, z = point[:, 0], point[:, 2]
    blotch = 0.5 + 0.25 * (torch.sin(1.3 * x + 0.7 * z) + torch.sin(1.7 * z - 0.9 * x + 1.0))
    blotch = blotch[:, None]
    if floor == "checkered":
        tile = (torch.floor(x / TILE) + torch.floor(z / TILE)) % 2
        contrast = torch.exp(-0.012 * (z - TILE).clamp(max=0.0) ** 2) * torch.exp(-0.012 * x * x)
        return (0.52 + 0.19 * contrast * (1 - 2 * tile))[:, None].expand(-1, 3)
    low, high = FLOOR_RGB[floor]
    return point.new_tensor(low) * (1 - blotch) + point.new_tensor(high) * blotch


def wall_colour(material: str, point: Tensor) -> Tensor:
    """The wall's own colour at world points (n, 3): boards or courses, faint and wide."""
    along = point[:, 0] if material == "wooden" else point[:, 1]
    return point.new_tensor(WALL_RGB[material]) * (1 + 0.12 * torch.sin(8.5 * along))[:, None]
