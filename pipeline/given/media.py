"""Pictures that people bring: read upright, and cropped or padded to a size, never squashed."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from pipeline.errors import BadRequest

Fit = Literal["crop", "pad"]
Focus = tuple[float, float]

MIDDLE: Focus = (0.5, 0.5)
MOST_PIXELS = 100_000_000
# What keeps every pixel as it was.
LOSSLESS = (".png", ".webp", ".bmp")
# Greys of more than 8 bits, by what white may be in them.
DEEP: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N", "I"), (2.0**16 - 1, 2.0**31 - 1)),
    "F": (1.0, 255.0, 2.0**16 - 1),
}
# Orientations that exchange width and height.
TURNED = (5, 6, 7, 8)


@dataclass(frozen=True)
class Picture:
    """What a file is, before its pixels are read: its name and its upright size in pixels."""

    name: str
    width: int
    height: int


def look_at(path: str, field: str) -> Picture:
    """Return what lies at a path; raise BadRequest, naming the field, where it is no picture."""
    name = Path(path).name
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(Base.Orientation, 1) in TURNED
            width, height = image.size[::-1] if turned else image.size
    except FileNotFoundError as error:
        raise BadRequest(field, f"There is no file {name}. Choose a picture that is there.") from error
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadRequest(field, f"{name} cannot be read as a picture. Give a PNG, JPEG or WebP.") from error
    if width * height > MOST_PIXELS:
        raise BadRequest(field, f"{name} has {width}×{height} pixels. Make it smaller than 100 megapixels.")
    return Picture(name, width, height)


def read_picture(path: str, size: tuple[int, int], fit: Fit = "crop", focus: Focus = MIDDLE) -> Image.Image:
    """Read a picture upright at a size (width, height): cropped around a focus (x, y in 0..1), or padded with black.

    Transparent parts become white. Raise BadRequest where it cannot be read to its end.
    """
    try:
        with Image.open(path) as image:
            picture = upright(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise BadRequest("image", f"{Path(path).name} is damaged. Save it anew and give it again.") from error
    return fitted(picture, size, fit, focus)


def fitted(image: Image.Image, size: tuple[int, int], fit: Fit = "crop", focus: Focus = MIDDLE) -> Image.Image:
    """Bring an image to a size (width, height): cropped around a focus (x, y in 0..1), or padded with black."""
    if fit == "pad":
        return ImageOps.pad(image, size, Image.Resampling.LANCZOS, centering=focus)
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS, centering=focus)


def upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF says, in RGB; transparent parts become white, and deep greys keep their shades."""
    image = _shallow(ImageOps.exif_transpose(image))
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _shallow(image: Image.Image) -> Image.Image:
    """Bring greys of 16 or 32 bits, or between 0 and 1, to 8 bits: Pillow would cut off all above 255."""
    if image.mode not in DEEP:
        return image
    values = np.asarray(image, np.float32)
    full = next((top for top in DEEP[image.mode] if values.max() <= top), values.max())
    return Image.fromarray((values.clip(0) / full * 255).round().astype(np.uint8))


def pixels_mark(path: str) -> str:
    """Return what marks a picture's pixels, however its file wrote them; nothing where it may have lost some."""
    try:
        found = Path(path).stat()
    except OSError:
        return ""
    return _pixels_mark(path, found.st_mtime_ns) if Path(path).suffix.lower() in LOSSLESS else ""


@lru_cache(maxsize=64)
def _pixels_mark(path: str, changed: int) -> str:  # noqa: ARG001, it tells a changed file from what it was
    try:
        with Image.open(path) as image:
            if getattr(image, "is_animated", False) or image.width * image.height > MOST_PIXELS:
                return ""
            size = f"{image.width}x{image.height} "
            return sha256(size.encode() + upright(image).tobytes()).hexdigest()
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return ""
