"""The reader of crops sees a solid from wherever it stands, learns from the clips on disk, and varies no solid away."""

from pathlib import Path

import pytest
import torch
from toy_clips import three_clips

from pipeline.errors import BadRequest
from pipeline.tabletop.crops import (
    SIDE,
    crop,
    crops_of_chunk,
    crops_on_disk,
    shipped_reader,
    stacked,
    train_reader,
    varied,
)
from pipeline.tabletop.data import load_chunk
from pipeline.tabletop.probe import load_autoencoder
from pipeline.tabletop.world import SHAPES

MODEL = Path(__file__).parents[2] / "assets" / "tabletop"


@pytest.mark.parametrize("corner", [(0, 0), (10, 20), (56, 52)])
def test_a_piece_fills_its_crop_wherever_it_lies(corner: tuple[int, int]) -> None:
    row, column = corner
    pixels, piece = torch.zeros(64, 64, 3), torch.zeros(64, 64, dtype=torch.bool)
    piece[row : row + 8, column : column + 12] = True
    pixels[piece] = torch.tensor([1.0, 0.5, 0.25])
    found = crop(pixels, piece)
    assert found.shape == (4, SIDE, SIDE)
    middle = found[:, SIDE // 2 - 2 : SIDE // 2 + 2, SIDE // 2 - 2 : SIDE // 2 + 2].flatten(1)
    assert torch.allclose(middle, torch.tensor([1.0, 0.5, 0.25, 1.0])[:, None].expand_as(middle), atol=1e-5)
    inside = corner == (10, 20)
    assert not inside or 0.6 < found[3].any(0).float().mean() < 0.85, "beyond an edge the picture's border goes on"


def test_a_reader_learns_from_the_clips_on_disk(tmp_path: Path) -> None:
    chunk = load_chunk(three_clips(tmp_path) / "chunks" / "chunk-00000.pt")
    crops = stacked(crops_of_chunk(chunk, load_autoencoder(MODEL)))
    assert crops.images.shape[1:] == (4, SIDE, SIDE)
    assert {SHAPES[solid] for solid in crops.solids.tolist()} <= {s.shape for p in chunk.programs for s in p.solids}
    reader = train_reader(crops, steps=30, batch=16)
    assert (reader(crops.images).argmax(1) == crops.solids).float().mean() > 0.8


def test_what_is_varied_is_still_read_as_the_same_solid(tmp_path: Path) -> None:
    chunk = load_chunk(three_clips(tmp_path) / "chunks" / "chunk-00000.pt")
    crops = stacked(crops_of_chunk(chunk, load_autoencoder(MODEL)))
    torch.manual_seed(0)
    changed = varied(crops.images)
    assert changed.shape == crops.images.shape
    assert not torch.allclose(changed, crops.images, atol=0.05)
    with torch.no_grad():
        plain, other = (shipped_reader()(images).argmax(1) for images in (crops.images, changed))
    assert (plain == other).float().mean() > 0.8


def test_without_clips_of_the_whole_world_it_says_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="--world whole"):
        crops_on_disk(three_clips(tmp_path) / "chunks", load_autoencoder(MODEL))
