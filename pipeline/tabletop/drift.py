"""How far long takes drift from how they began, and whether what they are of is still there, and moves, at their end.

The takes are of held-out scenes in which nothing leaves the picture, so that whatever changes is drift. The app makes
them (`pipeline.measures.long_takes`, another process: nothing here imports it), some a second time without what holds
drift back: there details are guided as strongly as the motion. `drift_figures.py` puts it in figures.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import av
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from pipeline.tabletop.captions import caption
from pipeline.tabletop.claims import most, tells_itself_apart
from pipeline.tabletop.labels import truth
from pipeline.tabletop.network import to_frames, to_pixels
from pipeline.tabletop.probe import Judge, through
from pipeline.tabletop.render import render
from pipeline.tabletop.sampling import Case, Sampling
from pipeline.tabletop.trackers import colour_at, read
from pipeline.tabletop.world import CALM_MOTIONS, FPS, Program, draw_split

WITH, WITHOUT = "with", "without"
"""The endings of the files, as `pipeline.measures.long_takes` names them."""

FIRST: Final = "its own beginning"
RENDERS: Final = "renders through the autoencoder"
OTHERS: Final = "takes of other prompts"

JUDGED: Final = 17
"""Frames at either end by which it is told what is there: as long as the clips that the judge was trained on."""

RENDERED: Final = 49
"""Frames of a render that show how much such scenes change by themselves."""

APART: Final = 3
"""Frames between which it is told how much changes: fewer, and what goes slowly is lost in noise."""

MAKERS: Final = ("backends", "families", "planning", "measures", "rows", "splice.py", "plan.py", "frames.py")
"""What of the app decides the frames of a take."""

Curve = list[float]


@dataclass(frozen=True)
class LongTakes:
    """How many takes are judged, how long they are, and how many of them are made without the correction too."""

    count: int = 20
    seconds: float = 15.0
    compared: int = 8

    @property
    def twice(self) -> int:
        """How many are made both ways: no more than there are."""
        return min(self.compared, self.count)


IN_FULL: Final = LongTakes(20, 60.0, 20)


@dataclass(frozen=True)
class Found:
    """What a take shows: in each second its colour's distance from the first's, its share of that sharpness, movement.

    All are by way of making; `there` is whether its solid is there at the end, in its colour, `does` whether it still
    does what was asked, each with its controls; `moves` is whether that is to move at all.
    """

    colour: dict[str, Curve]
    sharpness: dict[str, Curve]
    movement: dict[str, Curve]
    there: dict[str, float]
    does: dict[str, float]
    moves: bool


def stays_in_view(program: Program) -> bool:
    """Whether a scene is of one solid that stays where it is, before a camera that stands."""
    first, *others = program.solids
    calm = first.motion in CALM_MOTIONS and program.camera == "stands" and not program.story
    return calm and not others and tells_itself_apart(program)


def draw_takes(count: int) -> list[Case]:
    """Held-out programs of long takes with their prompts; the same count begins with the same ones."""
    rng, cases = Random("long takes"), list[Case]()
    while len(cases) < count:
        program = draw_split(rng, (128, 128), JUDGED, kept_out=True)
        if stays_in_view(program):
            cases.append(Case("long", len(cases), program, caption(program, rng, complete=True)))
    return cases


def kept_takes(kept: Path, takes: LongTakes) -> Path:
    """The folder for takes of this length by this code, among all that is kept of a model."""
    code = Path(__file__).parents[1]
    files = sorted(file for name in MAKERS for file in [code / name, *(code / name).glob("*.py")] if file.is_file())
    mark = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return kept / f"long-{takes.seconds:g}s-{mark[:8]}"


def name_of(case: Case) -> str:
    """The name of a take's files."""
    return f"take-{case.number:04d}"


def asked_of(case: Case, takes: LongTakes, how: Sampling) -> dict[str, str | float]:
    """What the app is asked for: a case's take, at the settings of all other clips."""
    return {
        "prompt": case.prompt,
        "seconds": takes.seconds,
        "seed": how.seed + case.number,
        "steps": how.steps,
        "guidance_scale": how.guidance,
    }


def make_takes(model: Path, cases: list[Case], takes: LongTakes, how: Sampling, folder: Path) -> None:
    """Let the app make what is not there yet, by a process of one thread on each core; raise CalledProcessError."""
    folder.mkdir(parents=True, exist_ok=True)
    makers = min(os.cpu_count() or 1, len(cases))
    shares = [cases[first::makers] for first in range(makers)]
    parts = [{way: asked_for(share, takes, how, way) for way in (WITH, WITHOUT)} for share in shares]
    with ThreadPoolExecutor(makers) as pool:
        list(pool.map(partial(make_part, model, folder), range(makers), parts))


def ways_of(case: Case, takes: LongTakes) -> tuple[str, ...]:
    """The ways in which a take is made."""
    return (WITH, WITHOUT) if case.number < takes.compared else (WITH,)


def asked_for(cases: list[Case], takes: LongTakes, how: Sampling, way: str) -> dict[str, dict[str, str | float]]:
    """What the app is asked for of these cases, by name, one way."""
    return {name_of(case): asked_of(case, takes, how) for case in cases if way in ways_of(case, takes)}


def make_part(model: Path, folder: Path, number: int, asked: dict[str, dict[str, dict[str, str | float]]]) -> None:
    """Let one process of the app make what it is asked for."""
    file = folder / f"asked-{number}.json"
    file.write_text(json.dumps(asked, indent=1))
    command = [sys.executable, "-m", "pipeline.measures.long_takes", *map(str, (file.resolve(), folder.resolve()))]
    settings = ["--model", str(model.resolve()), "--threads", "1"]
    subprocess.run([*command, *settings], check=True, cwd=Path(__file__).parents[2])  # noqa: S603


def read_take(folder: Path, case: Case, way: str) -> Tensor:
    """The frames of a take (n, height, width, 3), uint8."""
    with av.open(str(folder / f"{name_of(case)}-{way}.mkv")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(frames))


def seconds_of(frames: Tensor) -> list[Tensor]:
    """Frames by the second; what is left over belongs to the last one."""
    parts = list(torch.split(frames, FPS))
    if len(parts) > 1 and len(parts[-1]) < FPS:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def colour_curve(frames: Tensor) -> Curve:
    """How far each second's mean colour is from the first one's: the root of the mean square over RGB, of 255."""
    means = torch.stack([part.float().mean((0, 1, 2)) for part in seconds_of(frames)])
    found: Curve = (means - means[0]).square().mean(1).sqrt().tolist()
    return found


def sharpness_curve(frames: Tensor) -> Curve:
    """The variance of the brightness' Laplacian in each second, as a share of that in the first."""
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    spread = torch.stack([conv2d(part.float().mean(-1)[:, None], kernel).var() for part in seconds_of(frames)])
    found: Curve = (spread / spread[0].clamp(min=1e-6)).tolist()
    return found


def movement_curve(frames: Tensor) -> Curve:
    """How much changes between frames APART from each other, in each second: the mean over pixels and RGB, of 255."""
    changes = [(part[APART:].float() - part[:-APART].float()).abs().mean() for part in seconds_of(frames)]
    return [float(change) for change in changes]


def is_there(judge: Judge, frames: Tensor, program: Program) -> bool:
    """Whether most of the last second's frames show the solid, in its colour, and the judge sees its shape.

    Of no solid at all the judge would still name one: that one is there, the tracker says.
    """
    solid, (seen,) = program.solids[0], judge.read(frames[-JUDGED:][None])
    reading = read(frames[-FPS:], replace(program, frames=FPS))
    colours = [colour_at(reading, 0, frame) for frame in range(FPS)]
    return 2 * sum(colour is not None for colour in colours) > FPS and (
        most([colour for colour in colours if colour]) == solid.colour and seen["solid"] == solid.shape
    )


def still_does(judge: Judge, frames: Tensor, program: Program) -> bool:
    """Whether the solid is there at the end, and the judge reads in the last frames the motion that is asked for.

    Of no solid at all it would name a motion too.
    """
    (seen,) = judge.read(frames[-JUDGED:][None])
    return seen["motion"] == truth(program)["motion"] and is_there(judge, frames, program)


def judge_take(judge: Judge, case: Case, takes: dict[str, Tensor], other: Tensor) -> Found:
    """What a take shows, by way of making, beside renders of its scene and another prompt's take."""
    program = case.program
    picture = render(replace(program, frames=RENDERED))
    rebuilt = to_frames(through(judge.vae, to_pixels(picture[:JUDGED])[None]))[0]
    shown = takes | {"renders": picture}
    ends = takes | {FIRST: takes[WITH][:JUDGED], RENDERS: rebuilt, OTHERS: other}
    return Found(
        {way: colour_curve(frames) for way, frames in shown.items()},
        {way: sharpness_curve(frames) for way, frames in shown.items()},
        {way: movement_curve(frames) for way, frames in shown.items()},
        {kind: float(is_there(judge, frames, program)) for kind, frames in ends.items()},
        {kind: float(still_does(judge, frames, program)) for kind, frames in ends.items()},
        program.solids[0].motion != "stays",
    )


def judge_takes(judge: Judge, cases: list[Case], takes: LongTakes, folder: Path) -> Iterator[Found]:
    """What all takes show: kept, or judged now."""
    for case in cases:
        ways = ways_of(case, takes)
        path = folder / f"{name_of(case)}-{len(cases)}-{len(ways)}.json"
        if not path.exists():
            other = cases[(case.number + 1) % len(cases)]
            made = {way: read_take(folder, case, way) for way in ways}
            found = judge_take(judge, case, made, read_take(folder, other, WITH))
            partial = path.with_suffix(".part")
            partial.write_text(json.dumps(vars(found)))
            partial.rename(path)
        yield Found(**json.loads(path.read_text()))
