"""Which of the four solids a tracked piece of a frame is, told by a small network from a crop around it.

`python -m pipeline.tabletop.crops` trains it on the whole world's renders, as they are and as the autoencoder gives
them back, and writes crops.safetensors beside the model: it never saw a generated clip. An outline alone does not do:
through the autoencoder corners are rounded, and of a solid of twenty pixels little else is left.
"""

import argparse
import random
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLLTXVideo
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, grid_sample

from pipeline.errors import BadRequest
from pipeline.tabletop.data import Chunk, chunks_on_disk, load_chunk
from pipeline.tabletop.network import to_frames, to_pixels
from pipeline.tabletop.probe import descend, load_autoencoder, through
from pipeline.tabletop.trackers import Reading, read
from pipeline.tabletop.world import SHAPES, Program

SHIPPED: Final = Path(__file__).parents[2] / "assets" / "tabletop"
NAME: Final = "crops.safetensors"

SIDE: Final = 28
AROUND: Final = 0.75
"""Half the side of a crop, in lengths of the piece's longer side."""

CLIPS: Final = 12
"""Clips taken from a chunk."""

LOOKS: Final = 5
"""Frames taken of a solid in a clip."""

FRAMES: Final = 17
"""Only clips of so many frames are taken: the longest cost several times as much and show the same solids."""


def crop(pixels: Tensor, piece: Tensor) -> Tensor:
    """What is around a piece (height, width) of a frame (height, width, 3) in 0..1, and the piece: (4, SIDE, SIDE)."""
    rows, columns = (piece.any(axis).nonzero().squeeze(1).float() for axis in (1, 0))
    reach = AROUND * max(float(rows[-1] - rows[0]), float(columns[-1] - columns[0]), 4.0)
    steps = torch.linspace(-reach, reach, SIDE)
    places = [(ends[0] + ends[-1]) / 2 + steps for ends in (rows, columns)]
    down, across = (2 * (at + 0.5) / side - 1 for at, side in zip(places, piece.shape, strict=True))
    grid = torch.stack(torch.meshgrid(down, across, indexing="ij")[::-1], -1)
    image = torch.cat([pixels, piece[..., None].float()], -1).movedim(-1, 0)
    return grid_sample(image[None], grid[None], padding_mode="border", align_corners=False)[0]


class CropReader(nn.Module):
    """Logits (crops, solids) from crops (crops, 4, SIDE, SIDE)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (4, width, 2 * width, 3 * width)
        steps = [
            nn.Sequential(nn.Conv2d(low, high, 3, 1 + (low > 4), 1), nn.GroupNorm(8, high), nn.SiLU())
            for low, high in pairwise(widths)
        ]
        self.body = nn.Sequential(*steps, nn.Conv2d(3 * width, 3 * width, 3, 1, 1), nn.SiLU(), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(3 * width * (SIDE // 4) ** 2, len(SHAPES)))

    def forward(self, crops: Tensor) -> Tensor:
        """Logits of each crop."""
        logits: Tensor = self.head(self.body(crops - 0.5))
        return logits


@lru_cache(maxsize=1)
def shipped_reader() -> CropReader:
    """The reader beside the shipped model."""
    reader = CropReader()
    reader.load_state_dict({name: value.float() for name, value in load_file(SHIPPED / NAME).items()})
    return reader.eval()


@torch.no_grad()
def solid_in(reading: Reading, index: int, frames: list[int]) -> str | None:
    """The solid that is seen in frames where one of the program's is tracked; None without frames."""
    if not frames:
        return None
    pieces, pixels = reading.tracks[index].pieces, reading.segments.pixels
    logits = shipped_reader()(torch.stack([crop(pixels[frame], pieces[frame]) for frame in frames]))
    return SHAPES[int(logits.log_softmax(1).sum(0).argmax())]


@dataclass(frozen=True)
class Crops:
    """Crops with the number of the solid in each."""

    images: Tensor
    solids: Tensor


def crops_of(clip: Tensor, program: Program) -> list[tuple[Tensor, int]]:
    """A few crops of each solid of a clip (uint8 frames), from frames in which it is seen about whole."""
    reading, found = read(clip, program), []
    for track, solid in zip(reading.tracks, program.solids, strict=True):
        frames = track.whole.nonzero().flatten().tolist()
        for frame in random.sample(frames, min(LOOKS, len(frames))):
            found.append((crop(reading.segments.pixels[frame], track.pieces[frame]), SHAPES.index(solid.shape)))
    return found


def crops_of_chunk(chunk: Chunk, vae: AutoencoderKLLTXVideo) -> list[tuple[Tensor, int]]:
    """Crops of some of a chunk's clips: of most as the autoencoder gives them back."""
    clips, found = chunk.frames[:CLIPS], []
    rebuilt = to_frames(through(vae, to_pixels(clips)))
    for number, program in enumerate(chunk.programs[:CLIPS]):
        found += crops_of(clips[number] if number % 4 == 0 else rebuilt[number], program)
    return found


def stacked(found: list[tuple[Tensor, int]]) -> Crops:
    """Crops in one tensor."""
    images, solids = zip(*found, strict=True)
    return Crops(torch.stack(images), torch.tensor(solids))


def varied(images: Tensor) -> Tensor:
    """Crops mirrored, moved, in other colours and noised at random: what makes no other solid of a solid."""
    count = len(images)
    scale, shift = torch.empty(count).uniform_(0.85, 1.15), torch.empty(count, 2).uniform_(-0.1, 0.1)
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    none = torch.zeros(count)
    moves = torch.stack([scale * mirror, none, shift[:, 0], none, scale, shift[:, 1]], 1).view(count, 2, 3)
    grid = nn.functional.affine_grid(moves, list(images.shape), align_corners=False)
    images = grid_sample(images, grid, padding_mode="border", align_corners=False)
    colours, pieces = images[:, torch.randperm(3)], images[:, 3:]
    return torch.cat([colours * random.uniform(0.7, 1.2) + 0.03 * torch.randn_like(colours), pieces], 1)


def train_reader(crops: Crops, steps: int, batch: int = 256) -> CropReader:
    """Train a reader on crops that are varied anew in each step."""
    torch.manual_seed(4)
    random.seed(4)
    reader = CropReader()

    def loss_now() -> Tensor:
        rows = torch.randint(len(crops.solids), (batch,))
        return cross_entropy(reader(varied(crops.images[rows])), crops.solids[rows], label_smoothing=0.05)

    descend(reader, steps, loss_now)
    return reader.eval()


def crops_on_disk(folder: Path, vae: AutoencoderKLLTXVideo) -> Crops:
    """Crops of the whole world's clips in a folder; raise BadRequest where there are none."""
    random.seed(4)
    chunks = (load_chunk(path) for path in chunks_on_disk(folder, "whole"))
    found = [one for chunk in chunks if chunk.frames.shape[1] == FRAMES for one in crops_of_chunk(chunk, vae)]
    if not found:
        told = "Render some with `python -m pipeline.tabletop.train --world whole`."
        raise BadRequest("work", f"There are no clips of the whole world in {folder}. {told}")
    return stacked(found)


def main() -> None:
    """Train the reader and write it beside the model."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.crops", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".cache/tabletop"))
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()
    crops = crops_on_disk(options.work / "chunks", load_autoencoder(options.out))
    print(f"{len(crops.solids)} crops", flush=True)
    reader = train_reader(crops, options.steps)
    save_file({name: value.half().contiguous() for name, value in reader.state_dict().items()}, options.out / NAME)


if __name__ == "__main__":
    main()
