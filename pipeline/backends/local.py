"""The device of this machine: one model stays loaded, one run at a time has it."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from pipeline.errors import CannotDo
from pipeline.events import IsCancelled, Latents, Listener, Loading, Pixels, Step
from pipeline.models import ModelSpec, get_model
from pipeline.plan import Plan
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.families.ltx import LTXFamily


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
        self._device = threading.Lock()
        self._family: LTXFamily | None = None

    @property
    def loaded(self) -> str | None:
        """The name of the model that is ready, if any."""
        return self._family.spec.name if self._family else None

    def warm(self, model: str) -> "LTXFamily":
        """Load a model ahead of its first run, and return it."""
        with self._device:
            return self._load(get_model(model))

    def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        """Denoise a plan, telling each step; the frames of the take are decoded when they are read."""
        _refuse_conditions(plan)
        spec = get_model(plan.model)
        with self._device:
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

    def device_memory_mb(self) -> float | None:
        """Return the peak of the card's memory in MB, or None on a processor."""
        return self._family.device_memory_mb() if self._family else None

    def _load(self, spec: ModelSpec) -> "LTXFamily":
        if self._family is None or self._family.spec != spec:
            # A family brings torch and diffusers, seconds of import that nothing else should wait for.
            self._family = import_module(f"pipeline.families.{spec.family}").load(spec, self._settings)
        return self._family

    def _decode(self, family: "LTXFamily", latents: Latents) -> Iterator[Pixels]:
        windows = family.decode(latents)
        while True:
            with self._device:
                frames = next(windows, None)
            if frames is None:
                return
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
    if plan.segments[0].pins or plan.segments[0].source:
        raise CannotDo("pins", "Given images and clips are not supported yet. Leave them out.")
