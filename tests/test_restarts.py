"""Jobs over the end of an app, and its next start."""

import pytest
from conftest import MakePlan
from test_jobs import LONG, last, stepping

from pipeline.backends.local import LocalBackend
from pipeline.errors import QueueFull
from pipeline.generate import generate
from pipeline.jobs import Jobs
from pipeline.queue.ledger import Entry, Ledger
from pipeline.store import Store
from pipeline.visitors import Origin, Viewer


def test_closing_interrupts_the_running_job_and_leaves_the_waiting_to_the_next_start(
    backend: LocalBackend, store: Store, plan_for: MakePlan
) -> None:
    jobs = Jobs(backend, store, max_queue=5)
    running, waiting = jobs.submit(plan_for(**LONG)), jobs.submit(plan_for(steps=1))
    stepping(running)
    jobs.close()
    jobs.close()
    assert (last(running).state, last(running).run) == ("interrupted", None)
    assert last(running).error == "The app was stopped while this was made, and nothing of it was kept. Run it again."
    assert last(waiting).state == "queued"
    assert (last(waiting).error or "").startswith("The app is being stopped. It goes on with this")
    with pytest.raises(QueueFull, match="Try again once it is back"):
        jobs.submit(plan_for())

    later = Jobs(backend, store, max_queue=5)
    assert later.get(waiting.id).snapshot().state == "queued"
    later.go_on()
    assert last(later.get(waiting.id)).state == "done"
    assert later.get(running.id).snapshot().state == "interrupted"
    again = later.retry(running.id)
    assert later.retry(running.id) is again
    assert again.snapshot().plan == running.snapshot().plan
    later.cancel(again.id)
    last(again)
    assert later.left_over() == ()
    later.close()


def test_turns_are_fair_over_a_restart(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    jobs = Jobs(backend, store, max_queue=10)
    running = jobs.submit(plan_for(**LONG), Origin("ann"))
    stepping(running)
    names = [("ann", 2), ("ann", 3), ("bob", 1), ("cy", 1), ("bob", 2)]
    made = {jobs.submit(plan_for(steps=1), Origin(owner)).id: (owner, nth) for owner, nth in names}
    order = [made[view.id] for view in jobs.under_way()[1:]]
    assert order == [("bob", 1), ("cy", 1), ("ann", 2), ("bob", 2), ("ann", 3)]
    jobs.close()

    later = Jobs(backend, store, max_queue=10)
    assert [made[view.id] for view in later.under_way()] == order
    later.go_on()
    ends = [(last(later.get(job_id)).started or 0, made[job_id]) for job_id in made]
    assert [who for _, who in sorted(ends)] == order
    later.close()


def test_a_run_that_was_kept_just_before_the_end_is_done_and_not_made_again(
    backend: LocalBackend, store: Store, plan_for: MakePlan
) -> None:
    ledger = Ledger(store.home)
    kept, cut, later = (
        Entry(name, number, plan_for(steps=1), Origin("ann", job=name), 0, state, 1.0, started)
        for name, number, state, started in (
            ("a1", 1, "running", 2.0),
            ("b2", 2, "running", 2.0),
            ("c3", 3, "queued", None),
        )
    )
    for entry in (kept, cut, later):
        ledger.add(entry)
    ledger.close()
    list(generate(kept.plan, backend, store, origin=kept.origin))
    (store.home / ".unfinished" / "b2").mkdir()

    jobs = Jobs(backend, store, max_queue=2)
    assert jobs.get("a1").snapshot().run == store.get("a1")
    assert jobs.get("a1").snapshot().state == "done"
    assert [view.id for view in jobs.left_over(Viewer("ann"))] == ["b2"]
    assert not list((store.home / ".unfinished").iterdir())
    jobs.go_on()
    assert last(jobs.get("c3")).run == store.get("c3")
    assert len(store.list()) == 2
    jobs.close()


def test_where_devices_are_lent_a_restart_cannot_go_on(store: Store, backend: LocalBackend, plan_for: MakePlan) -> None:
    ledger = Ledger(store.home)
    ledger.add(Entry("a1", 1, plan_for(), Origin("ann", job="a1"), 0, "queued", 1.0))
    ledger.close()
    jobs = Jobs(backend, store, max_queue=2, at_once=True)
    (view,) = jobs.left_over()
    assert (view.state, view.error) == ("interrupted", "The app was stopped before this had begun. Run it again.")
    jobs.close()
