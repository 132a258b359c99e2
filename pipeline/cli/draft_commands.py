"""The command line's words about drafts: many takes begun, and some of them finished."""

import argparse
import json
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from pipeline.cli.commands import add_running, add_sampling
from pipeline.cli.driving import Studio, asked_by, open_studio
from pipeline.cli.terminal import say
from pipeline.library.runs import Run, stopped_at
from pipeline.models import get_model
from pipeline.plan import Plan
from pipeline.variations import as_draft, draw_seeds, finishing, steps_of, variations
from pipeline.visitors import Cell, Origin

STOPPED = 130
DRAFTS = """\
Begin several videos and stop each after a fifth of its steps. Each shows what it would become, and is listed with its
id: finish the ones that you like. Words in braces are alternatives, each line of the prompt is a prompt of its own."""
FINISH = """\
Finish drafts, or videos that were stopped, from where they stopped: the frames are those of a video that never did."""


def add_draft_commands(commands: Any) -> None:
    """Add `drafts` and `finish` to the subcommands."""
    many = commands.add_parser("drafts", help="begin several videos, to finish some of them", description=DRAFTS)
    many.add_argument("prompt", help='what the videos show, such as "a {red|blue} ball"')
    many.add_argument("--seeds", metavar="N", type=int, help="how many seeds for each prompt; one if left out")
    many.add_argument(
        "--seed", metavar="N", type=int, action="append", default=[], help="one of those seeds; may be repeated"
    )
    add_sampling(many, "text", ())
    many.set_defaults(command=make_drafts)
    chosen = commands.add_parser("finish", help="finish drafts, from where they stopped", description=FINISH)
    chosen.add_argument("ids", metavar="ID", nargs="+", help="a draft, or a video that was stopped")
    add_running(chosen)
    chosen.set_defaults(command=finish)


def make_drafts(options: argparse.Namespace) -> int:
    """Make a draft of each prompt with each seed, and list them."""
    studio = open_studio(options)
    requests = variations(asked_by(options), draw_seeds(options.seed, options.seeds))
    wholes = [studio.plan(request) for request in requests]
    plans = [as_draft(plan, studio.speed(get_model(plan.model))) for plan in wholes]
    _begin(studio, plans, "draft")
    # The page shows them side by side.
    sheet = secrets.token_hex(10)
    made = (studio.drive(plan, Origin(cell=Cell(sheet, place))) for place, plan in enumerate(plans))
    return _tell(made, "draft", options.json, lambda run: f"{run.id}  seed {run.plan.seed}  {run.plan.title}")


def finish(options: argparse.Namespace) -> int:
    """Finish what the ids name, each once and in their order."""
    studio = open_studio(options)
    runs = [studio.store.get(run_id) for run_id in dict.fromkeys(options.ids)]
    plans = [finishing(run.plan, stopped_at(run), studio.speed(get_model(run.plan.model))) for run in runs]
    _begin(studio, plans, "video")
    # It stays whose it was, and comes from what that came from.
    origins = [Origin(run.owner, run.parents, cell=run.cell) for run in runs]
    made = (studio.drive(plan, origin) for plan, origin in zip(plans, origins, strict=True))
    return _tell(made, "done", options.json, lambda run: str(run.file))


def _begin(studio: Studio, plans: list[Plan], what: str) -> None:
    """Say what is going to be made, and what was rounded for it, each once; raise NotDownloaded before any of it."""
    for plan in plans:
        studio.check_model(plan)
    steps = plans[0].stop_after
    share = f" of {steps} of {steps_of(plans[0])} steps" if steps else ""
    seconds = sum(plan.estimate.seconds for plan in plans)
    say(f"{len(plans)} {what}{'' if len(plans) == 1 else 's'}{share}, about {max(round(seconds), 1)} s")
    say(*dict.fromkeys(note for plan in plans for note in plan.notes))


def _tell(made: Iterable[Run], state: str, as_json: bool, line: Callable[[Run], str]) -> int:
    """Tell runs as they are made; one that was stopped before it came to a state is the last. Return the status."""
    runs: list[Run] = []
    try:
        for run in made:
            runs.append(run)
            if not as_json:
                print(line(run), flush=True)
            if run.state != state:
                return STOPPED
    finally:
        # What is made stays made, whatever happens to the next one.
        if as_json:
            print(json.dumps({"runs": [run.to_json() for run in runs]}))
    return 0
