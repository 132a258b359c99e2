import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import replace

import pytest
from conftest import MakePlan

from pipeline.backends.local import LocalBackend
from pipeline.backends.take import Take
from pipeline.errors import BadRequest, NotFound, QueueFull
from pipeline.events import IsCancelled, Listener
from pipeline.jobs import Jobs
from pipeline.plan import Plan
from pipeline.planning.segments import Segment
from pipeline.queue.job import Job, JobView
from pipeline.queue.ledger import REMEMBERED, Ledger
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.visitors import Origin, Viewer

LONG = {"steps": 100, "frames": 17}


@pytest.fixture
def jobs(backend: LocalBackend, store: Store) -> Iterator[Jobs]:
    backend.warm("tabletop")
    jobs = Jobs(backend, store, max_queue=4)
    yield jobs
    jobs.close()


def wait_for(job: Job, reached: Callable[[JobView], bool]) -> JobView:
    return next(view for view in job.watch() if reached(view))


def last(job: Job) -> JobView:
    *_, view = job.watch()
    return view


def stepping(job: Job) -> JobView:
    return wait_for(job, lambda view: view.step > 0)


def test_a_job_runs_to_its_end(jobs: Jobs, store: Store, plan_for: MakePlan) -> None:
    job = jobs.submit(plan_for())
    views = list(job.watch())
    assert views[-1].state == "done"
    assert views[-1].run == store.list()[0]
    assert (views[-1].step, views[-1].steps, views[-1].phase, views[-1].error) == (4, 4, "ended", None)
    assert any(view.preview is not None and view.state == "running" for view in views)
    assert job.snapshot() is views[-1]


def test_who_comes_late_sees_the_end(jobs: Jobs, plan_for: MakePlan) -> None:
    job = jobs.submit(plan_for(steps=1))
    end = last(job)
    assert list(job.watch()) == [end]
    assert jobs.get(job.id) is job


def test_a_job_outlives_its_watcher(jobs: Jobs, plan_for: MakePlan) -> None:
    job = jobs.submit(plan_for(steps=8))
    watcher = job.watch()
    next(watcher)
    watcher.close()
    assert last(job).state == "done"


def test_places_count_down(jobs: Jobs, plan_for: MakePlan) -> None:
    first = jobs.submit(plan_for(**LONG))
    stepping(first)
    second, third = jobs.submit(plan_for(steps=1)), jobs.submit(plan_for(steps=1))
    assert (second.snapshot().place, third.snapshot().place) == (1, 2)
    with pytest.raises(QueueFull, match=r"2 videos of yours are waiting already\. Wait until one has begun, or cancel"):
        jobs.submit(plan_for())
    jobs.cancel(second.id)
    assert third.snapshot().place == 1
    fourth = jobs.submit(plan_for(steps=1))
    assert (third.snapshot().place, fourth.snapshot().place) == (1, 2)
    first.cancel()
    assert last(third).state == last(fourth).state == "done"


def test_a_waiting_job_is_cancelled_at_once(jobs: Jobs, store: Store, plan_for: MakePlan) -> None:
    first = jobs.submit(plan_for(**LONG))
    stepping(first)
    second = jobs.submit(plan_for())
    second.cancel()
    second.cancel()
    assert second.snapshot().state == "cancelled"
    first.cancel()
    assert last(first).state == "stopped"
    assert last(jobs.submit(plan_for(steps=1))).state == "done"
    assert len(store.list()) == 2


def test_a_running_job_stops_and_keeps_what_there_is(jobs: Jobs, store: Store, plan_for: MakePlan) -> None:
    job = jobs.submit(plan_for(**LONG))
    stepping(job)
    job.cancel()
    job.cancel()
    view = last(job)
    assert view.state == "stopped"
    assert view.run is not None
    assert view.run.notes[-1].startswith("Stopped after step")
    job.cancel()
    assert job.snapshot() is view
    assert store.list() == (view.run,)


def test_a_failed_job_says_why_and_the_next_one_runs(jobs: Jobs, plan_for: MakePlan) -> None:
    bad = jobs.submit(replace(plan_for(), segments=(Segment("a", 9), Segment("b", 9))))
    good = jobs.submit(plan_for(steps=1))
    assert last(bad).state == "failed"
    assert last(bad).error == "The plan has 2 segments. Give exactly one."
    assert last(good).state == "done"


def test_many_watchers_see_the_same_end(jobs: Jobs, plan_for: MakePlan) -> None:
    job = jobs.submit(plan_for())
    ends: list[JobView] = []
    watchers = [threading.Thread(target=lambda: ends.append(last(job))) for _ in range(5)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join()
    assert ends == [job.snapshot()] * 5


def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    with pytest.raises(NotFound, match="library"):
        jobs.get("nothing")


def test_ended_jobs_are_forgotten_in_the_end(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    jobs = Jobs(backend, store, max_queue=2)
    running = jobs.submit(plan_for(**LONG))
    stepping(running)
    first = jobs.submit(plan_for())
    jobs.cancel(first.id)
    for _ in range(REMEMBERED + 1):
        jobs.cancel(jobs.submit(plan_for()).id)
    with pytest.raises(NotFound):
        jobs.get(first.id)
    assert jobs.get(running.id) is running
    jobs.cancel(running.id)
    last(running)
    last(jobs.submit(plan_for(steps=1)))
    jobs.close()
    ledger = Ledger(store.home)
    assert len(ledger.entries()) <= REMEMBERED + 1
    ledger.close()


def test_what_a_visitor_has_is_nothing_to_others(jobs: Jobs, plan_for: MakePlan) -> None:
    ann, bob = Viewer("ann"), Viewer("bob")
    running = jobs.submit(plan_for(**LONG), Origin("ann"))
    stepping(running)
    waiting = jobs.submit(plan_for(), Origin("ann"))
    for touch in (jobs.cancel, jobs.retry, jobs.dismiss, jobs.get):
        with pytest.raises(NotFound):
            touch(running.id, bob)
    assert jobs.under_way(bob) == jobs.left_over(bob) == ()
    first, second = jobs.under_way(ann)
    assert (first.id, second.id, second.place) == (running.id, waiting.id, 1)
    assert first.ends
    assert second.begins
    assert second.ends
    assert second.begins >= first.ends - 1
    assert second.ends == pytest.approx(second.begins + second.plan.estimate.seconds)
    with pytest.raises(BadRequest, match="This take is running"):
        jobs.retry(running.id, ann)
    jobs.cancel(waiting.id, ann)
    jobs.cancel(running.id, ann)
    assert last(running).state == "stopped"


def test_what_failed_is_left_over_until_it_is_dismissed_or_tried_again(jobs: Jobs, plan_for: MakePlan) -> None:
    broken = replace(plan_for(), segments=(Segment("a", 9), Segment("b", 9)))
    first, second = jobs.submit(broken, Origin("ann")), jobs.submit(broken, Origin("ann"))
    last(second)
    ann = Viewer("ann")
    assert [view.id for view in jobs.left_over(ann)] == [second.id, first.id]
    jobs.dismiss(first.id, ann)
    again = jobs.retry(second.id, ann)
    assert last(again).state == "failed"
    assert [view.id for view in jobs.left_over(ann)] == [again.id]


def test_where_devices_are_lent_jobs_begin_at_once_and_know_who_asked(
    settings: Settings, store: Store, plan_for: MakePlan
) -> None:
    visitor: ContextVar[str] = ContextVar("visitor")
    together, asked = threading.Barrier(2), list[str]()

    class Lent(LocalBackend):
        def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
            asked.append(visitor.get())
            together.wait(60)
            return super().run(plan, on_event, cancelled)

    jobs = Jobs(Lent(settings), store, max_queue=2, at_once=True)
    begun = []
    for name in ("one", "two"):
        visitor.set(name)
        begun.append(jobs.submit(plan_for(steps=1), Origin(name)))
    with pytest.raises(QueueFull):
        jobs.submit(plan_for())
    assert all(view.by_page and not view.place for view in jobs.under_way())
    assert [last(job).state for job in begun] == ["done", "done"]
    assert sorted(asked) == ["one", "two"]
    jobs.close()
