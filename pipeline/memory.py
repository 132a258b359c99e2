"""Where a model's weights lie while it runs: policies, the machine that they are chosen for, and the choice."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import CannotDo
from pipeline.frames import latent_shape
from pipeline.model_spec import ModelSpec

Policy = Literal["whole", "fp8", "int8", "group", "sequential"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
"""The fastest first. int8 takes no less than fp8, so that it is never chosen by itself."""

SAYS: Mapping[Policy, str] = {
    "whole": "weights whole",
    "fp8": "weights in fp8",
    "int8": "weights in int8",
    "group": "weights brought block by block",
    "sequential": "weights brought layer by layer",
}
# What a take is made again with where the card ran out of memory.
AFTER: Mapping[Policy, Policy | None] = {
    "whole": "fp8",
    "fp8": "group",
    "int8": "group",
    "group": "sequential",
    "sequential": None,
}
# The bytes of a transformer's number on the card. Its norms and embeddings stay as they are, 2 % of it at most.
BYTES: Mapping[Policy, float] = {"whole": 2.0, "fp8": 1.02, "int8": 1.02}
# The blocks that are there at once: the one that runs, and the one that is being brought for it.
BLOCKS: Mapping[Policy, int] = {"group": 2, "sequential": 1}
# Of what is free; the rest is lost between tensors, and to kernels that want room of their own.
USABLE = 0.92
PROC, LIMIT = Path("/proc"), Path("/sys/fs/cgroup/memory.max")
# The first generation that computes in bfloat16.
BFLOAT16 = (8, 0)


@dataclass(frozen=True)
class Machine:
    """What there is to compute with, in free MB; a machine without a card has no vram, and 0 of ram is unknown.

    `capability` is CUDA's, such as (9, 0); `torchao` says whether that package is here; `wanted` is the policy that
    whoever runs the machine has chosen.
    """

    vram_mb: int = 0
    ram_mb: int = 0
    capability: tuple[int, int] = (0, 0)
    torchao: bool = False
    wanted: Policy | None = None


@dataclass(frozen=True)
class Work:
    """What a plan does at once: so many tokens through the transformer, and frames of so many pixels.

    `upsampler_mb` are those of a model that doubles latents in between, 0 where there is none.
    """

    tokens: int
    pixels: int
    upsampler_mb: int = 0


@dataclass(frozen=True)
class Placement:
    """Where the weights lie, and the MB that this takes on the card, or in memory without one.

    `beside`: the text encoder stays beside the transformer, instead of being there only while words are encoded;
    `tiled`: frames are decoded in tiles. The notes say why it is not the fastest.
    """

    policy: Policy
    memory_mb: int
    beside: bool = True
    tiled: bool = False
    on_card: bool = False
    notes: tuple[str, ...] = ()


def free_ram_mb(proc: Path = PROC, limit: Path = LIMIT) -> int:
    """Return the memory that this process can have, what it holds already included, in MB; 0 where nobody says."""
    meminfo = proc / "meminfo"
    free = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()) if meminfo.exists() else None
    if free is None:
        return 0
    held = int((proc / "self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    # A container is shown all of its host's.
    most = limit.read_text().strip() if limit.exists() else "max"
    found = int(free[1]) * 1024 + held
    return (min(found, int(most)) if most.isdigit() else found) // 10**6


def choose(spec: ModelSpec, work: Work, machine: Machine, wanted: Policy | None = None) -> Placement:
    """Return the fastest placement that fits, or the wanted one; raise CannotDo for one that cannot be here."""
    wanted = wanted or machine.wanted
    if not machine.vram_mb:
        return _on_processor(spec, work, machine, wanted)
    if wanted == "int8" and not machine.torchao:
        raise CannotDo("memory", "int8 needs the package torchao. Install it (pip install torchao), or choose fp8.")
    room = machine.vram_mb * USABLE
    tried = [_on_card(spec, work, policy, room) for policy in ([wanted] if wanted else POLICIES)]
    placement = next((each for each in tried if each.memory_mb <= room), tried[-1])
    return replace(placement, notes=tuple(_notes(spec, work, machine, placement, wanted)))


def usual_work(spec: ModelSpec) -> Work:
    """Return what a take by a model's defaults is to it."""
    width, height = spec.shapes[spec.shape]
    at_once = min(spec.frames, spec.max_frames)
    frames, rows, columns = latent_shape(at_once, height, width, spec.frame_grid, spec.side_stride * spec.patch)
    return Work(frames * rows * columns, width * height)


def stays_on_card(spec: ModelSpec, machine: Machine) -> bool:
    """Return whether a take by a model's defaults can be made without bringing weights in parts."""
    return machine.vram_mb > 0 and choose(spec, usual_work(spec), replace(machine, wanted=None)).policy not in BLOCKS


def weights_mb(spec: ModelSpec, policy: Policy) -> tuple[float, float, float]:
    """Return the MB on the card of the transformer under a policy, of the text encoder, and of the autoencoder."""
    parts = spec.parts
    wide = 2 if spec.dtype == "float32" else 1
    if policy in BLOCKS:
        transformer = 2000 * parts.transformer * BLOCKS[policy] / spec.network.layers
    else:
        transformer = 1000 * parts.transformer * BYTES[policy]
    return transformer * wide, 2000 * parts.text_encoder * wide, 1000 * parts.vae * parts.vae_bytes


def _on_card(spec: ModelSpec, work: Work, policy: Policy, room: float) -> Placement:
    """Return the fastest way of a policy that fits into so many MB, or its smallest."""
    transformer, text, vae = weights_mb(spec, policy)
    denoising = work.tokens * spec.memory_kb_per_token / 1000
    for tiled in (False, True):
        pixels = min(work.pixels, spec.parts.tile**2) if tiled else work.pixels
        decoding = pixels * spec.parts.decode_kb_per_pixel / 1000
        running = transformer + vae + max(denoising, decoding, work.upsampler_mb)
        # Where weights wait in RAM, those of the text encoder do too.
        beside = running + text <= room and policy not in BLOCKS
        # What does not fit is brought leaf by leaf.
        encoding = text + vae if text + vae <= room else 0.0
        needed = running + text if beside else max(running, encoding)
        if needed <= room:
            break
    return Placement(policy, _round(needed), beside, tiled, on_card=True)


def _on_processor(spec: ModelSpec, work: Work, machine: Machine, wanted: Policy | None) -> Placement:
    if wanted not in (None, "whole"):
        raise CannotDo("memory", f"{wanted} is for a card, and this machine computes on its processor. Leave it out.")
    needed = _round(spec.memory_mb + work.upsampler_mb + work.tokens * spec.memory_kb_per_token / 1000)
    if not machine.ram_mb or needed <= machine.ram_mb:
        return Placement("whole", needed)
    note = f"{spec.title} needs about {needed:,} MB of memory, and {machine.ram_mb:,} MB are free. It may not load."
    return Placement("whole", needed, beside=False, notes=(note,))


def _notes(spec: ModelSpec, work: Work, machine: Machine, placement: Placement, wanted: Policy | None) -> Iterator[str]:
    """Say why a placement is not the fastest, and what may go wrong with it."""
    policy, free = placement.policy, f"the card has {machine.vram_mb:,} MB free"
    if policy != "whole" and not wanted:
        whole = _on_card(spec, work, "whole", machine.vram_mb * USABLE)
        yield f"{spec.title} runs with {SAYS[policy]}: whole they need {whole.memory_mb:,} MB, and {free}."
    if placement.memory_mb > machine.vram_mb * USABLE:
        further = AFTER[policy]
        then = f"is made again with {SAYS[further]}" if further else "breaks off: make it shorter or smaller"
        yield f"This needs about {placement.memory_mb:,} MB, and {free}. Where it runs out, the take {then}."
    if placement.tiled:
        yield f"The frames are decoded in tiles: whole ones do not fit, for {free}."
    if (0, 0) < machine.capability < BFLOAT16 and spec.dtype == "bfloat16":
        yield "This card is older than bfloat16, which the model computes in: it takes longer than said."
    # All of them are read into memory first, whole, and wait there where the card has them in part.
    parts = 2000 * spec.parts.transformer + 1000 * spec.parts.vae * spec.parts.vae_bytes
    if machine.ram_mb and parts > machine.ram_mb:
        yield f"The weights pass through memory, {parts:,.0f} MB, and {machine.ram_mb:,} are free: it may not load."


def _round(megabytes: float) -> int:
    return 10 * round(megabytes / 10)
