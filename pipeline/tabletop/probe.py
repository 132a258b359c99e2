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
from torch.nn.functional import avg_pool3d, cross_entropy, interpolate

from pipeline.tabletop.data import chunk_programs, chunks_on_disk, load_chunk
from pipeline.tabletop.latents import OPPOSITE
from pipeline.tabletop.network import to_pixels
from pipeline.tabletop.render import render
from pipeline.tabletop.world import CAMERAS, COLOURS, FLOORS, MOTIONS, SHAPES, SKIES, Program

SIDE: Final = 112
MARGIN: Final = 8
"""A view is this much larger than what the probe sees of it: training moves the window, reading takes the middle."""
FRAMES: Final = 17
HELD_OUT: Final = 150
"""Held-out renders that a new probe is measured on."""

ATTRIBUTES: Final = {
    "colour": COLOURS,
    "solid": SHAPES,
    "floor": FLOORS,
    "sky": SKIES,
    "motion": MOTIONS,
    "camera": CAMERAS,
}


def stage(before: int, after: int) -> list[nn.Module]:
    """Half the side, then a look at the frames beside."""
    return [
        nn.Conv3d(before, after, (1, 3, 3), (1, 2, 2), (0, 1, 1)),
        nn.GroupNorm(8, after),
        nn.SiLU(),
        nn.Conv3d(after, after, (3, 1, 1), 1, (1, 0, 0)),
        nn.SiLU(),
    ]


class Probe(nn.Module):
    """Logits per attribute from clips (batch, 3, 17, 112, 112) in -1..1."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (32, 64, 96, 144)
        layers = [nn.Conv3d(3, sizes[0], (3, 4, 4), (1, 4, 4), (1, 0, 0)), nn.SiLU()]
        self.body = nn.Sequential(*layers, *(layer for pair in pairwise(sizes) for layer in stage(*pair)))
        flat = sizes[-1] * 16
        self.mix = nn.Sequential(
            nn.Conv1d(flat, 128, 3, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(128 * (FRAMES // 2 + 1), 192), nn.SiLU()
        )
        self.heads = nn.ModuleDict({name: nn.Linear(192, len(values)) for name, values in ATTRIBUTES.items()})

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """Logits (batch, choices) of each attribute."""
        features = self.mix(self.body(clips).permute(0, 1, 3, 4, 2).flatten(1, 3))
        return {name: head(features) for name, head in self.heads.items()}

    @torch.no_grad()
    def read(self, clips: Tensor) -> list[dict[str, str]]:
        """What each clip shows; clips are uint8 (batch, frames, height, width, 3) of any size and length."""
        logits = self(window(view(to_pixels(clips))))
        picks = {name: value.argmax(1).tolist() for name, value in logits.items()}
        return [{name: ATTRIBUTES[name][picks[name][i]] for name in ATTRIBUTES} for i in range(len(clips))]


def view(pixels: Tensor) -> Tensor:
    """Resample clips (batch, 3, frames, height, width) to a little more than the probe sees."""
    index = torch.linspace(0, pixels.shape[2] - 1, FRAMES).round().long()
    picked = pixels[:, :, index]
    flat = picked.transpose(1, 2).flatten(0, 1)
    small = interpolate(flat, (SIDE + MARGIN, SIDE + MARGIN), mode="bilinear", antialias=True)
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
    """Views of clips, uint8 (clips, 3, frames, side, side), with their labels."""

    clips: Tensor
    labels: Tensor


@torch.no_grad()
def through(vae: AutoencoderKLLTXVideo, pixels: Tensor) -> Tensor:
    """Clips as the autoencoder gives them back."""
    parts = [vae.decode(vae.encode(part).latent_dist.mode()).sample.clamp(-1, 1) for part in torch.split(pixels, 8)]
    return torch.cat(parts)


def packed_view(pixels: Tensor) -> Tensor:
    """A view in bytes, to hold thousands of clips."""
    return ((view(pixels).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def chunk_examples(path: Path, vae: AutoencoderKLLTXVideo) -> Examples:
    """Clips of one solid in a chunk: as rendered, and some through the autoencoder."""
    chunk = load_chunk(path)
    chosen = [i for i, program in enumerate(chunk.programs) if len(program.solids) == 1]
    pixels = to_pixels(chunk.frames[chosen])
    marks = labels([chunk.programs[i] for i in chosen])
    some = slice(0, len(pixels) // 5)
    clips = [packed_view(pixels), packed_view(through(vae, pixels[some]))]
    return Examples(torch.cat(clips), torch.cat([marks, marks[some]]))


def window(views: Tensor, top: int = MARGIN // 2, left: int = MARGIN // 2) -> Tensor:
    """What the probe sees of views."""
    return views[..., top : top + SIDE, left : left + SIDE]


def spoil(clips: Tensor, grain: Tensor) -> Tensor:
    """Blur, noise and shift brightness at random, in place, as generated clips do; `grain` is noise for a clip."""
    if random.random() < 0.4:
        clips = avg_pool3d(clips, (1, 3, 3), 1, (0, 1, 1), count_include_pad=False)
    shifted = grain.roll((random.randrange(FRAMES), random.randrange(SIDE)), (1, 2))
    clips.add_(shifted, alpha=random.choice((0.0, 0.03, 0.08)))
    return clips.mul_(random.uniform(0.93, 1.05)).add_(random.uniform(-0.04, 0.04))


def draw_batch(examples: Examples, count: int, grain: Tensor) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Clips, their labels, and the attributes that can still be read; mirrored and in other colours now and then."""
    rows = torch.randint(len(examples.clips), (count,))
    marks = examples.labels[rows]
    views = window(examples.clips[rows], random.randint(0, MARGIN), random.randint(0, MARGIN))
    pixels = views.float().div_(127.5).sub_(1)
    if random.random() < 0.5:
        pixels, marks = pixels.flip(-1), mirrored_labels(marks)
    if random.random() < 0.7:
        return spoil(pixels, grain), marks, tuple(ATTRIBUTES)
    return spoil(pixels[:, torch.randperm(3)], grain), marks, ("solid", "motion", "camera")


def mirrored_labels(marks: Tensor) -> Tensor:
    """Labels of mirrored clips: left becomes right."""
    swapped = torch.tensor([MOTIONS.index(OPPOSITE.get(motion, motion)) for motion in MOTIONS])
    column = list(ATTRIBUTES).index("motion")
    marks = marks.clone()
    marks[:, column] = swapped[marks[:, column]]
    return marks


def train_probe(examples: Examples, steps: int) -> Probe:
    """Train on all attributes at once (AdamW, one cycle)."""
    torch.manual_seed(2)
    random.seed(2)
    probe = Probe()
    grain = torch.randn(3, FRAMES, SIDE, SIDE)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for step in range(steps):
        clips, marks, names = draw_batch(examples, 32, grain)
        with torch.autocast("cpu", torch.bfloat16):
            logits = probe(clips)
        wanted = dict(zip(ATTRIBUTES, marks.T, strict=True))
        losses = {name: cross_entropy(logits[name].float(), wanted[name]) for name in names}
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}", *(f"{name} {float(loss):.2f}" for name, loss in losses.items()), flush=True)
    return probe.eval()


def measure(probe: Probe, programs: list[Program]) -> dict[str, float]:
    """Share of renders of these programs in which each attribute is read right."""
    readings = [probe.read(render(program)[None])[0] for program in programs]
    pairs = list(zip(readings, map(truth, programs), strict=True))
    return {name: sum(read[name] == wanted[name] for read, wanted in pairs) / len(pairs) for name in ATTRIBUTES}


def held_out_of_one_solid(count: int) -> list[Program]:
    """Held-out programs of one solid in every shape, drawn apart from those of the evaluation."""
    drawn = (program for number in range(count) for program in chunk_programs(1000 + number, kept_out=True, count=4))
    return [program for program in drawn if len(program.solids) == 1][:count]


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
    parser.add_argument("--steps", type=int, default=1500)
    options = parser.parse_args()
    vae = AutoencoderKLLTXVideo.from_pretrained(options.out / "vae", torch_dtype=torch.float32)
    parts = [chunk_examples(path, vae) for path in chunks_on_disk(options.chunks)]
    examples = Examples(torch.cat([part.clips for part in parts]), torch.cat([part.labels for part in parts]))
    probe = train_probe(examples, options.steps)
    print("on held-out renders", measure(probe, held_out_of_one_solid(HELD_OUT)))
    save_file(
        {name: value.half().contiguous() for name, value in probe.state_dict().items()},
        options.out / "probe.safetensors",
    )


if __name__ == "__main__":
    main()
