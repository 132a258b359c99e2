"""A clip at a glance: `python -m pipeline.measures.contact_sheet CLIP SHEET` shows a frame of every two seconds."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import BadRequest
from pipeline.events import Pixels

EVERY, ACROSS = 2.0, 8
GAP, LABEL = 3, 15
INK, PAPER = (60, 56, 48), (252, 250, 245)
SIDE = 160
"""Pixels of a frame's longer side on the sheet, at most."""


def frames_at(clip: Path, every: float) -> Iterator[tuple[float, Pixels]]:
    """Yield the frames (height, width, 3) seen at 0 s, and then each time so many seconds are over, with the times.

    Raise BadRequest for what holds no clip.
    """
    try:
        with av.open(str(clip)) as container:
            rate = container.streams.video[0].average_rate or 1
            for number, frame in enumerate(container.decode(video=0)):
                # The first frame that does not come before its time.
                if number == 0 or (number - 1) / rate // every < number / rate // every:
                    picture = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
                    yield float(number / rate // every * every), picture
    except (OSError, IndexError, av.FFmpegError) as error:
        raise BadRequest("clip", f"{clip.name} cannot be read as a clip: {error}. Choose a video.") from error


def contact_sheet(clip: Path, every: float = EVERY, across: int = ACROSS) -> Image.Image:
    """Return a clip's frames in rows, each under its time."""
    cells = [_cell(seconds, frame) for seconds, frame in frames_at(clip, every)]
    width, height = cells[0].size
    across = min(across, len(cells))
    rows = -(-len(cells) // across)
    sheet = Image.new("RGB", (across * (width + GAP) - GAP, rows * (height + GAP) - GAP), PAPER)
    for number, cell in enumerate(cells):
        sheet.paste(cell, (number % across * (width + GAP), number // across * (height + GAP)))
    return sheet


def _cell(seconds: float, frame: Pixels) -> Image.Image:
    picture = Image.fromarray(frame)
    picture.thumbnail((SIDE, SIDE))
    cell = Image.new("RGB", (picture.width, picture.height + LABEL), PAPER)
    cell.paste(picture, (0, LABEL))
    ImageDraw.Draw(cell).text((2, 1), f"{seconds:g} s", INK, ImageFont.load_default(11))
    return cell


def main() -> None:
    """Write a sheet."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.measures.contact_sheet", description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("sheet", type=Path, help="the picture to write: .webp or .png")
    parser.add_argument("--every", type=float, default=EVERY, help="seconds from one frame to the next")
    options = parser.parse_args()
    if not options.every > 0:
        parser.error("--every asks for more than 0 seconds.")
    try:
        contact_sheet(options.clip, options.every).save(options.sheet, quality=82)
    except BadRequest as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
