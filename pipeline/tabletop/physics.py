"""Whether what a clip shows keeps to the world's laws: shadows, mirror images, weight."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.camera import TILT, focal_length
from pipeline.tabletop.motion import GRAVITY
from pipeline.tabletop.render import render
from pipeline.tabletop.segments import paints
from pipeline.tabletop.trackers import Reading, dilate, read
from pipeline.tabletop.truth import foot_rows
from pipeline.tabletop.world import COLOURS, FPS, Program

DARK: Final = 0.4
"""A pixel is in shadow where it is darker than so much of the way from lit to shadow."""

LEAST_SHADOW: Final = 0.012
"""How large a shadow beside a solid is at the least, as a share of the solid's area."""

LIGHTS: Final = tuple(step / 10 for step in range(13))
"""How much of the sun a patch of a solid gets; some over all of it where it shines."""

LEAST_LIGHT: Final = 0.1
"""By how much more of the sun one side of a round solid is lit than the other, at the least."""

SHADED: Final = 0.7
"""How much of its brightness water keeps in a shadow, about."""

MOST: Final = 0.8
"""Share of frames by which a law is judged: a dark foot may be told wrong in a few."""

FLOATS: Final = 4.0
"""Rows of 128 between a solid's foot and the floor, at the least, where it floats."""

OFF_CENTRE: Final = 0.6
"""How far from the middle, in depth, a solid may stand that the words say no more of."""


def horizon_row(program: Program) -> float:
    """The row of the horizon while the camera does not zoom."""
    return program.height / 2 - 0.5 + focal_length(program) * math.tan(TILT)


def shadow_seen(reading: Reading, index: int) -> int | None:
    """On which side of a solid the floor is darker than it is without it: -1 left, 1 right; None where on neither.

    For cameras that stand, and one solid.
    """
    frames, track = reading.segments.pixels, reading.tracks[index]
    used = track.whole.nonzero().squeeze(1)
    if not len(used):
        return None
    lit, shaded = (value.mean(-1) for value in (reading.segments.seen.empty, reading.segments.seen.shaded()))
    lost = (lit - frames[used].mean(-1)) / (lit - shaded + 0.01)
    dark = (lost > DARK) & ~dilate(track.pieces[used])
    left, right, top, foot = (end[used] for axis in (0, 1) for end in track.span(axis))
    rows, columns = (torch.arange(side) for side in dark.shape[1:])
    upper = torch.maximum(foot - 0.6 * (foot - top), torch.tensor(horizon_row(reading.program) + 4))
    dark = dark & ((rows > upper[:, None]) & (rows <= foot[:, None] + 3))[:, :, None]
    width, middle = right - left, (left + right) / 2
    counts = [
        int((dark & ((columns > low[:, None]) & (columns < high[:, None]))[:, None]).sum())
        for low, high in ((left - 1.6 * width, middle), (middle, right + 1.6 * width))
    ]
    if max(counts) < max(2 * min(counts), LEAST_SHADOW * float(track.areas[used].sum())):
        return None
    return -1 if counts[0] > counts[1] else 1


def lit_side(reading: Reading, index: int) -> int | None:
    """On which side a round solid is the brighter, its paint apart: -1 left, 1 right; None where on neither."""
    track, solid, seen = reading.tracks[index], reading.program.solids[index], reading.segments.seen
    looks = seen.under_light(paints(solid.colour), LIGHTS)
    lights, differences = torch.tensor(LIGHTS).repeat(len(looks) // len(LIGHTS)), list[float]()
    for frame in track.whole.nonzero().flatten().tolist():
        columns = track.pieces[frame].nonzero()[:, 1]
        pixels = reading.segments.pixels[frame][track.pieces[frame]]
        light = lights[torch.cdist(pixels, looks).argmin(1)]
        off = columns - (columns.min() + columns.max()) / 2
        differences.append(float(light[off > 1].mean() - light[off < -1].mean()))
    # A piece of two columns has no sides: what it tells is no number, and no side.
    usual = float(torch.tensor(differences).nanmean())
    return (1 if usual > 0 else -1) if abs(usual) >= LEAST_LIGHT else None


def mirrored_colour(reading: Reading, index: int) -> str | None:
    """The colour that water shows below a solid, of all eight; None where it shows water alone.

    The mean colour there is laid against those of renders with the solid in each colour, and without it.
    """
    program, track = reading.program, reading.tracks[index]
    used = track.whole.nonzero().squeeze(1)
    if not len(used):
        return None
    found = below(reading.segments.pixels[used], track.pieces[used]).mean(0)
    none = below(reading.segments.seen.empty[:1], track.pieces[used[:1]])
    known = torch.cat([mirrored_looks(program, index), none, none * SHADED])
    best = int((known - found).norm(dim=1).argmin())
    return COLOURS[best] if best < len(COLOURS) else None


@lru_cache(maxsize=8)
def mirrored_looks(program: Program, index: int) -> Tensor:
    """What water shows below a solid of each colour, (colours, 3)."""
    still = replace(program, frames=1)
    looks = [read(render(look), look) for look in (recoloured(still, index, colour) for colour in COLOURS)]
    return torch.cat([below(look.segments.pixels, look.tracks[index].pieces) for look in looks])


def recoloured(program: Program, index: int, colour: str) -> Program:
    """The program with one solid in another colour."""
    solids = [replace(solid, colour=colour) if i == index else solid for i, solid in enumerate(program.solids)]
    return replace(program, solids=tuple(solids))


def below(pixels: Tensor, pieces: Tensor) -> Tensor:
    """Mean colour of what is just below a solid's outline in each frame, (frames, 3)."""
    means = []
    for frame, piece in zip(pixels, pieces, strict=True):
        rows, columns = (piece.any(axis).nonzero().squeeze(1) for axis in (1, 0))
        foot, high = int(rows[-1]) + 2, max(int(0.4 * len(rows)), 2)
        middle, reach = float(columns.float().mean()), 0.28 * len(columns)
        area = frame[foot : foot + high, int(middle - reach) : int(middle + reach) + 1]
        means.append(area.flatten(0, 1).mean(0))
    return torch.stack(means).nan_to_num()


def floats(reading: Reading, index: int) -> bool:
    """Whether a solid that should rest on the floor hangs above it in more than a frame, wherever it stands."""
    program, track = reading.program, reading.tracks[index]
    lowest = foot_rows(program)[index]
    far = focal_length(program) * OFF_CENTRE * 0.3
    foot = track.span(1)[1][track.whole]
    return bool(((lowest[track.whole] - far / 6.6 - foot) > FLOATS * reading.pixel).sum() > 1)


@dataclass(frozen=True)
class LawFit:
    """How well a solid keeps to a law: the error in pixels of 128 that MOST frames stay within, and how far it went."""

    error: float
    travelled: float


def fit_law(reading: Reading, index: int) -> LawFit | None:
    """Fit the law of the solid's motion, `bounces` or `falls`, to the row of its foot; gravity is known.

    What bounces turns round between two frames, where latents of several frames blur its foot: its middle is taken.
    """
    track, motion = reading.tracks[index], reading.program.solids[index].motion
    used = track.seen.nonzero().squeeze(1)
    if len(used) < 6:
        return None
    time = used / FPS
    scale = focal_length(reading.program) / 6.8
    rows = track.places[:, 1] if motion == "bounces" else track.span(1)[1]
    height = -rows[used] / scale
    curves = bounces(time) if motion == "bounces" else falls(time)
    off = height - curves
    error = (off - off.median(-1, keepdim=True)[0]).abs().quantile(MOST, dim=-1).amin() * scale / reading.pixel
    return LawFit(float(error), float((height.max() - height.min()) * scale / reading.pixel))


def bounces(time: Tensor) -> Tensor:
    """Heights over time of bounces of many tops and phases, (curves, frames)."""
    top, phase = torch.cartesian_prod(torch.linspace(0.2, 2.2, 81), torch.linspace(0, 1, 65)[:-1]).T[..., None]
    share = (time / (2 * (2 * top / GRAVITY).sqrt()) + phase) % 1.0
    heights: Tensor = 4 * top * share * (1 - share)
    return heights


def falls(time: Tensor) -> Tensor:
    """Heights over time of falls of many heights and beginnings, (curves, frames)."""
    top, start = torch.cartesian_prod(torch.linspace(0.5, 3.5, 61), torch.linspace(-0.3, 1.5, 55)).T[..., None]
    heights: Tensor = (top - GRAVITY / 2 * (time - start).clamp(min=0).square()).clamp(min=0)
    return heights
