"""Jobs over the end of an app: as it closes, and as it is killed in the middle, with many visitors."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from app_server import Server, running_app
from conftest import MakePlan
from crowd import ask, crowd, mean_waits, rows, visitors, wait_for
from test_jobs import LONG, last, stepping

from pipeline.backends.local import LocalBackend
from pipeline.errors import QueueFull
from pipeline.generate import generate
from pipeline.jobs import Jobs
from pipeline.queue.ledger import Entry, Ledger
from pipeline.store import Store
from pipeline.visitors import Origin, Viewer, owner_of

TEN = visitors(10)
# Of the second app: waiting jobs, of which one visitor may have half.
SHORT_QUEUE = 6


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


def all_are_made_once(server: Server) -> None:
    answers = crowd(server.url, TEN, each=4)
    assert {kind for kind, _ in answers} == {"complete"}
    made = [run["id"] for _, (_, run) in answers]
    jobs = rows(server.home)
    assert sorted(made) == sorted(job["run"] for job in jobs) == sorted(run.id for run in Store(server.home).list())
    assert len(set(made)) == 40
    assert Counter(job["owner"] for job in jobs) == {owner_of(key): 4 for key in TEN}
    waits = mean_waits(jobs)
    print(f"mean waits of ten visitors: {min(waits):.2f} to {max(waits):.2f} s")
    assert max(waits) <= 2 * min(waits)


def kill_with_jobs(server: Server) -> None:
    ask(server.url, TEN[0], steps=100, frames=97, width=128, height=128)
    wait_for(lambda: bool(rows(server.home, state="running")))
    for key in (TEN[0], TEN[0], TEN[1], TEN[2]):
        ask(server.url, key)
    wait_for(lambda: len(rows(server.home, state="queued")) == 4)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()


def what_waited_is_made(server: Server) -> None:
    (cut,) = rows(server.home, state="interrupted")
    assert (cut["owner"], cut["run"]) == (owner_of(TEN[0]), None)
    assert cut["error"].endswith("Run it again.")
    wait_for(lambda: len(rows(server.home, state="done")) == 44)
    assert sorted(job["id"] for job in rows(server.home, state="done")) == sorted(
        run.id for run in Store(server.home).list()
    )
    after = [job["owner"] for job in sorted(rows(server.home)[-4:], key=lambda job: job["started"])]
    assert after == [owner_of(TEN[number]) for number in (1, 2, 0, 0)]
    assert not list((server.home / ".unfinished").iterdir())


def who_is_refused_is_told(server: Server) -> None:
    before = len(Store(server.home).list())
    answers = crowd(server.url, TEN, each=4)
    made = [data[1]["id"] for kind, data in answers if kind == "complete"]
    said = [str(data) for kind, data in answers if kind == "error"]
    assert len(made) + len(said) == 40
    assert len(made) >= SHORT_QUEUE
    assert said
    full, own = "6 videos are waiting already. Try again in a minute.", "3 videos of yours are waiting already."
    assert all(full in words or own in words for words in said)
    assert len(set(made)) == len(made) == len(Store(server.home).list()) - before


def test_nothing_accepted_is_lost_or_made_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_app(tmp_path) as server:
        all_are_made_once(server)
        kill_with_jobs(server)
    with running_app(tmp_path, ONETAKE_MAX_QUEUE=str(SHORT_QUEUE)) as server:
        what_waited_is_made(server)
        who_is_refused_is_told(server)
    with capsys.disabled():
        print(f"  {capsys.readouterr().out.strip()}")
