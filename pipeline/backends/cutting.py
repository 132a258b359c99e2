"""The frames of a take: what is read of the given, what its segments decode to, and both cut together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING
from weakref import finalize

import numpy as np
from PIL import Image

from pipeline.events import Latents, Pixels
from pipeline.given.footage import Excerpt, read_clip, stream_clip
from pipeline.given.media import fitted
from pipeline.latents import is_latents, read_latents
from pipeline.plan import BEFORE, Plan
from pipeline.planning.segments import Kept, Made
from pipeline.splice import feather, joined

if TYPE_CHECKING:
    from pipeline.families.codec import Codec
    from pipeline.families.family import Family

# How many frames of a long take are passed on at once: they may be enlarged on their way.
AT_ONCE = 8


class Shown:
    """The frames of parts that were decoded to be watched, on disk until the take is put together of them.

    There may be more of them than fit into memory.
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._files: dict[Made, tuple[IO[bytes], tuple[int, ...]]] = {}
        # A take that nobody reads to its end leaves nothing open either.
        finalize(self, self._open.close)

    def keep(self, part: Made, frames: Pixels) -> None:
        """Write the frames of a part (n, height, width, 3) to a file that goes with this process."""
        file = self._open.enter_context(TemporaryFile(prefix="onetake-"))  # noqa: SIM115
        frames.tofile(file)
        self._files[part] = file, frames.shape

    def __contains__(self, part: Made) -> bool:
        return part in self._files

    def pieces(self, part: Made) -> Iterator[Pixels]:
        """Yield the frames of a part that is kept, a few at a time, as often as they are asked for."""
        file, (count, *size) = self._files[part]
        each = int(np.prod(size))
        for first in range(0, count, AT_ONCE):
            file.seek(first * each)
            yield np.fromfile(file, np.uint8, min(AT_ONCE, count - first) * each).reshape(-1, *size)


class Reader:
    """Reads excerpts of clips, and of the latents of takes, at the size and rate of a plan; each once.

    `before` are the frames of the segment that was made last, `made` the latents of all that are made, `shown` what
    is decoded of them.
    """

    def __init__(self, plan: Plan, codec: "Callable[[], Codec]") -> None:
        self.before: Pixels | None = None
        self.made: Sequence[Latents] = ()
        self.shown = Shown()
        self._plan = plan
        self._codec = codec
        self._read: dict[Excerpt, Pixels] = {}
        self._decoded: dict[str, Pixels] = {}

    def __call__(self, excerpt: Excerpt) -> Pixels:
        """Return its frames (frames, height, width, 3)."""
        if excerpt.file == BEFORE and self.before is not None:
            return self.before[-excerpt.frames :]
        if excerpt not in self._read:
            self._read[excerpt] = self._frames(excerpt)
        return self._read[excerpt]

    def pieces(self, excerpt: Excerpt) -> Iterator[Pixels]:
        """Yield its frames a few at a time: what is kept of a clip may be longer than fits into memory."""
        if excerpt in self._read or is_latents(excerpt.file):
            yield from _few_at_once(self(excerpt))
            return
        frames = stream_clip(excerpt, self._plan.fps, (self._plan.width, self._plan.height))
        while piece := list(islice(frames, AT_ONCE)):
            yield np.stack(piece)

    def _frames(self, excerpt: Excerpt) -> Pixels:
        size = (self._plan.width, self._plan.height)
        if not is_latents(excerpt.file):
            return read_clip(excerpt, self._plan.fps, size)
        first = round(excerpt.start * self._plan.fps)
        whole = self._whole(excerpt.file)
        wanted = (Image.fromarray(frame) for frame in whole[first : first + excerpt.frames])
        return np.stack([np.asarray(fitted(frame, size, excerpt.fit, excerpt.focus)) for frame in wanted])

    def _whole(self, file: str) -> Pixels:
        if file not in self._decoded:
            self._decoded[file] = np.concatenate(list(self._codec().decode(read_latents(Path(file)))))
        return self._decoded[file]


class Pieces:
    """The frames of a take one piece after another; for another plan it goes on where it was."""

    def __init__(self, make: Callable[[Plan], Iterator[Pixels]]) -> None:
        self._make = make
        self._plan: Plan | None = None
        self._pieces: Iterator[Pixels] = iter(())
        self._done = 0

    def following(self, plan: Plan) -> Pixels | None:
        """Return the next piece, None after the last."""
        if plan is not self._plan:
            self._plan, self._pieces = plan, islice(self._make(plan), self._done, None)
        piece = next(self._pieces, None)
        self._done += 1
        return piece


def pieces(family: "Family", plan: Plan, latents: Sequence[Latents], read: Reader) -> Iterator[Pixels]:
    """Yield the frames of a take: what was made, or the parts that it is spliced from."""
    if not plan.timeline:
        yield from _plain(family, plan, latents[0])
    for part in plan.timeline:
        if isinstance(part, Kept):
            yield from read.pieces(part.excerpt)
        elif len(plan.segments) == 1:
            yield made_of(family, plan, latents[0], part, read)
        elif part in read.shown:
            yield from read.shown.pieces(part)
        else:
            made = made_of(family, plan.alone(part.segment), latents[part.segment], part, read)
            yield from _few_at_once(made)


def _few_at_once(frames: Pixels) -> Iterator[Pixels]:
    return (frames[first : first + AT_ONCE] for first in range(0, len(frames), AT_ONCE))


def made_of(family: "Family", alone: Plan, latents: Latents, part: Made, read: Reader) -> Pixels:
    """Return what the take has of one segment; what is made after it is given the end of it."""
    (segment,) = alone.segments
    if segment.rolled:
        return family.codec.decode_loop(latents)
    frames = np.concatenate(list(_plain(family, alone, latents)))
    if part.matched:
        # What lies among the made frames, such as a picture, is something to pass by, not to begin or end with.
        made_until = part.start + part.frames
        before = next((read(pin.given) for pin in segment.pins if part.start and pin.frame == 0), None)
        after = next((read(pin.given) for pin in segment.pins if pin.frame >= made_until), None)
        frames = joined(frames, before, after)
    read.before = frames
    made = frames[part.start : part.start + part.frames]
    if segment.source is None or segment.source.other is None:
        return made
    one, other = read(segment.source.clip), read(segment.source.other)
    return feather(made, one[-len(made) :], other[: len(made)])


def _plain(family: "Family", plan: Plan, latents: Latents) -> Iterator[Pixels]:
    """Yield the frames of a segment; a picture that it begins with is decoded from its own latent alone.

    The decoder looks ahead: what moves away later had blurred the picture by 2 dB.
    """
    decoded = family.codec.decode(latents)
    if any(pin.frame == 0 and pin.given.frames == 1 and pin.strength == 1 for pin in plan.segments[0].pins):
        (alone,) = family.codec.decode(latents[:, :, :1])
        begins = next(decoded)
        yield np.concatenate([alone, begins[1:]])
    yield from decoded
