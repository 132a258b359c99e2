"""Requests of every task, in every way of saying it, and the plans that come of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lora_files
import numpy as np
from PIL import Image
from test_layouts import film

from pipeline.fields import replace_files
from pipeline.models import EMBEDDED, get_model
from pipeline.plan import Plan, make_plan
from pipeline.planning.estimate import Estimate
from pipeline.request import parse_request

Find = Callable[[str], str]
NOTHING = Estimate(0, 0, 0)

# Every task, and whatever can be said in more than one way; whose files are made below.
ASKED: dict[str, dict[str, Any]] = {
    "text": {"prompt": "a red ball"},
    "a shape and seconds": {"prompt": "a ball", "shape": "ultrawide", "seconds": 3.0, "seed": 2**64 - 1},
    "a size and frames": {"prompt": "a ball", "width": 64, "height": 96, "frames": 9, "steps": 4},
    "rounded": {"prompt": "a ball", "width": 70, "height": 64, "seconds": 1.3},
    "a picture": {"prompt": "a ball", "frames": 1, "guidance_scale": 2.5},
    "a file of more lines": {"prompt": "a ball", "deliver": "480p"},
    "two passes": {"prompt": "a ball", "model": "ltx-2b", "shape": "portrait", "seconds": 2.0, "deliver": "720p"},
    "one frame of the hosted": {"prompt": "a ball", "model": "wan-1.3b", "frames": 1},
    "loras": {"prompt": "a", "loras": [{"source": "FILE ink.safetensors", "weight": 0.5}, {"source": "user/name"}]},
    "animate": {"task": "animate", "prompt": "a ball", "image": "FILE one.png"},
    "animate everything": {
        "task": "animate",
        "prompt": "a ball",
        "image": "FILE one.png",
        "last": "FILE two.png",
        "at": [{"seconds": 0.5, "image": "FILE two.png", "strength": 0.4}, {"seconds": 1.25, "image": "FILE one.png"}],
        "strength": 0.8,
        "fit": "pad",
        "focus": [0.2, 0.7],
        "seconds": 2.0,
    },
    "only the end": {"task": "animate", "prompt": "a ball", "last": "FILE two.png", "shape": "square", "frames": 9},
    "restyle": {"task": "restyle", "prompt": "a ball", "video": "FILE clip.mp4"},
    "restyle a part": {
        "task": "restyle",
        "video": "FILE clip.mp4",
        "strength": "strong",
        "range": [0.5, 1.5],
        "theme": "on snow",
        "colour": "in blue",
        "camera": "the camera orbits",
        "light": "at night",
        "focus": [0.0, 1.0],
    },
    "restyle by a level": {"task": "restyle", "prompt": "a", "video": "FILE clip.mp4", "strength": 0.62, "frames": 9},
    "transition": {"task": "transition", "first": "FILE clip.mp4", "second": "FILE one.png", "curve": "late"},
    "transition of the hosted": {
        "task": "transition",
        "prompt": "a ball",
        "model": "wan-vace",
        "first": "FILE clip.mp4",
        "second": "FILE other.mp4",
        "seconds": 0.75,
        "guidance_scale": 3.0,
    },
    "extend": {"task": "extend", "video": "FILE clip.mp4", "prompt": "a ball rolls on"},
    "extend backward": {"task": "extend", "video": "FILE other.mp4", "direction": "backward", "seconds": 1.3},
    "extend both": {"task": "extend", "video": "FILE clip.mp4", "direction": "both", "seconds": 1.0},
    "extend by parts": {"task": "extend", "video": "FILE clip.mp4", "prompt": "a ball", "seconds": 20.0},
    "in parts": {"prompt": "a ball", "seconds": 20.0},
    "storyboard": {
        "task": "storyboard",
        "prompt": "on snow, by day",
        "cards": [{"seconds": 0.0, "prompt": "a red ball = 100% round"}, {"seconds": 1.5, "prompt": "a blue cube"}],
        "seconds": 3.0,
    },
    "storyboard of everything": {
        "task": "storyboard",
        "cards": [
            {"seconds": 0.0, "video": "FILE clip.mp4"},
            {"seconds": 3.5, "image": "FILE one.png", "begins": "led over"},
            {"seconds": 5.25, "image": "FILE two.png", "prompt": "a ball, at night", "begins": "with a cut"},
        ],
        "fit": "pad",
        "focus": [0.2, 0.7],
    },
    "loop of words": {"task": "loop", "prompt": "a ball", "seconds": 1.5},
    "loop": {"task": "loop", "video": "FILE clip.mp4", "seam": "short", "range": [0.0, 1.5], "guidance_scale": 6.0},
}  # fmt: skip


def write_files(folder: Path) -> Find:
    """Write the files that the requests above name; return where each of them lies."""
    film(folder / "clip.mp4", 17)
    film(folder / "other.mp4", 30, fps=16)
    for name, size in (("one.png", (90, 60)), ("two.png", (64, 64))):
        Image.fromarray(np.full((size[1], size[0], 3), 120, np.uint8)).save(folder / name)
    lora_files.write(folder / "ink.safetensors", trigger="golden moon")
    return lambda path: str(folder / path.removeprefix("FILE ")) if path.startswith("FILE ") else path


def made(asked: dict[str, Any], find: Find = str) -> Plan:
    request = parse_request({"seed": 7} | replace_files(asked, find))
    return make_plan(request, get_model(request.model or EMBEDDED.name))


def unpriced(plan: Plan) -> Plan:
    return replace(plan, estimate=NOTHING)
