"""How the loss falls with compute: `python -m pipeline.tabletop.scaling` trains four sizes and fits a law.

All sizes begin from nothing and see the same batches with the same noise in the same order, at rates that are held
after their warm-up, so that every point of a curve counts; what is judged are averaged weights. Interrupt it at any
time: the same command goes on. `--work` is that of the training, whose clips and latents are taken.
"""

import argparse
import json
import random
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKLLTXVideo, LTXConditionPipeline
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pipeline.errors import BadRequest
from pipeline.tabletop.captions import caption
from pipeline.tabletop.charts import INK, PAPER, Axis, Line, draw_chart
from pipeline.tabletop.checkpoint import Rates, Training, averaged, cores, log_curve, set_rates
from pipeline.tabletop.data import WORLDS
from pipeline.tabletop.denoiser import (
    Denoiser,
    Shape,
    begin_training,
    build_denoiser,
    held_out_sample,
    judge,
    take_step,
)
from pipeline.tabletop.flops import FORMULA, SYMBOLS, training_flops
from pipeline.tabletop.latent_library import filled_library
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.network import count_parameters, make_scheduler
from pipeline.tabletop.power_law import Law, Point, best_law, fit_laws, frontier
from pipeline.tabletop.probe import load_autoencoder
from pipeline.tabletop.sampling import Case, Sampling, sample
from pipeline.tabletop.suites import held_out_programs

SIZES: Final = ("64x4", "128x4", "192x6", "256x8")
"""Width and layers."""

HELD: Final = Rates(1.0, 1e-6)
HALF: Final = 0.5
"""Share of batches at half the side: composition is learned there."""

GROWTH, LEAST, MOST = 1.15, 5, 250
"""Points of a curve lie so far apart, as a factor of the steps, but from so many to so many steps."""

RECORD, CHART, SAMPLES = "scaling.json", "scaling.webp", "scaling-samples.webp"

PETA: Final = 1e15
LABEL: Final = 18


@dataclass(frozen=True)
class Options:
    """What the command line can change."""

    work: Path
    out: Path
    model: Path
    minutes: float
    batches: int
    sizes: Sequence[str]
    world: str
    device: str
    prompts: int
    steps: int
    held_out: int
    judged_from: int


def read_options(words: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.scaling", description=__doc__)
    add_shared_options(parser, "size")
    parser.add_argument("--out", type=Path, default=Path("assets/tabletop"), help="for what was found, and pictures")
    parser.add_argument("--minutes", type=float, default=240, help="for all sizes together, each the same time")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), metavar="WIDTHxLAYERS")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--prompts", type=int, default=4, help="rows of the sheet of samples")
    parser.add_argument("--steps", type=int, default=Sampling.steps, help="denoising steps of the samples")
    parser.add_argument("--judged-from", type=int, default=100, help="the first step that counts: rates warm up")
    return Options(**vars(parser.parse_args(words)))


def add_shared_options(parser: argparse.ArgumentParser, each: str) -> None:
    """Add what every comparison of trainings can be told; `each` is what it compares."""
    parser.add_argument("--work", type=Path, default=Path(".cache/tabletop"), help="clips, latents, what is done")
    parser.add_argument("--model", type=Path, default=Path("assets/tabletop"), help="whose autoencoder is taken")
    parser.add_argument("--world", choices=list(WORLDS), default="whole")
    parser.add_argument("--batches", type=int, default=10**9, help=f"at most so many for each {each}")
    parser.add_argument("--held-out", type=int, default=32, help="clips by which the loss is judged")


def shape_of(size: str, world: str) -> Shape:
    """The transformer's shape by its name, such as 128x4; raise BadRequest for a width that has no heads."""
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    if match is None or int(match[1]) % 64 or not int(match[1]) or not int(match[2]):
        raise BadRequest("sizes", f"{size!r} is no size. Write width and layers, the width a multiple of 64: 128x4.")
    return Shape(int(match[1]), int(match[2]), world=world)


class Batches:
    """The same batch for the same step, whatever is trained on it; its noise too, if it is drawn next."""

    def __init__(self, vae: AutoencoderKLLTXVideo, work: Path, world: str) -> None:
        self._small, self._full = (filled_library(vae, work, half, world) for half in (True, False))

    @property
    def clips(self) -> int:
        """How many clips there are, those in other colours left out."""
        return sum(len(part.programs) for parts in self._full.parts.values() for part in parts if part.true_colours)

    def at(self, step: int) -> Sample:
        """The batch of a step."""
        random.seed(f"batch {step}")
        torch.manual_seed(step)
        return (self._small if random.random() < HALF else self._full).draw()


def next_judged(step: int) -> int:
    """The step at which a curve has its next point."""
    return step + min(max(round(step * (GROWTH - 1)), LEAST), MOST)


def rows_until(path: Path, step: int) -> list[dict[str, float]]:
    """A curve up to a step, without what came after the last checkpoint, which is done again."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    kept = [row for row in rows if row["step"] <= step]
    if kept != rows:
        path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return kept


def train_size(size: str, batches: Batches, held_out: Sample, options: Options) -> tuple[Denoiser, Training]:
    """Train a size for its share of the time; beside its checkpoint lies its curve with the operations so far."""
    shape, folder = shape_of(size, options.world), options.work / "scaling"
    curve, checkpoint = folder / f"{size}.jsonl", folder / f"{size}.pt"
    model = build_denoiser(shape, options.device)
    training = begin_training(model, options.minutes / len(options.sizes), checkpoint)
    clock = training.clock
    rows = rows_until(curve, clock.step)
    flops = rows[-1]["flops"] if rows else 0.0
    judged_next = next_judged(clock.step)

    def over() -> bool:
        return clock.progress >= 1 or clock.step >= options.batches

    while not over():
        set_rates(training.optimizers, clock, HELD)
        batch = batches.at(clock.step)
        flops += training_flops(shape.width, shape.layers, batch)
        loss = take_step(model, training, batch)
        if clock.step >= judged_next or over():
            with averaged(training):
                row = {"held_out": judge(model, held_out), "loss": loss, "flops": flops}
            log_curve(curve, {"step": clock.step, "minutes": round(clock.elapsed / 60, 2), **row})
            training.save(checkpoint)
            judged_next = next_judged(clock.step)
    for name, module in training.modules.items():
        module.load_state_dict(training.averages[name].values)
    return model, training


def cases_of(count: int) -> list[Case]:
    """Held-out programs with their prompts, the same for all sizes."""
    rng = Random("scaling")
    return [Case("scaling", i, one, caption(one, rng, complete=True)) for i, one in enumerate(held_out_programs(count))]


def clips_by(model: Denoiser, vae: AutoencoderKLLTXVideo, cases: list[Case], steps: int) -> Tensor:
    """A clip per case (clips, frames, height, width, 3), each from its own seed."""
    parts = {"transformer": model.transformer, "text_encoder": model.text_encoder, "tokenizer": model.tokenizer}
    pipe = LTXConditionPipeline(scheduler=make_scheduler(), vae=vae, **parts)
    pipe.set_progress_bar_config(disable=True)
    return sample(pipe, cases, Sampling(steps=steps))


def samples_sheet(clips: dict[str, Tensor]) -> Image.Image:
    """Sizes side by side, each with the first, middle and last frame of its clips, a prompt a row."""
    columns = []
    for size, made in clips.items():
        shown = made[:, [0, made.shape[1] // 2, made.shape[1] - 1]].cpu().numpy()
        rows = np.concatenate([np.concatenate(list(clip), 1) for clip in shown])
        head = Image.new("RGB", (rows.shape[1], LABEL), PAPER)
        ImageDraw.Draw(head).text((3, 2), named(size), INK, ImageFont.load_default(12))
        column = np.concatenate([np.asarray(head), rows])
        columns += [column, np.full((len(column), 6, 3), PAPER, np.uint8)]
    return Image.fromarray(np.concatenate(columns[:-1], 1))


def named(size: str) -> str:
    """A size in words."""
    width, layers = size.split("x")
    return f"width {width}, {layers} layer{'s' if layers != '1' else ''}"


def law_chart(curves: dict[str, list[Point]], best: Sequence[Point], law: Law) -> Image.Image:
    """All curves and the law through the frontier, on logarithmic axes."""
    lines = [Line(named(size), [(c / PETA, loss) for c, loss in curve]) for size, curve in curves.items()]
    lines.append(Line("", [(c / PETA, loss) for c, loss in best], joined=False, pen=len(lines)))
    told = f"frontier: {law.scale * PETA**-law.power:.3f} C^-{law.power:.3f}" + (
        f" + {law.floor:.3f}" * bool(law.floor)
    )
    lines.append(Line(told, [(c / PETA, law.at(c)) for c, _ in best], dashed=True, pen=len(lines) - 1))
    compute, loss = Axis("C, training compute in PFLOP", log=True), Axis("held-out loss", log=True)
    return draw_chart("Held-out loss against training compute", lines, compute, loss, (620, 400))


def scale(options: Options) -> dict[str, Any]:
    """Train all sizes, fit the law, write RECORD, CHART and SAMPLES; return what was found."""
    shapes = {size: shape_of(size, options.world) for size in options.sizes}
    vae = load_autoencoder(options.model).to(options.device).requires_grad_(False)
    batches = Batches(vae, options.work, options.world)
    held_out = held_out_sample(vae, options.held_out, options.world)
    cases, found, clips = cases_of(options.prompts), list[dict[str, Any]](), dict[str, Tensor]()
    for size, shape in shapes.items():
        print(named(size), flush=True)
        model, training = train_size(size, batches, held_out, options)
        clips[size] = clips_by(model, vae, cases, options.steps)
        rows = rows_until(options.work / "scaling" / f"{size}.jsonl", training.clock.step)
        parts = {name: count_parameters(module) for name, module in training.modules.items()}
        found.append({"size": size, "width": shape.width, "layers": shape.layers, "parameters": parts, "curve": rows})
    best = frontier(counted(found, options.judged_from))
    points = [(one.compute, one.loss) for one in best]
    laws = fit_laws(points)
    record = {
        "law": "held-out loss = scale * FLOPs^-power + floor, least squares of logarithms on the frontier of all sizes",
        "fits": {name: asdict(law) for name, law in laws.items()},
        "chosen": best_law(laws),
        "frontier": [asdict(one) for one in best],
        "flops": {"formula": FORMULA, "symbols": SYMBOLS},
        "data": {"clips": batches.clips, "world": options.world, "held_out": options.held_out, "half": HALF},
        "judged_from": options.judged_from,
        "minutes": options.minutes,
        "cores": cores(),
        "samples": {"prompts": [case.prompt for case in cases], "steps": options.steps, "seeds": len(cases)},
        "sizes": found,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    drawn(record).save(options.out / CHART, quality=85)
    samples_sheet(clips).save(options.out / SAMPLES, quality=85)
    return record


def counted(sizes: Sequence[dict[str, Any]], judged_from: int) -> dict[str, list[Point]]:
    """The points of each size's curve that count, by its name."""
    return {
        one["size"]: [(row["flops"], row["held_out"]) for row in one["curve"] if row["step"] >= judged_from]
        for one in sizes
    }


def drawn(record: dict[str, Any]) -> Image.Image:
    """The chart of what was found."""
    best = [(one["compute"], one["loss"]) for one in record["frontier"]]
    law = Law(**record["fits"][record["chosen"]])
    return law_chart(counted(record["sizes"], record["judged_from"]), best, law)


def main() -> None:
    """Run it, and say what was found."""
    record = scale(read_options())
    law = Law(**record["fits"][record["chosen"]])
    print(
        f"loss = {law.scale:.4g} * FLOPs^-{law.power:.4f} + {law.floor:.4f}, {record['chosen']}, error {law.error:.4f}"
    )


if __name__ == "__main__":
    main()
