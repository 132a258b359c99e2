"""The transformer's training set: clips as normalised latents, with the images and tails that may be given."""

import json
import random
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Protocol

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor
from torch.nn.functional import avg_pool3d

from pipeline.tabletop.data import load_chunk, program_from_dict
from pipeline.tabletop.emphasis import solid_tokens
from pipeline.tabletop.layout import Given
from pipeline.tabletop.network import TEMPORAL, to_pixels
from pipeline.tabletop.telling import Telling, tell
from pipeline.tabletop.train_autoencoder import recolour
from pipeline.tabletop.world import Program

OPPOSITE = {"left": "right", "right": "left"}
FROM_THE_FIRST = ("first", "head", "ends", "bridge")
"""Kinds of task that give the first frame."""
SHORT_HEAD = 0.5
"""How often the frames that a clip goes on from are a third of it at most; else they are all but its end at most."""
WORDLESS = 0.1
"""How often a clip is shown without words: what guidance is measured against."""


@dataclass(frozen=True)
class LatentChunk:
    """Clips of one shape (clips, 64, frames, h, w); `last` is the last frame as an image, `tail` the last as a clip.

    `true_colours` is False where the clips were recoloured: those are used with given frames only, and their captions
    name no colour.
    """

    programs: tuple[Program, ...]
    whole: Tensor
    last: Tensor
    tail: Tensor
    true_colours: bool = True

    @property
    def frames(self) -> int:
        """Frames of each clip."""
        return self.programs[0].frames

    @property
    def tokens(self) -> int:
        """Latent tokens of one clip."""
        return self.whole[0, 0].numel()


class Encoded(Protocol):
    """Latents of clips of one shape, whatever says what they show."""

    @property
    def whole(self) -> Tensor:
        """All of each clip."""

    @property
    def last(self) -> Tensor:
        """The last frame as an image."""

    @property
    def tail(self) -> Tensor:
        """The last frames as a clip."""

    @property
    def frames(self) -> int:
        """Frames of each clip."""


def mirror(program: Program) -> Program:
    """The program as seen in a mirror that swaps left and right."""
    solids = tuple(replace(s, motion=OPPOSITE.get(s.motion, s.motion), x=-s.x) for s in program.solids)
    wall = replace(program.wall, x=-program.wall.x) if program.wall else None
    speed = program.camera_speed * (1 if program.camera in ("zooms", "follows") else -1)
    return replace(program, solids=solids, wall=wall, camera_speed=speed, sun=-program.sun)


@torch.no_grad()
def encode(vae: AutoencoderKLLTXVideo, pixels: Tensor) -> Tensor:
    """Pixels (clips, 3, frames, height, width) to normalised latents in bfloat16, eight clips at a time."""
    parts = []
    with torch.autocast(vae.device.type, torch.bfloat16):
        for part in torch.split(pixels, 8):
            parts.append(vae.encode(part.to(vae.device)).latent_dist.mode().float())
    mean, std = (value.view(1, -1, 1, 1, 1) for value in (vae.latents_mean, vae.latents_std))
    latents: Tensor = (torch.cat(parts).to(vae.device) - mean) / std
    return latents.bfloat16().cpu()


def tail_frames(frames: int) -> int:
    """Length in frames of the tail that is given: about half of the clip, on the grid."""
    return (frames // 2) // TEMPORAL * TEMPORAL + 1


def encode_clips(vae: AutoencoderKLLTXVideo, programs: tuple[Program, ...], pixels: Tensor) -> LatentChunk:
    """Encode clips whole, and what may be given of them."""
    tail = tail_frames(pixels.shape[2])
    return LatentChunk(programs, encode(vae, pixels), encode(vae, pixels[:, :, -1:]), encode(vae, pixels[:, :, -tail:]))


def encode_chunk(vae: AutoencoderKLLTXVideo, path: Path, half: bool) -> list[LatentChunk]:
    """A chunk as it is and a part of it in other colours; at half the sides, where encoding is cheap, also mirrored."""
    chunk = load_chunk(path)
    pixels = to_pixels(chunk.frames)
    if half:
        pixels = avg_pool3d(pixels, (1, 2, 2))
    some = slice(0, len(pixels) // 3)
    recoloured = torch.stack([recolour(clip) for clip in pixels[some]])
    parts = [
        encode_clips(vae, chunk.programs, pixels),
        replace(encode_clips(vae, chunk.programs[some], recoloured), true_colours=False),
    ]
    if half:
        mirrored = tuple(mirror(program) for program in chunk.programs)
        parts.append(encode_clips(vae, mirrored, pixels.flip(-1)))
    return parts


def save_parts(path: Path, parts: list[LatentChunk]) -> None:
    """Write encoded clips aside, then rename."""
    rows = [{**vars(part), "programs": json.dumps([asdict(program) for program in part.programs])} for part in parts]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    torch.save(rows, partial)
    partial.rename(path)


def load_parts(path: Path) -> list[LatentChunk]:
    """Read encoded clips back."""
    rows = torch.load(path, weights_only=True)
    return [
        LatentChunk(**{**row, "programs": tuple(map(program_from_dict, json.loads(row["programs"])))}) for row in rows
    ]


def cache_folder(vae: AutoencoderKLLTXVideo, cache: Path, half: bool) -> Path:
    """Where latents by this autoencoder lie; the weights of its encoder, and how it scales, name the folder."""
    kept = (value for name, value in vae.state_dict().items() if not name.startswith("decoder."))
    weights = torch.cat([value.flatten().float().cpu() for value in kept])
    return cache / f"{zlib.crc32(weights.numpy().tobytes()):08x}-{'half' if half else 'full'}"


def cached_chunk(vae: AutoencoderKLLTXVideo, path: Path, folder: Path, half: bool) -> list[LatentChunk]:
    """A chunk's latents: from the cache folder, or encoded and put there."""
    kept = folder / path.name
    if not kept.exists():
        save_parts(kept, encode_chunk(vae, path, half))
    return load_parts(kept)


@torch.no_grad()
def set_latent_statistics(vae: AutoencoderKLLTXVideo, paths: list[Path]) -> None:
    """Measure the mean and deviation of each latent channel, which the pipeline normalises by."""
    vae.latents_mean.zero_()
    vae.latents_std.fill_(1.0)
    samples = [encode(vae, to_pixels(load_chunk(path).frames[:8])).float() for path in paths[:10]]
    flat = torch.cat([sample.movedim(1, 0).flatten(1) for sample in samples], 1)
    vae.latents_mean.copy_(flat.mean(1))
    vae.latents_std.copy_(flat.std(1))


@dataclass(frozen=True)
class Sample:
    """A batch for the transformer: clean latents, what is given of them, and captions.

    `shown` tells which latents (batch, frames, h, w) show something of a solid, where that is known; so do `programs`
    what was rendered, and `coloured` whether in the colours that they say.
    """

    latents: Tensor
    given: list[Given]
    captions: list[str]
    shown: Tensor | None = None
    programs: tuple[Program, ...] = ()
    coloured: bool = True

    @property
    def follows(self) -> bool:
        """Whether it goes on from frames that are given: they show what is where, and how it moves."""
        return any(given.frame == 0 and given.latents.shape[2] > 1 for given in self.given)


def draw_given(chunk: Encoded, rows: Tensor, kind: str) -> list[Given]:
    """What is given of some clips, by the kind of task."""
    strength = 1.0 if random.random() < 0.8 else random.uniform(0.5, 1.0)
    whole, last, tail = chunk.whole[rows].float(), chunk.last[rows].float(), chunk.tail[rows].float()
    far = kind == "head" and random.random() >= SHORT_HEAD
    longest = max(2, whole.shape[2] - 1 if far else whole.shape[2] // 3)
    head = whole[:, :, : random.randint(2, longest)]
    kinds = {
        "text": [],
        "first": [Given(whole[:, :, :1], 0, strength)],
        "head": [Given(head, 0, strength)],
        "last": [Given(last, chunk.frames - 1, strength)],
        "ends": [Given(whole[:, :, :1], 0, strength), Given(last, chunk.frames - 1, strength)],
        "tail": [Given(tail, chunk.frames - tail_frames(chunk.frames), strength)],
        "bridge": [Given(head, 0), Given(tail, chunk.frames - tail_frames(chunk.frames))],
    }
    return kinds[kind]


def draw_sample(chunks: list[LatentChunk], tokens: int, shares: dict[str, float]) -> Sample:
    """Draw a batch of about so many tokens from one chunk, with the kinds of task in the given shares."""
    kind = random.choices(list(shares), list(shares.values()))[0]
    usable = [chunk for chunk in chunks if chunk.true_colours or kind != "text"]
    chunk = random.choice(usable)
    rows = torch.randint(len(chunk.programs), (max(1, tokens // chunk.tokens),))
    return told_sample(chunk, rows, kind, Telling(coloured=chunk.true_colours, shown=kind in FROM_THE_FIRST))


def told_sample(chunk: LatentChunk, rows: Tensor, kind: str, how: Telling) -> Sample:
    """Some clips of a chunk as a batch of one kind of task, put into words that are drawn now."""
    rng, programs = Random(random.getrandbits(64)), tuple(chunk.programs[row] for row in rows.tolist())
    captions = ["" if rng.random() < WORDLESS else tell(program, rng, how) for program in programs]
    cell = programs[0].width // chunk.whole.shape[-1]
    shown = torch.stack([solid_tokens(program, cell) for program in programs])
    given = draw_given(chunk, rows, kind)
    return Sample(chunk.whole[rows].float(), given, captions, shown, programs, chunk.true_colours)
