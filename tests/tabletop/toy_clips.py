"""Three small clips on disk, as a training renders them."""

import json
from dataclasses import asdict
from pathlib import Path
from random import Random

import torch

from pipeline.tabletop.render import render
from pipeline.tabletop.world import draw_split


def three_clips(work: Path) -> Path:
    """Render them into a training's folder, and return it."""
    rng, chunks = Random("toy"), work / "chunks"
    programs = [draw_split(rng, (64, 64), 9, kept_out=False) for _ in range(3)]
    chunks.mkdir(parents=True)
    frames = torch.stack([render(program) for program in programs])
    told = json.dumps([asdict(program) for program in programs])
    torch.save({"programs": told, "frames": frames}, chunks / "chunk-00000.pt")
    return work
