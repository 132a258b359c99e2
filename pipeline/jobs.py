"""Jobs belong to the app: it drives them, whoever watches may come and go."""

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any, Literal

from pipeline.errors import Cancelled, LoadError, NotFound, OnetakeError, QueueFull
from pipeline.events import Again, Loading, Pixels, Step, Waiting
from pipeline.generate import Backend, Decoding, Event, Finished, generate
from pipeline.plan import Plan
from pipeline.store import Run, Store
from pipeline.visitors import OF_THE_MACHINE, Origin

State = Literal["queued", "running", "done", "stopped", "draft", "failed", "cancelled"]
Phase = Literal["waiting", "loading", "denoising", "decoding", "ended"]
FINAL = frozenset({"done", "stopped", "draft", "failed", "cancelled"})
# Views of ended jobs are small, but an app runs for weeks.
REMEMBERED = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobView:
    """A job at one moment. `place` counts the jobs before it; `waits_for` is what it needs before it can begin.

    `seconds_left` is for denoising; `unloadable` is True where its model could not be loaded.
    """

    id: str
    plan: Plan
    origin: Origin = OF_THE_MACHINE
    state: State = "queued"
    phase: Phase = "waiting"
    place: int = 0
    waits_for: str = ""
    step: int = 0
    steps: int = 0
    preview: Pixels | None = None
    seconds_left: float | None = None
    note: str = ""
    run: Run | None = None
    error: str | None = None
    unloadable: bool = False

    @property
    def final(self) -> bool:
        """True when nothing will change any more."""
        return self.state in FINAL


class Job:
    """One plan on its way through the queue."""

    def __init__(self, plan: Plan, origin: Origin, place: int) -> None:
        self.stop = threading.Event()
        self._changed = threading.Condition()
        self._view = JobView(secrets.token_hex(10), plan, origin, place=place, steps=plan.steps)

    @property
    def id(self) -> str:
        """An unguessable name."""
        return self._view.id

    def snapshot(self) -> JobView:
        """Return how things stand now."""
        return self._view

    def watch(self) -> Generator[JobView, None, None]:
        """Yield now and after each change, skipping what came too fast; end after the final state."""
        seen: JobView | None = None
        while seen is None or not seen.final:
            seen = self._newer_than(seen)
            yield seen

    def cancel(self) -> None:
        """Ask for a stop; a job that still waits ends at once. Asking again changes nothing."""
        self.stop.set()
        with self._changed:
            if self._view.state == "queued":
                self._set(state="cancelled", phase="ended")

    def begin(self) -> bool:
        """Mark the job as running, unless it was cancelled while it waited."""
        with self._changed:
            if self._view.state == "queued":
                self._set(state="running", place=0)
            return self._view.state == "running"

    def change(self, **fields: Any) -> None:
        """Show new values to whoever watches, unless the job has ended."""
        with self._changed:
            if not self._view.final:
                self._set(**fields)

    def _newer_than(self, seen: JobView | None) -> JobView:
        with self._changed:
            self._changed.wait_for(lambda: self._view is not seen)
            return self._view

    def _set(self, **fields: Any) -> None:
        self._view = replace(self._view, **fields)
        self._changed.notify_all()


class Jobs:
    """A queue in front of one device; or, `at_once`, each job is on its way as it comes, for devices are lent to it.

    Such a job runs in the context of whoever submits it: by it ZeroGPU knows whose quota it takes.
    """

    def __init__(self, backend: Backend, store: Store, max_queue: int, at_once: bool = False) -> None:
        self._backend = backend
        self._store = store
        self._max_queue = max_queue
        self._waiting: deque[Job] = deque()
        self._known: dict[str, Job] = {}
        self._running: Job | None = None
        self._closed = False
        self._wake = threading.Condition()
        self._at_once = at_once
        self._workers: list[threading.Thread] = []
        if not at_once:
            self._start(self._work)

    def submit(self, plan: Plan, origin: Origin = OF_THE_MACHINE) -> Job:
        """Put a plan in the queue; raise QueueFull."""
        with self._wake:
            self._forget_ended()
            before = len(self._workers if self._at_once else self._waiting)
            if before >= self._max_queue:
                raise QueueFull(f"{before} videos are waiting already. Try again in a minute.")
            job = Job(plan, origin, place=0 if self._at_once else before + (self._running is not None))
            self._remember(job)
            if self._at_once:
                self._start(copy_context().run, self._run, job)
            else:
                self._waiting.append(job)
                self._wake.notify()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job, also one that has ended lately; raise NotFound."""
        with self._wake:
            if job_id not in self._known:
                raise NotFound(f"There is no job {job_id!r}. Look for its video in the library.")
            return self._known[job_id]

    def under_way(self) -> tuple[Job, ...]:
        """Return the jobs that have not ended, in the order in which they came."""
        with self._wake:
            return tuple(job for job in self._known.values() if not job.snapshot().final)

    def close(self) -> None:
        """Cancel everything and wait for the running step."""
        with self._wake:
            self._closed = True
            self._wake.notify()
            known, workers = tuple(self._known.values()), tuple(self._workers)
        for job in known:
            job.cancel()
        for worker in workers:
            worker.join()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        worker = threading.Thread(target=work, args=arguments, name="jobs", daemon=True)
        self._workers.append(worker)
        worker.start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._run(job)

    def _run(self, job: Job) -> None:
        if job.begin():
            self._drive(job)

    def _next(self) -> Job | None:
        with self._wake:
            self._running = None
            self._wake.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._running = self._waiting.popleft()
            self._count_places()
            return self._running

    def _drive(self, job: Job) -> None:
        try:
            view = job.snapshot()
            for event in generate(view.plan, self._backend, self._store, job.stop.is_set, view.origin):
                job.change(**_told(event))
        except Cancelled:
            job.change(state="cancelled", phase="ended")
        except OnetakeError as error:
            log.warning("job %s failed", job.id, exc_info=error)
            unloadable = isinstance(error, LoadError)
            job.change(state="failed", phase="ended", error=str(error), unloadable=unloadable)

    def _forget_ended(self) -> None:
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        self._waiting = deque(job for job in self._waiting if not job.snapshot().final)
        self._count_places()

    def _count_places(self) -> None:
        for place, job in enumerate(self._waiting, start=self._running is not None):
            job.change(place=place)

    def _remember(self, job: Job) -> None:
        self._known[job.id] = job
        ended = [job_id for job_id, old in self._known.items() if old.snapshot().final]
        for job_id in ended[: max(len(self._known) - REMEMBERED, 0)]:
            del self._known[job_id]


def _told(event: Event) -> dict[str, Any]:
    match event:
        case Waiting(what):
            return {"phase": "waiting", "waits_for": what}
        case Loading():
            return {"phase": "loading"}
        case Again(why):
            return {"phase": "loading", "step": 0, "preview": None, "seconds_left": None, "note": why}
        case Step(index, total, preview, seconds_left):
            done = {"step": index, "steps": total, "preview": preview, "seconds_left": seconds_left}
            return {"phase": "denoising"} | done
        case Decoding():
            return {"phase": "decoding", "seconds_left": 0.0}
        case Finished(run):
            return {"phase": "ended", "state": run.state, "run": run}
