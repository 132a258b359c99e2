"""The laws of the stories: where each solid is when what it does depends on the other, or on how far it has come.

The first solid goes in a straight line from its place at `speed` units a second. Where it bumps into the second it
stops, and the second goes on in its stead at the same speed: of two equal masses the one that rests takes the other's.
"""

import torch
from torch import Tensor

from pipeline.tabletop.solids import HEIGHT, half_width
from pipeline.tabletop.world import Program, Solid


def heading(solid: Solid) -> float:
    """1 for a solid that goes to the right, -1 to the left."""
    return {"left": -1.0, "right": 1.0}[solid.motion]


def touching_distance(first: Solid, second: Solid) -> float:
    """Distance of the axes of two solids, straight and at one depth, that touch: the largest over all heights."""
    top = max(HEIGHT[solid.shape] * solid.size for solid in (first, second))
    heights = torch.linspace(0, top, 2001, dtype=torch.float64)
    reach = [half_width(solid.shape, heights / solid.size) * solid.size for solid in (first, second)]
    return float((reach[0] + reach[1]).max())


def contact_time(program: Program) -> float:
    """Seconds at which the first solid touches the second, if nothing stops it."""
    first, second = program.solids
    return (abs(second.x - first.x) - touching_distance(first, second)) / first.speed


def story_x(program: Program, time: Tensor) -> Tensor:
    """Where each solid of a story is from left to right, (solids, *time)."""
    first, *others = program.solids
    way = first.speed * time
    rest = [torch.full_like(time, solid.x) for solid in others]
    if program.story == "pushes":
        before = first.speed * contact_time(program)
        rest = [others[0].x + heading(first) * (way - before).clamp(min=0)]
        way = way.clamp(max=before)
    return torch.stack([first.x + heading(first) * way, *rest])
