"""One job: a plan on its way, what is told of it to whoever watches, and what is kept of it."""

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pipeline.errors import Interrupted
from pipeline.events import Again, Decoding, Loading, Pixels, Step, Waiting
from pipeline.generate import Event, Finished
from pipeline.library.runs import Run
from pipeline.plan import Plan
from pipeline.queue.ledger import UNFINISHED, Entry
from pipeline.queue.turns import Ticket
from pipeline.visitors import OF_THE_MACHINE, Origin

State = Literal["queued", "running", "done", "stopped", "draft", "failed", "cancelled", "interrupted"]
Phase = Literal["waiting", "loading", "denoising", "decoding", "ended"]
FINAL = frozenset(get_args(State)) - set(UNFINISHED)
# What can be submitted once more: all that ended without what was asked for.
UNDONE = FINAL - {"done", "draft"}
CUT = "The app was stopped while this was made, and nothing of it was kept. Run it again."
GOES_ON = "The app is being stopped. It goes on with this when it is started again."


@dataclass(frozen=True)
class JobView:
    """A job at one moment. `place` counts the jobs before it; `waits_for` is what it needs before it can begin.

    Times are seconds since 1970; when its steps begin and when it ends is told as far as it can be foreseen.
    `unloadable` is True where its model could not be loaded, `by_page` where its visitor's page has to stay open until
    it has begun. `again` is the job by which it was tried again; `version` rises with each change.
    """

    id: str
    plan: Plan
    origin: Origin = OF_THE_MACHINE
    state: State = "queued"
    phase: Phase = "waiting"
    created: float = 0
    started: float | None = None
    ended: float | None = None
    place: int = 0
    begins: float | None = None
    ends: float | None = None
    waits_for: str = ""
    step: int = 0
    steps: int = 0
    preview: Pixels | None = None
    stopping: bool = False
    note: str = ""
    run: Run | None = None
    error: str | None = None
    unloadable: bool = False
    by_page: bool = False
    again: str | None = None
    dismissed: bool = False
    version: int = 0

    @property
    def final(self) -> bool:
        """True when nothing will change any more."""
        return self.state in FINAL

    @property
    def seconds(self) -> float:
        """How long it is expected to take, or to go on once it has begun."""
        whole = self.plan.estimate.seconds
        return whole if self.ends is None else max(self.ends - time.time(), 0.0)


class Job:
    """One plan on its way through the queue; `keep` is told of every new state, `released` says that the app stops."""

    def __init__(self, view: JobView, ticket: Ticket, keep: Callable[..., None]) -> None:
        self.ticket = ticket
        self._stop = threading.Event()
        self._cut = threading.Event()
        self._changed = threading.Condition()
        self._view = view
        self._keep = keep
        self.released = False

    @property
    def id(self) -> str:
        """An unguessable name, which is also that of its run."""
        return self._view.id

    def snapshot(self) -> JobView:
        """Return how things stand now."""
        return self._view

    def watch(self) -> Generator[JobView, None, None]:
        """Yield now and after each change, skipping what came too fast; end after the final state, or with the app."""
        seen: JobView | None = None
        while seen is None or not (seen.final or (self.released and seen is self._view)):
            seen = self.newer_than(seen.version if seen else None)
            yield seen

    def wait_until_begun(self) -> None:
        """Return once the job needs nothing more that it waits for, or has ended."""
        next(view for view in self.watch() if view.final or view.phase != "waiting" or self.released)

    def newer_than(self, version: int | None, patience_s: float | None = None) -> JobView:
        """Return how things stand once they differ from a version, or when patience is at its end, or the app."""
        with self._changed:
            self._changed.wait_for(lambda: self._view.version != version or self.released, patience_s)
            return self._view

    def cancel(self) -> None:
        """Ask for a stop; a job that still waits ends at once. Asking again changes nothing."""
        self._stop.set()
        with self._changed:
            if self._view.state == "queued":
                self._set(state="cancelled", phase="ended", ended=time.time())
            elif not self._view.final:
                self._set(stopping=True)

    def stopped(self) -> bool:
        """Return whether somebody asked for a stop; raise Interrupted where the app itself has to stop."""
        if self._cut.is_set():
            raise Interrupted(CUT)
        return self._stop.is_set()

    def release(self) -> None:
        """Let go of everything, because the app stops: what runs breaks off at its next step, and nobody waits."""
        self._cut.set()
        with self._changed:
            self.released = True
            if self._view.state == "queued":
                self._view = replace(self._view, error=GOES_ON, version=self._view.version + 1)
            self._changed.notify_all()

    def begin(self, **kept: Any) -> bool:
        """Mark the job as running, unless it was cancelled while it waited; keep other values with that."""
        with self._changed:
            if self._view.state == "queued":
                self._set(kept, state="running", place=0, started=time.time())
            return self._view.state == "running"

    def change(self, **fields: Any) -> None:
        """Show new values to whoever watches, unless the job has ended."""
        with self._changed:
            if not self._view.final:
                self._set(**fields)

    def end(self, **fields: Any) -> None:
        """Show how the job ended."""
        self.change(phase="ended", ended=time.time(), **fields)

    def mark(self, **fields: Any) -> None:
        """Keep what became of a job after its end."""
        with self._changed:
            self._set({}, **fields)

    def tell(self, event: Event) -> None:
        """Show what happened on the way."""
        self.change(**told(event, self._view))

    def entry(self) -> Entry:
        """Return what is to be kept."""
        view, ticket = self._view, self.ticket
        times: tuple[float, float | None, float | None] = (view.created, view.started, view.ended)
        run = view.run.id if view.run else None
        came = (view.id, ticket.number, view.plan, view.origin, ticket.came)
        return Entry(*came, view.state, *times, view.error, run, view.again, view.dismissed)

    def _set(self, kept: dict[str, Any] | None = None, **fields: Any) -> None:
        before, self._view = self._view, replace(self._view, version=self._view.version + 1, **fields)
        if kept is not None or before.state != self._view.state:
            self._keep(self.entry(), **(kept or {}))
        self._changed.notify_all()


def told(event: Event, view: JobView) -> dict[str, Any]:
    """Return what an event changes in a view."""
    match event:
        case Waiting(what):
            return {"phase": "waiting", "waits_for": what}
        case Loading():
            return {"phase": "loading", "waits_for": ""}
        case Again(why):
            return {"phase": "loading", "step": 0, "preview": None, "begins": None, "ends": None, "note": why}
        case Step(index, total, preview, seconds_left, seconds):
            now = time.time()
            times = {"begins": view.begins or now - seconds, "ends": now + (seconds_left or 0)}
            return {"phase": "denoising", "waits_for": "", "step": index, "steps": total, "preview": preview} | times
        case Decoding(_, _, seconds_left):
            return {"phase": "decoding", "ends": time.time() + (seconds_left or 0)}
        case Finished(run):
            return {"phase": "ended", "state": run.state, "run": run, "ended": time.time()}
