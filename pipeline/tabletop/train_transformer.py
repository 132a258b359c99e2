"""Train the diffusion transformer and its text encoder together by rectified flow, small pictures first.

The text encoder has learned to read before (`train_text.py`). While both learn, heads ask what was read, where a token
is and what it shows (`reading.py`, `alignment.py`); they stay with the checkpoint.
"""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusers import AutoencoderKLLTXVideo
from torch import Tensor
from torch.optim import AdamW

from pipeline.tabletop.alignment import Alignment
from pipeline.tabletop.checkpoint import Training, log_curve, set_rates, start_training
from pipeline.tabletop.denoiser import (
    Denoiser,
    Shape,
    build_denoiser,
    draw_sigma,
    flow_loss,
    held_out_sample,
    judge,
    learn_from,
    with_other_captions,
)
from pipeline.tabletop.latent_library import LatentLibrary, half_share, wanted
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.lessons import LESSONS
from pipeline.tabletop.muon import ADAM_RATE, make_optimizers
from pipeline.tabletop.reading import Reader
from pipeline.tabletop.train_text import teach_reading

EVERY: Final = 250
"""Steps between rows of the curve, and looks for new clips; a checkpoint comes with each."""

SAVED_EVERY: Final = 180.0
"""Seconds, at most, between checkpoints: on a busy machine a row can take a quarter of an hour."""

ALIGNED: Final = 0.3
READ: Final = 0.06
"""Of what is learned beside the velocity, to 1 of that. What is asked of tokens falls to nothing at the end of a
training: it is a way to the velocity, and nothing in itself."""

LESSON_EVERY: Final = 2
"""How often a batch is of clips that are hard to learn from, each of LESSONS in its turn."""


@dataclass(frozen=True)
class Pupil:
    """A model in training, with what it is asked beside the velocity."""

    model: Denoiser
    reader: Reader
    alignment: Alignment

    def begin(self, minutes: float, path: Path) -> Training:
        """Begin to train all of it, or go on from the checkpoint at `path`."""
        modules = {"transformer": self.model.transformer, "text_encoder": self.model.text_encoder}
        optimizers = make_optimizers(self.model.transformer, self.model.text_encoder, self.reader)
        optimizers.append(AdamW(self.alignment.parameters(), lr=ADAM_RATE, weight_decay=0.0))
        return start_training(
            {**modules, "reader": self.reader, "alignment": self.alignment}, optimizers, minutes, path
        )

    def loss(self, sample: Sample, sigma: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """The loss of the velocity, and all that is learned from at this point of the training."""
        flow = flow_loss(self.model, sample, sigma)
        aligned = self.alignment.loss(sample.programs, sample.latents.shape, sample.coloured)
        read = self.reader.loss(sample.captions, sample.programs, sample.coloured)
        return flow, flow + (1 - progress) * ALIGNED * aligned + READ * read


def prepare(shape: Shape, device: str, work: Path) -> Pupil:
    """The model to train; a text encoder that is new learns to read first."""
    model = build_denoiser(shape, device)
    reader = Reader(model.text_encoder).to(device)
    if shape.text_minutes and not shape.learned:
        teach_reading(model.text_encoder, model.tokenizer, reader, shape.worlds, shape.text_minutes, work)
    return Pupil(model, reader, Alignment(model.transformer).to(device))


def draw_batch(small: LatentLibrary, full: LatentLibrary, share: float, step: int) -> tuple[Sample, Tensor]:
    """A batch with its noise levels: now and then of clips that are hard to learn from, as LESSON_EVERY says."""
    if step % LESSON_EVERY or share == 1:
        sample, sigma = (small if random.random() < share else full).draw(), None
    else:
        lesson = LESSONS[step // LESSON_EVERY % len(LESSONS)]
        sample = full.draw_lesson(lesson)
        sigma = lesson.sigma(len(sample.latents))
    return sample, draw_sigma(len(sample.latents)) if sigma is None else sigma


def train_transformer(vae: AutoencoderKLLTXVideo, work: Path, minutes: float, shape: Shape) -> Denoiser:
    """Train for so many minutes in all, encoding and checkpoints included."""
    pupil = prepare(shape, str(vae.device), work)
    model, training = pupil.model, pupil.begin(minutes, work / "transformer.pt")
    small, full = (LatentLibrary(vae, work, half, shape.worlds) for half in (True, False))
    held_out = held_out_sample(vae, world=shape.world)
    clock, smooth, share, saved = training.clock, 1.0, -1.0, training.clock.elapsed
    while clock.progress < 1:
        if half_share(clock.progress, bool(shape.start)) != share or clock.step % EVERY == 0:
            share = half_share(clock.progress, bool(shape.start))
            for library in wanted(small, full, share):
                library.refresh()
        set_rates(training.optimizers, clock, shape.rates)
        flow, whole = pupil.loss(*draw_batch(small, full, share, clock.step), clock.progress)
        learn_from(whole, training)
        smooth = 0.98 * smooth + 0.02 * flow.item()
        if clock.step % EVERY == 0 or clock.progress >= 1:
            row = {"step": clock.step, "minutes": round(clock.elapsed / 60, 2), "loss": smooth}
            judged = {"held_out": judge(model, held_out), "deaf": judge(model, with_other_captions(held_out))}
            log_curve(work / "transformer.jsonl", {**row, **judged})
        if clock.step % EVERY == 0 or clock.progress >= 1 or clock.elapsed - saved > SAVED_EVERY:
            training.save(work / "transformer.pt")
            saved = clock.elapsed
    for name, module in training.modules.items():
        module.load_state_dict(training.averages[name].values)
    return model
