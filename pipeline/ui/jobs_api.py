"""The named endpoints for jobs: how they stand, stopping them, trying again; and drafts, of which some are finished."""

from collections.abc import Callable
from inspect import Parameter
from typing import Any

from gradio.events import api

from pipeline.ui.answers import MADE, Caller
from pipeline.ui.api import fields_of
from pipeline.ui.endpoints import REQUEST, VISITOR, add_endpoint, described, in_plain_words
from pipeline.ui.house import House
from pipeline.ui.received import received, run_id

SEEDS = Parameter("seeds", Parameter.POSITIONAL_OR_KEYWORD, default=1, annotation=int)
DRAFTS = """Begin several videos, of which you finish those that you like; it answers at once with their jobs.

Each stops after a quarter of its steps and shows what it would become. Each line of the prompt is a prompt of its own,
and words in braces are alternatives, such as a {red|blue} ball."""


def add_job_endpoints(house: House) -> None:
    """Add the endpoints."""
    for call in (list_jobs, show_job, cancel_job, retry_job, finish_run):
        add_endpoint(house, call)
    api(_drafts(house), api_name="make_drafts", concurrency_limit=None)


def list_jobs(caller: Caller) -> dict[str, Any]:
    """List your jobs that have not ended, in the order in which they begin."""
    views = caller.house.jobs.under_way(caller.viewer)
    return {"jobs": [caller.job(view) for view in views], "visitor": caller.key}


def show_job(caller: Caller, job: str) -> dict[str, Any]:
    """Tell how a job of yours stands: its place, its step, the seconds left, and in the end its take or its error."""
    return caller.job(caller.house.jobs.look(job, caller.viewer))


def cancel_job(caller: Caller, job: str) -> dict[str, Any]:
    """Stop a job of yours, which keeps what it has; one that waits is taken out of the queue."""
    caller.house.jobs.cancel(job, caller.viewer)
    return caller.job(caller.house.jobs.look(job, caller.viewer))


def retry_job(caller: Caller, job: str) -> dict[str, Any]:
    """Submit once more what was not done; asked again, it tells of the same new job."""
    new = caller.house.jobs.retry(job, caller.viewer)
    return caller.job(caller.house.jobs.look(new.id, caller.viewer))


def finish_run(caller: Caller, run: str, wait: bool = True) -> MADE:
    """Finish a draft, or a take that was stopped, from where it stopped, as if it never had."""
    return caller.made(caller.house.finish(run_id("run", run), caller.viewer), wait)


def _drafts(house: House) -> Callable[..., Any]:
    fields = fields_of("text")
    parameters = [REQUEST, *fields, SEEDS, VISITOR]
    names = [parameter.name for parameter in parameters]

    def call(*values: Any) -> dict[str, Any]:
        given = {name: value for name, value in zip(names, values, strict=False) if value is not None}
        caller = Caller.of(house, given.pop("visitor", None), given.pop("request"))
        seeds, seed = given.pop("seeds", 1), given.pop("seed", None)
        own = () if seed is None else (seed,)
        jobs, note = house.begin({"task": "text"} | received(given), own, seeds, caller.viewer)
        stand = [caller.job(house.jobs.look(job.id, caller.viewer)) for job in jobs]
        return {"jobs": stand, "notes": [note] if note else [], "visitor": caller.key}

    told: Callable[..., Any] = described(in_plain_words(call), "make_drafts", DRAFTS, parameters, dict[str, Any])
    return told
