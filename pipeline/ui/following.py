"""How a page follows the jobs of who looks at it: in a stream as long as that holds, from tick to tick otherwise."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from pipeline.errors import NotFound, OnetakeError
from pipeline.queue.job import Job, JobView
from pipeline.ui import clips
from pipeline.ui.desk import Desk, refusal
from pipeline.ui.doors import LINK_GONE, run_asked
from pipeline.ui.pages import AT_ONCE, FOLLOWING, ON_ZEROGPU, Seen, called, named
from pipeline.ui.stage import Updates
from pipeline.visitors import Viewer, new_key

# A stream says something this often, so that the time left goes on, and nobody is followed who has gone.
SIGN_OF_LIFE_S = 2.0
# Who has not heard of a change for so long has lost the stream.
LOST_S = 3.5
# A result is looked at before the next of one's own takes comes onto the stage.
RESULT_STAYS_S = 5.0
NOTHING_KEPT = "It was stopped before its first step was done, so there is nothing to keep. Make it again."


def wire_following(page: gr.Blocks, desk: Desk) -> None:
    """Connect arrival, the clock, Stop, and the cards of the jobs."""
    following, queue = Following(desk), desk.queue
    around, everything = [desk.header, *desk.surroundings], [*desk.outputs, *desk.surroundings]
    page.load(following.arrive, desk.visitor, [*everything, desk.visitor], **AT_ONCE)
    page.unload(following.leave)
    # Whoever wants a job followed writes its name into a field that nobody sees.
    desk.call.change(following.follow, [desk.visitor, desk.call], everything, trigger_mode="once", **FOLLOWING)
    looking: Any = {"inputs": [desk.visitor, desk.seen, desk.stage.shown], "outputs": everything, **AT_ONCE}
    desk.ticker.tick(following.tick, **looking)
    desk.look.click(following.come_back, **looking)
    desk.stage.stop.click(following.stop, [desk.visitor, desk.seen], everything, **AT_ONCE)
    queue.follow_job(following.switch, desk.visitor, everything, **AT_ONCE)
    queue.cancel_job(following.cancel, desk.visitor, around, **AT_ONCE)
    queue.dismiss_job(following.dismiss, desk.visitor, around, **AT_ONCE)
    lent = desk.house.settings.on_zerogpu
    retrying: Any = {"inputs": [desk.visitor, desk.seen], "outputs": [*everything, desk.queue_told]}
    retrying |= ON_ZEROGPU if lent else AT_ONCE
    queue.retry_job(following.retry_and_stay if lent else following.retry, **retrying)


@dataclass(frozen=True)
class Following:
    """What answers the page. Gradio gives a click's details to functions and methods only, not to partials."""

    desk: Desk

    def arrive(self, key: str | None, request: gr.Request) -> Updates:
        """Fill the page for who opens it: the take of a link, or their running take, or their newest, or the example.

        Beside the take of a link, the cards of the jobs lead to what runs.
        """
        viewer = self._viewer(key := key or new_key())
        if (asked := run_asked(request)) is not None:
            return {self.desk.visitor: key, **self.desk.put_on_stage(asked, key, request.session_hash, LINK_GONE)}
        under_way = self.desk.house.jobs.under_way(viewer)
        if under_way:
            sight = {**self.desk.on_stage(under_way[0], viewer, 0), self.desk.call: called(under_way[0].id)}
        else:
            sight = self._newest(viewer)
        return {self.desk.visitor: key, **self.desk.around(viewer), **sight}

    def leave(self, request: gr.Request) -> None:
        """Keep nothing of a page that was closed."""
        self.desk.pages.forget(request.session_hash)

    def _newest(self, viewer: Viewer) -> Updates:
        store = self.desk.house.store
        newest = store.find(viewer, limit=1).runs
        if newest and (cell := newest[0].cell):
            return self.desk.rest(cell.sheet, viewer)
        clip = clips.staged(newest[0], store, viewer) if newest else clips.example_clip(self.desk.house.settings)
        return self.desk.stage.play(clip) if clip else self.desk.stage.clear()

    def follow(self, key: str | None, called_by: str, request: gr.Request) -> Iterator[Updates]:
        """Show a job from step to step and how it ends, then the next one of the same visitor, until there is none.

        While the page looks at something else, it is told of the jobs besides the stage.
        """
        viewer, session, word = self._viewer(key), request.session_hash, called_by or None
        self.desk.pages.begin(viewer.owner, session, called_by)
        try:
            while word is not None:
                elsewhere = partial(self._elsewhere, session, word)
                job = self._named(word, viewer)
                yield from self._see_through(job, viewer, elsewhere) if job else self._look_away(viewer, elsewhere)
                word = self._next(session, word, job, viewer)
        finally:
            self.desk.pages.end(viewer.owner, session, word)

    def tick(self, key: str | None, seen: str, shown: clips.Clip | None) -> Updates:
        """Look after what nobody follows: loading, downloads, other jobs, and the stage where a stream is lost."""
        viewer, word = self._viewer(key), Seen.read(seen)
        updates = self.desk.around(viewer, shown.run_id if shown else None)
        return updates | (self._caught_up(word, viewer) if word and time.time() - word.at > LOST_S else {})

    def come_back(self, key: str | None, seen: str, shown: clips.Clip | None, request: gr.Request) -> Updates:
        """Look after a page that is looked at again, and follow its job in a stream, which another page may have."""
        word, updates = Seen.read(seen), self.tick(key, seen, shown)
        if word and word.version is not None and self.desk.pages.wanted(request.session_hash) is None:
            updates[self.desk.call] = called(word.job)
        return updates

    def switch(self, key: str | None, event: gr.EventData, request: gr.Request) -> Updates:
        """Put a job of the strip onto the stage, and have it followed."""
        viewer = self._viewer(key)
        try:
            return self.desk.call_job(event.job, viewer, request.session_hash)
        except NotFound:
            return self.desk.jobs_of(viewer)

    def stop(self, key: str | None, seen: str) -> Updates:
        """Ask the job on the stage to stop; whoever follows it shows what is kept."""
        word, viewer = Seen.read(seen), self._viewer(key)
        if word is None:
            return self.desk.jobs_of(viewer)
        updates = self._cancelled(word.job, viewer)
        with suppress(NotFound):
            updates |= self.desk.goes_on(self.desk.house.jobs.look(word.job, viewer), viewer)
        return updates

    def cancel(self, key: str | None, event: gr.EventData) -> Updates:
        """Stop a job of the strip, or take it out of the queue."""
        return self._cancelled(event.job, self._viewer(key))

    def retry(self, key: str | None, seen: str, event: gr.EventData, request: gr.Request) -> Updates:
        """Run a job of the strip again, and say why where that is refused."""
        return next(self.retry_and_stay(key, seen, event, request))

    def retry_and_stay(self, key: str | None, seen: str, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Run a job of the strip again, and stay until it has begun."""
        viewer, word = self._viewer(key), Seen.read(seen)
        try:
            job = self.desk.house.jobs.retry(event.job, viewer)
        except OnetakeError as error:
            yield {**self.desk.jobs_of(viewer), self.desk.queue_told: gr.HTML(refusal(error), visible=True)}
            return
        told: Updates = {self.desk.queue_told: gr.HTML("", visible=False), **self.desk.jobs_of(viewer)}
        yield told | self.desk.follow_new(job.id, viewer, word, request.session_hash)
        job.wait_until_begun()

    def dismiss(self, key: str | None, event: gr.EventData) -> Updates:
        """Take a job that broke off out of the strip."""
        viewer = self._viewer(key)
        with suppress(NotFound):
            self.desk.house.jobs.dismiss(event.job, viewer)
        return self.desk.jobs_of(viewer)

    def _see_through(self, job: Job, viewer: Viewer, elsewhere: Callable[[], bool]) -> Iterator[Updates]:
        version = None
        while not (view := job.newer_than(version, SIGN_OF_LIFE_S)).final:
            foreseen, now = self.desk.house.jobs.look(job.id, viewer), time.time()
            if view.version == version:
                seen = str(Seen(job.id, version, now))
                updates = {**self.desk.goes_on(foreseen, viewer), self.desk.seen: seen}
            else:
                updates = self.desk.on_stage(foreseen, viewer, now)
            if job.released or elsewhere():
                return
            yield updates
            version = view.version
        if not elsewhere():
            yield self._outcome(view, viewer)
            self._pause(viewer, elsewhere, RESULT_STAYS_S if view.run and not view.origin.cell else 0)

    def _look_away(self, viewer: Viewer, elsewhere: Callable[[], bool]) -> Iterator[Updates]:
        while self.desk.house.jobs.under_way(viewer) and not elsewhere():
            yield self.desk.jobs_of(viewer)
            self._pause(viewer, elsewhere, SIGN_OF_LIFE_S)

    def _pause(self, viewer: Viewer, elsewhere: Callable[[], bool], seconds: float) -> None:
        """Wait, as long as there is something to wait for."""
        until = time.monotonic() + seconds
        while self.desk.house.jobs.under_way(viewer) and time.monotonic() < until and not elsewhere():
            time.sleep(0.2)

    def _next(self, session: str | None, word: str, job: Job | None, viewer: Viewer) -> str | None:
        """Return the word of what is followed after another one: what the page was called to, or what comes next."""
        jobs, wanted = self.desk.house.jobs, self.desk.pages.wanted(session)
        if wanted != word:
            return wanted
        if job is None or job.released:
            return None
        ended, cell = job.snapshot().ended or 0, job.snapshot().origin.cell
        if cell:
            return self._next_of(session, cell.sheet, viewer)
        if under_way := jobs.under_way(viewer):
            following: str | None = under_way[0].id
        else:
            # What ended while the result before was looked at.
            last = jobs.ended_last(viewer)
            following = last.id if last and (last.snapshot().ended or 0) > ended else None
        if following:
            self.desk.pages.call(session, called(following))
        return self.desk.pages.wanted(session) if following else None

    def _next_of(self, session: str | None, sheet: str, viewer: Viewer) -> str:
        """Return what is followed after a job of a sheet: its next one, or nothing, because somebody is choosing."""
        under_way = self.desk.sheet(sheet, viewer).under_way
        word = called(under_way[0].id) if under_way else ""
        self.desk.pages.call(session, word)
        return word

    def _caught_up(self, seen: Seen, viewer: Viewer) -> Updates:
        """Return what a page has missed that was told last by a stream which is lost."""
        jobs, ahead = self.desk.house.jobs, self.desk.house.jobs.under_way(viewer)
        if seen.version is None:
            waited = time.time() - seen.at > RESULT_STAYS_S + LOST_S
            return self.desk.on_stage(ahead[0], viewer, 0) if ahead and waited else {}
        try:
            view = jobs.look(seen.job, viewer)
        except NotFound:
            return {self.desk.seen: ""}
        return self._outcome(view, viewer) if view.final else self.desk.on_stage(view, viewer, 0)

    def _outcome(self, view: JobView, viewer: Viewer) -> Updates:
        self.desk.house.speeds.clear()
        if cell := view.origin.cell:
            return self._laid_out(view, cell.sheet, viewer)
        stage, store, run = self.desk.stage, self.desk.house.store, view.run
        shown = stage.play(clips.staged(run, store, viewer)) if run else stage.say(view.error or NOTHING_KEPT)
        seen: Updates = {self.desk.seen: str(Seen(view.id, None, time.time()))}
        return {**shown, **seen, **self.desk.around(viewer, run.id if run else None), **self.desk.unloaded(view)}

    def _laid_out(self, view: JobView, sheet: str, viewer: Viewer) -> Updates:
        """Lay out the sheet of a job that has ended."""
        if self.desk.sheet(sheet, viewer).under_way:
            seen = str(Seen(view.id, None, time.time()))
            shown: Updates = {**self.desk.spread(sheet, viewer), self.desk.seen: seen}
        else:
            shown = self.desk.rest(sheet, viewer)
        return {**shown, **self.desk.around(viewer), **self.desk.unloaded(view)}

    def _elsewhere(self, session: str | None, word: str) -> bool:
        return self.desk.pages.wanted(session) != word

    def _named(self, word: str, viewer: Viewer) -> Job | None:
        with suppress(NotFound):
            return self.desk.house.jobs.get(named(word), viewer)
        return None

    def _cancelled(self, job_id: str, viewer: Viewer) -> Updates:
        jobs = self.desk.house.jobs
        with suppress(NotFound):
            cell = jobs.get(job_id, viewer).snapshot().origin.cell
            mates = [view.id for view in self.desk.sheet(cell.sheet, viewer).under_way] if cell else []
            # The running one last, or the next would begin.
            for each in (*reversed(mates), job_id):
                jobs.cancel(each, viewer)
        return self.desk.jobs_of(viewer)

    def _viewer(self, key: str | None) -> Viewer:
        return self.desk.house.viewer(key)
