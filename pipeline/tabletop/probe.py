"""The judge: a small video network, trained on renders, that reads a clip's attributes back.

`python -m pipeline.tabletop.probe` trains it on the clips that `train` rendered and writes probe.safetensors.
It sees renders, renders that went through the autoencoder, and both blurred and noised, so that it judges what a clip
shows rather than how it was made. It reads scenes of one solid.
"""

import argparse
import random
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLLTXVideo
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from pipeline.tabletop.data import chunks_on_disk, load_chunk
from pipeline.tabletop.latents import mirror
from pipeline.tabletop.network import to_frames, to_pixels
from pipeline.tabletop.world import CAMERAS, COLOURS, FLOORS, MOTIONS, SHAPES, SKIES, Program

SIDE: Final = 64
FRAMES: Final = 9

ATTRIBUTES: Final = {
    "colour": COLOURS,
    "solid": SHAPES,
    "floor": FLOORS,
    "sky": SKIES,
    "motion": MOTIONS,
    "camera": CAMERAS,
}


class Probe(nn.Module):
    """Logits per attribute from clips (batch, 3, 9, 64, 64) in -1..1."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        sizes = (3, width, 2 * width, 4 * width, 6 * width)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Conv3d(before, after, 3, (1, 2, 2), 1), nn.GroupNorm(4, after), nn.SiLU()]
            layers += [nn.Conv3d(after, after, (3, 1, 1), 1, (1, 0, 0)), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        flat = sizes[-1] * 16
        self.mix = nn.Sequential(
            nn.Conv1d(flat, 128, 3, 1, 1), nn.SiLU(), nn.Flatten(), nn.Linear(128 * FRAMES, 192), nn.SiLU()
        )
        self.heads = nn.ModuleDict({name: nn.Linear(192, len(values)) for name, values in ATTRIBUTES.items()})

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """Logits (batch, choices) of each attribute."""
        features = self.mix(self.body(clips).permute(0, 1, 3, 4, 2).flatten(1, 3))
        return {name: head(features) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, clips: Tensor) -> list[dict[str, str]]:
        """What each clip shows; clips are uint8 (batch, frames, height, width, 3) of any size and length."""
        logits = self(view(to_pixels(clips)))
        picks = {name: value.argmax(1).tolist() for name, value in logits.items()}
        return [{name: ATTRIBUTES[name][picks[name][i]] for name in ATTRIBUTES} for i in range(len(clips))]


def view(pixels: Tensor) -> Tensor:
    """Resample clips (batch, 3, frames, height, width) to what the probe looks at."""
    index = torch.linspace(0, pixels.shape[2] - 1, FRAMES).round().long()
    picked = pixels[:, :, index]
    flat = picked.transpose(1, 2).flatten(0, 1)
    small = interpolate(flat, (SIDE, SIDE), mode="bilinear", antialias=True)
    return torch.unflatten(small, 0, (len(pixels), FRAMES)).transpose(1, 2).contiguous()


def truth(program: Program) -> dict[str, str]:
    """The attributes of a program of one solid."""
    first = program.solids[0]
    return {
        "colour": first.colour,
        "solid": first.shape,
        "floor": program.floor,
        "sky": program.sky,
        "motion": first.motion,
        "camera": program.camera,
    }


def labels(programs: list[Program]) -> Tensor:
    """Attribute indices (programs, attributes)."""
    rows = [[ATTRIBUTES[name].index(value) for name, value in truth(program).items()] for program in programs]
    return torch.tensor(rows)


@dataclass(frozen=True)
class Examples:
    """Views of clips with their labels."""

    clips: Tensor
    labels: Tensor


@torch.no_grad()
def through(vae: AutoencoderKLLTXVideo, pixels: Tensor) -> Tensor:
    """Clips as the autoencoder gives them back."""
    parts = [vae.decode(vae.encode(part).latent_dist.mode()).sample.clamp(-1, 1) for part in torch.split(pixels, 8)]
    return torch.cat(parts)


def chunk_examples(path: Path, vae: AutoencoderKLLTXVideo) -> Examples:
    """Clips of one solid in a chunk: as rendered, mirrored, and some through the autoencoder."""
    chunk = load_chunk(path)
    chosen = [i for i, program in enumerate(chunk.programs) if len(program.solids) == 1]
    programs = [chunk.programs[i] for i in chosen]
    pixels = to_pixels(chunk.frames[chosen])
    some = slice(0, len(pixels) // 4)
    decoded = to_pixels(to_frames(through(vae, pixels[some])))
    clips = [view(pixels), view(pixels.flip(-1)), view(decoded)]
    marks = [labels(programs), labels([mirror(program) for program in programs]), labels(programs[some])]
    return Examples(torch.cat(clips).half(), torch.cat(marks))


def spoil(clips: Tensor) -> Tensor:
    """Blur, noise and shift brightness at random, as generated clips do."""
    if random.random() < 0.4:
        side = random.choice((24, 32, 48))
        flat = clips.transpose(1, 2).flatten(0, 1)
        soft = interpolate(interpolate(flat, (side, side), mode="area"), (SIDE, SIDE), mode="bilinear")
        clips = torch.unflatten(soft, 0, (len(clips), FRAMES)).transpose(1, 2)
    clips = clips + torch.randn_like(clips) * random.choice((0.0, 0.03, 0.08))
    return clips * random.uniform(0.93, 1.05) + random.uniform(-0.04, 0.04)


def train_probe(examples: Examples, steps: int) -> Probe:
    """Train on all attributes at once (AdamW, one cycle)."""
    torch.manual_seed(2)
    random.seed(2)
    probe = Probe()
    optimizer = torch.optim.AdamW(probe.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for step in range(steps):
        rows = torch.randint(len(examples.clips), (48,))
        with torch.autocast("cpu", torch.bfloat16):
            logits = probe(spoil(examples.clips[rows].float()))
        wanted = examples.labels[rows].T
        loss = sum(cross_entropy(logits[name].float(), wanted[i]) for i, name in enumerate(ATTRIBUTES))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step} loss {float(loss):.3f}", flush=True)
    return probe.eval()


def load_probe(folder: Path) -> Probe:
    """The shipped probe."""
    probe = Probe()
    probe.load_state_dict({name: value.float() for name, value in load_file(folder / "probe.safetensors").items()})
    return probe.eval()


def main() -> None:
    """Train the probe and write it beside the model."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.probe", description=__doc__)
    parser.add_argument("--chunks", type=Path, default=Path(".cache/tabletop/chunks"))
    parser.add_argument("--out", type=Path, default=Path("assets/tabletop"))
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    vae = AutoencoderKLLTXVideo.from_pretrained(options.out / "vae", dtype=torch.float32)
    parts = [chunk_examples(path, vae) for path in chunks_on_disk(options.chunks)]
    examples = Examples(torch.cat([part.clips for part in parts]), torch.cat([part.labels for part in parts]))
    probe = train_probe(examples, options.steps)
    save_file(
        {name: value.half().contiguous() for name, value in probe.state_dict().items()},
        options.out / "probe.safetensors",
    )


if __name__ == "__main__":
    main()
