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
from pipeline.tabletop.world import Program, Solid, draw_split

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


@dataclass(frozen=True)
class Chunk:
    """Clips of one shape: frames are uint8 (clips, frames, height, width, 3)."""

    programs: tuple[Program, ...]
    frames: Tensor


def chunk_programs(number: int, kept_out: bool = False, count: int = CHUNK) -> tuple[Program, ...]:
    """The programs of a chunk: the same number gives the same programs on every machine."""
    size, frames = MIX[number % len(MIX)]
    rng = Random(f"{'held out' if kept_out else 'training'} {number}")
    return tuple(draw_split(rng, size, frames, kept_out) for _ in range(count))


def program_from_dict(data: dict[str, object]) -> Program:
    """Undo `dataclasses.asdict`."""
    fields = {**data, "solids": tuple(Solid(**solid) for solid in data["solids"])}  # type: ignore[attr-defined]
    return Program(**fields)  # type: ignore[arg-type]


def chunk_path(folder: Path, number: int) -> Path:
    """Where a chunk lies."""
    return folder / f"chunk-{number:05d}.pt"


def save_chunk(folder: Path, number: int) -> None:
    """Render a chunk to disk, unless it is there; written aside first, so that a chunk on disk is a whole one."""
    path = chunk_path(folder, number)
    if path.exists():
        return
    torch.set_num_threads(1)
    programs = chunk_programs(number)
    frames = torch.stack([render(program) for program in programs])
    partial = path.with_suffix(".part")
    torch.save({"programs": json.dumps([asdict(program) for program in programs]), "frames": frames}, partial)
    partial.rename(path)


def load_chunk(path: Path) -> Chunk:
    """Read a chunk back."""
    data = torch.load(path, weights_only=True)
    programs = tuple(program_from_dict(entry) for entry in json.loads(data["programs"]))
    return Chunk(programs, data["frames"])


def render_chunks(folder: Path, numbers: range, workers: int) -> None:
    """Render chunks with several processes."""
    folder.mkdir(parents=True, exist_ok=True)
    with get_context("spawn").Pool(workers) as pool:
        pool.starmap(save_chunk, [(folder, number) for number in numbers], chunksize=1)


def chunks_on_disk(folder: Path) -> Iterator[Path]:
    """Finished chunks, in order."""
    return iter(sorted(folder.glob("chunk-*.pt")))
