"""Teach a trained model to need eight steps, unguided: `python -m pipeline.tabletop.distil`. Interrupt it at will.

The teacher denoises prompts from noise, guided, in many small steps; the student, which begins as a copy, learns to go
from each third of its states to the next in one step, without guidance (progressive distillation, Salimans and Ho,
arXiv 2202.00512, of guided trajectories as in Meng et al., arXiv 2210.03142). It learns on states that the teacher
comes through, so that no clip is needed but for the frames that are given.
"""

import argparse
import json
import random
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import torch
from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule
from safetensors.torch import load_file
from torch import Tensor

from pipeline.tabletop.checkpoint import Rates, log_curve, set_rates, start_training, step_all
from pipeline.tabletop.data import WORLDS
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.layout import Tokens, lay_out
from pipeline.tabletop.muon import make_optimizers
from pipeline.tabletop.probe import load_autoencoder
from pipeline.tabletop.train import save_model
from pipeline.tabletop.train_transformer import Denoiser, LatentLibrary, Shape, build_denoiser

STEPS: Final = 8
"""Steps of the student."""

SMALLER: Final = 3
"""Steps of the teacher for one of them."""

RATES: Final = Rates(0.1, 1.0)
EVERY: Final = 64
"""Steps between rows of the curve and checkpoints."""


@dataclass(frozen=True)
class State:
    """Where a trajectory stands: tokens, of which those of sigma 0 are given, and the level of the others."""

    tokens: Tokens
    captions: list[str]

    def at(self, inputs: Tensor, level: float) -> Tokens:
        """The tokens at a noise level."""
        return Tokens(inputs, self.tokens.target, self.made * level, self.tokens.coords)

    @property
    def made(self) -> Tensor:
        """1 for tokens that are made, 0 for given ones (batch, tokens)."""
        return (self.tokens.sigma > 0).float()


def levels_of(steps: int) -> list[float]:
    """The pipeline's noise levels for so many steps, 0 at the end."""
    return [*map(float, linear_quadratic_schedule(steps)), 0.0]


def begin(sample: Sample) -> State:
    """Noise in place of what is to be made; whatever is given is given wholly."""
    given = [replace(item, strength=1.0) for item in sample.given]
    tokens = lay_out(sample.latents, torch.ones(len(sample.latents)), given)
    return State(tokens, sample.captions)


def guided(teacher: Denoiser, state: State, tokens: Tokens, scale: float) -> Tensor:
    """The teacher's velocity with guidance, as the pipeline mixes it."""
    both = Tokens(*(torch.cat([value, value]) for value in vars(tokens).values()))
    words, nothing = teacher.predict(both, [*state.captions, *[""] * len(state.captions)]).chunk(2)
    return nothing + scale * (words - nothing)


@torch.no_grad()
def trajectory(teacher: Denoiser, state: State, scale: float) -> list[Tensor]:
    """What the made tokens are at each of the student's levels, as the teacher comes through them."""
    inputs, passed = state.tokens.inputs, [state.tokens.inputs]
    fine = levels_of(STEPS * SMALLER)
    for number, (level, lower) in enumerate(pairwise(fine), 1):
        velocity = guided(teacher, state, state.at(inputs, level), scale)
        inputs = inputs + state.made[..., None] * velocity * (lower - level)
        if number % SMALLER == 0:
            passed.append(inputs)
    return passed


def student_loss(student: Denoiser, state: State, passed: list[Tensor], step: int) -> Tensor:
    """Mean squared error of the student's velocity over one of its steps, over the tokens that are made."""
    levels = levels_of(STEPS * SMALLER)[::SMALLER]
    target = (passed[step + 1] - passed[step]) / (levels[step + 1] - levels[step])
    error = (student.predict(state.at(passed[step], levels[step]), state.captions) - target).square().mean(-1)
    return (error * state.made).sum() / state.made.sum()


@dataclass(frozen=True)
class Options:
    """What the command line can change."""

    model: Path
    minutes: float
    guidance: float
    world: str
    width: int
    layers: int
    compile: bool
    work: Path
    out: Path


def read_options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.distil", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the trained folder; it is the teacher")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--guidance", type=float, default=4.0, help="the teacher's")
    parser.add_argument("--world", choices=list(WORLDS), default="whole", help="whose words the model knows")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--compile", action="store_true", help="compile the blocks: faster, needs a C++ compiler")
    parser.add_argument("--work", type=Path, default=Path(".cache/tabletop"), help="chunks, checkpoints, curves")
    parser.add_argument("--out", type=Path, required=True, help="the diffusers folder to write")
    return Options(**vars(parser.parse_args()))


def distil(options: Options, library: LatentLibrary) -> Denoiser:
    """Train the student for so many minutes in all."""
    shape = Shape(options.width, options.layers, options.compile, options.model, world=options.world)
    teacher, student = (build_denoiser(shape, "cpu") for _ in range(2))
    modules = {"transformer": student.transformer, "text_encoder": student.text_encoder}
    optimizers = make_optimizers(student.transformer, student.text_encoder)
    training = start_training(modules, optimizers, options.minutes, options.work / "distilled.pt")
    clock, sums = training.clock, [0.0] * STEPS
    while clock.progress < 1:
        state = begin(library.draw())
        passed = trajectory(teacher, state, options.guidance)
        for step in random.sample(range(STEPS), STEPS):
            set_rates(optimizers, clock, RATES)
            loss = student_loss(student, state, passed, step)
            loss.backward()  # type: ignore[no-untyped-call]
            step_all(optimizers)
            for name, module in modules.items():
                training.averages[name].update(module, clock.step)
            sums[step] += loss.item()
            clock.step += 1
        if clock.step % EVERY == 0 or clock.progress >= 1:
            # A last row may stand for fewer.
            rounds = (clock.step - 1) % EVERY // STEPS + 1
            row = {f"loss_{step}": total / rounds for step, total in enumerate(sums)}
            log_curve(options.work / "distilled.jsonl", {"step": clock.step, "minutes": clock.elapsed / 60, **row})
            training.save(options.work / "distilled.pt")
            sums = [0.0] * STEPS
    for name, module in modules.items():
        module.load_state_dict(training.averages[name].values)
    return student


def write_record(options: Options) -> None:
    """Add how the weights were distilled to the record of how they were trained."""
    record = json.loads((options.model / "training.json").read_text())
    curve = [json.loads(line) for line in (options.work / "distilled.jsonl").read_text().splitlines()]
    told = {"minutes": options.minutes, "guidance": options.guidance, "steps": STEPS, "curve": curve}
    (options.out / "training.json").write_text(json.dumps({**record, "distilled": told}, indent=1) + "\n")


def main() -> None:
    """Run the whole distillation."""
    options = read_options()
    vae = load_autoencoder(options.model).requires_grad_(False)
    library = LatentLibrary(vae, options.work, half=False, world=options.world)
    library.refresh()
    student = distil(options, library)
    # The autoencoder stays, and with it what a preview makes of its latents.
    save_model(vae, student, load_file(options.model / "preview.safetensors"), options.out)
    write_record(options)


if __name__ == "__main__":
    main()
