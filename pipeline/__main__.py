"""The command line, over the same road as the page."""

import argparse
import json
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline.commands import make_parser
from pipeline.errors import BadRequest, Cancelled, NotFound, OnetakeError, RunFailed
from pipeline.events import Loading, Step
from pipeline.models import MODELS, default_model, get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request, with_sources
from pipeline.settings import Settings, prepare_environment
from pipeline.store import Run, Store

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
    settings = Settings.from_env()
    store = Store(settings.home)
    plan = _plan(options, settings, store)
    _check_output(options.output, plan)
    _say(plan.contract(), *plan.notes)
    run = _drive(plan, settings, store)
    file = run.file if options.output is None else _copy(run.file, options.output)
    print(json.dumps(run.to_json() | {"file": str(file)}) if options.json else file)
    return 0 if run.state == "done" else STOPPED


def models(options: argparse.Namespace) -> int:
    """List the registry."""
    if options.json:
        rows = [asdict(spec) for spec in MODELS]
        print(json.dumps({"models": rows}))
    else:
        for spec in MODELS:
            print(f"{spec.name}: {spec.title}, {', '.join(spec.tasks)}, {spec.licence}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser, commands = make_parser()
    listing = commands.add_parser("models", help="list the models")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(command=models)
    return parser


def _plan(options: argparse.Namespace, settings: Settings, store: Store) -> Plan:
    width, height = options.size or (None, None)
    given = {name: getattr(options, name) for name in options.own if getattr(options, name) is not None}
    asked = {
        "task": options.task,
        "prompt": options.prompt or "",
        "shape": options.shape,
        "model": options.model,
        "width": width,
        "height": height,
        "seconds": options.seconds,
        "frames": options.frames,
        "steps": options.steps,
        "guidance_scale": options.guidance,
        "deliver": options.deliver,
        "seed": options.seed,
    }
    request = with_sources(parse_request(asked | given), store.keep_source)
    spec = get_model(request.model) if request.model else default_model(settings)
    return make_plan(request, spec, store.speed(spec))


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


def _drive(plan: Plan, settings: Settings, store: Store) -> Run:
    from pipeline.backends.local import LocalBackend
    from pipeline.generate import Finished, generate

    stop = _stop_on_interrupt()
    for event in generate(plan, LocalBackend(settings), store, stop.is_set):
        match event:
            case Loading(model):
                _say(f"loading {model}")
            case Step(index, total, _, seconds_left):
                _progress(f"step {index} of {total} · {seconds_left:.0f} s left")
            case Finished(run):
                _progress("")
                return run
    raise RunFailed("The run ended without a result. Try again.")


def _stop_on_interrupt() -> threading.Event:
    stop = threading.Event()

    def on_interrupt(*_: object) -> None:
        stop.set()
        # A second Ctrl-C has its usual effect.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, on_interrupt)
    return stop


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _status(error: OnetakeError) -> int:
    if isinstance(error, Cancelled):
        return STOPPED
    return BAD_REQUEST if isinstance(error, BadRequest | NotFound) else FAILURE


if __name__ == "__main__":
    sys.exit(main())
