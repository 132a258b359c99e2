"""What the middle of the transformer must tell of a clip while it learns: where each token is, and what it shows.

Tabletop's transformer is told places by rotations, which compare tokens and name none, so "rolls right" needs two
things at once before it lowers the loss at all: that a token knows where and when it is, and that this and the word go
together. Left to the loss, it never came to that. Linear heads on a few blocks ask for it outright; they are dropped
when the training ends. It is representation alignment (Yu et al., arXiv 2410.06940), to the program that a clip was
rendered from in place of another network's features.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import torch
from diffusers import LTXVideoTransformer3DModel
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pipeline.tabletop.camera import camera_angles
from pipeline.tabletop.emphasis import by_latent, casts, near
from pipeline.tabletop.layout import token_coords
from pipeline.tabletop.motion import pose_program
from pipeline.tabletop.network import SPATIAL, TEMPORAL
from pipeline.tabletop.sides import LEFT_RIGHT
from pipeline.tabletop.truth import CPU, middles, outline_points, size_in_pixels, visible_share
from pipeline.tabletop.world import COLOURS, SHAPES, Program, Solid

REACH: Final = 0.8
"""Of a solid around the middle of its outline, to its size: what surely shows it."""

SEEN: Final = 0.15
"""The share of its outline that must show."""

SMALLER: Final = 4
"""By how much a render that tells it is smaller than the clip, along both sides."""

MIRRORED: Final = tuple(f"mirrored {colour}" for colour in COLOURS)
LIT: Final = tuple(f"lit from the {side}" for side in LEFT_RIGHT)
MAPS: Final = (*COLOURS, *SHAPES, "turns", "cast", *MIRRORED, *LIT)
"""What a token may show: a solid of a colour, one of a shape, one that turns, a shadow or mirror image, of which colour
the image is, and either of them under light from a side."""

COLOURED: Final = (*COLOURS, *MIRRORED)
"""What a clip in other colours shows wrongly."""

LIGHT: Final = 3.0
"""What light makes weighs so much, to 1 of the rest: it is faint, and small."""

SPUN: Final = 0.33
"""Of how wrongly it is told how far solids are turned, to 1 of the rest."""

VIEWED: Final = 2.0
"""The same of how wrongly it is told where the camera is."""

FAR: Final = 0.5
"""Radians, or the logarithm of a zoom, that are told as 1."""

END_ON: Final = 0.7
"""From which cosine on a solid's axis points at the camera, so that its upper side tells its angle."""

PLACES: Final = 4
"""Where and when a token is: its time, row, column, and its column times its time, whose sign is a direction's."""


@lru_cache(maxsize=256)
def own_tokens(program: Program, cell: int) -> Tensor:
    """Which cells (solids, frames, height, width) surely show each solid."""
    own = near(program, middles(program), REACH * size_in_pixels(program, outline_points(program)), cell)
    if program.story:  # Elsewhere little is hidden, and to find out how much takes a render: a small one tells it.
        small = replace(program, width=program.width // SMALLER, height=program.height // SMALLER)
        own = own & (visible_share(small) > SEEN)[:, :, None, None]
    return own


def names_of(solid: Solid) -> list[str]:
    """The maps that tell of a solid itself."""
    return [solid.colour, solid.shape, *(["turns"] if solid.motion == "turns" else [])]


@lru_cache(maxsize=2**15)
def solid_maps(program: Program, cell: int = SPATIAL) -> Tensor:
    """Which latents show what (MAPS, latent frames, height, width); `cell` is a latent's side in pixels."""
    own, cast = own_tokens(program, cell), casts(program, cell)
    maps = torch.zeros(len(MAPS), *cast[0].shape, dtype=torch.bool)
    for solid, seen, image in zip(program.solids, own, cast, strict=True):
        for name in names_of(solid):
            maps[MAPS.index(name)] |= seen
        if program.floor == "water":
            maps[MAPS.index(f"mirrored {solid.colour}")] |= image
    maps[MAPS.index("cast")] = cast.any(0)
    maps[MAPS.index(LIT[program.sun > 0])] = (own | cast).any(0)
    return torch.stack([by_latent(frames) for frames in maps])


@lru_cache(maxsize=2**15)
def solid_angles(program: Program, cell: int = SPATIAL) -> Tensor:
    """How far the solid that a latent shows is turned about its axis, as cosine and sine of twice the angle.

    (3, latent frames, height, width), the third 1 where a solid is. Twice, as its stripes repeat after half a turn.
    """
    poses, own = pose_program(program, CPU), own_tokens(program, cell)
    angles = torch.zeros(3, *by_latent(own[0]).shape)
    for rotation, where in zip(poses.rotation, own, strict=True):
        seen = by_latent(where)
        turned = torch.cat([seen_turn(rotation).T, torch.ones(1, program.frames)])
        angles = torch.where(seen, mean_by_latent(turned)[:, :, None, None], angles)
    return angles


def mean_by_latent(values: Tensor) -> Tensor:
    """The mean of what is told of each frame (values, frames) over the frames of each latent; the first has one."""
    return torch.cat([values[:, :1], values[:, 1:].reshape(len(values), -1, TEMPORAL).mean(-1)], 1)


def seen_turn(rotation: Tensor) -> Tensor:
    """Cosine and sine (frames, 2) of twice the angle, about its axis, of a solid's side that faces the camera or up."""
    ahead, up = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 0.0])
    facing = rotation[:, 2, 1:2].abs() > END_ON
    local = (rotation.transpose(1, 2) @ torch.where(facing, up, ahead)[..., None])[..., 0]
    double = 2 * torch.atan2(local[:, 0], local[:, 2])
    return torch.stack([double.cos(), double.sin()], 1)


@lru_cache(maxsize=2**15)
def camera_views(program: Program, cell: int = SPATIAL) -> Tensor:
    """How far the camera has orbited, panned and zoomed, (3, latent frames, height, width), alike all over a frame."""
    orbit, pan, zoom = camera_angles(program, torch.arange(program.frames))
    moved = torch.stack([orbit, pan, zoom.log()]) / FAR
    return mean_by_latent(moved)[:, :, None, None].expand(-1, -1, program.height // cell, program.width // cell)


def token_places(shape: torch.Size) -> Tensor:
    """Time, row, column and column times time, each in -1..1 (tokens, PLACES), of latents of a shape."""
    coords = token_coords(shape)
    time, row, column = coords / coords.amax(1, keepdim=True).clamp(min=1e-6) * 2 - 1
    return torch.stack([time, row, column, column * time], 1)


def by_token(read: Callable[[Program, int], Tensor], programs: Sequence[Program], cell: int) -> Tensor:
    """What is read off programs, a row a token: (programs, tokens, maps)."""
    return torch.stack([read(program, cell) for program in programs]).flatten(2).transpose(1, 2)


def map_weights(coloured: bool) -> Tensor:
    """What each map weighs (MAPS,): nothing where it tells colours and the clip has others."""
    light = ("cast", *MIRRORED, *LIT)
    weights = {name: LIGHT if name in light else 1.0 for name in MAPS}
    return torch.tensor([0.0 if name in COLOURED and not coloured else weight for name, weight in weights.items()])


class Alignment(nn.Module):
    """Linear heads on what a transformer's blocks put out: an early one tells places, two later ones what is shown."""

    def __init__(self, transformer: LTXVideoTransformer3DModel) -> None:
        super().__init__()
        width, blocks = transformer.config.num_attention_heads * 64, transformer.transformer_blocks
        self.places = nn.Linear(width, PLACES)
        heads = [nn.Linear(width, len(MAPS)) for _ in range(2)]
        for head in heads:
            nn.init.zeros_(head.weight)
            nn.init.constant_(head.bias, -3.0)  # Most tokens show none of it.
        self.maps = nn.ModuleList(heads)
        self.angles = nn.ModuleList(nn.Linear(width, 2) for _ in heads)
        self.views = nn.ModuleList(nn.Linear(width, 3) for _ in heads)
        self.found: dict[int, Tensor] = {}
        for slot, eighth in enumerate((1, 3, 5)):
            blocks[len(blocks) * eighth // 8].register_forward_hook(self._keeps(slot))

    def _keeps(self, slot: int):  # type: ignore[no-untyped-def]
        def keep(_block: nn.Module, _inputs: object, output: Tensor) -> None:
            self.found[slot] = output

        return keep

    def own(self, slot: int, count: int) -> Tensor:
        """What a block put out of the clips' own tokens, which come last."""
        return self.found[slot][:, -count:].float()

    def loss(self, programs: Sequence[Program], shape: torch.Size, coloured: bool = True) -> Tensor:
        """What the last batch's clips, of latents of a shape, were told wrongly; their colours where they have them."""
        count, cell = shape[2:].numel(), programs[0].width // shape[-1]
        where = token_places(shape).to(self.found[0].device)
        maps, turned, view = (
            by_token(read, programs, cell).to(where) for read in (solid_maps, solid_angles, camera_views)
        )
        off: Tensor = (self.places(self.own(0, count)) - where).square().mean((0, 1)).sum()
        weights = map_weights(coloured).to(where)
        heads = zip(self.maps, self.angles, self.views, strict=True)
        for slot, (head, angle, camera) in enumerate(heads, start=1):
            found = self.own(slot, count)
            wrong = binary_cross_entropy_with_logits(head(found), maps, reduction="none")
            off = off + (wrong * weights).sum(-1).mean()
            aside = (angle(found) - turned[..., :2]).square().sum(-1) * turned[..., 2]
            off = off + SPUN * aside.sum() / turned[..., 2].sum().clamp(min=1)
            off = off + VIEWED * (camera(found) - view).square().mean((0, 1)).sum()
        return off
