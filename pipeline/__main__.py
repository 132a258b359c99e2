"""The command line, over the same road as the page."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.backends.choice import Device, open_backend
from pipeline.commands import make_parser
from pipeline.downloads import is_here, not_downloaded
from pipeline.errors import BadRequest, Cancelled, NotFound, OnetakeError, RunFailed
from pipeline.events import Again, Loading, Step, Told, Waiting
from pipeline.hub_loras import fetch_lora, find_lora
from pipeline.library.runs import Run
from pipeline.model_commands import add_model_commands
from pipeline.models import default_model, get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request, with_sources
from pipeline.settings import Settings, prepare_environment
from pipeline.store import Store
from pipeline.terminal import say, show_progress, stop_on_interrupt

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
    if options.space:
        settings = settings.with_space(options.space)
    store = Store(settings.home)
    backend = _open(settings)
    plan = _plan(options, settings, store, backend)
    _check_output(options.output, plan)
    _check_model(plan, settings)
    say(plan.contract(), *plan.notes)
    run = _drive(plan, backend, store)
    file = run.file if options.output is None else _copy(run.file, options.output)
    print(json.dumps(run.to_json() | {"file": str(file)}) if options.json else file)
    return 0 if run.state == "done" else STOPPED


def _parser() -> argparse.ArgumentParser:
    parser, commands = make_parser()
    add_model_commands(commands)
    return parser


def _open(settings: Settings) -> Device:
    if not settings.space:
        return open_backend(settings)
    from pipeline.backends.space import SpaceBackend

    backend = SpaceBackend(settings)
    # A plan is made for the card that it is going to run on.
    backend.meet(_say_what)
    return backend


def _say_what(event: Told) -> None:
    if isinstance(event, Waiting):
        say(f"waiting for {event.what}")


def _plan(options: argparse.Namespace, settings: Settings, store: Store, backend: Device) -> Plan:
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
        "memory": options.memory,
        "seed": options.seed,
        "loras": options.lora,
    }
    request = with_sources(parse_request(asked | given), store.keep_source, partial(_fetch_lora, settings=settings))
    machine = backend.machine()
    spec = get_model(request.model) if request.model else default_model(machine, backend.has, settings.model)
    return make_plan(request, spec, store.speed(spec, settings.space), machine=machine)


def _fetch_lora(source: str, settings: Settings) -> str:
    if find_lora(source, settings) == source:
        say(f"fetching {source}")
    return fetch_lora(source, settings)


def _check_model(plan: Plan, settings: Settings) -> None:
    """Refuse a model that is not on this machine, before any work is done; a Space says itself what it has not."""
    spec = get_model(plan.model)
    if not settings.space and not is_here(spec, settings):
        raise not_downloaded(spec)


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


def _drive(plan: Plan, backend: Device, store: Store) -> Run:
    from pipeline.generate import Finished, generate

    stop = stop_on_interrupt()
    for event in generate(plan, backend, store, stop.is_set):
        match event:
            case Waiting():
                _say_what(event)
            case Loading(model):
                say(f"loading {model}")
            case Again(why):
                show_progress("")
                say(why)
            case Step(index, total, _, seconds_left):
                show_progress(f"step {index} of {total} · {seconds_left:.0f} s left")
            case Finished(run):
                show_progress("")
                return run
    raise RunFailed("The run ended without a result. Try again.")


def _status(error: OnetakeError) -> int:
    if isinstance(error, Cancelled):
        return STOPPED
    return BAD_REQUEST if isinstance(error, BadRequest | NotFound) else FAILURE


if __name__ == "__main__":
    sys.exit(main())
