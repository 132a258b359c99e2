"""The command line's words: a subcommand for each task, with the same fields as its request."""

import argparse
import re
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import BadRequest
from pipeline.memory import POLICIES
from pipeline.models import MODELS

EPILOG = """\
examples:
  python -m pipeline text "a red ball bounces on snow" -o ball.mp4
  python -m pipeline text "a blue cube on grass" --frames 1 -o cube.png
  python -m pipeline animate photo.jpg "the red ball rolls left" --last end.png --at 1.5=middle.png@0.5
  python -m pipeline restyle clip.mp4 "the ball is blue, at night" --strength mild --range 0.5..1.5
  python -m pipeline transition one.mp4 two.mov --curve late --seconds 1
  python -m pipeline loop clip.mp4 --seam long
  python -m pipeline loop --prompt "a red ball turns on grass"
  python -m pipeline extend clip.mp4 "the ball rolls on" --seconds 3 --direction backward
  python -m pipeline storyboard board.json -o board.mp4
  python -m pipeline storyboard board.json --remake 2 --video run:ID
  python -m pipeline text "a red ball bounces on snow" --lora ink.safetensors=0.8 --lora user/name
  python -m pipeline drafts "a {red|blue} ball bounces on snow" --seeds 4
  python -m pipeline finish ID
  python -m pipeline models --json
  python -m pipeline download ltx-2b

Wherever a clip is asked for, run:ID stands for a take that was made here.

The exit status is 0 for a finished video, 2 for a bad request, 1 for a failure and 130 after Ctrl-C,
which keeps what the model had made by then."""


class Parser(argparse.ArgumentParser):
    """A parser that raises what it refuses, so that it is said in one line like everything else."""

    def error(self, message: str) -> NoReturn:
        """Raise BadRequest."""
        raise BadRequest("arguments", f"{message}. Ask with --help.")


def make_parser() -> tuple[argparse.ArgumentParser, Any]:
    """Return the parser with a subcommand for each task, and what further ones are added to."""
    parser = Parser(
        prog="python -m pipeline",
        description="Onetake: make videos on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_text, _add_animate, _add_restyle, _add_transition, _add_loop, _add_extend, _add_storyboard):
        add(commands)
    return parser, commands


def _add_text(commands: Any) -> None:
    command = commands.add_parser("text", help="make a video from a sentence", description="Make a video.")
    command.add_argument("prompt", help="what the video shows")
    _add_making(command, "text", ())


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
        "--at",
        metavar="SECONDS=IMAGE[@STRENGTH]",
        type=_still,
        action="append",
        help="a picture at a second, kept as closely as the others or by a strength of its own; may be repeated",
    )
    command.add_argument("--strength", metavar="S", type=float, help="how closely to keep the pictures, 0..1")
    _add_fitting(command)
    _add_making(command, "animate", ("image", "last", "at", "strength", "fit", "focus"))


def _add_restyle(commands: Any) -> None:
    command = commands.add_parser(
        "restyle", help="make a clip anew in other words", description="Make a clip anew: more or less, all or a part."
    )
    command.add_argument("video", metavar="VIDEO", help="the clip")
    command.add_argument("prompt", nargs="?", metavar="PROMPT", help="what it becomes")
    command.add_argument(
        "--strength", metavar="S", type=_strength, help="subtle, mild (if left out), strong, or a noise level 0..1"
    )
    command.add_argument("--range", metavar="A..B", type=_range, help="make only these seconds anew")
    for field in ("theme", "colour", "camera", "light"):
        command.add_argument(f"--{field}", metavar="WORDS", help=f"the style's {field}, in a few words")
    _add_fitting(command)
    own = ("video", "strength", "range", "theme", "colour", "camera", "light", "fit", "focus")
    _add_making(command, "restyle", own)


def _add_transition(commands: Any) -> None:
    command = commands.add_parser(
        "transition", help="lead one clip into another", description="Make two clips into one, however unlike they are."
    )
    command.add_argument("first", metavar="A", help="the clip, or picture, that comes first")
    command.add_argument("second", metavar="B", help="the one that it passes into")
    command.add_argument("--prompt", metavar="TEXT", help="what is seen in between")
    curves = ("linear", "early", "late", "hold")
    command.add_argument("--curve", choices=curves, help="how the second clip's share rises; linear if left out")
    _add_fitting(command)
    _add_making(command, "transition", ("first", "second", "curve", "fit", "focus"))


def _add_loop(commands: Any) -> None:
    command = commands.add_parser(
        "loop", help="make a clip that ends where it begins", description="Make a seam for a clip, or a loop of words."
    )
    command.add_argument("video", nargs="?", metavar="VIDEO", help="the clip; without one, a loop is made from words")
    command.add_argument("--prompt", metavar="TEXT", help="what the video shows")
    command.add_argument("--range", metavar="A..B", type=_range, help="use only these seconds of the clip")
    seams = ("short", "normal", "long")
    command.add_argument("--seam", choices=seams, help="how long the seam is; normal if left out")
    _add_fitting(command)
    _add_making(command, "loop", ("video", "range", "seam", "fit", "focus"))


def _add_extend(commands: Any) -> None:
    command = commands.add_parser(
        "extend", help="let a clip go on", description="Let a clip go on after its end, or begin earlier."
    )
    command.add_argument("video", metavar="VIDEO", help="the clip; all of its own frames stay")
    command.add_argument("prompt", nargs="?", metavar="PROMPT", help="what happens")
    command.add_argument("--direction", choices=("forward", "backward", "both"), help="after its end, if left out")
    _add_fitting(command)
    _add_making(command, "extend", ("video", "direction", "fit", "focus"))


def _add_storyboard(commands: Any) -> None:
    command = commands.add_parser(
        "storyboard",
        help="make a take from cards along a timeline",
        description="Make a take from cards along a timeline. Spacing is timing: close cards cut, gaps are led over.",
    )
    command.add_argument(
        "board", metavar="FILE", type=Path,
        help="the cards: a .json file exported from the page, or written by hand, with files beside it",
    )  # fmt: skip
    command.add_argument("--prompt", metavar="TEXT", help="what is said with every card")
    command.add_argument("--remake", metavar="N", type=int, help="make only this card again, counted from 1")
    command.add_argument("--video", metavar="VIDEO", help="the take that was made of these cards, for --remake")
    _add_fitting(command)
    _add_making(command, "storyboard", ("video", "remake", "fit", "focus"))


def _add_fitting(command: Any) -> None:
    command.add_argument("--fit", choices=("crop", "pad"), help="how another shape fits in; crop if left out")
    command.add_argument("--focus", metavar="X,Y", type=_point, help="where to crop around, 0..1 across and down")


def _add_making(command: Any, task: str, own: tuple[str, ...]) -> None:
    """Add what makes one video by a task."""
    add_sampling(command, task, own)
    command.add_argument("--seed", metavar="N", type=int, help="the same seed makes the same video")
    command.add_argument("-o", "--output", metavar="FILE", type=Path, help="copy the video here")


def add_sampling(command: Any, task: str, own: tuple[str, ...]) -> None:
    """Add what every task has; `own` are the task's further fields, left out of a request where they were not given."""
    command.add_argument("--model", metavar="NAME", help="one of: " + ", ".join(spec.name for spec in MODELS))
    shapes = ("landscape", "square", "portrait", "ultrawide")
    command.add_argument("--shape", choices=shapes, help="a shape by name, in the model's own size")
    command.add_argument("--size", metavar="WxH", type=_size, help="width and height in pixels, such as 128x128")
    command.add_argument(
        "--seconds", metavar="S", type=float, help="how long it plays, how long a transition takes, how much is added"
    )
    command.add_argument("--frames", metavar="N", type=int, help="how many frames; one gives a picture (PNG)")
    command.add_argument("--steps", metavar="N", type=int, help="denoising steps")
    command.add_argument("--guidance", metavar="G", type=float, help="how closely to follow the words")
    command.add_argument(
        "--deliver", choices=("480p", "720p", "1080p"), help="how many lines the file has: made, or enlarged"
    )
    command.add_argument("--memory", choices=POLICIES, help="where weights lie on a card; what fits if left out")
    command.add_argument(
        "--lora", metavar="FILE[=WEIGHT]", type=_lora, action="append", default=[],
        help="a LoRA: a .safetensors file or a Hub id, user/name or user/name:file, with a weight of -2..2; repeatable",
    )  # fmt: skip
    add_running(command)
    command.set_defaults(task=task, own=own)


def add_running(command: Any) -> None:
    """Add where it runs and how it is told."""
    command.add_argument(
        "--space", metavar="NAME", help="let the Onetake on this Space run it: user/name or an address"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _size(value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)[x×](\d+)", value, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{value!r} is no size: write it as 128x128")
    return int(match[1]), int(match[2])


def _still(value: str) -> dict[str, Any]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)=(.+?)(?:@(\d*\.?\d+))?", value, re.ASCII)
    if match is None:
        what = f"{value!r} is no time with a picture"
        raise argparse.ArgumentTypeError(f"{what}: write it as 1.5=photo.jpg or as 1.5=photo.jpg@0.5")
    own = {"strength": float(match[3])} if match[3] else {}
    return {"seconds": float(match[1]), "image": match[2], **own}


def _lora(value: str) -> dict[str, Any]:
    source, equals, weight = value.rpartition("=")
    try:
        return {"source": source, "weight": float(weight)} if equals else {"source": value}
    except ValueError:
        # The sign belongs to the file's name.
        return {"source": value}


def _point(value: str) -> tuple[float, float]:
    across, _, down = value.partition(",")
    try:
        return float(across), float(down)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is no point: write it as 0.5,0.3") from error


def _range(value: str) -> tuple[float, float]:
    start, dots, end = value.partition("..")
    try:
        return float(start if dots else "none"), float(end)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is no range: write it as 0.5..1.5") from error


def _strength(value: str) -> str | float:
    try:
        return float(value)
    except ValueError:
        return value
