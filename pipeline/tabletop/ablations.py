"""What learns fastest: `python -m pipeline.tabletop.ablations` trains one small model in several ways.

All ways begin from the same weights, have the same time, and differ from the usual one in one thing each: what counts
is what is learned in a second. What is judged are averaged weights, on the same held-out clips with the same noise.
Interrupt it at any time: ways that are done stay. `--work` is that of the training, whose clips and latents are taken.
"""

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor
from torch.optim import AdamW, Optimizer

from pipeline.tabletop.checkpoint import averaged, cores, set_rates, start_training
from pipeline.tabletop.data import CHUNK
from pipeline.tabletop.denoiser import (
    JUDGED_SIGMAS,
    Denoiser,
    build_denoiser,
    draw_sigma,
    flow_loss,
    held_out_sample,
    learn_from,
    with_other_captions,
)
from pipeline.tabletop.latent_library import LatentLibrary, filled_library
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.layout import Given, lay_out
from pipeline.tabletop.muon import ADAM_RATE, make_optimizers
from pipeline.tabletop.probe import load_autoencoder
from pipeline.tabletop.scaling import HELD, add_shared_options, next_judged, shape_of

FEW: Final = 96
"""Clips of the way that has few."""


def only_adam(model: Denoiser) -> list[Optimizer]:
    """AdamW for all weights, at the rate that it has for some of them beside Muon."""
    weights = [*model.transformer.parameters(), *model.text_encoder.parameters()]
    return [AdamW(weights, lr=ADAM_RATE, betas=(0.9, 0.95), weight_decay=0.0)]


def both(model: Denoiser) -> list[Optimizer]:
    """The usual optimizers."""
    return make_optimizers(model.transformer, model.text_encoder)


def logit_normal(count: int) -> Tensor:
    """The usual noise levels without the share of high ones."""
    return torch.sigmoid(torch.randn(count) * 1.6 + 1.2)


@dataclass(frozen=True)
class Way:
    """A way to train: what it has in place of the usual."""

    name: str
    optimizers: Callable[[Denoiser], list[Optimizer]] = both
    sigma: Callable[[int], Tensor] = draw_sigma
    weight: Callable[[Tensor], Tensor] | None = None
    clips: int | None = None
    half: bool = True
    normalised: bool = True


WAYS: Final = (
    Way("as it is"),
    Way("AdamW alone", optimizers=only_adam),
    Way("noise levels: uniform", sigma=torch.rand),
    Way("noise levels: no share above 0.9", sigma=logit_normal),
    Way("loss: of the clip, not the velocity", weight=torch.square),
    Way(f"only {FEW} clips", clips=FEW),
    Way("full size from the start", half=False),
    Way("latents not normalised", normalised=False),
)


@dataclass(frozen=True)
class Units:
    """Between latents as the autoencoder gives them and normalised ones: mean and deviation of each channel."""

    mean: Tensor
    std: Tensor

    def raw(self, latents: Tensor) -> Tensor:
        """Normalised latents (batch, channels, frames, h, w) as the autoencoder gives them."""
        mean, std = (value.view(1, -1, 1, 1, 1) for value in (self.mean, self.std))
        return latents * std + mean

    def of(self, sample: Sample) -> Sample:
        """A batch in the autoencoder's units."""
        given = [Given(self.raw(one.latents), one.frame, one.strength) for one in sample.given]
        return replace(sample, latents=self.raw(sample.latents), given=given)


NORMALISED: Final = Units(torch.zeros(1), torch.ones(1))


def units_of(way: Way, vae: AutoencoderKLLTXVideo) -> Units:
    """The units that a way trains in."""
    return NORMALISED if way.normalised else Units(vae.latents_mean, vae.latents_std)


@torch.no_grad()
def judge_in(units: Units, model: Denoiser, sample: Sample) -> float:
    """Held-out loss as `denoiser.judge` has it, in normalised units and at the same signal to noise.

    The clip is off by sigma times the velocity's error, whatever the units are.
    """
    raw, losses = units.of(sample), list[Tensor]()
    spread = float(raw.latents.square().mean().sqrt() / sample.latents.square().mean().sqrt())
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for sigma in JUDGED_SIGMAS:
            own = spread * sigma / (spread * sigma + 1 - sigma)
            tokens = lay_out(raw.latents, torch.full((len(raw.latents),), own), [])
            off = (model.predict(tokens, raw.captions) - tokens.target) * own / units.std
            losses.append((off / sigma).square().mean())
    return float(torch.stack(losses).mean())


@dataclass(frozen=True)
class Options:
    """What the command line can change."""

    work: Path
    out: Path
    model: Path
    minutes: float
    size: str
    world: str
    batches: int
    held_out: int


def read_options(words: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.ablations", description=__doc__)
    add_shared_options(parser, "way")
    parser.add_argument("--out", type=Path, default=Path("assets/tabletop/ablations.json"))
    parser.add_argument("--minutes", type=float, default=32, help="for all ways together, each the same time")
    parser.add_argument("--size", default="128x4", metavar="WIDTHxLAYERS")
    return Options(**vars(parser.parse_args(words)))


def clips_of(way: Way, vae: AutoencoderKLLTXVideo, options: Options) -> LatentLibrary:
    """The clips that a way learns from."""
    library = filled_library(vae, options.work, way.half, options.world)
    chunks = None if way.clips is None else max(1, way.clips // CHUNK)
    library.parts = dict(islice(library.parts.items(), chunks))
    return library


def train(way: Way, vae: AutoencoderKLLTXVideo, held_out: Sample, options: Options) -> list[dict[str, float]]:
    """Train for a way's share of the time; return its curve."""
    model, units = build_denoiser(shape_of(options.size, options.world), "cpu"), units_of(way, vae)
    library = clips_of(way, vae, options)
    random.seed("ablations")
    torch.manual_seed(7)
    modules = {"transformer": model.transformer, "text_encoder": model.text_encoder}
    training = start_training(modules, way.optimizers(model), options.minutes / len(WAYS), None)
    clock, rows, judged_next = training.clock, list[dict[str, float]](), next_judged(0)
    while clock.progress < 1 and clock.step < options.batches:
        set_rates(training.optimizers, clock, HELD)
        sigma = way.sigma(len((batch := units.of(library.draw())).latents))
        learn_from(flow_loss(model, batch, sigma, way.weight(sigma) if way.weight else None), training)
        if clock.step >= judged_next or clock.progress >= 1 or clock.step == options.batches:
            with averaged(training):
                deaf = judge_in(units, model, with_other_captions(held_out))
                found = {"held_out": judge_in(units, model, held_out), "deaf": deaf}
            rows.append({"step": clock.step, "minutes": round(clock.elapsed / 60, 3), **found})
            judged_next = next_judged(clock.step)
    return rows


def ablate(options: Options) -> dict[str, Any]:
    """Train all ways that are not done yet; write and return what was found."""
    vae = load_autoencoder(options.model).requires_grad_(False)
    held_out = held_out_sample(vae, options.held_out, options.world)
    done = options.work / "ablations" / f"{options.size}-{options.minutes:g}-{options.batches}.jsonl"
    lines = done.read_text().splitlines() if done.exists() else []
    curves: dict[str, list[dict[str, float]]] = dict(json.loads(line) for line in lines)
    for way in WAYS:
        if way.name not in curves:
            print(way.name, flush=True)
            curves[way.name] = train(way, vae, held_out, options)
            done.parent.mkdir(parents=True, exist_ok=True)
            with done.open("a") as file:
                file.write(json.dumps([way.name, curves[way.name]]) + "\n")
    ways = [{"name": way.name, "curve": curves[way.name]} for way in WAYS]
    minutes = {"minutes": options.minutes / len(WAYS), "cores": cores()}
    record = {"size": options.size, "world": options.world, **minutes, "ways": ways}
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    return record


def main() -> None:
    """Run it, and say what was found."""
    for way in ablate(read_options())["ways"]:
        last = way["curve"][-1]
        print(f"{way['name']}: held out {last['held_out']:.4f}, deaf {last['deaf']:.4f}, {last['step']} steps")


if __name__ == "__main__":
    main()
