"""The command line, over the same road as the page."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.boards import with_board
from pipeline.cli.commands import make_parser
from pipeline.cli.draft_commands import add_draft_commands
from pipeline.cli.driving import asked_by, open_studio
from pipeline.cli.model_commands import add_model_commands
from pipeline.cli.run_commands import add_run_commands
from pipeline.cli.terminal import say
from pipeline.errors import BadRequest, Cancelled, NotFound, OnetakeError, RunFailed
from pipeline.library.lineage import parents_in
from pipeline.library.storage import SOURCES
from pipeline.plan import Plan
from pipeline.request import parse_request
from pipeline.settings import prepare_environment
from pipeline.visitors import Origin

BAD_REQUEST, FAILURE, STOPPED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    prepare_environment()
    try:
        options = _parser().parse_args(arguments)
        return int(options.command(options) if hasattr(options, "command") else make(options))
    except OnetakeError as error:
        print(f"onetake: {error}", file=sys.stderr)
        return _status(error)


def make(options: argparse.Namespace) -> int:
    """Make a video by the task of the command."""
    studio = open_studio(options)
    asked = {**asked_by(options), "seed": options.seed}
    if "board" in options:
        asked = with_board(options.board, asked, studio.settings.home / SOURCES)
    request = parse_request(asked)
    plan, parents = studio.plan(request), parents_in(request, studio.store.run_of)
    _check_output(options.output, plan)
    studio.check_model(plan)
    say(plan.contract(), *plan.notes)
    run = studio.drive(plan, Origin(parents=parents))
    file = run.file if options.output is None else _copy(run.file, options.output)
    print(json.dumps(run.to_json() | {"file": str(file)}) if options.json else file)
    return 0 if run.state == "done" else STOPPED


def _parser() -> argparse.ArgumentParser:
    parser, commands = make_parser()
    add_draft_commands(commands)
    add_run_commands(commands)
    add_model_commands(commands)
    return parser


def _check_output(output: Path | None, plan: Plan) -> None:
    """Refuse a file that could not be written in the end, before any work is done."""
    suffix = ".mp4" if plan.num_frames > 1 else ".png"
    if output is not None and output.suffix.lower() != suffix:
        raise BadRequest("output", f"{output.name} should end in {suffix}. Rename it.")
    if output is not None and not output.absolute().parent.is_dir():
        raise BadRequest("output", f"There is no folder {output.absolute().parent}. Make it first.")


def _copy(file: Path, output: Path) -> Path:
    try:
        return Path(shutil.copyfile(file, output))
    except OSError as error:
        raise RunFailed(f"{output} cannot be written: {error.strerror}. The video is kept as {file}.") from error


def _status(error: OnetakeError) -> int:
    if isinstance(error, Cancelled):
        return STOPPED
    return BAD_REQUEST if isinstance(error, BadRequest | NotFound) else FAILURE


if __name__ == "__main__":
    sys.exit(main())
