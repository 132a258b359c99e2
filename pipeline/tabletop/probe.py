"""The judge: a small network, trained on renders, that reads a clip's attributes back.

`python -m pipeline.tabletop.probe` trains it on the clips that `train` rendered, and on more in which the camera moves
as often as it stands, and writes probe.safetensors. It sees a clip through the autoencoder's encoder, as latents at
full size and rate: renders, renders that went through the whole autoencoder and back, and both noised, so that it
judges what a clip shows rather than how it was made. Of the plain world it reads scenes of one solid; `--world whole`
trains it on all scenes of the whole world and all that is in them, and on those of the plain one where they lie beside
them.
"""

import argparse
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLLTXVideo
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pipeline.tabletop.data import WORLDS, Chunk, chunks_on_disk, load_chunk, render_chunks
from pipeline.tabletop.labels import OF_WORLD, UNSEEN, labels
from pipeline.tabletop.latents import LatentChunk, cache_folder, cached_chunk, encode, mirror
from pipeline.tabletop.network import CHANNELS, to_frames, to_pixels
from pipeline.tabletop.world import Program

DECODED_EVERY: Final = 8
"""Of so many chunks one also goes through the decoder and back."""

OWN_DECODED_EVERY: Final = 2
"""The same for the judge's own chunks."""


class Block(nn.Module):
    """A residual step: across space, then across time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1)),
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0)),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """Features (batch, width, frames, height, width) to the same."""
        changed: Tensor = features + self.body(features)
        return changed


class Probe(nn.Module):
    """Logits per attribute from normalised latents (batch, 64, frames, height, width) of any size and length."""

    def __init__(self, width: int = 96, depth: int = 6, world: str = "plain") -> None:
        super().__init__()
        self.attributes = OF_WORLD[world]
        self.body = nn.Sequential(nn.Conv3d(CHANNELS, width, 1), *(Block(width) for _ in range(depth)))
        self.mix = nn.Sequential(nn.Linear(2 * width, 192), nn.SiLU(), nn.Dropout(0.2))
        self.heads = nn.ModuleDict({name: nn.Linear(192, len(values)) for name, values in self.attributes.items()})

    def forward(self, latents: Tensor) -> dict[str, Tensor]:
        """Logits (batch, choices) of each attribute."""
        features = self.body(latents).flatten(2)
        mixed = self.mix(torch.cat([features.mean(2), features.amax(2)], 1))
        return {name: head(mixed) for name, head in self.heads.items()}


@dataclass(frozen=True)
class Judge:
    """A probe with the autoencoder that it looks through."""

    probe: Probe
    vae: AutoencoderKLLTXVideo

    @torch.no_grad()
    def read(self, clips: Tensor) -> list[dict[str, str]]:
        """What each clip shows; clips are uint8 (batch, frames, height, width, 3) of one size and length."""
        logits = self.probe(encode(self.vae, to_pixels(clips)).float())
        picks = {name: value.argmax(1).tolist() for name, value in logits.items()}
        attributes = self.probe.attributes
        return [{name: values[picks[name][i]] for name, values in attributes.items()} for i in range(len(clips))]


@dataclass(frozen=True)
class Examples:
    """Latents of one shape with their labels."""

    latents: Tensor
    labels: Tensor


@torch.no_grad()
def through(vae: AutoencoderKLLTXVideo, pixels: Tensor) -> Tensor:
    """Clips as the autoencoder gives them back."""
    parts = [vae.decode(vae.encode(part).latent_dist.mode()).sample.clamp(-1, 1) for part in torch.split(pixels, 8)]
    return torch.cat(parts)


def readable(programs: tuple[Program, ...], world: str) -> list[int]:
    """Which programs are read: of the plain world those of one solid."""
    return [i for i, program in enumerate(programs) if world != "plain" or len(program.solids) == 1]


def part_examples(part: LatentChunk, world: str) -> Examples:
    """The clips in a part of a chunk that are read."""
    chosen = readable(part.programs, world)
    return Examples(part.whole[chosen], labels([part.programs[i] for i in chosen], part.true_colours, world))


def chunk_examples(
    path: Path, vae: AutoencoderKLLTXVideo, cache: Path, decoded: bool, world: str
) -> Iterator[Examples]:
    """A chunk's clips as the transformer is trained on them, and, where wanted, mirrored and decoded once."""
    for part in cached_chunk(vae, path, cache_folder(vae, cache, half=False), half=False):
        yield part_examples(part, world)
    if decoded:
        yield mirrored_examples(load_chunk(path), vae, True, world)


def mirrored_examples(chunk: Chunk, vae: AutoencoderKLLTXVideo, decoded: bool, world: str) -> Examples:
    """A chunk's clips mirrored, as rendered or decoded once."""
    chosen = readable(chunk.programs, world)
    pixels = to_pixels(chunk.frames[chosen]).flip(-1)
    pixels = to_pixels(to_frames(through(vae, pixels))) if decoded else pixels
    programs = [mirror(chunk.programs[i]) for i in chosen]
    return Examples(encode(vae, pixels), labels(programs, world=world))


def judged_examples(path: Path, vae: AutoencoderKLLTXVideo, decoded: bool, world: str) -> Iterator[Examples]:
    """A chunk of the judge's own clips as they are and mirrored."""
    chunk = load_chunk(path)
    yield Examples(encode(vae, to_pixels(chunk.frames)), labels(list(chunk.programs), world=world))
    yield mirrored_examples(chunk, vae, decoded, world)


def spoil(latents: Tensor) -> Tensor:
    """Noise latents at random and drop some of their frames' detail, as generated clips lack it."""
    latents = latents + torch.randn_like(latents) * random.choice((0.0, 0.1, 0.25))
    keep = (torch.rand(len(latents), latents.shape[1], 1, 1, 1) > random.choice((0.0, 0.05, 0.15))).float()
    return latents * keep


def train_probe(parts: list[Examples], steps: int, batch: int = 64, world: str = "plain") -> Probe:
    """Train on all attributes at once; a batch is of one shape."""
    torch.manual_seed(2)
    random.seed(2)
    probe = Probe(world=world)
    descend(probe, steps, lambda: probe_loss(probe, draw(parts, batch)))
    return probe.eval()


def descend(network: nn.Module, steps: int, loss_now: Callable[[], Tensor]) -> None:
    """Take so many steps down a loss (AdamW, one cycle)."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for step in range(steps):
        loss = loss_now()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step} loss {loss.item():.3f}", flush=True)


def draw(parts: list[Examples], batch: int) -> Examples:
    """A batch from a few parts of one shape."""
    shape = random.choice(parts).latents.shape[1:]
    alike = random.choices([part for part in parts if part.latents.shape[1:] == shape], k=8)
    rows = [torch.randint(len(part.latents), (batch // 8,)) for part in alike]
    return Examples(
        torch.cat([part.latents[row] for part, row in zip(alike, rows, strict=True)]).float(),
        torch.cat([part.labels[row] for part, row in zip(alike, rows, strict=True)]),
    )


def probe_loss(probe: Probe, examples: Examples) -> Tensor:
    """Sum of the attributes' cross-entropies."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = probe(spoil(examples.latents))
    losses = [
        cross_entropy(logits[name].float(), examples.labels[:, i], ignore_index=UNSEEN, label_smoothing=0.05)
        for i, name in enumerate(probe.attributes)
    ]
    # A batch of recoloured clips alone shows no colour at all: such a mean is of nothing.
    return torch.stack(losses).nan_to_num().sum()


def load_autoencoder(folder: Path) -> AutoencoderKLLTXVideo:
    """The model's autoencoder in float32."""
    return AutoencoderKLLTXVideo.from_pretrained(folder / "vae", dtype=torch.float32, use_safetensors=True)


def world_of(weights: dict[str, Tensor]) -> str:
    """The world whose attributes a probe's weights read."""
    heads = {name.split(".")[1] for name in weights if name.startswith("heads.")}
    return next(world for world, attributes in OF_WORLD.items() if heads == set(attributes))


def load_probe(folder: Path) -> Judge:
    """The shipped probe with the model's autoencoder."""
    weights = {name: value.float() for name, value in load_file(folder / "probe.safetensors").items()}
    probe = Probe(world=world_of(weights))
    probe.load_state_dict(weights)
    return Judge(probe.eval(), load_autoencoder(folder))


def main() -> None:
    """Train the probe and write it beside the model."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.probe", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".cache/tabletop"))
    parser.add_argument("--out", type=Path, default=Path("assets/tabletop"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--own-chunks", type=int, default=96, help="rendered for the judge alone")
    parser.add_argument("--world", choices=list(WORLDS), default="plain")
    options = parser.parse_args()
    vae = load_autoencoder(options.out)
    chunks, world = options.work / "chunks", options.world
    render_chunks(chunks, range(options.own_chunks), os.cpu_count() or 1, "judged")
    paths = enumerate(path for name in dict.fromkeys((world, "plain")) for path in chunks_on_disk(chunks, name))
    parts = [
        part
        for number, path in paths
        for part in chunk_examples(path, vae, options.work / "latents", number % DECODED_EVERY == 0, world)
    ]
    for number, path in enumerate(chunks_on_disk(chunks, "judged")):
        parts += judged_examples(path, vae, number % OWN_DECODED_EVERY == 0, world)
    probe = train_probe(parts, options.steps, world=world)
    weights = {name: value.half().contiguous() for name, value in probe.state_dict().items()}
    save_file(weights, options.out / "probe.safetensors")


if __name__ == "__main__":
    main()
