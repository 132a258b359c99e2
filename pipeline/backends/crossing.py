"""What crosses from where the device is, in a fork or on another machine, to where the run is kept."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from pipeline.backends.take import Take
from pipeline.errors import OnetakeError, RunFailed, broke_off
from pipeline.events import IsCancelled, Latents, Listener, Pixels, Told
from pipeline.halfway import Halfway
from pipeline.peak import process_peak_mb
from pipeline.plan import Plan
from pipeline.pulled import pulled


@dataclass(frozen=True)
class Sampled:
    """What denoising left; the fields are those of a Take."""

    latents: Latents
    steps_done: int
    steps: int
    timings: dict[str, float]
    measures: dict[str, float]
    revision: str
    halfway: Halfway | None = None


@dataclass(frozen=True)
class Ended:
    """All frames are decoded: the peak of the card's memory, or of the process, in MB, and a take's notes."""

    peak_mb: float
    notes: tuple[str, ...] = ()


# Errors cross as values, because what carries them may know no more than their names.
Crossing = Told | Sampled | Pixels | Ended | OnetakeError
# None where nothing new has come for a while.
Crossings = Generator[Crossing | None, None, None]


class Runner(Protocol):
    """Whatever can run a plan."""

    def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        """Denoise a plan and return its take."""


def crossings(backend: Runner, plan: Plan, stopped: IsCancelled) -> Generator[Crossing, None, None]:
    """Run a plan where the device is, and yield all that the other side needs; an error comes last, as a value."""
    try:
        yield from pulled(partial(_work, backend, plan, stopped))
    except Exception as error:
        yield broke_off(error)


def take_from(crossings: Crossings, on_event: Listener, cancelled: IsCancelled, stop: Callable[[], object]) -> Take:
    """Follow a run on the other side until it is denoised; `stop` is called, once or more, where it is cancelled.

    The frames are read as they come; the crossings are closed after the last one, or when anything goes wrong.
    """
    try:
        for crossing in crossings:
            if isinstance(crossing, OnetakeError):
                raise crossing
            if isinstance(crossing, Sampled):
                return _take(crossing, crossings)
            if crossing is not None and not isinstance(crossing, np.ndarray | Ended):
                on_event(crossing)
            if cancelled():
                stop()
    except BaseException:
        crossings.close()
        raise
    raise RunFailed("The GPU was taken back before the run had ended. Try again, shorter or smaller.")


def _work(
    backend: Runner, plan: Plan, stopped: IsCancelled, emit: Callable[[Crossing], None], closed: IsCancelled
) -> None:
    take = backend.run(plan, emit, lambda: closed() or stopped())
    told = (take.timings, take.measures, take.revision, take.halfway)
    emit(Sampled(take.latents, take.steps_done, take.steps, *told))
    while not closed() and (piece := next(take.frames, None)) is not None:
        emit(piece)
    on_card = take.peak_mb()
    emit(Ended(process_peak_mb() if on_card is None else on_card, tuple(take.notes)))


def _take(sampled: Sampled, crossings: Crossings) -> Take:
    ends: list[Ended] = []
    notes: list[str] = []
    return Take(
        sampled.latents,
        _frames(crossings, ends, notes),
        sampled.steps_done,
        sampled.steps,
        sampled.timings,
        sampled.measures,
        lambda: ends[-1].peak_mb if ends else None,
        sampled.revision,
        notes=notes,
        halfway=sampled.halfway,
    )


def _frames(crossings: Crossings, ends: list[Ended], notes: list[str]) -> Iterator[Pixels]:
    try:
        for crossing in crossings:
            if isinstance(crossing, OnetakeError):
                raise crossing
            if isinstance(crossing, Ended):
                ends.append(crossing)
                notes.extend(crossing.notes)
                return
            if isinstance(crossing, np.ndarray):
                yield crossing
    finally:
        crossings.close()
