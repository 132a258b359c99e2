"""Jobs over the end of an app, and its next start."""

from dataclasses import replace

import pytest
from conftest import MakePlan
from test_jobs import LONG, last, stepping, wait_for

from pipeline.backends.local import LocalBackend
from pipeline.errors import QueueFull
from pipeline.generate import generate
from pipeline.jobs import Jobs
from pipeline.model_spec import Chunks, ModelSpec
from pipeline.plan import make_plan
from pipeline.queue.ledger import Entry, Ledger
from pipeline.request import parse_request
from pipeline.store import Store
from pipeline.video import read_frames
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


def test_a_long_take_goes_on_after_its_parts_however_the_app_ended(
    backend: LocalBackend, store: Store, spec: ModelSpec
) -> None:
    asked = {"prompt": "a red ball bounces on snow", "width": 64, "height": 64, "frames": 33, "steps": 20, "seed": 7}
    plan = make_plan(parse_request(asked), replace(spec, max_frames=17, chunks=Chunks(17, 9)))
    jobs = Jobs(backend, store, max_queue=2)
    running = jobs.submit(plan)
    wait_for(running, lambda view: bool(view.parts_done))
    jobs.close()
    kept = last(running).run
    assert kept, "an end in order keeps what is done"
    assert (kept.state, kept.plan.num_frames in (17, 25)) == ("stopped", True)

    ledger = Ledger(store.home)
    ledger.add(Entry("killed", 2, plan, Origin("ann", job="killed"), 0, "running", 1.0, 2.0))
    ledger.close()
    later = Jobs(backend, store, max_queue=2)
    later.go_on()
    run = last(later.retry("killed", Viewer("ann"))).run
    assert run
    assert run.state == "done"
    assert any("made before, and kept" in note for note in run.notes)
    assert len(list(read_frames(run.file))) == 33
    later.close()
