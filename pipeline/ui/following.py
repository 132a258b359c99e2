"""How a page follows the jobs of who looks at it: in a stream as long as that holds, from tick to tick otherwise."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gradio as gr
from gradio.events import Dependency

from pipeline.errors import NotFound, OnetakeError
from pipeline.job import Job, JobView
from pipeline.ui import clips
from pipeline.ui.desk import Desk, refusal
from pipeline.ui.stage import Updates
from pipeline.visitors import Viewer, new_key

PAGE_ONLY: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE = PAGE_ONLY | {"queue": False}
# Watching a job takes no place in a queue, because the jobs have their own.
FOLLOWING = PAGE_ONLY | {"concurrency_limit": None}
# A stream says something this often, so that the time left goes on, and nobody is followed who has gone.
SIGN_OF_LIFE_S = 2.0
# Who has not heard of a change for so long has lost the stream.
LOST_S = 3.5
# A result is looked at before the next of one's own takes comes onto the stage.
RESULT_STAYS_S = 5.0
NOTHING_KEPT = "It was stopped before its first step was done, so there is nothing to keep. Make it again."


@dataclass(frozen=True)
class Seen:
    """What a page shows of a job: which version, None for its outcome, and since when; a browser keeps it as a word.

    `at` is in seconds since 1970, 0 where no stream brought it.
    """

    job: str
    version: int | None
    at: float

    def __str__(self) -> str:
        """Return the word."""
        return f"{self.job} {'outcome' if self.version is None else self.version} {self.at:.3f}"

    @classmethod
    def read(cls, word: str | None) -> "Seen | None":
        """Return what a word says, None for any other."""
        with suppress(ValueError):
            job, version, at = (word or "").split()
            return cls(job, None if version == "outcome" else int(version), float(at))
        return None


def wire_following(page: gr.Blocks, desk: Desk) -> list[Dependency]:
    """Connect arrival, the clock, Stop and the cards; return what follows, for what puts something else on stage."""
    following = Following(desk)
    around, everything = [desk.header, *desk.surroundings], [*desk.outputs, *desk.surroundings]
    # Whoever wants a job followed writes its name into a field that nobody sees.
    follow: Dependency = desk.call.change(
        following.follow, [desk.visitor, desk.call], everything, trigger_mode="once", **FOLLOWING
    )
    page.load(following.arrive, desk.visitor, [*everything, desk.visitor], **AT_ONCE)
    gr.on(
        [desk.ticker.tick, desk.look.click],
        following.tick, [desk.visitor, desk.seen, desk.stage.shown], everything, **AT_ONCE,
    )  # fmt: skip
    stopping = [*around, desk.stage.progress]
    desk.stage.stop.click(following.stop, [desk.visitor, desk.seen], stopping, **AT_ONCE)
    desk.queue.follow_job(following.switch, desk.visitor, [*desk.stage.outputs, desk.seen, desk.call], **AT_ONCE)
    desk.queue.cancel_job(following.cancel, desk.visitor, around, **AT_ONCE)
    # On ZeroGPU a job runs on the quota of who asks for it, whom only the queue lets through.
    desk.queue.retry_job(following.retry, desk.visitor, [*around, desk.queue_told], **FOLLOWING)
    desk.queue.dismiss_job(following.dismiss, desk.visitor, around, **AT_ONCE)
    return [follow]


@dataclass(frozen=True)
class Following:
    """What answers the page. Gradio gives a click's details to functions and methods only, not to partials.

    `called` holds for each page that follows, by its session, the word that says which job.
    """

    desk: Desk
    called: dict[str, str] = field(default_factory=dict)

    def arrive(self, key: str | None) -> Updates:
        """Fill the page for who opens it: their running take first, or their newest, or the example."""
        viewer = self._viewer(key := key or new_key())
        under_way = self.desk.house.jobs.under_way(viewer)
        if under_way:
            sight = {**self._shown(under_way[0], 0), self.desk.call: called(under_way[0].id)}
        else:
            runs = self.desk.house.store.owned_by(viewer)
            clip = clips.clip_of(runs[0]) if runs else clips.example_clip(self.desk.house.settings)
            sight = self.desk.stage.play(clip) if clip else self.desk.stage.clear()
        return {self.desk.visitor: key, **self.desk.around(viewer), **sight}

    def follow(self, key: str | None, word: str, request: gr.Request) -> Iterator[Updates]:
        """Show a job from step to step and how it ends, then the next one of the same visitor, until there is none."""
        viewer, session = self._viewer(key), request.session_hash or ""
        self.called[session] = word
        job = self._named(word, viewer)
        try:
            while job is not None:
                yield from self._see_through(job, viewer, partial(self._elsewhere, session, word))
                switched = self.called.get(session, word)
                job = self._next(job, viewer) if switched == word else self._named(switched, viewer)
                word = switched
        finally:
            if not self._elsewhere(session, word):
                del self.called[session]

    def tick(self, key: str | None, seen: str, shown: clips.Clip | None) -> Updates:
        """Look after what nobody follows: loading, downloads, other jobs, and the stage where a stream is lost."""
        viewer, word = self._viewer(key), Seen.read(seen)
        updates = self.desk.around(viewer, shown.run_id if shown else None)
        return updates | (self._caught_up(word, viewer) if word and time.time() - word.at > LOST_S else {})

    def switch(self, key: str | None, event: gr.EventData, request: gr.Request) -> Updates:
        """Put a job of the strip onto the stage, and have it followed."""
        viewer, word = self._viewer(key), called(event.job)
        if request.session_hash in self.called:
            self.called[request.session_hash] = word
        try:
            view = self.desk.house.jobs.look(event.job, viewer)
        except NotFound:
            return {self.desk.call: word}
        return {**({} if view.final else self._shown(view, time.time())), self.desk.call: word}

    def stop(self, key: str | None, seen: str) -> Updates:
        """Ask the job on the stage to stop; whoever follows it shows what is kept."""
        word, viewer = Seen.read(seen), self._viewer(key)
        if word is None:
            return self.desk.jobs_of(viewer)
        updates = self._cancelled(word.job, viewer)
        with suppress(NotFound):
            updates |= self.desk.stage.goes_on(self.desk.house.jobs.look(word.job, viewer))
        return updates

    def cancel(self, key: str | None, event: gr.EventData) -> Updates:
        """Stop a job of the strip, or take it out of the queue."""
        return self._cancelled(event.job, self._viewer(key))

    def retry(self, key: str | None, event: gr.EventData) -> Updates:
        """Run a job of the strip again, and say why where that is refused."""
        viewer = self._viewer(key)
        try:
            job = self.desk.house.jobs.retry(event.job, viewer)
        except OnetakeError as error:
            return {**self.desk.jobs_of(viewer), self.desk.queue_told: gr.HTML(refusal(error), visible=True)}
        told: Updates = {self.desk.queue_told: gr.HTML("", visible=False)}
        return {**self.desk.jobs_of(viewer), **told, self.desk.call: called(job.id)}

    def dismiss(self, key: str | None, event: gr.EventData) -> Updates:
        """Take a job that broke off out of the strip."""
        viewer = self._viewer(key)
        with suppress(NotFound):
            self.desk.house.jobs.dismiss(event.job, viewer)
        return self.desk.jobs_of(viewer)

    def _see_through(self, job: Job, viewer: Viewer, elsewhere: Callable[[], bool]) -> Iterator[Updates]:
        version = None
        while not (view := job.newer_than(version, SIGN_OF_LIFE_S)).final:
            if job.released or elsewhere():
                return
            foreseen = self.desk.house.jobs.look(job.id, viewer)
            if view.version == version:
                seen = str(Seen(job.id, version, time.time()))
                yield {**self.desk.stage.goes_on(foreseen), self.desk.seen: seen}
            else:
                others = self.desk.jobs_of(viewer) if version is None else {}
                yield {**self._shown(foreseen, time.time()), **others}
            version = view.version
        if not elsewhere():
            yield self._outcome(view, viewer)
            self._look_at_result(job, viewer, elsewhere)

    def _look_at_result(self, job: Job, viewer: Viewer, elsewhere: Callable[[], bool]) -> None:
        until = time.monotonic() + (RESULT_STAYS_S if job.snapshot().run else 0)
        while self.desk.house.jobs.under_way(viewer) and time.monotonic() < until and not elsewhere():
            time.sleep(0.2)

    def _next(self, job: Job, viewer: Viewer) -> Job | None:
        """Return the job to be followed after another one has ended."""
        jobs = self.desk.house.jobs
        if under_way := jobs.under_way(viewer):
            return jobs.get(under_way[0].id)
        last = jobs.ended_last(viewer)
        # What ended while the result before was looked at.
        return last if last and (last.snapshot().ended or 0) > (job.snapshot().ended or 0) else None

    def _caught_up(self, seen: Seen, viewer: Viewer) -> Updates:
        """Return what a page has missed that was told last by a stream which is lost."""
        jobs, ahead = self.desk.house.jobs, self.desk.house.jobs.under_way(viewer)
        if seen.version is None:
            waited = time.time() - seen.at > RESULT_STAYS_S + LOST_S
            return self._shown(ahead[0], 0) if ahead and waited else {}
        try:
            view = jobs.look(seen.job, viewer)
        except NotFound:
            return {self.desk.seen: ""}
        return self._outcome(view, viewer) if view.final else self._shown(view, 0)

    def _shown(self, view: JobView, at: float) -> Updates:
        return {**self.desk.stage.follow(view), self.desk.seen: str(Seen(view.id, view.version, at))}

    def _outcome(self, view: JobView, viewer: Viewer) -> Updates:
        self.desk.house.speeds.clear()
        stage, run = self.desk.stage, view.run
        shown = stage.play(clips.clip_of(run)) if run else stage.say(view.error or NOTHING_KEPT)
        seen: Updates = {self.desk.seen: str(Seen(view.id, None, time.time()))}
        return {**shown, **seen, **self.desk.around(viewer, run.id if run else None), **self.desk.unloaded(view)}

    def _elsewhere(self, session: str, word: str) -> bool:
        return self.called.get(session) != word

    def _named(self, word: str, viewer: Viewer) -> Job | None:
        with suppress(NotFound):
            return self.desk.house.jobs.get(word.partition(" ")[0], viewer)
        return None

    def _cancelled(self, job_id: str, viewer: Viewer) -> Updates:
        with suppress(NotFound):
            self.desk.house.jobs.cancel(job_id, viewer)
        return self.desk.jobs_of(viewer)

    def _viewer(self, key: str | None) -> Viewer:
        return self.desk.house.viewer(key)


def called(job_id: str) -> str:
    """Return a word that has a job followed: another one each time, or nothing would change."""
    return f"{job_id} {time.time_ns()}"
