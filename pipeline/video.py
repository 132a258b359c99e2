"""Clips as files: frames are encoded as they come, and the recipe travels inside the file."""

import json
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import OutputContainer
from av.video import VideoStream
from PIL import Image
from PIL.Image import DecompressionBombError
from PIL.PngImagePlugin import PngInfo

from pipeline.errors import NotFound, RunFailed
from pipeline.events import Pixels
from pipeline.given.footage import DEMUXERS
from pipeline.given.sound import Sound, SoundTrack

# CRF 18 is where H.264 at its default preset stops differing visibly from its source.
# Its macroblock tree is off: with it, small clips of equal frames came out as different files (tests/test_generate.py).
X264 = {"crf": "18", "preset": "medium", "x264-params": "mbtree=0"}
# A player goes from a loop's last frame to its first. Frames that are told by others are softer than a first one, which
# made the join jump: here each stands for itself.
LOOPED = X264 | {"x264-params": "mbtree=0:keyint=1"}
LOSSLESS: tuple[str, str, dict[str, str]] = ("ffv1", "bgr0", {})
PNG_KEY = "recipe"


def write_clip(
    frames: Iterable[Pixels], path: Path, fps: int, metadata: Mapping[str, Any], sound: Sound | None = None,
    loops: bool = False,
) -> None:  # fmt: skip
    """Encode pieces of frames (n, height, width, 3): H.264 for .mp4, and AAC where there is sound; a picture for .png.

    A file that `loops` goes on from its last frame to its first.
    The metadata is stored as JSON in the comment tag or in a tEXt chunk; raise RunFailed when encoding breaks.
    """
    recipe = json.dumps(metadata)
    try:
        if path.suffix == ".png":
            _write_png(frames, path, recipe)
        else:
            _write_mp4(frames, path, fps, recipe, sound, LOOPED if loops else X264)
    except (OSError, av.FFmpegError) as error:
        raise RunFailed(f"{path.name} could not be written: {error}. Free some disk space and try again.") from error


def kept_whole(pieces: Iterable[Pixels], path: Path, fps: int, sound: Sound | None) -> Iterator[Pixels]:
    """Pass pieces of frames (n, height, width, 3) on as they come, and write them to a Matroska file without loss."""
    try:
        with av.open(str(path), "w") as container:
            film = _Film(container, LOSSLESS, fps, sound)
            for piece in pieces:
                for picture in piece:
                    film.write(picture)
                yield piece
            film.finish()
    except (OSError, av.FFmpegError) as error:
        raise RunFailed(f"{path.name} could not be written: {error}. Free some disk space and try again.") from error


def resized(pieces: Iterable[Pixels], size: tuple[int, int] | None) -> Iterable[Pixels]:
    """Bring pieces of frames (n, height, width, 3) to a size (width, height) as they come; None leaves them alone."""
    return pieces if size is None else (_resize(piece, size) for piece in pieces)


def read_frames(path: Path) -> Iterator[Pixels]:
    """Decode a clip or picture frame by frame, each (height, width, 3)."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def read_recipe(path: Path) -> dict[str, Any]:
    """Return the recipe inside a file of ours; raise NotFound when there is none. No address in a file is followed."""
    try:
        recipe = json.loads(_read_comment(path))
    except (OSError, av.FFmpegError, ValueError, SyntaxError, RecursionError, DecompressionBombError) as error:
        raise NotFound(f"{path.name} holds no recipe. Choose a file that Onetake made.") from error
    if not isinstance(recipe, dict):
        raise NotFound(f"{path.name} holds no recipe. Choose a file that Onetake made.")
    return recipe


def write_poster(frame: Pixels, path: Path) -> None:
    """Write one frame (height, width, 3) as WebP."""
    Image.fromarray(frame).save(path, "WEBP", quality=88)


def write_still(frame: Pixels, path: Path) -> None:
    """Write one frame (height, width, 3) as PNG, without loss."""
    Image.fromarray(frame).save(path, "PNG")


def _resize(piece: Pixels, size: tuple[int, int]) -> Pixels:
    pictures = [Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS) for frame in piece]
    return np.stack([np.asarray(picture) for picture in pictures])


def _write_mp4(
    frames: Iterable[Pixels], path: Path, fps: int, recipe: str, sound: Sound | None, options: dict[str, str]
) -> None:
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        container.metadata["comment"] = recipe
        film = _Film(container, ("libx264", "yuv420p", options), fps, sound)
        for picture in chain.from_iterable(frames):
            film.write(picture)
        film.finish()


class _Film:
    """Pictures (height, width, 3) and the sound beside them, encoded into an open file by (codec, format, options)."""

    def __init__(
        self, container: OutputContainer, encoding: tuple[str, str, dict[str, str]], fps: int, sound: Sound | None
    ) -> None:
        codec, pixels, options = encoding
        self._container = container
        self._stream = cast("VideoStream", container.add_stream(codec, rate=Fraction(fps), options=options))
        self._stream.pix_fmt = pixels
        self._track = SoundTrack(container, sound)
        self._fps = fps
        self._written = 0

    def write(self, picture: Pixels) -> None:
        if not self._written:
            self._stream.height, self._stream.width = picture.shape[:2]
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        self._written += 1
        self._track.write_until(self._written / self._fps)

    def finish(self) -> None:
        self._container.mux(self._stream.encode())
        self._track.finish()


def _write_png(frames: Iterable[Pixels], path: Path, recipe: str) -> None:
    info = PngInfo()
    info.add_text(PNG_KEY, recipe)
    (picture,) = chain.from_iterable(frames)
    Image.fromarray(picture).save(path, "PNG", pnginfo=info)


def _read_comment(path: Path) -> str:
    if path.suffix.lower() == ".png":
        with Image.open(path, formats=["PNG"]) as image:
            return str(image.info.get(PNG_KEY, ""))
    with av.open(str(path), container_options=DEMUXERS) as container:
        return container.metadata.get("comment", "")
