"""The command line, over the same road as the page."""

import argparse
import json
import re
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import BadRequest, Cancelled, OnetakeError, RunFailed
from pipeline.events import Loading, Step
from pipeline.models import MODELS, default_model, get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request, with_sources
from pipeline.settings import Settings, prepare_environment
from pipeline.store import Run, Store

BAD_REQUEST, FAILURE, STOPPED = 2, 1, 130

EPILOG = """\
examples:
  python -m pipeline text "a red ball bounces on snow" -o ball.mp4
  python -m pipeline text "a blue cube on grass" --frames 1 -o cube.png
  python -m pipeline animate photo.jpg "the red ball rolls left" --last end.png --at 1.5=middle.png
  python -m pipeline models --json

The exit status is 0 for a finished video, 2 for a bad request, 1 for a failure and 130 after Ctrl-C,
which keeps what the model had made by then."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    prepare_environment()
    try:
        options = _parser().parse_args(arguments)
        return int(options.command(options))
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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadRequest("arguments", f"{message}. Ask with --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m pipeline",
        description="Onetake: make videos on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_text(commands)
    _add_animate(commands)
    listing = commands.add_parser("models", help="list the models")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(command=models)
    return parser


def _add_text(commands: Any) -> None:
    command = commands.add_parser("text", help="make a video from a sentence", description="Make a video.")
    command.add_argument("prompt", help="what the video shows")
    _add_sampling(command, "text", ())


def _add_animate(commands: Any) -> None:
    command = commands.add_parser(
        "animate",
        help="make pictures move",
        description="Make a video that begins with a picture, ends with one, or shows one at any second.",
    )
    command.add_argument("image", nargs="?", metavar="IMAGE", help="the first frame")
    command.add_argument("prompt", metavar="PROMPT", help="what the video shows")
    command.add_argument("--last", metavar="IMAGE", help="the last frame")
    command.add_argument(
        "--at", metavar="SECONDS=IMAGE", type=_still, action="append", help="a picture in between; may be repeated"
    )
    command.add_argument(
        "--strength", metavar="S", type=float, help="how closely to keep the first and last frame, 0..1"
    )
    command.add_argument(
        "--fit", choices=("crop", "pad"), help="how a picture of another shape fits in; crop if left out"
    )
    command.add_argument("--focus", metavar="X,Y", type=_point, help="where to crop around, 0..1 across and down")
    _add_sampling(command, "animate", ("image", "last", "at", "strength", "fit", "focus"))


def _add_sampling(command: Any, task: str, own: tuple[str, ...]) -> None:
    """Add what every task has; `own` are the task's further fields, left out of a request where they were not given."""
    command.add_argument("--model", metavar="NAME", help="one of: " + ", ".join(spec.name for spec in MODELS))
    command.add_argument("--size", metavar="WxH", type=_size, help="width and height in pixels, such as 128x128")
    command.add_argument("--frames", metavar="N", type=int, help="how many frames; one gives a picture (PNG)")
    command.add_argument("--steps", metavar="N", type=int, help="denoising steps")
    command.add_argument("--guidance", metavar="G", type=float, help="how closely to follow the words")
    command.add_argument("--deliver", choices=("480p", "720p", "1080p"), help="enlarge the file to so many lines")
    command.add_argument("--seed", metavar="N", type=int, help="the same seed makes the same video")
    command.add_argument("-o", "--output", metavar="FILE", type=Path, help="copy the video here")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(command=make, task=task, own=own)


def _size(value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)[x×](\d+)", value, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{value!r} is no size: write it as 128x128")
    return int(match[1]), int(match[2])


def _still(value: str) -> dict[str, Any]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)=(.+)", value, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{value!r} is no time with a picture: write it as 1.5=photo.jpg")
    return {"seconds": float(match[1]), "image": match[2]}


def _point(value: str) -> tuple[float, float]:
    across, _, down = value.partition(",")
    try:
        return float(across), float(down)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is no point: write it as 0.5,0.3") from error


def _plan(options: argparse.Namespace, settings: Settings, store: Store) -> Plan:
    width, height = options.size or (None, None)
    given = {name: getattr(options, name) for name in options.own if getattr(options, name) is not None}
    asked = {
        "task": options.task,
        "prompt": options.prompt,
        "model": options.model,
        "width": width,
        "height": height,
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
    return BAD_REQUEST if isinstance(error, BadRequest) else FAILURE


if __name__ == "__main__":
    sys.exit(main())
