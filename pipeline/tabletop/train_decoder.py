"""Train a model's decoder further: `python -m pipeline.tabletop.train_decoder`. Interrupt it at will.

The encoder stays, and so does what every latent means: the transformer, and latents on disk, hold good. Latents are
decoded as they are made, without the noise of the encoder's distribution.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor

from pipeline.tabletop.checkpoint import GOING_ON, set_rates, start_training, step_all
from pipeline.tabletop.data import CHUNK, WORLDS, chunks_on_disk
from pipeline.tabletop.muon import make_optimizers
from pipeline.tabletop.probe import load_autoencoder
from pipeline.tabletop.train import SHARD, read_curve
from pipeline.tabletop.train_autoencoder import EVERY, choose_crop, draw_batch, held_out_clips, load_clips, report


@dataclass(frozen=True)
class Options:
    """What the command line can change."""

    model: Path
    minutes: float
    world: str
    chunks: int
    work: Path
    out: Path


def read_options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.train_decoder", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the folder whose decoder goes on")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--world", choices=list(WORLDS), default="whole", help="whose clips are on disk")
    parser.add_argument("--chunks", type=int, default=48, help="how many are read into memory, about 60 MB each")
    parser.add_argument("--work", type=Path, default=Path(".cache/tabletop"), help="chunks, checkpoints, curves")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the autoencoder to write")
    return Options(**vars(parser.parse_args()))


def decoder_loss(model: AutoencoderKLLTXVideo, pixels: Tensor) -> Tensor:
    """Mean over clips of the root mean squared error of what their latents decode to, so that poor clips count."""
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            latents = model.encode(pixels).latent_dist.mode()
        output = model.decode(latents).sample
    error = (output.float() - pixels).square().flatten(1).mean(1)
    loss: Tensor = (error + 1e-5).sqrt().mean()
    return loss


def train_decoder(options: Options) -> AutoencoderKLLTXVideo:
    """Train for so many minutes in all, and return the autoencoder with averaged weights."""
    torch.manual_seed(0)
    model = load_autoencoder(options.model)
    model.encoder.requires_grad_(False)
    optimizers, path = make_optimizers(model.decoder), options.work / "decoder.pt"
    training = start_training({"vae": model}, optimizers, options.minutes, path)
    clips, held_out = load_clips(options.work / "chunks", options.world, options.chunks), held_out_clips(10)
    smooth = 0.0
    report(training, model, held_out, smooth, options.work / "decoder.jsonl")
    while training.clock.progress < 1:
        set_rates(optimizers, training.clock, GOING_ON)
        # The long crops of the end of a training: motion is what is still blurred.
        loss = decoder_loss(model, draw_batch(clips, choose_crop(1.0)))
        loss.backward()  # type: ignore[no-untyped-call]
        step_all(optimizers)
        training.averages["vae"].update(model, training.clock.step)
        smooth = 0.98 * smooth + 0.02 * loss.item() if training.clock.step else loss.item()
        training.clock.step += 1
        if training.clock.step % EVERY == 0 or training.clock.progress >= 1:
            report(training, model, held_out, smooth, options.work / "decoder.jsonl")
            training.save(path)
    model.load_state_dict(training.averages["vae"].values)
    return model


def write_decoder(model: AutoencoderKLLTXVideo, options: Options) -> None:
    """Write the autoencoder in bfloat16, and beside it how its decoder was trained further."""
    model.to(torch.bfloat16).save_pretrained(options.out, safe_serialization=True, max_shard_size=SHARD)
    curve = read_curve(options.work / "decoder.jsonl")
    chunks = min(options.chunks, len(list(chunks_on_disk(options.work / "chunks", options.world))))
    record = {"minutes": options.minutes, "world": options.world, "clips": CHUNK * chunks, "curve": curve}
    (options.out / "decoder.json").write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    """Run the training."""
    options = read_options()
    write_decoder(train_decoder(options), options)


if __name__ == "__main__":
    main()
