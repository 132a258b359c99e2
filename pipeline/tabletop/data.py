"""Rendered clips on disk: a chunk is a few dozen programs of one shape with their frames, made from its number."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Final

import torch
from torch import Tensor

from pipeline.tabletop.render import render
from pipeline.tabletop.scenes import draw_hard, draw_scene
from pipeline.tabletop.world import Draw, Program, Solid, Wall, draw_judged, draw_program, draw_split

CHUNK: Final = 48
"""Clips in a chunk."""

MIX: Final = (
    ((128, 128), 17),
    ((160, 96), 17),
    ((128, 128), 17),
    ((96, 160), 17),
    ((128, 128), 17),
    ((128, 128), 33),
    ((160, 96), 17),
    ((128, 128), 17),
    ((160, 96), 33),
    ((96, 160), 17),
)
"""Shapes ((width, height), frames) that the chunks go through in turn."""

WHOLE_MIX: Final = (
    ((128, 128), 17),
    ((160, 96), 17),
    ((128, 128), 25),
    ((96, 160), 17),
    ((128, 128), 17),
    ((128, 128), 33),
    ((160, 96), 25),
    ((128, 128), 17),
    ((96, 160), 33),
    ((128, 128), 49),
    ((160, 96), 17),
    ((128, 128), 17),
    ((96, 160), 25),
    ((128, 128), 33),
    ((160, 96), 41),
    ((128, 128), 17),
)
"""The same for the whole world: 17 to 49 frames, as many as the stories and orbits need to unfold."""

HARD_MIX: Final = (
    ((128, 128), 17),
    ((128, 128), 33),
    ((128, 128), 17),
    ((160, 96), 17),
    ((128, 128), 33),
    ((128, 128), 17),
    ((96, 160), 17),
    ((128, 128), 33),
)
"""The same for hard scenes: long enough for something to be hidden for a second."""


@dataclass(frozen=True)
class World:
    """How a world's clips are drawn; `name` begins the names of its files and the seeds of its draws."""

    name: str
    seed: str
    draw: Draw
    mix: tuple[tuple[tuple[int, int], int], ...]


WORLDS: Final = {
    "plain": World("chunk", "", draw_program, MIX),
    "whole": World("whole", "whole ", draw_scene, WHOLE_MIX),
}

DRAWN: Final = {
    **WORLDS,
    "hard": World("hard", "hard ", draw_hard, HARD_MIX),
    "judged": World("judged", "judged ", draw_judged, (((128, 128), 17),)),
}
"""The worlds, hard scenes of the whole world to train on more often, and the scenes that only the judge is trained on:
of the plain world's few have a camera that moves."""


@dataclass(frozen=True)
class Chunk:
    """Clips of one shape: frames are uint8 (clips, frames, height, width, 3)."""

    programs: tuple[Program, ...]
    frames: Tensor


def chunk_programs(
    number: int, kept_out: bool = False, count: int = CHUNK, world: str = "plain"
) -> tuple[Program, ...]:
    """The programs of a chunk: the same number gives the same programs on every machine."""
    drawn = DRAWN[world]
    size, frames = drawn.mix[number % len(drawn.mix)]
    rng = Random(f"{drawn.seed}{'held out' if kept_out else 'training'} {number}")
    return tuple(draw_split(rng, size, frames, kept_out, drawn.draw) for _ in range(count))


def program_from_dict(data: dict[str, object]) -> Program:
    """Undo `dataclasses.asdict`."""
    fields = {**data, "solids": tuple(Solid(**solid) for solid in data["solids"])}  # type: ignore[attr-defined]
    wall = data.get("wall")
    fields["wall"] = Wall(**wall) if isinstance(wall, dict) else None
    return Program(**fields)  # type: ignore[arg-type]


def chunk_path(folder: Path, number: int, world: str = "plain") -> Path:
    """Where a chunk lies."""
    return folder / f"{DRAWN[world].name}-{number:05d}.pt"


def save_chunk(folder: Path, number: int, world: str = "plain") -> None:
    """Render a chunk to disk, unless it is there; written aside first, so that a chunk on disk is a whole one."""
    path = chunk_path(folder, number, world)
    if path.exists():
        return
    torch.set_num_threads(1)
    programs = chunk_programs(number, world=world)
    frames = torch.stack([render(program) for program in programs])
    partial = path.with_suffix(".part")
    torch.save({"programs": json.dumps([asdict(program) for program in programs]), "frames": frames}, partial)
    partial.rename(path)


def load_chunk(path: Path) -> Chunk:
    """Read a chunk back."""
    data = torch.load(path, weights_only=True)
    programs = tuple(program_from_dict(entry) for entry in json.loads(data["programs"]))
    return Chunk(programs, data["frames"])


def render_chunks(folder: Path, numbers: range, workers: int, world: str = "plain") -> None:
    """Render chunks with several processes."""
    folder.mkdir(parents=True, exist_ok=True)
    with get_context("spawn").Pool(workers) as pool:
        pool.starmap(save_chunk, [(folder, number, world) for number in numbers], chunksize=1)


def chunks_on_disk(folder: Path, world: str = "plain") -> Iterator[Path]:
    """Finished chunks of a world, in order."""
    return iter(sorted(folder.glob(f"{DRAWN[world].name}-*.pt")))
