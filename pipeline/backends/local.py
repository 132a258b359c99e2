"""The device of this machine: one model stays loaded, and one thread does all the work."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import CannotDo
from pipeline.events import IsCancelled, Latents, Listener, Loading, Pixels, Step
from pipeline.models import ModelSpec, get_model
from pipeline.plan import Plan
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.families.ltx import LTXFamily

T = TypeVar("T")


@dataclass(frozen=True)
class Take:
    """What a backend made: latents, and their frames, decoded only as they are read. Timings in seconds."""

    latents: Latents
    frames: Iterator[Pixels]
    steps_done: int
    timings: dict[str, float]


class LocalBackend:
    """Runs plans on the processor or the card that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # One thread is the device's lock. It is also the only one in which torch computes: a second one would bring
        # its own team of OpenMP threads, more than there are cores, and slow both by a quarter.
        self._device = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._family: LTXFamily | None = None

    @property
    def loaded(self) -> str | None:
        """The name of the model that is ready, if any."""
        return self._family.spec.name if self._family else None

    def warm(self, model: str) -> "LTXFamily":
        """Load a model ahead of its first run, and return it."""
        return self.call(lambda: self._load(get_model(model)))

    def call(self, work: Callable[[], T]) -> T:
        """Do something on the device's thread, after what was asked before, and return its result."""
        return self._device.submit(work).result()

    def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        """Denoise a plan, telling each step; the frames of the take are decoded when they are read."""
        _refuse_conditions(plan)
        return self.call(lambda: self._run(plan, on_event, cancelled))

    def last_frame(self, model: str, latents: Latents) -> Pixels:
        """Decode the last frame (height, width, 3) of a clip from its latents."""
        return self.call(lambda: self._load(get_model(model)).last_frame(latents))

    def device_memory_mb(self) -> float | None:
        """Return the peak of the card's memory in MB, or None on a processor."""
        return self._family.device_memory_mb() if self._family else None

    def _run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        spec = get_model(plan.model)
        clock = _Clock()
        if self.loaded != spec.name:
            on_event(Loading(spec.title))
        family = self._load(spec)
        clock.lap("load")
        text = family.encode_text(plan, plan.segments[0])
        clock.lap("text")
        sample = family.run_segment(plan, plan.segments[0], text, _timed(on_event), cancelled)
        clock.lap("denoise")
        return Take(sample.latents, self._decode(family, sample.latents), sample.steps_done, clock.laps)

    def _load(self, spec: ModelSpec) -> "LTXFamily":
        if self._family is None or self._family.spec != spec:
            # A family brings torch and diffusers, seconds of import that nothing else should wait for.
            self._family = import_module(f"pipeline.families.{spec.family}").load(spec, self._settings)
        return self._family

    def _decode(self, family: "LTXFamily", latents: Latents) -> Iterator[Pixels]:
        windows = family.decode(latents)
        while (frames := self.call(lambda: next(windows, None))) is not None:
            yield frames


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


def _refuse_conditions(plan: Plan) -> None:
    if len(plan.segments) != 1:
        raise CannotDo("segments", f"The plan has {len(plan.segments)} segments. Give exactly one.")
    if plan.segments[0].source:
        raise CannotDo("source", "A clip to start from is not supported yet. Leave it out.")
