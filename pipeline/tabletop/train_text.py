"""Teach a text encoder to read before anything is painted: sentences are told from programs, no clip is needed."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import torch
from torch.optim import AdamW
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from pipeline.tabletop.checkpoint import Rates, log_curve, set_rates, start_training, step_all
from pipeline.tabletop.data import DRAWN
from pipeline.tabletop.network import TEXT_LENGTH
from pipeline.tabletop.reading import Reader
from pipeline.tabletop.telling import Telling, tell
from pipeline.tabletop.world import SIZES, Program, draw_split

CAPTIONS: Final = 160
"""In a batch."""

PAIRS: Final = 120
"""How many of them are of two solids, whose words have to be told apart."""

PROGRAMS: Final = 20_000
"""Drawn once, and told anew each time."""

FRAMES: Final = 17
"""Of a program: no word tells them."""

RATE: Final = 1e-3
DECAY: Final = 0.05
RATES: Final = Rates(1.0, 0.6)

EVERY: Final = 150
"""Steps between rows of the curve and checkpoints."""


def draw_programs(rng: Random, worlds: Sequence[str], count: int) -> list[Program]:
    """Programs of the worlds in turn, of every shape of picture, none that is held out."""
    draws = [DRAWN[world].draw for world in worlds]
    return [draw_split(rng, rng.choice(SIZES), FRAMES, False, draws[index % len(draws)]) for index in range(count)]


def teach_reading(
    text_encoder: T5EncoderModel,
    tokenizer: PreTrainedTokenizerFast,
    reader: Reader,
    worlds: Sequence[str],
    minutes: float,
    work: Path,
) -> None:
    """Train a text encoder for so many minutes, with its reader."""
    rng = Random("reading")
    modules = {"text_encoder": text_encoder, "reader": reader}
    weights = [value for module in modules.values() for value in module.parameters()]
    optimizer = AdamW(weights, lr=RATE, betas=(0.9, 0.95), weight_decay=DECAY)
    programs = draw_programs(rng, worlds, PROGRAMS)
    pairs = [program for program in programs if len(program.solids) > 1]
    training = start_training(modules, [optimizer], minutes, work / "text.pt")
    clock, smooth = training.clock, None
    while clock.progress < 1:
        set_rates(training.optimizers, clock, RATES)
        batch = [*rng.choices(pairs, k=PAIRS), *rng.choices(programs, k=CAPTIONS - PAIRS)]
        loss = read_batch(text_encoder, tokenizer, reader, [told(program, rng) for program in batch], batch)
        loss.backward()  # type: ignore[no-untyped-call]
        step_all(training.optimizers)
        clock.step += 1
        smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
        if clock.step % EVERY == 0 or clock.progress >= 1:
            log_curve(
                work / "text.jsonl", {"step": clock.step, "minutes": round(clock.elapsed / 60, 2), "loss": smooth}
            )
            training.save(work / "text.pt")


def told(program: Program, rng: Random) -> str:
    """A program in words, half of the time with all that is judged, and often with whence the light comes."""
    return tell(program, rng, Telling(complete=rng.random() < 0.5, lit=rng.random() < 0.4))


def read_batch(
    text_encoder: T5EncoderModel,
    tokenizer: PreTrainedTokenizerFast,
    reader: Reader,
    captions: list[str],
    programs: Sequence[Program],
) -> torch.Tensor:
    """Read captions, and return the loss."""
    device = text_encoder.device
    text = tokenizer(captions, padding=True, max_length=TEXT_LENGTH, truncation=True, return_tensors="pt").to(device)
    with torch.autocast(device.type, torch.bfloat16):
        text_encoder(text.input_ids, attention_mask=text.attention_mask.bool())
    return reader.loss(captions, programs)
