"""Drafts from what a tab, or a program, asks: what they will cost, how they begin, and how some are finished."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pipeline.errors import BadRequest, QueueFull
from pipeline.halfway import Stopped
from pipeline.library.runs import Run, stopped_at
from pipeline.models import get_model
from pipeline.plan import Plan
from pipeline.queue.job import Job
from pipeline.quota import gpu_seconds
from pipeline.ui.house import House
from pipeline.ui.screen import spoken
from pipeline.variations import as_draft, draw_seeds, finishing, variations
from pipeline.visitors import Cell, Origin, Viewer

Asked = Mapping[str, Any]


def promise(house: House, asked: Asked, seeds: int, viewer: Viewer) -> str:
    """Say in one line what drafts would come and what they cost; raise an OnetakeError for what is refused."""
    requests = variations(asked, _seeds(asked, seeds))
    prompts, count = len(requests) // seeds, len(requests)
    if count > house.jobs.most_of_one:
        what = f"{count} drafts do not fit: {house.jobs.most_of_one} videos of one visitor may wait at once"
        raise QueueFull(f"{what}. Leave out some prompts, alternatives or seeds.")
    whole = house.plan({**asked, "prompt": requests[0].prompt, "seed": requests[0].seed}, viewer)
    draft = as_draft(whole, house.speed(get_model(whole.model)))
    what = _counted(count, "draft") + (f", {prompts} prompts × {_counted(seeds, 'seed')}" if prompts > 1 else "")
    costs = f"about {spoken(count * draft.estimate.seconds)}"
    adds = f"finishing {'one' if count > 1 else 'it'} adds about {spoken(seconds_to_finish(house, draft))}"
    quota = f"; asks for {count * gpu_seconds(draft)} s of your ZeroGPU quota" if house.backend.on_zerogpu else ""
    return f"{what}, {costs}; {adds}{quota}"


def begin(house: House, asked: Asked, seeds: int, viewer: Viewer) -> tuple[Job, ...]:
    """Queue a draft for each prompt with each seed, on a sheet of their own: all of them or none."""
    plans, origin = house.prepare(variations(asked, _seeds(asked, seeds)), viewer)
    drafts = [as_draft(plan, house.speed(get_model(plan.model))) for plan in plans]
    sheet = secrets.token_hex(10)
    cells = (replace(origin, cell=Cell(sheet, place)) for place in range(len(drafts)))
    return house.jobs.submit_all(list(zip(drafts, cells, strict=True)))


def finish(house: House, ids: Iterable[str], viewer: Viewer, alone: bool = False) -> tuple[Job, ...]:
    """Queue what a viewer's drafts, or takes that were stopped, have left: all of them or none.

    What is being finished already is not begun again. A take that is finished `alone` is shown by itself and not on
    the sheet of its draft.
    """
    runs = [house.store.owned(run_id, viewer) for run_id in dict.fromkeys(ids)]
    if not runs:
        raise BadRequest("ids", "No draft was chosen. Choose one or several.")
    begun = {view.plan.resumes.run: view.id for view in house.jobs.under_way(viewer) if view.plan.resumes}
    left = [run for run in runs if run.id not in begun]
    if left:
        house.store.storage.refuse_when_full()
        jobs = house.jobs.submit_all([(_rest(house, run), _origin(run, alone)) for run in left])
        begun |= {run.id: job.id for run, job in zip(left, jobs, strict=True)}
    return tuple(house.jobs.get(begun[run.id], viewer) for run in runs)


def seconds_to_finish(house: House, draft: Plan) -> float:
    """Return what the steps cost that a draft leaves."""
    left = Stopped("", "", draft.stop_after or 0)
    return finishing(draft, left, house.speed(get_model(draft.model))).estimate.seconds


def _rest(house: House, run: Run) -> Plan:
    plan = finishing(run.plan, stopped_at(run), house.speed(get_model(run.plan.model)))
    house.check_model(plan)
    return plan


def _origin(run: Run, alone: bool) -> Origin:
    # It stays whose it was, and comes from what that came from.
    return Origin(run.owner, run.parents, cell=None if alone else run.cell)


def _seeds(asked: Asked, seeds: int) -> tuple[int, ...]:
    given = asked.get("seed")
    return draw_seeds(() if given is None else (given,), seeds)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
