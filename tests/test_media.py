"""Pictures come in upright and are never squashed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.errors import BadRequest
from pipeline.given.media import Picture, look_at, read_picture

ROTATED = 6


def disc(width: int, height: int, radius: int) -> Image.Image:
    """A white disc in the middle of a green picture."""
    down, across = np.mgrid[:height, :width]
    inside = (across - width / 2) ** 2 + (down - height / 2) ** 2 < radius**2
    return Image.fromarray(np.where(inside[..., None], 255, [[[0, 128, 0]]]).astype(np.uint8))


def extent(picture: Image.Image) -> tuple[int, int]:
    """Width and height of what is white."""
    white = np.asarray(picture)[..., 0] > 128
    return int(white.any(0).sum()), int(white.any(1).sum())


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("size", [(128, 128), (160, 96), (96, 160)])
def test_a_disc_stays_a_disc(tmp_path: Path, fit: str, size: tuple[int, int]) -> None:
    path = tmp_path / "disc.png"
    disc(400, 200, 60).save(path)
    picture = read_picture(str(path), size, fit)  # type: ignore[arg-type]
    assert picture.size == size
    width, height = extent(picture)
    assert abs(width - height) <= 1


def test_the_focus_decides_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    columns = np.linspace(0, 255, 400).astype(np.uint8)
    Image.fromarray(np.broadcast_to(columns[None, :, None], (100, 400, 3)).copy()).save(path)
    left, right = (np.asarray(read_picture(str(path), (64, 64), "crop", (x, 0.5))).mean() for x in (0.0, 1.0))
    assert left < 70
    assert right > 185


def test_a_turned_photograph_is_read_upright(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    Image.new("RGB", (400, 300)).save(path, exif=exif)
    assert look_at(str(path), "image") == Picture("phone.jpg", 300, 400)
    upright = Image.fromarray(np.asarray(read_picture(str(path), (96, 160), "pad")))
    assert upright.size == (96, 160)


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    path = tmp_path / "logo.png"
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(path)
    assert np.asarray(read_picture(str(path), (64, 64))).min() == 255


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(BadRequest, match=r"Give a PNG") as refused:
        look_at(str(path), "last")
    assert refused.value.field == "last"


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"no file gone\.png"):
        look_at(str(tmp_path / "gone.png"), "image")
    path = tmp_path / "half.png"
    Image.effect_noise((200, 200), 90).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadRequest, match="damaged"):
        read_picture(str(path), (64, 64))


@pytest.mark.parametrize(
    ("mode", "kind", "white"), [("I;16", "uint16", 65535), ("I", "int32", 65535), ("F", "float32", 1)]
)
def test_deep_greys_keep_their_shades(tmp_path: Path, mode: str, kind: str, white: int) -> None:
    ramp = np.repeat(np.linspace(0, white, 64)[None], 64, axis=0).astype(kind)
    picture = Image.fromarray(ramp)
    assert picture.mode == mode
    picture.save(path := tmp_path / "deep.tiff")
    shades = np.asarray(read_picture(str(path), (64, 64)))[32, :, 0]
    assert np.abs(shades.astype(int) - np.linspace(0, 255, 64)).max() <= 2
    picture.point(lambda value: value * 0.01).save(path)
    assert np.asarray(read_picture(str(path), (64, 64))).max() <= 4, "what is dark stays dark"


def test_what_no_file_can_be_called_and_what_has_too_much_text_is_refused(tmp_path: Path) -> None:
    (note := PngInfo()).add_text("comment", "word " * 10**6, zip=True)
    Image.new("RGB", (8, 8)).save(path := tmp_path / "wordy.png", pnginfo=note)
    for name in ("a\0b.png", str(path)):
        with pytest.raises(BadRequest, match="cannot be read as a picture"):
            look_at(name, "image")
