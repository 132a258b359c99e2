"""The command line's words about models: which there are, and how one gets onto this machine."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pipeline.cli.terminal import show_progress, stop_on_interrupt
from pipeline.errors import BadRequest
from pipeline.hub.downloads import is_here
from pipeline.hub.remembered import accept_licence, licence_accepted
from pipeline.hub.survey import Survey, download, gigabytes, survey
from pipeline.model_spec import ModelSpec
from pipeline.models import MODELS, get_model
from pipeline.settings import Settings

SHOWN_EVERY_S = 0.5


def add_model_commands(commands: Any) -> None:
    """Add `models` and `download` to the subcommands."""
    listing = commands.add_parser("models", help="list the models")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(command=list_models)
    fetching = commands.add_parser(
        "download",
        help="bring a model onto this machine",
        description="Download a model. What is fetched is kept: after a break, the same command goes on from there.",
    )
    fetching.add_argument("model", metavar="MODEL", help="one of: " + ", ".join(spec.name for spec in MODELS))
    fetching.add_argument("--yes", action="store_true", help="accept the licence without being asked")
    fetching.set_defaults(command=download_model)


def list_models(options: argparse.Namespace) -> int:
    """List the registry."""
    settings = Settings.from_env()
    if options.json:
        print(json.dumps({"models": [asdict(spec) | {"here": is_here(spec, settings)} for spec in MODELS]}))
        return 0
    for spec in MODELS:
        print(f"{spec.name}: {spec.title}, {', '.join(spec.tasks)}, {spec.licence}, {standing(spec, settings)}")
    return 0


def standing(spec: ModelSpec, settings: Settings) -> str:
    """Say whether a model is on this machine, or how much it downloads."""
    if spec.embedded:
        return "ships with Onetake"
    return "on this machine" if is_here(spec, settings) else f"downloads about {spec.download_gb:g} GB"


def download_model(options: argparse.Namespace) -> int:
    """Tell a model's licence and size, ask, and download it."""
    settings, spec = Settings.from_env(), get_model(options.model)
    if spec.embedded:
        print(f"{spec.title} ships with Onetake: there is nothing to download.")
        return 0
    print(f"{spec.title} is under the licence {spec.licence}: {spec.licence_url}")
    found = survey(spec, settings)
    print(_sizes(found, settings))
    if not (options.yes or licence_accepted(spec, settings) or _accepts()):
        print("The licence was not accepted, so nothing was downloaded.")
        return 1
    accept_licence(spec, settings)
    download(spec, settings, _progress_line(), stop_on_interrupt().is_set)
    show_progress("")
    print(f"{spec.title} is on this machine.")
    return 0


def _sizes(found: Survey, settings: Settings) -> str:
    kept = f", of which {gigabytes(found.here)} are here already" if found.here else ""
    into = f"Into {settings.hub}, where {gigabytes(found.free)} are free."
    return f"It downloads {gigabytes(found.total)}{kept}. {into}"


def _accepts() -> bool:
    if not sys.stdin.isatty():
        raise BadRequest("yes", "Nobody is there to accept the licence. Read it, then add --yes.")
    return input("Accept the licence and download? [y/N] ").strip().lower() in ("y", "yes")


def _progress_line() -> Callable[[int, int], None]:
    shown = 0.0

    def show(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown >= SHOWN_EVERY_S:
            shown = time.monotonic()
            show_progress(f"{gigabytes(done)} of {gigabytes(total)} · {done / max(total, 1):.0%}")

    return show
