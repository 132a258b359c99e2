"""Three small clips on disk, as a training renders them, and a scene whose light is told."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import torch

from pipeline.tabletop.render import render
from pipeline.tabletop.scenes import draw_kind
from pipeline.tabletop.world import Program, draw_split


def three_clips(work: Path) -> Path:
    """Render them into a training's folder, and return it."""
    rng, chunks = Random("toy"), work / "chunks"
    programs = [draw_split(rng, (64, 64), 9, kept_out=False) for _ in range(3)]
    chunks.mkdir(parents=True)
    frames = torch.stack([render(program) for program in programs])
    told = json.dumps([asdict(program) for program in programs])
    torch.save({"programs": told, "frames": frames}, chunks / "chunk-00000.pt")
    return work


def resting(floor: str, sun: float) -> Program:
    """A ball that rests alone in the middle."""
    drawn = draw_kind(Random(1), "plain")
    solid = replace(drawn.solids[0], motion="stays", shape="ball", x=0.0, z=0.0)
    return replace(drawn, solids=(solid,), camera="stands", floor=floor, sun=sun, fog=False, wall=None)
