"""The sound of clips that people bring: cut in time with the frames of a take and put into its file."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, groupby
from math import inf

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from pipeline.errors import BadRequest
from pipeline.given.footage import frames_since, opened

Samples = NDArray[np.float32]

RATE, CHANNELS, LAYOUT, FORMAT = 48_000, 2, "stereo", "fltp"
BIT_RATE = 192_000
# Samples by which time stamps may stray before a gap in the source is believed (20 ms).
STRAY = 960


@dataclass(frozen=True)
class Sound:
    """The sound of a clip from a time on, in seconds."""

    file: str
    start: float
    seconds: float


class SoundTrack:
    """An AAC track in a file that is being written; there is none where the source is silent or cannot be read."""

    def __init__(self, container: OutputContainer, sound: Sound | None) -> None:
        blocks = iter(()) if sound is None else samples(sound)
        first = next(blocks, None)
        self._blocks = blocks if first is None else chain([first], blocks)
        self._container = container
        self._stream = None if first is None else container.add_stream("aac", RATE, layout=LAYOUT, bit_rate=BIT_RATE)
        self._written = 0

    def write_until(self, seconds: float) -> None:
        """Encode what is heard before a time, so that the file's sound keeps in step with its frames."""
        while self._stream and self._written < seconds * RATE and (block := next(self._blocks, None)) is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), FORMAT, LAYOUT)
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._written
            self._container.mux(self._stream.encode(frame))
            self._written += frame.samples

    def finish(self) -> None:
        """Encode the rest."""
        self.write_until(inf)
        if self._stream:
            self._container.mux(self._stream.encode())


def samples(sound: Sound) -> Iterator[Samples]:
    """Yield a clip's sound in blocks (channels, n), its gaps filled with silence; nothing where it has none."""
    total, done = round(sound.seconds * RATE), 0
    for place, block in _continuous(_placed(sound)):
        block = block[:, max(0, done - place) : max(0, total - place)]
        place = max(place, done)
        if place >= total:
            return
        if block.size:
            yield from ([np.zeros((CHANNELS, place - done), np.float32)] if place > done else [])
            yield block
            done = place + block.shape[1]


def _continuous(placed: Iterator[tuple[int, Samples]]) -> Iterator[tuple[int, Samples]]:
    """Put blocks whose time stamps stray a little where the block before them ends."""
    end = None
    for place, block in placed:
        place = place if end is None or abs(place - end) > STRAY else end
        yield place, block
        end = place + block.shape[1]


def _placed(sound: Sound) -> Iterator[tuple[int, Samples]]:
    """Yield decoded blocks (channels, n) with the place of their first sample, counted from the sound's start."""
    with suppress(BadRequest), opened(sound.file) as film:
        origin = film.first.time + sound.start
        for (channels, *_), run in groupby(frames_since(film, av.AudioFrame, sound.start), key=_shape):
            # The resampler would take 3 dB from one channel that becomes two; here it is doubled instead.
            resampler = av.AudioResampler(FORMAT, "mono" if channels == 1 else LAYOUT, RATE)
            for frame in chain((frame for _, frame in run), [None]):
                for heard in resampler.resample(frame):
                    block = heard.to_ndarray().astype(np.float32, copy=False)
                    place = round(((heard.time or 0.0) - origin) * RATE)
                    yield place, np.broadcast_to(block, (CHANNELS, heard.samples))


def _shape(timed: tuple[float, av.AudioFrame]) -> tuple[int, str, str, int]:
    # A resampler is made for one of these, and films change them now and then.
    frame = timed[1]
    return frame.layout.nb_channels, frame.layout.name, frame.format.name, frame.sample_rate
