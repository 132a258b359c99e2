"""Jobs belong to the app: it drives them, whoever watches may come and go, and a restart goes on with them."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from typing import Any

from pipeline.errors import BadRequest, Cancelled, Interrupted, LoadError, NotFound, OnetakeError, QueueFull, broke_off
from pipeline.generate import Backend, generate
from pipeline.library.runs import Run
from pipeline.plan import Plan
from pipeline.queue.job import CUT, UNDONE, Job, JobView, State
from pipeline.queue.ledger import REMEMBERED, UNFINISHED, Entry, Ledger
from pipeline.queue.turns import Ticket, Turns
from pipeline.store import Store
from pipeline.visitors import EVERYTHING, OF_THE_MACHINE, Origin, Viewer

# A visitor may take half of the queue.
VISITORS_IN_A_FULL_QUEUE = 2
# What waits longer than this many full queues is next, whoever comes.
QUEUES_OF_PATIENCE = 2
# A running step is waited for at the end, but not the loading of a large model.
PATIENCE_S = 20
NEVER_BEGAN = "The app was stopped before this had begun. Run it again."

log = logging.getLogger(__name__)


class Jobs:
    """A queue in front of one device; or, `at_once`, each job is on its way as it comes, for devices are lent to it.

    Such a job runs in the context of whoever submits it: by it ZeroGPU knows whose quota it takes. Raise BadHome where
    another app drives the jobs of the same store.
    """

    def __init__(self, backend: Backend, store: Store, max_queue: int, at_once: bool = False) -> None:
        self._backend = backend
        self._store = store
        self._max_queue = max_queue
        self.most_of_one = max(max_queue // VISITORS_IN_A_FULL_QUEUE, 1)
        self._at_once = at_once
        self._ledger = Ledger(store.home)
        self._turns = Turns(patience=QUEUES_OF_PATIENCE * max_queue)
        self._known: dict[str, Job] = {}
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._closed = False
        self._wake = threading.Condition()
        self._workers: list[threading.Thread] = []
        self._order: list[Ticket] = []
        self._ordered: tuple[Turns, tuple[str, ...]] | None = None
        self._recover()

    def go_on(self) -> None:
        """Begin with what waits since the app ran last."""
        with self._wake:
            if self._waiting and not self._workers:
                self._start(self._work)

    def submit(self, plan: Plan, origin: Origin = OF_THE_MACHINE) -> Job:
        """Put a plan in the queue; raise QueueFull, or RunFailed where it cannot be kept."""
        return self.submit_all([(plan, origin)])[0]

    def submit_all(self, asked: Sequence[tuple[Plan, Origin]]) -> tuple[Job, ...]:
        """Put plans of one visitor in the queue, all or none; each takes a place and a turn. Raise as `submit`."""
        with self._wake:
            self._tidy()
            self._refuse_too_many(asked[0][1].owner, len(asked))
            jobs = tuple(self._new_job(plan, origin) for plan, origin in asked)
            self._ledger.add(*(job.entry() for job in jobs))
            self._known |= {job.id: job for job in jobs}
            if self._at_once:
                for job in jobs:
                    self._start(copy_context().run, self._run, job)
            else:
                self._waiting += jobs
                self._count_places()
                self._wake.notify()
                if not self._workers:
                    self._start(self._work)
        return jobs

    def retry(self, job_id: str, viewer: Viewer = EVERYTHING) -> Job:
        """Submit the plan of a job that was not done once more; asked again, return the same new job."""
        with self._wake:
            old = self.get(job_id, viewer)
            view = old.snapshot()
            if view.again in self._known:
                return self._known[view.again]
            if view.state not in UNDONE:
                raise BadRequest("job", f"This take is {view.state}. Only one that was not done can be run again.")
            new = self.submit(view.plan, view.origin)
            old.mark(again=new.id)
            return new

    def cancel(self, job_id: str, viewer: Viewer = EVERYTHING) -> None:
        """Stop a job, which keeps what it has; one that waits is taken out of the queue. Raise NotFound."""
        self.get(job_id, viewer).cancel()
        with self._wake:
            self._tidy()

    def dismiss(self, job_id: str, viewer: Viewer = EVERYTHING) -> None:
        """Show a job that has ended no more. Raise NotFound."""
        job = self.get(job_id, viewer)
        if job.snapshot().final:
            job.mark(dismissed=True)

    def get(self, job_id: str, viewer: Viewer = EVERYTHING) -> Job:
        """Return a viewer's job, also one that has ended lately; raise NotFound, also for what belongs to others."""
        with self._wake:
            job = self._known.get(job_id)
        if job is None or not viewer.owns(job.snapshot().origin.owner):
            raise NotFound(f"There is no job {job_id!r}. Look for its video in the library.")
        return job

    def under_way(self, viewer: Viewer = EVERYTHING) -> tuple[JobView, ...]:
        """Return a viewer's jobs that have not ended in the order in which they begin, with when that will be."""
        with self._wake:
            ordered = [job.snapshot() for job in self._in_order()]
        return tuple(view for view in _foreseen(ordered, self._at_once) if viewer.owns(view.origin.owner))

    def look(self, job_id: str, viewer: Viewer = EVERYTHING) -> JobView:
        """Return how a viewer's job stands, with when it begins and ends; raise NotFound."""
        found = (view for view in self.under_way(viewer) if view.id == job_id)
        return next(found, None) or self.get(job_id, viewer).snapshot()

    def known(self, viewer: Viewer = EVERYTHING) -> tuple[JobView, ...]:
        """Return a viewer's jobs in the order in which they came, also those that have ended lately."""
        with self._wake:
            views = [job.snapshot() for job in self._known.values()]
        return tuple(view for view in views if viewer.owns(view.origin.owner))

    def ended_last(self, viewer: Viewer) -> Job | None:
        """Return the viewer's job that came to an end last with something to show for it."""
        ended = [view for view in self.known(viewer) if view.ended and (view.run or view.error)]
        return self._known.get(max(ended, key=lambda view: view.ended or 0).id) if ended else None

    def left_over(self, viewer: Viewer = EVERYTHING) -> tuple[JobView, ...]:
        """Return a viewer's jobs that failed or were interrupted, newest first, until somebody looks after them."""
        broken = [view for view in reversed(self.known(viewer)) if view.state in ("failed", "interrupted")]
        return tuple(view for view in broken if not (view.dismissed or view.again))

    def close(self) -> None:
        """Stop: what waits is left to the next start, what runs is interrupted at its next step."""
        with self._wake:
            if self._closed:
                return
            self._closed = True
            self._wake.notify()
            known, workers = tuple(self._known.values()), tuple(self._workers)
        for job in known:
            job.release()
        ends = time.monotonic() + PATIENCE_S
        for worker in workers:
            worker.join(max(ends - time.monotonic(), 0))
        self._ledger.close()

    def _refuse_too_many(self, owner: str, count: int) -> None:
        if self._closed:
            raise QueueFull("The app is being stopped. Try again once it is back.")
        waiting = [job for job in self._in_order() if job is not self._running]
        own = sum(job.ticket.owner == owner for job in waiting)
        more = f", and {count} more do not fit" if count > 1 else ""
        if len(waiting) + count > self._max_queue:
            raise QueueFull(f"{len(waiting)} videos are waiting already{more}. Try again in a minute.")
        if own + count > self.most_of_one and more:
            what = f"{count} videos do not fit: {own} of yours are waiting, and {self.most_of_one} is the most"
            raise QueueFull(f"{what}. Ask for fewer, or wait until some have begun.")
        if own >= self.most_of_one:
            raise QueueFull(f"{own} videos of yours are waiting already. Wait until one has begun, or cancel one.")

    def _new_job(self, plan: Plan, origin: Origin) -> Job:
        self._number += 1
        name = secrets.token_hex(10)
        origin = replace(origin, job=name)
        view = JobView(name, plan, origin, created=time.time(), steps=plan.steps, by_page=self._at_once)
        return Job(view, Ticket(name, origin.owner, self._number, self._turns.begun), self._ledger.change)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        worker = threading.Thread(target=work, args=arguments, name="jobs", daemon=True)
        self._workers.append(worker)
        worker.start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._drive(job)

    def _run(self, job: Job) -> None:
        if job.begin():
            self._drive(job)

    def _next(self) -> Job | None:
        with self._wake:
            self._running = None
            while not self._closed:
                self._tidy()
                for job in self._in_order()[:1]:
                    turns = self._turns.after(job.ticket)
                    if job.begin(turns=turns.to_json()):
                        self._turns, self._running = turns, job
                        self._waiting.remove(job)
                        self._count_places()
                        return job
                if not self._waiting:
                    self._wake.wait()
        return None

    def _drive(self, job: Job) -> None:
        try:
            view = job.snapshot()
            for event in generate(view.plan, self._backend, self._store, job.stopped, view.origin):
                job.tell(event)
        except Interrupted as error:
            job.end(state="interrupted", error=str(error))
        except Cancelled:
            job.end(state="cancelled")
        except Exception as error:
            # Whatever it is, the next job has to run.
            log.warning("job %s failed", job.id, exc_info=error)
            job.end(state="failed", error=str(broke_off(error)), unloadable=isinstance(error, LoadError))

    def _in_order(self) -> list[Job]:
        """Return the jobs that have not ended: the running one, then those that wait as their turns come."""
        if self._at_once:
            return [job for job in self._known.values() if not job.snapshot().final]
        waiting = {job.id: job for job in self._waiting if not job.snapshot().final}
        if self._ordered != (state := (self._turns, tuple(waiting))):
            self._order = self._turns.order(job.ticket for job in waiting.values())
            self._ordered = state
        running = [self._running] if self._running and not self._running.snapshot().final else []
        return [*running, *(waiting[ticket.id] for ticket in self._order)]

    def _tidy(self) -> None:
        """Forget what has ended long ago, and tell those that wait where they stand."""
        if self._at_once:
            self._workers = [worker for worker in self._workers if worker.is_alive()]
        self._waiting = [job for job in self._waiting if not job.snapshot().final]
        ended = [job_id for job_id, job in self._known.items() if job.snapshot().final]
        for job_id in ended[: max(len(ended) - REMEMBERED, 0)]:
            del self._known[job_id]
        self._count_places()

    def _count_places(self) -> None:
        for place, job in enumerate(self._in_order()):
            if job is not self._running and job.snapshot().place != place and not self._at_once:
                job.change(place=place)

    def _recover(self) -> None:
        """Take over the jobs of the time before, of which an app that was killed had no time to speak."""
        if kept := self._ledger.kept("turns"):
            self._turns = Turns(**kept | {"patience": self._turns.patience})
        self._number = self._ledger.last_number()
        for entry in self._ledger.entries():
            job = self._known[entry.id] = self._restored(entry)
            if entry.state == "queued" and not self._at_once:
                self._waiting.append(job)
            elif not job.snapshot().final:
                self._settle(job)
        self._tidy()

    def _settle(self, job: Job) -> None:
        """Say how a job ended that was under way: its run may have been kept in the last moment."""
        if run := self._run_of(job.id):
            job.end(state=run.state, run=run)
        else:
            self._store.clear_away(job.id)
            job.end(state="interrupted", error=CUT if job.snapshot().started else NEVER_BEGAN)

    def _restored(self, entry: Entry) -> Job:
        state: State = entry.state  # type: ignore[assignment]
        view = JobView(
            entry.id, entry.plan, entry.origin, state, "waiting" if state in UNFINISHED else "ended",
            entry.created, entry.started, entry.ended, steps=entry.plan.steps, error=entry.error,
            run=self._run_of(entry.run), again=entry.again, dismissed=entry.dismissed,
        )  # fmt: skip
        return Job(view, Ticket(entry.id, entry.origin.owner, entry.number, entry.came), self._ledger.change)

    def _run_of(self, run_id: str | None) -> Run | None:
        with suppress(OnetakeError, OSError, ValueError, KeyError, TypeError):
            return self._store.get(run_id) if run_id else None
        return None


def _foreseen(ordered: Iterable[JobView], at_once: bool) -> Iterator[JobView]:
    """Yield those of the jobs in their order that have not ended, with when each begins and ends as far as is known."""
    free = now = time.time()
    for place, view in enumerate(view for view in ordered if not view.final):
        if at_once or view.state == "running":
            yield view
            free = now + view.seconds
        else:
            begins, free = free, free + view.plan.estimate.seconds
            yield replace(view, place=place, begins=begins, ends=free)
