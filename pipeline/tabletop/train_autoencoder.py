"""Train the autoencoder on crops: many small ones for variety, long ones so that it holds together over time."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor

from pipeline.tabletop.checkpoint import Training, log_curve, set_rates, start_training, step_all
from pipeline.tabletop.data import chunk_programs, chunks_on_disk, load_chunk
from pipeline.tabletop.muon import make_optimizers
from pipeline.tabletop.network import make_autoencoder, to_pixels
from pipeline.tabletop.render import render

KL_WEIGHT: Final = 3e-5
EVERY: Final = 400
"""Steps between checkpoints and rows of the curve."""

PLAIN: Final = 0.75
"""Share of crops left as rendered; the rest get other colours, since what users drop in are not renders."""


@dataclass(frozen=True)
class Crop:
    """A kind of training crop: side in pixels, frames, crops in a batch, and its share early and late."""

    side: int
    frames: int
    batch: int
    early: float
    late: float


CROPS: Final = (
    Crop(side=48, frames=5, batch=24, early=0.70, late=0.20),
    Crop(side=64, frames=17, batch=6, early=0.15, late=0.55),
    Crop(side=64, frames=1, batch=24, early=0.15, late=0.10),
    Crop(side=96, frames=17, batch=3, early=0.0, late=0.15),
)


def cut(clip: Tensor, crop: Crop) -> Tensor:
    """One random crop (frames, side, side, 3) of a clip."""
    start = random.randint(0, clip.shape[0] - crop.frames)
    top = random.randint(0, clip.shape[1] - crop.side)
    left = random.randint(0, clip.shape[2] - crop.side)
    return clip[start : start + crop.frames, top : top + crop.side, left : left + crop.side]


def busiest(clip: Tensor, crop: Crop) -> Tensor:
    """The crop in which most happens out of three: sky is learned soon, edges of fast solids late."""
    crops = [cut(clip, crop) for _ in range(3)]
    return max(crops, key=lambda piece: float(piece[::4, ::3, ::3].float().std()))


def recolour(pixels: Tensor) -> Tensor:
    """Other colours: channels swapped and each scaled and shifted; pixels (3, frames, height, width) in -1..1."""
    mixed = pixels[torch.randperm(3)] * torch.empty(3, 1, 1, 1).uniform_(0.5, 1.1)
    return (mixed + torch.empty(3, 1, 1, 1).uniform_(-0.3, 0.3)).clamp(-1, 1)


def draw_batch(clips: list[Tensor], crop: Crop) -> Tensor:
    """A batch of crops as pixels (batch, 3, frames, side, side)."""
    crops = []
    for clip in random.choices(clips, k=crop.batch):
        piece = to_pixels(busiest(clip, crop))
        piece = piece.flip(-1) if random.random() < 0.5 else piece
        crops.append(piece if random.random() < PLAIN else recolour(piece))
    return torch.stack(crops)


def choose_crop(progress: float) -> Crop:
    """Small crops first, long ones later."""
    blend = min(max((progress - 0.3) / 0.3, 0.0), 1.0)
    weights = [crop.early * (1 - blend) + crop.late * blend for crop in CROPS]
    return random.choices(CROPS, weights)[0]


def reconstruction_loss(model: AutoencoderKLLTXVideo, pixels: Tensor) -> Tensor:
    """Mean over clips of the root mean squared error, so that poor clips count, and a slight pull to normal latents."""
    device = pixels.device.type
    with torch.autocast(device, torch.bfloat16):
        posterior = model.encode(pixels).latent_dist
        output = model.decode(posterior.sample()).sample
    error = (output.float() - pixels).square().flatten(1).mean(1)
    kl = posterior.kl().mean() / posterior.mean[0].numel()
    loss: Tensor = (error + 1e-5).sqrt().mean() + KL_WEIGHT * kl
    return loss


@torch.no_grad()
def judge(model: AutoencoderKLLTXVideo, clips: list[Tensor]) -> tuple[float, float]:
    """Mean and worst PSNR in dB over whole clips (uint8 frames), each encoded and decoded in one piece."""
    scores = []
    device = next(model.parameters()).device
    for clip in clips:
        pixels = to_pixels(clip)[None].to(device)
        output = model.decode(model.encode(pixels).latent_dist.mode()).sample
        error = (output.clamp(-1, 1) - pixels).square().mean() / 4
        scores.append(float(-10 * error.log10()))
    return sum(scores) / len(scores), min(scores)


def held_out_clips(count: int, world: str = "plain") -> list[Tensor]:
    """Renders of combinations that the training never sees, all shapes."""
    return [render(chunk_programs(number, kept_out=True, count=1, world=world)[0]) for number in range(count)]


def load_clips(folder: Path, world: str = "plain", chunks: int | None = None) -> list[Tensor]:
    """Every finished clip on disk, or those of the first chunks."""
    return [clip for path in list(chunks_on_disk(folder, world))[:chunks] for clip in load_chunk(path).frames]


def report(training: Training, model: AutoencoderKLLTXVideo, held_out: list[Tensor], loss: float, curve: Path) -> None:
    """Judge the averaged weights on held-out clips and log it."""
    keep = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(training.averages["vae"].values)
    mean, worst = judge(model, held_out)
    model.load_state_dict(keep)
    clock = training.clock
    minutes = round(clock.elapsed / 60, 2)
    log_curve(curve, {"step": clock.step, "minutes": minutes, "loss": loss, "psnr": mean, "worst": worst})


def train_autoencoder(work: Path, minutes: float, device: str, world: str = "plain") -> AutoencoderKLLTXVideo:
    """Train for so many minutes in all (checkpoints included) and return the averaged model."""
    torch.manual_seed(0)
    model = make_autoencoder().to(device)
    optimizers = make_optimizers(model)
    path = work / "autoencoder.pt"
    training = start_training({"vae": model}, optimizers, minutes, path)
    held_out = held_out_clips(10, world)
    clips = load_clips(work / "chunks", world)
    smooth = 0.0
    while training.clock.progress < 1:
        step = training.clock.step
        set_rates(optimizers, training.clock)
        loss = reconstruction_loss(model, draw_batch(clips, choose_crop(training.clock.progress)).to(device))
        loss.backward()  # type: ignore[no-untyped-call]
        step_all(optimizers)
        training.averages["vae"].update(model, step)
        smooth = loss.item() if step == 0 else 0.98 * smooth + 0.02 * loss.item()
        training.clock.step += 1
        if training.clock.step % EVERY == 0 or training.clock.progress >= 1:
            report(training, model, held_out, smooth, work / "autoencoder.jsonl")
            training.save(path)
    model.load_state_dict(training.averages["vae"].values)
    return model
