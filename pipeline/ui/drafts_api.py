"""The named endpoints for drafts: several takes are begun, and some of them finished from where they stopped."""

from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any

from gradio.events import api

from pipeline.errors import BadRequest
from pipeline.queue.job import Job
from pipeline.ui.answers import MADE, Caller
from pipeline.ui.api import fields_of
from pipeline.ui.drafting import begin, finish
from pipeline.ui.endpoints import REQUEST, VISITOR, add_endpoint, described, in_plain_words
from pipeline.ui.house import House
from pipeline.ui.received import received, run_id

SEEDS = Parameter("seeds", Parameter.POSITIONAL_OR_KEYWORD, default=1, annotation=int)
WAIT = Parameter("wait", Parameter.POSITIONAL_OR_KEYWORD, default=False, annotation=bool)
DRAFTS = """Begin several videos, of which you finish those that you like: all of them are queued, or none.

Each stops after a share of its steps and shows what it would become. Each line of the prompt is a prompt of its own,
and words in braces are alternatives, such as a {red|blue} ball. On the page they stand side by side."""


def add_draft_endpoints(house: House) -> None:
    """Add the endpoints."""
    api(_drafts(house), api_name="make_drafts", concurrency_limit=None)
    for call in (finish_run, finish_runs):
        add_endpoint(house, call)


def finish_run(caller: Caller, run: str, wait: bool = True) -> MADE:
    """Finish a draft, or a take that was stopped, from where it stopped, as if it never had."""
    (job,) = finish(caller.house, [run_id("run", run)], caller.viewer, alone=True)
    return caller.made(job, wait)


def finish_runs(caller: Caller, runs: list[str], wait: bool = True) -> dict[str, Any]:
    """Finish several drafts, or takes that were stopped, from where they stopped: all of them are queued, or none."""
    return _answer(caller, finish(caller.house, [run_id("runs", each) for each in runs], caller.viewer), wait)


def _drafts(house: House) -> Callable[..., Any]:
    parameters = [REQUEST, *fields_of("text"), SEEDS, VISITOR, WAIT]
    names = [parameter.name for parameter in parameters]

    def call(*values: Any) -> dict[str, Any]:
        given = {name: value for name, value in zip(names, values, strict=False) if value is not None}
        caller = Caller.of(house, given.pop("visitor", None), given.pop("request"))
        seeds, wait = given.pop("seeds", 1), given.pop("wait", False)
        if not isinstance(seeds, int):
            raise BadRequest("seeds", f"The number of seeds is {ascii(seeds)[:60]}: give a whole number.")
        jobs = begin(house, {"task": "text"} | received(given), seeds, caller.viewer)
        notes = dict.fromkeys(note for job in jobs for note in job.snapshot().plan.notes)
        return _answer(caller, jobs, wait) | {"notes": list(notes)}

    told: Callable[..., Any] = described(in_plain_words(call), "make_drafts", DRAFTS, parameters, dict[str, Any])
    return told


def _answer(caller: Caller, jobs: Sequence[Job], wait: bool) -> dict[str, Any]:
    """Return how jobs stand, at once or when all have ended, and the takes that they have made by then."""
    for job in jobs if wait else ():
        *_, _ = job.watch()
    views = [caller.house.jobs.look(job.id, caller.viewer) for job in jobs]
    runs = [caller.run(view.run) for view in views if view.run]
    return {"jobs": [caller.job(view) for view in views], "runs": runs, "visitor": caller.key}
