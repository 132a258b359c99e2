"""The command line's words about runs: listed, shown, linked, and made again. It sees all runs of its machine."""

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, get_args

from pipeline.cli.commands import add_running
from pipeline.cli.driving import Studio, open_studio
from pipeline.cli.terminal import say
from pipeline.errors import BadRequest, NotFound
from pipeline.hub.downloads import commit_of, is_here
from pipeline.library.index import Only, Sort
from pipeline.library.runs import Run
from pipeline.model_spec import ModelSpec
from pipeline.recipes.links import is_recipe, link_of, read_link, run_in, run_link
from pipeline.recipes.recipe import Opened, open_recipe, recipe_in, recipe_of, recipe_of_run, without_folders
from pipeline.request import parse_request
from pipeline.settings import Settings
from pipeline.store import RUN, Store
from pipeline.video import read_recipe
from pipeline.visitors import EVERYTHING, Origin, Parent

STOPPED = 130
LISTED = 20
RERUN = """\
Make a video again by its recipe: that of a run by its id, of a file that Onetake made, or of a link. The same seed
gives the same frames on the same machine."""


def add_run_commands(commands: Any) -> None:
    """Add `runs`, `show`, `link` and `rerun` to the subcommands."""
    listed = commands.add_parser("runs", help="list what was made", description="List what was made, newest first.")
    listed.add_argument("words", nargs="*", metavar="WORD", help="only those with all of these words, or this seed")
    listed.add_argument("--sort", choices=get_args(Sort), default="newest", help="newest first if left out")
    choices = [choice for choice in get_args(Only) if choice != "mine"]
    listed.add_argument("--only", choices=choices, default="all", help="all if left out")
    listed.add_argument("--limit", metavar="N", type=int, default=LISTED, help=f"how many; {LISTED} if left out")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    listed.set_defaults(command=list_runs)
    shown = commands.add_parser("show", help="tell all of a run", description="Tell what made a run and became of it.")
    shown.add_argument("id", metavar="ID", help="the run")
    shown.add_argument("--json", action="store_true", help="print one JSON object")
    shown.set_defaults(command=show)
    linked = commands.add_parser("link", help="print the links of a run", description="Print the links of a run.")
    linked.add_argument("id", metavar="ID", help="the run")
    linked.add_argument("--base", metavar="URL", help="the address of the page; this machine's if left out")
    linked.add_argument("--json", action="store_true", help="print one JSON object")
    linked.set_defaults(command=link)
    again = commands.add_parser("rerun", help="make a video again", description=RERUN)
    again.add_argument("what", metavar="ID|FILE|LINK", help="a run, a file that holds its recipe, or a link")
    again.add_argument("--seed", metavar="N", type=int, help="another seed")
    add_running(again)
    again.set_defaults(command=rerun)


def list_runs(options: argparse.Namespace) -> int:
    """List runs, one a line: id, when it was made, its state, seed and words."""
    if options.limit < 1:
        raise BadRequest("limit", f"--limit is {options.limit}: give a whole number from 1 on.")
    found = _store().find(EVERYTHING, " ".join(options.words), options.sort, options.only, options.limit)
    if options.json:
        print(json.dumps({"runs": [run.to_json() for run in found.runs], "total": found.total}))
        return 0
    for run in found.runs:
        print(f"{run.id}  {run.created[:16].replace('T', ' ')}  {run.state:7}  {run.plan.seed:<10}  {run.plan.title}")
    if found.total > len(found.runs):
        say(f"{len(found.runs)} of {found.total}: --limit shows more, words choose.")
    return 0


def show(options: argparse.Namespace) -> int:
    """Tell all there is to know of a run."""
    store = _store()
    run = store.get(_id(options.id))
    marks, children = store.marks(run.id), store.children(run.id)
    if options.json:
        kin = {"children": [{"run": child.run, "how": child.how} for child in children]}
        marked = {"starred": marks.starred, "published": marks.published}
        print(json.dumps(run.to_json() | marked | kin | {"recipe": without_folders(recipe_of_run(run))}))
        return 0
    for name, value in _told(run):
        print(f"{name:9} {value}")
    for how, others in (("", run.parents), ("became", children)):
        for other in others:
            print(f"{how or other.how:9} {other.run}{f' ({other.how})' if how else ''}")
    for note in run.notes:
        print(f"note      {note}")
    return 0


def link(options: argparse.Namespace) -> int:
    """Print the link of a recipe, and that of the run itself."""
    run = _store().get(_id(options.id))
    settings = Settings.from_env()
    base = (options.base or f"http://{settings.host}:{settings.port}").rstrip("/")
    links = {"recipe": f"{base}/{link_of(recipe_of_run(run))}", "run": f"{base}/{run_link(run.id)}"}
    print(json.dumps(links) if options.json else "\n".join(links.values()))
    return 0


def rerun(options: argparse.Namespace) -> int:
    """Make again what a run, a file or a link tells, and print the new file."""
    studio = open_studio(options)
    opened, parents = _opened(options.what, studio)
    seed = {} if options.seed is None else {"seed": options.seed}
    plan = studio.plan(parse_request(opened.fields | seed))
    studio.check_model(plan)
    say(plan.contract(), *dict.fromkeys((*opened.notes, *plan.notes)))
    run = studio.drive(plan, Origin(parents=parents))
    print(json.dumps(run.to_json()) if options.json else run.file)
    return 0 if run.state == "done" else STOPPED


def _opened(what: str, studio: Studio) -> tuple[Opened, tuple[Parent, ...]]:
    """Return the recipe of a run, a file or a link, and what a run was made from; raise NotFound, or BadRequest."""
    weights = partial(_weights, settings=studio.settings)
    if is_recipe(what):
        return read_link(what, weights=weights), ()
    run = _known(what, studio.store)
    if run:
        # Over the files that were kept with it.
        return open_recipe(recipe_of(run.plan, weights=run.revision), weights=weights), run.parents
    return open_recipe(recipe_in(read_recipe(Path(what))), weights=weights), ()


def _known(what: str, store: Store) -> Run | None:
    """Return the run of an id, a link or a file, None for a file of elsewhere; raise NotFound for nothing."""
    with suppress(NotFound):
        return store.get(run_in(what) or _id(what))
    if not Path(what).is_file():
        raise NotFound(f"There is no run and no file {what!r}. List the runs with: python -m pipeline runs")
    return store.run_of(what)


def _weights(spec: ModelSpec, settings: Settings) -> str:
    return commit_of(spec, settings) if is_here(spec, settings) else ""


def _told(run: Run) -> Iterator[Sequence[object]]:
    plan = run.plan
    yield "file", run.file
    yield "state", run.state
    yield "made", f"{run.created[:16].replace('T', ' ')} UTC in {run.timings['total']:.1f} s"
    yield "task", plan.task
    yield "prompt", plan.title
    yield "model", plan.model
    yield "seed", plan.seed
    yield "size", f"{plan.width}×{plan.height}, {plan.num_frames} frames at {plan.fps} a second"
    yield "steps", f"{plan.steps}, guidance {plan.guidance_scale:g}"


def _id(name: str) -> str:
    return name.removeprefix(RUN)


def _store() -> Store:
    return Store(Settings.from_env().home)
