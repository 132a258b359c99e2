"""Teach a trained model to need eight steps, unguided: `python -m pipeline.tabletop.distil`. Interrupt it at will.

The student denoises prompts from noise, unguided, in its few steps; from each state that it comes to, its teacher goes
on in three small guided steps, and the student learns to come to the same place in one (progressive distillation,
Salimans and Ho, arXiv 2202.00512, of guided steps as in Meng et al., arXiv 2210.03142, on the learner's own states as
in Ross et al., arXiv 1011.0686). Taught on the teacher's states alone, it never learns to mend what it does itself.
There may be several teachers, each for the prompts of its world. No clip is needed but for frames that are given.
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

from pipeline.tabletop.checkpoint import Rates, Training, log_curve, set_rates
from pipeline.tabletop.data import WORLDS
from pipeline.tabletop.denoiser import (
    Denoiser,
    Shape,
    begin_training,
    build_denoiser,
    learn_from,
)
from pipeline.tabletop.latent_library import LatentLibrary, filled_library
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.layout import Tokens, lay_out
from pipeline.tabletop.probe import load_autoencoder
from pipeline.tabletop.train import save_model

STEPS: Final = 8
"""Steps of the student."""

SMALLER: Final = 3
"""Steps of the teacher for one of them."""

BATCH: Final = 2048
"""Latent tokens in a batch: there are many prompts to be seen."""

RATES: Final = Rates(0.1, 1.0)
EVERY: Final = 128
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


def moved(state: State, inputs: Tensor, velocity: Tensor, by: float) -> Tensor:
    """Tokens after a step; those that are given stay."""
    return inputs + state.made[..., None] * velocity * by


@torch.no_grad()
def own_state(student: Denoiser, state: State, step: int) -> Tensor:
    """What the tokens are before a step of the student, as it comes there itself."""
    inputs = state.tokens.inputs
    for level, lower in pairwise(levels_of(STEPS)[: step + 1]):
        inputs = moved(state, inputs, student.predict(state.at(inputs, level), state.captions), lower - level)
    return inputs


@torch.no_grad()
def taught(teacher: Denoiser, state: State, inputs: Tensor, step: int, scale: float) -> Tensor:
    """The velocity of one step to where the teacher comes from these tokens in several small guided ones."""
    fine = levels_of(STEPS * SMALLER)[step * SMALLER : (step + 1) * SMALLER + 1]
    reached = inputs
    for level, lower in pairwise(fine):
        reached = moved(state, reached, guided(teacher, state, state.at(reached, level), scale), lower - level)
    return (reached - inputs) / (fine[-1] - fine[0])


def student_loss(student: Denoiser, state: State, inputs: Tensor, step: int, target: Tensor) -> Tensor:
    """Mean squared error of the student's velocity in one of its steps, over the tokens that are made."""
    velocity = student.predict(state.at(inputs, levels_of(STEPS)[step]), state.captions)
    error = (velocity - target).square().mean(-1)
    return (error * state.made).sum() / state.made.sum()


@dataclass(frozen=True)
class Teacher:
    """A trained model, and the clips of the world that it teaches."""

    model: Denoiser
    clips: LatentLibrary


@dataclass(frozen=True)
class Options:
    """What the command line can change."""

    teacher: list[tuple[str, Path]]
    start: Path | None
    minutes: float
    guidance: float
    world: str
    width: int
    layers: int
    compile: bool
    work: Path
    out: Path

    @property
    def model(self) -> Path:
        """Where the student begins, and whose autoencoder it keeps."""
        return self.start or self.teacher[-1][1]


def teacher_of(words: str) -> tuple[str, Path]:
    """A teacher from WORLD=FOLDER."""
    world, _, folder = words.partition("=")
    if world not in WORLDS or not folder:
        raise argparse.ArgumentTypeError(f"{words!r} is not one of {', '.join(f'{w}=FOLDER' for w in WORLDS)}")
    return world, Path(folder)


def read_options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.distil", description=__doc__)
    parser.add_argument(
        "--teacher", type=teacher_of, action="append", required=True, metavar="WORLD=FOLDER",
        help="a trained folder, and the world whose prompts it teaches; give several, and batches are drawn from each",
    )  # fmt: skip
    parser.add_argument("--start", type=Path, help="where the student begins; else its last teacher")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--guidance", type=float, default=4.0, help="the teachers'")
    parser.add_argument("--world", choices=list(WORLDS), default="whole", help="whose words the student knows")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--compile", action="store_true", help="compile the blocks: faster, needs a C++ compiler")
    parser.add_argument("--work", type=Path, default=Path(".cache/tabletop"), help="chunks, checkpoints, curves")
    parser.add_argument("--out", type=Path, required=True, help="the diffusers folder to write")
    return Options(**vars(parser.parse_args()))


def load_teachers(options: Options) -> list[Teacher]:
    """All teachers, each with the clips of its world."""
    vae = load_autoencoder(options.model).requires_grad_(False)
    teachers = []
    for world, folder in options.teacher:
        clips = filled_library(vae, options.work, half=False, world=world)
        shape = Shape(options.width, options.layers, options.compile, folder, world=world)
        teachers.append(Teacher(build_denoiser(shape, "cpu"), clips))
    return teachers


def learn(student: Denoiser, training: Training, teacher: Teacher, scale: float) -> tuple[int, float]:
    """Learn one step on a batch of its own; return which it was, and its loss."""
    state, step = begin(teacher.clips.draw(BATCH)), random.randrange(STEPS)
    here = own_state(student, state, step)
    set_rates(training.optimizers, training.clock, RATES)
    loss = student_loss(student, state, here, step, taught(teacher.model, state, here, step, scale))
    return step, learn_from(loss, training)


def by_step(losses: list[tuple[int, float]]) -> dict[str, float]:
    """The mean loss of each step that was learned."""
    of = {step: [loss for other, loss in losses if other == step] for step, _ in sorted(losses)}
    return {f"loss_{step}": sum(found) / len(found) for step, found in of.items()}


def distil(options: Options) -> Denoiser:
    """Train the student for so many minutes in all."""
    teachers = load_teachers(options)
    shape = Shape(options.width, options.layers, options.compile, options.model, world=options.world)
    student = build_denoiser(shape, "cpu")
    training = begin_training(student, options.minutes, options.work / "distilled.pt")
    clock, losses = training.clock, list[tuple[int, float]]()
    while clock.progress < 1:
        losses.append(learn(student, training, random.choice(teachers), options.guidance))
        if clock.step % EVERY == 0 or clock.progress >= 1:
            row = {"step": clock.step, "minutes": clock.elapsed / 60, **by_step(losses)}
            log_curve(options.work / "distilled.jsonl", row)
            training.save(options.work / "distilled.pt")
            losses = []
    for name, module in training.modules.items():
        module.load_state_dict(training.averages[name].values)
    return student


def write_record(options: Options) -> None:
    """Add how the weights were distilled to the record of how they were trained."""
    record = json.loads((options.model / "training.json").read_text())
    curve = [json.loads(line) for line in (options.work / "distilled.jsonl").read_text().splitlines()]
    told = {"minutes": options.minutes, "guidance": options.guidance, "steps": STEPS, "curve": curve}
    told |= {"states": "the student's own", "teachers": [world for world, _ in options.teacher]}
    (options.out / "training.json").write_text(json.dumps({**record, "distilled": told}, indent=1) + "\n")


def main() -> None:
    """Run the whole distillation."""
    options = read_options()
    student = distil(options)
    # The autoencoder stays, and with it what a preview makes of its latents.
    preview = load_file(options.model / "preview.safetensors")
    save_model(load_autoencoder(options.model), student, preview, options.out)
    write_record(options)


if __name__ == "__main__":
    main()
