"""Drafts side by side: queued all or none, put together from jobs and runs, finished once, found again."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest, NotFound, QueueFull
from pipeline.fetches import Fetches
from pipeline.jobs import Jobs
from pipeline.library.runs import Run
from pipeline.queue.job import Job
from pipeline.settings import Settings
from pipeline.sheet import Sheet, sheet_of
from pipeline.store import Store
from pipeline.ui.drafting import begin, finish, promise
from pipeline.ui.house import House
from pipeline.ui.warmup import WarmUp
from pipeline.visitors import Cell, Origin, Viewer, owner_of

KEY = "anna-has-a-key-of-her-own"
ANNA, BERT = Viewer(owner_of(KEY)), Viewer(owner_of("bert-has-another-key-too"))
SMALL: dict[str, Any] = {"task": "text", "width": 64, "height": 64, "frames": 1, "steps": 4}
TWO = SMALL | {"prompt": "a {red|blue} ball", "seed": 7}

Open = Callable[[], House]


@pytest.fixture
def opened(backend: LocalBackend, store: Store, settings: Settings) -> Iterator[Open]:
    """Open the app on one store, as often as somebody starts it."""
    houses = list[House]()

    def open_house() -> House:
        for house in houses:
            house.jobs.close()
        jobs = Jobs(backend, store, max_queue=8)
        houses.append(
            House(
                jobs, store, settings, WarmUp(backend.warm, backend.warm("tabletop").spec), backend, Fetches(settings)
            )
        )
        return houses[-1]

    yield open_house
    houses[-1].jobs.close()


@pytest.fixture
def house(opened: Open) -> House:
    return opened()


def ended(*jobs: Job) -> list[Run | None]:
    return [[*job.watch()][-1].run for job in jobs]


def laid_out(house: House, jobs: tuple[Job, ...], viewer: Viewer = ANNA) -> Sheet:
    cell = jobs[0].snapshot().origin.cell
    assert cell
    return sheet_of(cell.sheet, house.store, house.jobs, viewer)


def states(sheet: Sheet) -> list[tuple[str | None, bool]]:
    return [(each.run.state if each.run else None, each.under_way) for each in sheet.prints]


def busy(house: House) -> Job:
    """Keep the device busy, so that what comes after it waits."""
    job = house.jobs.submit(house.plan(SMALL | {"prompt": "a cube", "frames": 17, "steps": 100}, BERT), Origin("bert"))
    next(view for view in job.watch() if view.step)
    return job


def test_a_sheet_is_queued_whole_or_not_at_all(house: House) -> None:
    first = busy(house)
    with pytest.raises(QueueFull, match=r"5 videos do not fit: 0 of yours are waiting, and 4 is the most\. Ask for"):
        begin(house, TWO | {"prompt": "a ball"}, 5, ANNA)
    begin(house, TWO | {"prompt": "a ball"}, 3, ANNA)
    with pytest.raises(QueueFull, match="2 videos do not fit: 3 of yours are waiting"):
        begin(house, TWO, 1, ANNA)
    begin(house, TWO, 2, BERT)
    with pytest.raises(QueueFull, match=r"7 videos are waiting already, and 2 more do not fit\. Try again"):
        begin(house, TWO, 1, Viewer("carl"))
    assert [view.origin.owner for view in house.jobs.known()[1:]] == [ANNA.owner] * 3 + [BERT.owner] * 4
    for view in house.jobs.under_way():
        house.jobs.cancel(view.id)
    ended(first)


def test_what_is_promised_is_what_is_queued_or_refused(house: House) -> None:
    told = promise(house, TWO, 2, ANNA)
    assert told.startswith("4 drafts, 2 prompts × 2 seeds, about ")
    assert "; finishing one adds about " in told
    alone = promise(house, TWO | {"prompt": "a ball"}, 1, ANNA)
    assert alone.startswith("1 draft, about ")
    assert "finishing it adds" in alone
    with pytest.raises(QueueFull, match=r"6 drafts do not fit: 4 videos of one visitor may wait at once\. Leave out"):
        promise(house, TWO, 3, ANNA)
    with pytest.raises(BadRequest, match="has no partner"):
        promise(house, TWO | {"prompt": "a {red|blue ball"}, 1, ANNA)
    jobs = begin(house, TWO, 2, ANNA)
    plans = [job.snapshot().plan for job in jobs]
    assert [(plan.prompt, plan.stop_after) for plan in plans] == [("a red ball", 1)] * 2 + [("a blue ball", 1)] * 2
    assert [plan.seed for plan in plans[:2]] == [plan.seed for plan in plans[2:]]
    assert plans[0].seed == 7
    ended(*jobs)


def test_from_drafts_to_finals(house: House) -> None:
    jobs = begin(house, TWO, 2, ANNA)
    sheet = laid_out(house, jobs)
    assert [each.cell.place for each in sheet.prints] == [0, 1, 2, 3]
    assert len(sheet.under_way) + sum(each.waits for each in sheet.prints) == 4
    drafts = [run.id for run in ended(*jobs) if run]
    sheet = laid_out(house, jobs)
    assert states(sheet) == [("draft", False)] * 4
    assert (sheet.under_way, sheet.seconds_left) == ((), 0.0)
    (final,) = finish(house, drafts[3:], ANNA)
    assert finish(house, drafts[3:], ANNA) == (final,)
    ended(final)
    assert states(laid_out(house, jobs)) == [("draft", False)] * 3 + [("done", False)]
    (alone,) = finish(house, drafts[:1], ANNA, alone=True)
    assert alone.snapshot().origin.cell is None
    ended(alone)
    assert states(laid_out(house, jobs)) == [("done", False), ("draft", False), ("draft", False), ("done", False)]
    assert [each.run and each.run.id for each in laid_out(house, jobs).prints][::3] == [alone.id, final.id]
    with pytest.raises(BadRequest, match="has all of its steps"):
        finish(house, [final.id], ANNA)
    with pytest.raises(BadRequest, match="No draft was chosen"):
        finish(house, [], ANNA)


def test_finals_are_queued_all_or_none_and_stop_where_somebody_stops_them(house: House) -> None:
    jobs = begin(house, TWO | {"steps": 20, "frames": 9}, 1, ANNA)
    drafts = [run.id for run in ended(*jobs) if run]
    with pytest.raises(NotFound):
        finish(house, [*drafts, "nothing"], ANNA)
    assert not house.jobs.under_way()
    first, second = finish(house, drafts, ANNA)
    next(view for view in first.watch() if view.step > 5)
    assert states(laid_out(house, jobs)) == [("draft", True), ("draft", True)]
    assert laid_out(house, jobs).under_way[0].id == first.id
    for view in reversed(laid_out(house, jobs).under_way):
        house.jobs.cancel(view.id)
    ended(first, second)
    assert states(laid_out(house, jobs)) == [("stopped", False), ("draft", False)]
    stopped = laid_out(house, jobs).prints[0]
    assert stopped.waits
    ended(*finish(house, [stopped.run.id if stopped.run else ""], ANNA))
    assert states(laid_out(house, jobs)) == [("done", False), ("draft", False)]


def test_a_place_that_came_to_nothing_can_be_tried_again(house: House) -> None:
    first = busy(house)
    jobs = begin(house, TWO, 1, ANNA)
    for job in jobs:
        house.jobs.cancel(job.id)
    assert [(each.run, each.job and each.job.state) for each in laid_out(house, jobs).prints] == [
        (None, "cancelled")
    ] * 2
    again = house.jobs.retry(jobs[1].id, ANNA)
    first.cancel()
    ended(first, again)
    assert states(laid_out(house, jobs)) == [(None, False), ("draft", False)]


def test_others_see_nothing_of_it(house: House) -> None:
    jobs = begin(house, TWO, 1, ANNA)
    drafts = [run.id for run in ended(*jobs) if run]
    assert laid_out(house, jobs, BERT).prints == ()
    with pytest.raises(NotFound):
        finish(house, drafts, BERT)


def test_what_is_deleted_leaves_the_sheet(house: House) -> None:
    jobs = begin(house, TWO, 1, ANNA)
    drafts = [run.id for run in ended(*jobs) if run]
    (final,) = finish(house, drafts[:1], ANNA)
    ended(final)
    house.store.delete([final.id, drafts[1]], ANNA)
    assert [each.run and each.run.id for each in laid_out(house, jobs).prints] == [drafts[0]]
    house.store.delete([drafts[0]], ANNA)
    assert laid_out(house, jobs).prints == ()


def test_a_sheet_is_found_again_when_the_app_starts_anew(opened: Open) -> None:
    house = opened()
    jobs = begin(house, TWO | {"prompt": "a ball", "steps": 25, "frames": 9}, 3, ANNA)
    ended(jobs[0])
    next(view for view in jobs[1].watch() if view.step)
    house = opened()
    kinds = [(each.run and each.run.state, each.job and each.job.state) for each in laid_out(house, jobs).prints]
    assert kinds == [("draft", None), (None, "interrupted"), (None, "queued")]
    house.jobs.go_on()
    ended(house.jobs.get(jobs[2].id), house.jobs.retry(jobs[1].id, ANNA))
    assert states(laid_out(house, jobs)) == [("draft", False)] * 3


def test_drafts_are_listed_by_themselves(house: House) -> None:
    jobs = begin(house, TWO, 1, ANNA)
    drafts = [run for run in ended(*jobs) if run]
    (final,) = ended(*finish(house, [drafts[0].id], ANNA))
    store = house.store
    assert [run.id for run in store.find(ANNA, only="takes").runs] == [final and final.id]
    assert {run.id for run in store.find(ANNA, only="drafts").runs} == {run.id for run in drafts}
    assert store.find(ANNA).total == 3
    assert store.index.finished(run.id for run in drafts) == {drafts[0].id}
    assert store.get(drafts[1].id).cell == Cell(drafts[0].cell.sheet if drafts[0].cell else "", 1)
