"""A user's clips and pictures, each with a caption in a text file of the same name, at Tabletop's sizes and rate."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Final

import av
import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence
from torch import Tensor

from pipeline.errors import BadRequest
from pipeline.tabletop.captions import vocabulary
from pipeline.tabletop.network import TEMPORAL
from pipeline.tabletop.world import FPS, SIZES

MOVIES: Final = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v")
PICTURES: Final = (".gif", ".webp", ".png", ".jpg", ".jpeg")
MOST_FRAMES: Final = 33
"""Frames of the longest clips that Tabletop was trained on."""
NAMED: Final = 5
TICK: Final = 1e-3
"""Seconds by which a frame may come late and still be the one of its time."""

Shown = tuple[float, Image.Image]
"""A picture and the seconds at which it appears."""


@dataclass(frozen=True)
class Clip:
    """Frames (n, height, width, 3) as uint8 at 8 a second, n = 4k + 1, and what they show."""

    name: str
    frames: Tensor
    caption: str


def read_folder(folder: Path, trigger: str = "") -> list[Clip]:
    """Read all clips of a folder, with the trigger in front of captions that lack it; raise BadRequest."""
    if not folder.is_dir():
        raise BadRequest("clips", f"There is no folder {folder}. Give one with clips and their captions.")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (*MOVIES, *PICTURES))
    if not paths:
        kinds = ", ".join(suffix.removeprefix(".") for suffix in (*MOVIES, *PICTURES))
        raise BadRequest("clips", f"There are no clips in {folder}. Put some there: {kinds}.")
    captions = [_with_trigger(caption, trigger) for caption in _captions(paths)]
    return [Clip(path.name, read_frames(path), caption) for path, caption in zip(paths, captions, strict=True)]


def refuse_unknown(trigger: str) -> None:
    """Raise BadRequest for a trigger with words outside of Tabletop's vocabulary, which it could not tell apart."""
    known = vocabulary()
    if unknown := [word for word in trigger.lower().split() if word not in known]:
        raise BadRequest(
            "trigger",
            f"Tabletop has a closed vocabulary of {len(known)} words, without: {', '.join(unknown)}. Make the trigger "
            "of words that it knows in a combination that it does not, such as: golden moon video.",
        )


def unknown_words(clips: list[Clip]) -> list[str]:
    """Return the words of the captions that Tabletop does not know, each once."""
    known = set(vocabulary())
    words = [word for clip in clips for word in re.findall(r"\w+", clip.caption.lower())]
    return [word for word in dict.fromkeys(words) if word not in known]


def read_frames(path: Path) -> Tensor:
    """Read as many frames as Tabletop takes (n, height, width, 3) at the nearest of its sizes; raise BadRequest."""
    try:
        shown = list(_at_rate(_movie(path) if path.suffix.lower() in MOVIES else _picture(path)))
    except (OSError, ValueError, av.FFmpegError) as error:
        raise BadRequest("clips", f"{path.name} cannot be read: {error}. Take it out, or save it anew.") from error
    if not shown:
        raise BadRequest("clips", f"{path.name} shows nothing. Take it out, or save it anew.")
    size = min(SIZES, key=lambda size: abs(log(size[0] / size[1] * shown[0].height / shown[0].width)))
    whole = shown[: (len(shown) - 1) // TEMPORAL * TEMPORAL + 1]
    fitted = [np.asarray(ImageOps.fit(image, size, Image.Resampling.LANCZOS)) for image in whole]
    return torch.from_numpy(np.stack(fitted))


def _captions(paths: list[Path]) -> Iterator[str]:
    captions = [_caption(path.with_suffix(".txt")) for path in paths]
    if missing := [path.with_suffix(".txt").name for path, words in zip(paths, captions, strict=True) if not words]:
        named = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
        count = "1 caption is" if len(missing) == 1 else f"{len(missing)} captions are"
        raise BadRequest("clips", f"{count} missing: write what each clip shows into {named}.")
    return iter(captions)


def _caption(path: Path) -> str:
    try:
        return " ".join(path.read_text("utf-8").split()) if path.is_file() else ""
    except ValueError as error:
        raise BadRequest("clips", f"{path.name} is no text in UTF-8. Save it anew.") from error


def _with_trigger(caption: str, trigger: str) -> str:
    return caption if not trigger or trigger.lower() in caption.lower() else f"{trigger}, {caption}"


def _at_rate(shown: Iterator[Shown]) -> Iterator[Image.Image]:
    """Yield what is seen at each eighth of a second; the last picture lasts no longer than its own moment."""
    before: Image.Image | None = None
    count = 0
    for seconds, image in shown:
        while before is not None and count < MOST_FRAMES and count / FPS < seconds - TICK:
            yield before
            count += 1
        before = image
        if count == MOST_FRAMES:
            return
    if before is not None and count < MOST_FRAMES:
        yield before


def _movie(path: Path) -> Iterator[Shown]:
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError("it has no pictures")
        start: float | None = None
        for frame in container.decode(video=0):
            start = frame.time if start is None else start
            image = Image.fromarray(frame.to_ndarray(format="rgb24"))
            seconds = (frame.time or 0.0) - (start or 0.0)
            yield seconds, image.rotate(90 * round(frame.rotation / 90), expand=True)


def _picture(path: Path) -> Iterator[Shown]:
    seconds = 0.0
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            yield seconds, ImageOps.exif_transpose(frame).convert("RGB")
            seconds += frame.info.get("duration", 0) / 1000
