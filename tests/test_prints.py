"""A sheet as the page shows it: in rows that belong together, nothing of a prompt but words, and what can be done."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from seeded import TIMINGS, plan_of

from pipeline.halfway import Stopped
from pipeline.library.runs import Run
from pipeline.plan import Plan
from pipeline.queue.job import JobView
from pipeline.sheet import Print, Sheet
from pipeline.ui.clips import Clip
from pipeline.ui.prints import EMPTY, Shown, arranged, progress, spread
from pipeline.ui.queue import queue_cards
from pipeline.visitors import Cell, Origin

State = Literal["done", "stopped", "draft"]


def view_of(number: int, plan: Plan, **fields: Any) -> JobView:
    fields = {"created": 1.0, "steps": plan.stop_after or plan.steps} | fields
    return replace(JobView(f"job{number}", plan, Origin(cell=Cell("s", number))), **fields)


def run_of(place: int, plan: Plan, state: State = "draft") -> Run:
    folder = Path(f"run{place}")
    files = (folder / "clip.mp4", folder / "poster.webp")
    return Run(f"run{place}", "2026-01-01", plan, *files, state, (), TIMINGS, 1.0, cell=Cell("s", place))


def shown(
    place: int, plan: Plan, state: Literal["done", "stopped", "draft"] | None = None, job: JobView | None = None
) -> Shown:
    run = run_of(place, plan, state) if state else None
    clip = Clip(f"media/run{place}/clip.mp4", "poster", plan, run_id=run.id) if run else None
    return Shown(Print(Cell("s", place), plan, run, job), clip, 4.0)


@pytest.mark.parametrize(
    ("count", "ratio", "seeds", "expected"),
    [
        (1, 1, 1, (1, False)),
        (8, 1, 4, (4, False)),
        (8, 160 / 96, 8, (4, False)),
        # Three prompts with two seeds each: a row for each seed, or one row would be half empty.
        (6, 1, 2, (3, True)),
        (6, 160 / 96, 3, (3, False)),
        (6, 96 / 160, 3, (6, False)),
        (16, 1, 8, (8, False)),
        # Some were deleted.
        (5, 1, 3, (3, False)),
    ],
)
def test_pictures_are_large_and_rows_belong_together(
    count: int, ratio: float, seeds: int, expected: tuple[int, bool]
) -> None:
    assert arranged(count, ratio, seeds) == expected


@pytest.mark.parametrize(
    ("prompts", "named"),
    [
        (("a red ball on snow", "a blue ball on snow"), ["red", "blue"]),
        (("a red ball rolls", "a blue cube rolls"), ["red ball", "blue cube"]),
        (("a ball", "a ball rolls"), ["a ball", "a ball rolls"]),
        (("a ball falls", "a cone"), ["ball falls", "cone"]),
    ],
)
def test_a_print_is_named_by_what_the_others_do_not_say(prompts: tuple[str, ...], named: list[str]) -> None:
    page = spread([shown(place, plan_of(prompt), "draft") for place, prompt in enumerate(prompts)])
    assert [part.partition("</q>")[0].rpartition(">")[2] for part in page.split("<q ")[1:]] == named
    assert "<q>2 prompts</q>" in page
    alike = spread([shown(place, plan_of("a ball", seed=place), "draft") for place in range(2)])
    assert "<q " not in alike
    assert "<q>a ball</q>" in alike


def test_each_print_offers_what_can_be_done_with_it() -> None:
    plan = plan_of("a ball")
    rest = replace(plan, resumes=Stopped("x", "run4", 1))
    preview = np.zeros((2, 16, 16, 3), np.uint8)
    running = view_of(1, replace(plan, stop_after=1), state="running", phase="denoising", step=0, preview=preview)
    page = spread(
        [
            shown(0, plan, "draft"),
            shown(1, plan, job=running),
            shown(2, plan, job=view_of(2, plan, state="failed", error="The disk is <full>.")),
            shown(3, plan, "done"),
            shown(4, plan, "draft", view_of(4, rest, state="queued")),
            shown(5, plan, "stopped", view_of(5, plan, state="interrupted", error="Cut.")),
        ]
    )
    kinds = [part.partition('"')[0] for part in page.split('<li class="print is-')[1:]]
    assert kinds == ["draft", "making", "broken", "finished", "waiting", "draft"]
    assert [part.partition('"')[0] for part in page.split('data-choose="')[1:]] == ["run0", "run5"]
    assert 'data-open="run3"' in page
    assert 'data-again="job2"' in page
    assert "The disk is &lt;full&gt;." in page
    assert "draft 0/1" in page
    assert "to be finished" in page
    assert 'title="Cut."' in page
    assert page.count("data-finish-chosen") == 1
    assert "data-finish-chosen" not in spread([shown(3, plan, "done")])
    assert spread([]) == EMPTY


def test_markup_in_a_prompt_stays_text() -> None:
    plan = plan_of('<img src=x onerror="1"> ball')
    page = spread([shown(0, plan, "draft"), shown(1, plan_of("a ball"), job=view_of(1, plan))])
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=&quot;1&quot;&gt; ball" in page


def test_progress_says_how_much_is_ready_and_how_long_all_goes_on() -> None:
    plan = replace(plan_of("a ball"), stop_after=2)
    running = view_of(1, plan, state="running", phase="denoising", step=1)
    waits = view_of(2, plan, place=1)
    sheet = Sheet(
        "s",
        (
            Print(Cell("s", 0), plan, run_of(0, plan)),
            *(Print(v.origin.cell or Cell("s", 9), plan, job=v) for v in (running, waits)),
        ),
    )
    assert [view.id for view in sheet.under_way] == ["job1", "job2"]
    assert "1 of 3 are ready · " in progress(sheet)
    assert 'aria-valuenow="50"' in progress(sheet)
    assert progress(Sheet("s", sheet.prints[:1])) == ""


def test_the_strip_has_one_card_for_all_of_a_sheet() -> None:
    plan = replace(plan_of("a ball"), stop_after=1)
    rest = replace(plan_of("a ball"), resumes=Stopped("x", "run9", 1))
    other = replace(view_of(7, plan_of("a cube")), origin=Origin())
    drafts = [view_of(place, plan, place=place) for place in (1, 2)]
    page = queue_cards([drafts[0], other, drafts[1], view_of(3, rest, place=3)], ())
    assert page.count('<li class="job') == 2
    assert "2 drafts, 1 to finish: a ball" in page
    assert 'data-follow="job1"' in page
