"""The named endpoints for takes that are there: list, look, fetch, link, mark, delete and bring back."""

from typing import Annotated, Any

import gradio as gr
from pydantic import Field

from pipeline.errors import BadRequest
from pipeline.library.index import Only, Sort
from pipeline.library.runs import Run
from pipeline.recipes import links
from pipeline.recipes.links import is_recipe, link_of, run_in, run_link
from pipeline.recipes.recipe import recipe_of_run, without_folders
from pipeline.ui.answers import Caller
from pipeline.ui.endpoints import add_endpoint
from pipeline.ui.house import House
from pipeline.ui.received import run_id

MOST_LISTED = 500
# What a listing says of each take; the rest is told of one at a time.
LISTED = ("id", "created", "state", "clip", "mine", "starred", "published")


def add_run_endpoints(house: House) -> None:
    """Add the endpoints; nothing of what they do takes a device."""
    reading = (list_runs, show_run, run_file, link_run, read_link)
    for call in (*reading, star_run, publish_run, delete_runs, restore_runs):
        add_endpoint(house, call)


def list_runs(
    caller: Caller,
    search: str = "",
    sort: Sort = "newest",
    only: Only = "mine",
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 20,
    offset: Annotated[int, Field(ge=0)] = 0,
) -> dict[str, Any]:
    """List takes: their ids, prompts, seeds and addresses, and how many there are in all."""
    found = caller.house.store.find(caller.viewer, search, sort, only, limit, offset)
    runs = [_listed(caller.run(run, found.marks[run.id]), run) for run in found.runs]
    return {"runs": runs, "total": found.total, "visitor": caller.key}


def show_run(caller: Caller, run: str) -> dict[str, Any]:
    """Tell all there is to know of a take: its recipe, notes, timings, what it was made from and what from it."""
    found = _seen(caller, run)
    return caller.run(found) | {"recipe": without_folders(recipe_of_run(found))} | caller.kin(found)


def link_run(caller: Caller, run: str) -> dict[str, Any]:
    """Tell the links of a take: one opens the take for whoever may see it, the other a page filled with its recipe."""
    found = _seen(caller, run)
    recipe = link_of(recipe_of_run(found))
    return {"run": f"{caller.address}/{run_link(found.id)}", "recipe": f"{caller.address}/{recipe}"}


def read_link(caller: Caller, link: str) -> dict[str, Any]:
    """Read a link of this app and run nothing: a take with all there is to know, or what to ask for, and notes on it.

    The fields are those of the endpoint that the task names; notes say what is not as it was.
    """
    if (named := run_in(link)) is not None:
        return show_run(caller, named)
    if not is_recipe(link):
        raise BadRequest("link", "This link holds neither a take nor a recipe. Copy it anew where it came from.")
    opened = links.read_link(link, caller.house.row, caller.house.weights)
    return {"fields": opened.fields, "notes": list(opened.notes), "visitor": caller.key}


def run_file(caller: Caller, run: str) -> gr.FileData:
    """Fetch the file of a take, a clip or a picture."""
    file: gr.FileData = caller.file(_seen(caller, run))
    return file


def star_run(caller: Caller, run: str, starred: bool = True) -> dict[str, Any]:
    """Star one of your takes, which keeps it where room has to be made, or take the star away."""
    return _marked(caller, run, starred=starred)


def publish_run(caller: Caller, run: str, published: bool = True) -> dict[str, Any]:
    """Let everybody see one of your takes with its recipe, or take that back."""
    return _marked(caller, run, published=published)


def delete_runs(caller: Caller, runs: list[str]) -> dict[str, Any]:
    """Delete takes of yours; for ten minutes they can be brought back."""
    ids = _ids(runs)
    caller.house.store.delete(ids, caller.viewer)
    return {"deleted": ids, "visitor": caller.key}


def restore_runs(caller: Caller, runs: list[str]) -> dict[str, Any]:
    """Bring back takes that you have deleted."""
    ids = _ids(runs)
    caller.house.store.restore(ids, caller.viewer)
    return {"restored": ids, "visitor": caller.key}


def _seen(caller: Caller, run: str) -> Run:
    return caller.house.store.seen(run_id("run", run), caller.viewer)


def _marked(caller: Caller, run: str, **marks: bool) -> dict[str, Any]:
    named, store = run_id("run", run), caller.house.store
    marked = store.mark(named, caller.viewer, **marks)
    return caller.run(store.owned(named, caller.viewer), marked)


def _ids(runs: list[str]) -> list[str]:
    if not runs:
        raise BadRequest("runs", "No takes are named. Give run: and an id for each.")
    return [run_id("runs", each) for each in runs]


def _listed(told: dict[str, Any], run: Run) -> dict[str, Any]:
    plan = run.plan
    made = {"task": plan.task, "prompt": plan.title, "model": plan.model, "seed": plan.seed}
    size = {"width": plan.width, "height": plan.height, "frames": plan.num_frames, "seconds": plan.seconds}
    return {name: told[name] for name in LISTED} | made | size
