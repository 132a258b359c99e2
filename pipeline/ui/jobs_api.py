"""The named endpoints for jobs: how they stand, stopping them, and trying again."""

from typing import Any

from pipeline.ui.answers import Caller
from pipeline.ui.endpoints import add_endpoint
from pipeline.ui.house import House


def add_job_endpoints(house: House) -> None:
    """Add the endpoints."""
    for call in (list_jobs, show_job, cancel_job, retry_job):
        add_endpoint(house, call)


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
