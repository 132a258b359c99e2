"""The one road: a plan goes to a backend, its steps and frames come back, a checked file lands in the store."""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from safetensors import SafetensorError

from pipeline.backends.parts import Parts
from pipeline.backends.steps import steps_of_segments
from pipeline.backends.take import Take
from pipeline.countdown import Countdown
from pipeline.errors import OnetakeError, RunFailed, broke_off
from pipeline.events import Decoding, IsCancelled, Listener, PartDone, Pixels, Told, Watchable
from pipeline.halfway import write_halfway
from pipeline.latents import write_latents
from pipeline.library.runs import BEGUN, Draft, Run
from pipeline.models import get_model
from pipeline.peak import process_peak_mb
from pipeline.plan import Plan
from pipeline.pulled import pulled
from pipeline.safety import check_clip, check_latents
from pipeline.seams import SeamGauge
from pipeline.settings import VERSION
from pipeline.store import Store
from pipeline.video import kept_whole, resized, write_clip, write_poster, write_still
from pipeline.visitors import FINISHED, OF_THE_MACHINE, Origin, Parent

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """The run is in the store."""

    run: Run


Event = Told | Decoding | Watchable | Finished
Tell = Callable[[Told | Decoding], None]


class Backend(Protocol):
    """Whatever can run a plan."""

    def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        """Denoise a plan and return its take."""


def generate(
    plan: Plan, backend: Backend, store: Store, cancelled: IsCancelled = lambda: False, origin: Origin = OF_THE_MACHINE
) -> Generator[Event, None, None]:
    """Make a run and yield what happens, Finished last; closing the generator cancels, and waits for the step.

    Steps and frames tell what is left of all of it. Raise an OnetakeError when nothing could be kept.
    """

    def work(emit: Callable[[Event], None], closed: IsCancelled) -> None:
        parts = Parts(store.disk, plan)
        countdown = Countdown(parts.begun)

        def tell(event: Told | Decoding) -> None:
            told = _watchable(event, parts, plan) if isinstance(event, PartDone) else countdown.told(event)
            if told:
                emit(told)

        emit(Finished(run := _make(parts, backend, store, origin, tell, lambda: closed() or cancelled())))
        if run.state == "done":
            parts.clear_away()

    try:
        yield from pulled(work)
    except OnetakeError:
        raise
    except Exception as error:
        raise broke_off(error) from error


def _make(
    parts: Parts,
    backend: Backend,
    store: Store,
    origin: Origin,
    emit: Tell,
    cancelled: IsCancelled,
) -> Run:
    started = time.perf_counter()
    take, plan = backend.run(parts.begun, emit, cancelled), parts.plan
    check_latents(take.latents)
    with store.create(plan.first(take.made).whole, _origin(plan, origin)) as draft:
        timings, seam = _write(draft, take, emit)
        lost = _write_beside(draft, take)
        timings["total"] = time.perf_counter() - started
        measures = take.measures | ({} if seam is None else {"seam": seam})
        measures |= {BEGUN: float(len(parts.begun.begun))} if parts.begun.begun else {}
        outcome = _outcome(plan, take, measures, lost)
        return store.commit(draft, timings=_rounded(timings), peak_memory_mb=_peak_mb(take), **outcome)


def _watchable(done: PartDone, parts: Parts, plan: Plan) -> Watchable | None:
    """Keep a part of a take, and return it as a clip of its own; where there is no room, the take goes on without."""
    try:
        file = parts.keep(done)
        write_clip([done.frames], file, plan.fps, {})
    except (OSError, SafetensorError, RunFailed) as error:
        log.warning("part %d of a take cannot be kept: %s", done.part, error)
        return None
    return Watchable(done.part, done.parts, str(file))


def _origin(plan: Plan, origin: Origin) -> Origin:
    """Return where a run comes from, with the run whose steps it went on from."""
    begun = (Parent(plan.resumes.run, FINISHED),) if plan.resumes else ()
    return replace(origin, parents=(*origin.parents, *begun))


def _write(draft: Draft, take: Take, emit: Tell) -> tuple[dict[str, float], float | None]:
    """Write what a run shows; return the timings with decoding and encoding (seconds), and how the seam measures."""
    started = time.perf_counter()
    plan = draft.plan
    reel = _Reel(check_clip(take.frames), plan.num_frames, emit)
    recipe = {"app": "Onetake", "version": VERSION, "plan": plan.to_recipe()} | _weights(take)
    whole = reel if draft.told_by_latents else kept_whole(reel, draft.unmarked, plan.fps, plan.sound)
    write_clip(resized(whole, plan.delivered), draft.clip, plan.fps, recipe, plan.sound, plan.task == "loop")
    write_poster(reel.poster, draft.poster)
    write_still(reel.last, draft.last)
    encode = time.perf_counter() - started - reel.seconds
    return take.timings | {"decode": reel.seconds, "encode": encode}, reel.gauge.worst(plan.joins)


def _write_beside(draft: Draft, take: Take) -> tuple[str, ...]:
    """Write what later takes go on from; return what a user should know where that failed: the clip is not lost."""
    plan = draft.plan
    frames = (take.latents.shape[2] - 1) * get_model(plan.model).frame_grid + 1
    try:
        write_latents(take.latents, draft.latents, (plan.width, plan.height), frames, plan.fps)
        if take.halfway:
            write_halfway(take.halfway, draft.halfway)
    except (OSError, SafetensorError) as error:
        log.warning("%s is kept without its latents: %s", draft.id, error)
        with suppress(OSError):
            draft.latents.unlink(missing_ok=True)
        return (f"Only the clip was kept ({error}): edits start from it, a draft cannot go on. Free some disk space.",)
    return ()


class _Reel:
    """Passes a clip's frames on, counts and times them, and keeps the middle one for the poster, and the last."""

    poster: Pixels
    last: Pixels

    def __init__(self, frames: Iterable[Pixels], total: int, emit: Tell) -> None:
        self.seconds = 0.0
        self._frames = iter(frames)
        self._total = total
        self._done = 0
        self._emit = emit
        self.gauge = SeamGauge()

    def __iter__(self) -> Iterator[Pixels]:
        return self

    def __next__(self) -> Pixels:
        started = time.perf_counter()
        try:
            piece = next(self._frames)
        finally:
            self.seconds += time.perf_counter() - started
        if self._done <= self._total // 2 < self._done + len(piece):
            self.poster = piece[self._total // 2 - self._done]
        self.last = piece[-1]
        self._done += len(piece)
        self.gauge.feed(piece)
        self._emit(Decoding(self._done, self._total))
        return piece


def _outcome(plan: Plan, take: Take, measures: dict[str, float], lost: tuple[str, ...]) -> dict[str, Any]:
    notes = (*plan.notes, *take.notes, *_measured(plan, measures))
    if plan.resumes:
        notes += (f"Made from the run {plan.resumes.run}, whose first {plan.resumes.steps} steps were done.",)
    if begun := int(measures.get(BEGUN, 0)):
        notes += (f"Its first {_counted(begun)} made before, and kept.",)
    notes += lost
    told = {"notes": notes, "measures": _rounded(measures), "where": take.where} | _weights(take)
    if take.steps_done == take.steps:
        return {"state": "done"} | told
    state = "draft" if take.steps_done == plan.stop_after else "stopped"
    return {"state": state} | told | {"notes": (*notes, _unfinished(plan, take))}


def _counted(parts: int) -> str:
    return f"{parts} parts were" if parts > 1 else "part was"


def _unfinished(plan: Plan, take: Take) -> str:
    if len(plan.segments) > 1 and take.steps_done == sum(steps_of_segments(plan)[: take.made]):
        kept = f"Stopped: the first {_counted(take.made)} done, of {len(plan.segments)}, and kept."
        return f"{kept} The same take, asked for again within a day, goes on after them."
    step = f"step {take.steps_done} of {take.steps}"
    note = f"Stopped after {step}: this is what the model had by then."
    if take.steps_done == plan.stop_after:
        note = f"A draft, after {step}: this is what it would become, as far as the model foresees it."
    if plan.first_pass and take.steps_done <= len(
        get_model(plan.model).levels_from(plan.segments[0].start, plan.steps)
    ):
        note += f" It was made at {plan.first_pass[0]}×{plan.first_pass[1]} and doubled, but not refined."
    return note


def _weights(take: Take) -> dict[str, str]:
    return {"revision": take.revision} if take.revision else {}


def _measured(plan: Plan, measures: dict[str, float]) -> Iterator[str]:
    if "change" in measures and plan.task == "restyle":
        changed = "What was made anew" if plan.timeline else "The clip"
        yield f"{changed} changed by {measures['change']:.0%}: 0 % is the same, 100 % as far as an unlike clip."
    if "seam" in measures:
        seam = "The seam" if plan.task == "loop" else "The larger seam"
        yield f"{seam} changes {measures['seam']:.1f} times as much as the clip does from frame to frame."
    elif plan.task == "loop":
        yield "The clip stands still, so that there is no seam to measure. Describe a motion, or try another seed."


def _rounded(timings: dict[str, float]) -> dict[str, float]:
    return {name: round(seconds, 3) for name, seconds in timings.items()}


def _peak_mb(take: Take) -> float:
    """Return the peak of the card, or on a processor that of this whole process since its start."""
    on_card = take.peak_mb()
    return round(process_peak_mb() if on_card is None else on_card, 1)
