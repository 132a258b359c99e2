"""The device of this machine: one model stays loaded, and one thread does all the work."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from pipeline.downloads import commit_of
from pipeline.errors import CannotDo
from pipeline.events import IsCancelled, Latents, Listener, Loading, Pixels, Step
from pipeline.footage import Excerpt, read_clip
from pipeline.latents import is_latents, read_latents
from pipeline.media import fitted
from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.plan import Plan
from pipeline.segments import Kept, Made
from pipeline.settings import Settings
from pipeline.splice import feather, match_colours, settle

if TYPE_CHECKING:
    from pipeline.families.family import Family

T = TypeVar("T")


@dataclass(frozen=True)
class Take:
    """What a backend made: latents, and their frames, decoded only as they are read. Timings in seconds.

    `revision` is the commit of a hosted model's weights.
    """

    latents: Latents
    frames: Iterator[Pixels]
    steps_done: int
    steps: int
    timings: dict[str, float]
    measures: dict[str, float]
    revision: str = ""


class LocalBackend:
    """Runs plans on the processor or the card that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # One thread is the device's lock. It is also the only one in which torch computes: a second one would bring
        # its own team of OpenMP threads, more than there are cores, and slow both by a quarter.
        self._device = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._family: Family | None = None

    @property
    def loaded(self) -> str | None:
        """The name of the model that is ready, if any."""
        return self._family.spec.name if self._family else None

    def warm(self, model: str) -> "Family":
        """Load a model ahead of its first run, and return it."""
        return self.call(lambda: self._load(get_model(model)))

    def call(self, work: Callable[[], T]) -> T:
        """Do something on the device's thread, after what was asked before, and return its result."""
        return self._device.submit(work).result()

    def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        """Denoise a plan, telling each step; the frames of the take are decoded when they are read."""
        _refuse_many(plan)
        return self.call(lambda: self._run(plan, on_event, cancelled))

    def last_frame(self, model: str, latents: Latents) -> Pixels:
        """Decode the last frame (height, width, 3) of a clip from its latents."""
        return self.call(lambda: self._load(get_model(model)).codec.last_frame(latents))

    def device_memory_mb(self) -> float | None:
        """Return the peak of the card's memory in MB, or None on a processor."""
        return self._family.device_memory_mb() if self._family else None

    def _run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        from pipeline.families.lora import loras

        spec = get_model(plan.model)
        clock = _Clock()
        if self.loaded != spec.name:
            on_event(Loading(spec.title))
        family = self._load(spec)
        clock.lap("load")
        text = family.encode_text(plan, plan.segments[0])
        clock.lap("text")
        read = _Reader(family, plan)
        with loras(family.pipe, plan.loras):
            if plan.loras:
                clock.lap("loras")
            sample = family.run_segment(plan, plan.segments[0], text, read, _timed(on_event), cancelled)
        clock.lap("denoise")
        measures = {} if sample.change is None else {"change": sample.change}
        frames = self._on_device(_pieces(family, plan, sample.latents, read))
        revision = commit_of(spec, self._settings)
        return Take(sample.latents, frames, sample.steps_done, sample.steps, clock.laps, measures, revision)

    def _load(self, spec: ModelSpec) -> "Family":
        if self._family is None or self._family.spec != spec:
            # A family brings torch and diffusers, seconds of import that nothing else should wait for.
            self._family = import_module(f"pipeline.families.{spec.family}").load(spec, self._settings)
        return self._family

    def _on_device(self, pieces: Iterator[Pixels]) -> Iterator[Pixels]:
        while (frames := self.call(lambda: next(pieces, None))) is not None:
            yield frames


class _Reader:
    """Reads excerpts of clips, and of the latents of takes, at the size and rate of a plan; each once."""

    def __init__(self, family: "Family", plan: Plan) -> None:
        self._family = family
        self._plan = plan
        self._read: dict[Excerpt, Pixels] = {}
        self._decoded: dict[str, Pixels] = {}

    def __call__(self, excerpt: Excerpt) -> Pixels:
        if excerpt not in self._read:
            self._read[excerpt] = self._frames(excerpt)
        return self._read[excerpt]

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
            self._decoded[file] = np.concatenate(list(self._family.codec.decode(read_latents(Path(file)))))
        return self._decoded[file]


def _pieces(family: "Family", plan: Plan, latents: Latents, read: _Reader) -> Iterator[Pixels]:
    """Yield the frames of a take: what was made, or the parts that it is spliced from."""
    if not plan.timeline:
        yield from _plain(family, plan, latents)
    for part in plan.timeline:
        yield read(part.excerpt) if isinstance(part, Kept) else _made(family, plan, latents, part, read)


def _plain(family: "Family", plan: Plan, latents: Latents) -> Iterator[Pixels]:
    """Yield the frames of a segment; a picture that it begins with is decoded from its own latent alone.

    The decoder looks ahead: what moves away later had blurred the picture by 2 dB.
    """
    pieces = family.codec.decode(latents)
    if any(pin.frame == 0 and pin.given.frames == 1 and pin.strength == 1 for pin in plan.segments[0].pins):
        (alone,) = family.codec.decode(latents[:, :, :1])
        begins = next(pieces)
        yield np.concatenate([alone, begins[1:]])
    yield from pieces


def _made(family: "Family", plan: Plan, latents: Latents, part: Made, read: _Reader) -> Pixels:
    (segment,) = plan.segments
    if segment.rolled:
        return family.codec.decode_loop(latents)
    frames = np.concatenate(list(family.codec.decode(latents)))
    if part.matched:
        before, after = (read(pin.given) for pin in segment.pins)
        frames = settle(match_colours(frames, before, after), before, after)
    made = frames[part.start : part.start + part.frames]
    if segment.source is None or segment.source.other is None:
        return made
    one, other = read(segment.source.clip), read(segment.source.other)
    return feather(made, one[-len(made) :], other[: len(made)])


class _Clock:
    """Names the seconds since the lap before."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now


def _timed(on_event: Listener) -> Callable[[int, int, Pixels], None]:
    started = time.perf_counter()

    def on_step(done: int, total: int, preview: Pixels) -> None:
        per_step = (time.perf_counter() - started) / done
        on_event(Step(done, total, preview, per_step * (total - done)))

    return on_step


def _refuse_many(plan: Plan) -> None:
    if len(plan.segments) != 1:
        raise CannotDo("segments", f"The plan has {len(plan.segments)} segments. Give exactly one.")
