"""Clips that people bring: looked at before they are read, then read at the times, the rate and the size of a take."""

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, pairwise, repeat
from math import inf
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.Image import DecompressionBombError

from pipeline.errors import BadRequest
from pipeline.given.media import MIDDLE, MOST_PIXELS, Fit, Focus, fitted, read_picture, upright

Frames = NDArray[np.uint8]
Decoded = TypeVar("Decoded", av.VideoFrame, av.AudioFrame)
# A time in seconds, and the way to what is on the screen from then on.
Shown = tuple[float, Callable[[], Image.Image]]

# MP4 and MOV, WebM and Matroska; no demuxer that follows addresses (playlists, concat scripts) gets to see a file.
DEMUXERS = {"format_whitelist": "mov,matroska"}
# What FFmpeg takes for a film of one frame, though it is a picture, of which it may see but a part.
PICTURE_BRANDS = ("avif", "heic", "heix", "mif1")
ANIMATED = ("AVIF", "GIF", "PNG", "WEBP")
IS_PICTURE, IS_UNREADABLE, IS_SOUND = "is a picture, not a clip", "cannot be read as a clip", "has no picture"
# What Pillow raises over broken files.
DAMAGE = (OSError, EOFError, LookupError, SyntaxError, ValueError, struct.error, zlib.error, DecompressionBombError)
# How long a picture of an animation is shown that does not say so.
USUAL_MILLISECONDS = 100
# Times that should be equal differ by rounding (Matroska counts in milliseconds); no two frames are as close as this.
TINY = 2e-3
# Frames a second of a film of one frame that does not say.
USUAL_RATE = 25
# By how much earlier than asked a film is entered: sound lies beside pictures of another time and needs a run-up.
SEEK_MARGIN = 2.0


@dataclass(frozen=True)
class Footage:
    """What a clip is, before its frames are read: its name, upright size in pixels, length, rate, and if it sounds."""

    name: str
    width: int
    height: int
    seconds: float
    fps: float
    has_sound: bool


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a clip or a picture: frames from a time in seconds on, cropped or padded to the size of the take."""

    file: str
    start: float = 0.0
    frames: int = 1
    fit: Fit = "crop"
    focus: Focus = MIDDLE


@dataclass(frozen=True)
class Film:
    """An open clip: its streams of pictures and of sound, and its first picture, at which its time begins."""

    container: InputContainer
    video: av.VideoStream
    audio: av.AudioStream | None
    first: av.VideoFrame


def look_at_clip(path: str, field: str) -> Footage:
    """Return what clip lies at a path; raise BadRequest, naming the field, where it is none."""
    images = _count_images(path, field)
    if images == 1:
        raise _refusal(path, field, IS_PICTURE)
    return _look_at_animation(path, field) if images else _look_at_film(path, field)


def read_clip(excerpt: Excerpt, fps: float, size: tuple[int, int]) -> Frames:
    """Read an excerpt as `stream_clip` does, as one array (frames, height, width, 3)."""
    frames = np.empty((excerpt.frames, size[1], size[0], 3), np.uint8)
    for index, frame in enumerate(stream_clip(excerpt, fps, size)):
        frames[index] = frame
    return frames


def stream_clip(excerpt: Excerpt, fps: float, size: tuple[int, int]) -> Iterator[Frames]:
    """Yield an excerpt's frames at a rate and a size (width, height); raise BadRequest where nothing can be read."""
    images = _count_images(excerpt.file, "video")
    if images == 1:
        yield from repeat(np.asarray(read_picture(excerpt.file, size, excerpt.fit, excerpt.focus)), excerpt.frames)
        return
    times = [excerpt.start + index / fps for index in range(excerpt.frames)]
    shown = _shown_in_animation(excerpt.file) if images else _shown_in_film(excerpt.file, excerpt.start)
    before, frame = None, np.empty((0, 0, 3), np.uint8)
    for now in _on_screen(shown, times):  # Past its end a clip holds its last frame.
        if now is not before:
            before, frame = now, np.asarray(fitted(now[1](), size, excerpt.fit, excerpt.focus))
        yield frame
    if before is None:
        raise BadRequest("video", f"{Path(excerpt.file).name} is damaged. Save it anew and give it again.")


@contextmanager
def opened(path: str, field: str = "video") -> Iterator[Film]:
    """Open a film that lies on this machine; raise BadRequest, naming the field, where it shows nothing."""
    _require_file(path, field)
    with ExitStack() as stack:
        try:
            film = _film(stack.enter_context(_container(path)), path, field)
        except (OSError, av.FFmpegError) as error:
            raise _refusal(path, field, IS_UNREADABLE) from error
        yield film


def frames_since(film: Film, kind: type[Decoded], since: float) -> Iterator[tuple[float, Decoded]]:
    """Yield a film's pictures or its sound with their times, in seconds after its first picture.

    The first is there at or before the given time, where there is such a one; what cannot be decoded is left out.
    """
    stream = film.video if kind is av.VideoFrame else film.audio
    for target in (since - SEEK_MARGIN, 0.0) if since > SEEK_MARGIN else (0.0,):
        with suppress(av.FFmpegError):
            film.container.seek(int((film.first.time + target) * av.time_base))
        frames = ((time - film.first.time, frame) for time, frame in _decoded(film.container, stream, kind))
        ahead = next(frames, None)
        if ahead is not None and (ahead[0] <= since + TINY or target == 0):
            yield ahead
            yield from frames
            return


def _require_file(path: str, field: str) -> None:
    with suppress(OSError):
        if Path(path).is_file():
            return
    raise BadRequest(field, f"There is no file {Path(path).name}. Choose a clip that is there.")


def _refusal(path: str, field: str, why: str) -> BadRequest:
    return BadRequest(field, f"{Path(path).name} {why}. Give an MP4, WebM, MOV, MKV or GIF.")


def _check_size(path: str, field: str, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        what = f"{Path(path).name} has {size[0]}×{size[1]} pixels"
        raise BadRequest(field, f"{what}. Make it smaller than 100 megapixels.")


def _count_images(path: str, field: str) -> int:
    """Count what Pillow finds in a file: nothing in a film, one in a picture, several in an animation."""
    _require_file(path, field)
    try:
        with Image.open(path) as image:
            if image.format == "MPEG":  # Pillow knows such films by sight, but cannot read them.
                return 0
            _check_size(path, field, image.size)
            return int(getattr(image, "n_frames", 1)) if image.format in ANIMATED else 1
    except UnidentifiedImageError:
        return 0
    except DAMAGE as error:
        raise _refusal(path, field, IS_UNREADABLE) from error


def _on_screen(shown: Iterable[Shown], times: Iterable[float]) -> Iterator[Shown]:
    """Yield what is on the screen at each of rising times: the last from its time on for ever."""
    left = deque(times)
    for now, then in pairwise(chain(shown, [(inf, Image.Image)])):
        while left and then[0] > left[0] + TINY:
            yield now
            left.popleft()
        if not left:
            return


def _look_at_animation(path: str, field: str) -> Footage:
    pictures = [(picture.size, seconds) for picture, seconds in _images(path)]
    if not pictures:
        raise _refusal(path, field, IS_UNREADABLE)
    (width, height), _ = pictures[0]
    total = sum(seconds for _, seconds in pictures)
    return Footage(Path(path).name, width, height, total, len(pictures) / total, has_sound=False)


def _images(path: str) -> Iterator[tuple[Image.Image, float]]:
    """Yield the pictures of an animation, upright, and for how many seconds each is shown; what is broken ends it."""
    with suppress(*DAMAGE), Image.open(path) as image:
        # An animated PNG may begin with a picture for those who cannot play it.
        for index in range(bool(getattr(image, "default_image", False)), getattr(image, "n_frames", 1)):
            image.seek(index)
            picture = upright(image)
            yield picture, (image.info.get("duration") or USUAL_MILLISECONDS) / 1000


def _shown_in_animation(path: str) -> Iterator[Shown]:
    time = 0.0
    for picture, seconds in _images(path):
        yield time, picture.copy
        time += seconds


def _look_at_film(path: str, field: str) -> Footage:
    with opened(path, field) as film:
        width, height = _picture(film.first, film.video.sample_aspect_ratio).size
        frames, seconds = _measure(path, film)
        has_sound = next(frames_since(film, av.AudioFrame, 0.0), None) is not None
    return Footage(Path(path).name, width, height, seconds, frames / seconds, has_sound)


def _measure(path: str, film: Film) -> tuple[int, float]:
    """Count a film's frames and the seconds to the end of the last, from its packets, which need no decoding."""
    start, video = film.first.pts or 0, film.video
    unit = video.time_base or Fraction(1)
    stamps = {start: 0}
    with _container(path) as container:
        for packet in _packets(container, container.streams[video.index]):
            if packet.pts is not None and packet.pts >= start and not packet.is_discard:
                stamps[packet.pts] = packet.duration or 0
    last = max(stamps)
    # An MP4 says how long a packet is decoded, which may be longer than its frame is shown.
    ends = [last + (stamps[last] or 1 / (unit * (video.average_rate or USUAL_RATE)))]
    ends.append((video.start_time or 0) + (video.duration or 0))
    return len(stamps), float((min(end for end in ends if end > last) - start) * unit)


def _shown_in_film(path: str, since: float) -> Iterator[Shown]:
    with opened(path) as film:
        for time, frame in frames_since(film, av.VideoFrame, since):
            yield time, partial(_picture, frame, film.video.sample_aspect_ratio)


@contextmanager
def _container(path: str) -> Iterator[InputContainer]:
    with (
        Path(path).open("rb") as file,
        av.open(file, "r", container_options=DEMUXERS, metadata_errors="replace") as container,
    ):
        yield container


def _film(container: InputContainer, path: str, field: str) -> Film:
    """Find the streams of a container and decode its first picture."""
    if container.metadata.get("major_brand") in PICTURE_BRANDS:
        raise _refusal(path, field, IS_PICTURE)
    video = next((stream for stream in container.streams.video if _is_moving(stream)), None)
    audio = next((stream for stream in container.streams.audio if stream.codec_context is not None), None)
    if video is None:
        raise _refusal(path, field, IS_SOUND if audio else IS_UNREADABLE)
    _check_size(path, field, _displayed((video.width, video.height), video.sample_aspect_ratio))
    video.thread_type = "AUTO"
    first = next(_decoded(container, video, av.VideoFrame), None)
    if first is None:
        raise _refusal(path, field, IS_UNREADABLE)
    return Film(container, video, audio, first[1])


def _is_moving(stream: av.VideoStream) -> bool:
    # The cover of an album is a video stream too.
    return stream.codec_context is not None and not stream.disposition & Disposition.attached_pic


def _displayed(size: tuple[int, int], pixel: Fraction | None) -> tuple[int, int]:
    """Return a size (width, height) in square pixels, given how wide a pixel is for its height."""
    return max(1, round(size[0] * (pixel or 1))), size[1]


def _packets(container: InputContainer, stream: Stream | None) -> Iterator["Packet[Stream]"]:
    """Yield a stream's packets as far as the file can be read."""
    with suppress(av.FFmpegError):
        yield from container.demux(stream) if stream is not None else ()


def _decoded(container: InputContainer, stream: Stream | None, kind: type[Decoded]) -> Iterator[tuple[float, Decoded]]:
    """Yield a stream's frames with their times from where its container stands, without what is broken."""
    for packet in _packets(container, stream):
        with suppress(av.FFmpegError):
            for frame in packet.decode():
                if isinstance(frame, kind) and frame.time is not None and not frame.is_corrupt:
                    yield frame.time, frame


def _picture(frame: av.VideoFrame, pixel: Fraction | None) -> Image.Image:
    """Return a frame in square pixels, turned as its film says."""
    has_holes = any(component.is_alpha for component in frame.format.components)
    image = upright(Image.fromarray(frame.to_ndarray(format="rgba" if has_holes else "rgb24")))
    image = image.resize(_displayed(image.size, pixel), Image.Resampling.LANCZOS)
    return image.rotate(90 * round(frame.rotation / 90), expand=True)
