"""Judge the shipped weights: `python -m pipeline.tabletop.evaluate` writes REPORT.md and report.json beside them.

Prompts say every attribute of a combination that was never trained on; the probe reads the clips. Beside each
figure stand its controls: renders through the autoencoder (the ceiling), a frozen first frame, and the clips of
other prompts.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import torch
from diffusers import LTXConditionPipeline
from PIL import Image
from torch import Tensor

from pipeline.tabletop.captions import caption
from pipeline.tabletop.data import chunk_programs
from pipeline.tabletop.labels import truth
from pipeline.tabletop.network import TEXT_LENGTH, to_frames, to_pixels
from pipeline.tabletop.probe import Judge, load_probe, through
from pipeline.tabletop.render import render
from pipeline.tabletop.train_autoencoder import judge as judge_autoencoder
from pipeline.tabletop.world import FPS, Program, draw_split

BARS: Final = {"colour": 0.85, "solid": 0.70, "floor": 0.95, "sky": 0.95, "moving": 0.85}
BATCH: Final = 10


@dataclass(frozen=True)
class Row:
    """One figure of the report: a point estimate with n and a 95 % interval, its bar, and its controls."""

    name: str
    value: float
    n: int
    low: float
    high: float
    bar: float | None = None
    higher_is_better: bool = True
    controls: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A held-out program with its prompt and the generated frames (uint8)."""

    program: Program
    prompt: str
    frames: Tensor


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson's score interval)."""
    z, share = 1.96, right / n
    centre = share + z * z / (2 * n)
    spread = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    low, high = (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)
    # At 0 and 1 the ends meet the share itself, but for rounding.
    return min(low, share), max(high, share)


def held_out_programs(count: int) -> list[Program]:
    """Held-out programs of one solid, square, 17 frames."""
    rng = Random("evaluation")
    programs: list[Program] = []
    while len(programs) < count:
        program = draw_split(rng, (128, 128), 17, kept_out=True)
        if len(program.solids) == 1:
            programs.append(program)
    return programs


def load_pipeline(folder: Path) -> LTXConditionPipeline:
    """The shipped model in float32 on the processor."""
    pipe = LTXConditionPipeline.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@dataclass(frozen=True)
class Sampling:
    """How clips are made: denoising steps, guidance scale, and the seed of the first batch."""

    steps: int = 25
    guidance: float = 4.0
    seed: int = 0


def sample(pipe: LTXConditionPipeline, prompts: list[str], program: Program, how: Sampling) -> Tensor:
    """Generate a clip per prompt; uint8 (clips, frames, height, width, 3)."""
    result = pipe(
        prompt=prompts,
        negative_prompt=[""] * len(prompts),
        width=program.width,
        height=program.height,
        num_frames=program.frames,
        frame_rate=FPS,
        num_inference_steps=how.steps,
        guidance_scale=how.guidance,
        image_cond_noise_scale=0.0,
        generator=torch.Generator().manual_seed(how.seed),
        max_sequence_length=TEXT_LENGTH,
        output_type="pt",
    )
    return to_frames(result.frames.movedim(2, 1) * 2 - 1)


def generate_cases(pipe: LTXConditionPipeline, count: int, how: Sampling) -> list[Case]:
    """Generate clips for held-out programs; batch b has the seed how.seed + b."""
    programs = held_out_programs(count)
    rng = Random("prompts")
    prompts = [caption(program, rng, complete=True) for program in programs]
    cases: list[Case] = []
    for number, start in enumerate(range(0, count, BATCH)):
        part = slice(start, start + BATCH)
        frames = sample(pipe, prompts[part], programs[start], replace(how, seed=how.seed + number))
        cases += [Case(*case) for case in zip(programs[part], prompts[part], frames, strict=True)]
        print(f"{len(cases)} of {count} clips", flush=True)
    return cases


def read_all(probe: Judge, clips: list[Tensor]) -> list[dict[str, str]]:
    """What the probe reads in each clip."""
    return [
        reading for start in range(0, len(clips), 20) for reading in probe.read(torch.stack(clips[start : start + 20]))
    ]


def is_right(name: str, reading: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether an attribute was read as wanted; "moving" asks only whether the solid moves."""
    if name == "moving":
        return (reading["motion"] == "stays") == (wanted["motion"] == "stays")
    return reading[name] == wanted[name]


def count_right(name: str, readings: list[dict[str, str]], programs: list[Program]) -> int:
    """How many clips show what their program says."""
    return sum(is_right(name, reading, truth(program)) for reading, program in zip(readings, programs, strict=True))


def adherence_rows(probe: Judge, pipe: LTXConditionPipeline, cases: list[Case]) -> Iterator[Row]:
    """A row per attribute: the share of clips that show it."""
    programs = [case.program for case in cases]
    clips = [case.frames for case in cases]
    renders = [to_frames(through(pipe.vae, to_pixels(render(program))[None]))[0] for program in programs]
    sources = {
        "made": clips,
        "renders through the autoencoder": renders,
        "frozen first frame": [clip[:1].expand_as(clip) for clip in clips],
        "clips of other prompts": clips[7:] + clips[:7],
    }
    readings = {name: read_all(probe, source) for name, source in sources.items()}
    for name in ("colour", "solid", "floor", "sky", "moving", "motion", "camera"):
        right = {source: count_right(name, reading, programs) for source, reading in readings.items()}
        low, high = wilson(right["made"], len(cases))
        shares = {source: value / len(cases) for source, value in right.items()}
        yield Row(name, shares.pop("made"), len(cases), low, high, BARS.get(name), controls=shares)


def autoencoder_rows(pipe: LTXConditionPipeline, count: int) -> Iterator[Row]:
    """PSNR of the autoencoder on held-out renders of all shapes; the interval of the mean is by normal theory."""
    programs = [program for number in range(count) for program in chunk_programs(number, kept_out=True, count=1)]
    scores = [judge_autoencoder(pipe.vae, [render(program)])[0] for program in programs]
    mean, margin = float(np.mean(scores)), 1.96 * float(np.std(scores, ddof=1)) / count**0.5
    yield Row("autoencoder PSNR, mean (dB)", mean, count, mean - margin, mean + margin, 28.0)
    worst = min(scores)
    yield Row("autoencoder PSNR, worst clip (dB)", worst, count, worst, worst, 22.0)


def weight_sums(folder: Path) -> dict[str, str]:
    """SHA-256 of each weight file, so that a report names the weights that it judged."""
    files = sorted(folder.rglob("*.safetensors"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def contact_sheet(cases: list[Case], path: Path) -> None:
    """The first twelve clips, a row each, six frames across, in order and not by merit."""
    rows = []
    for case in cases[:12]:
        index = np.linspace(0, len(case.frames) - 1, 6).round().astype(int)
        rows.append(np.concatenate([case.frames[i].numpy() for i in index], 1))
    halves = [np.concatenate(rows[:6], 0), np.concatenate(rows[6:], 0)]
    Image.fromarray(np.concatenate(halves, 1)).save(path, quality=85)


def format_row(row: Row) -> str:
    """A row of the report's table."""
    digits = ".1f" if "dB" in row.name else ".1%"
    values = [format(value, digits) for value in (row.value, row.low, row.high)]
    bar = "" if row.bar is None else format(row.bar, digits)
    verdict = "" if row.bar is None else ("reached" if row.value >= row.bar else "**not reached**")
    controls = "; ".join(f"{name} {value:.0%}" for name, value in row.controls.items())
    return f"| {row.name} | {values[0]} | {row.n} | {values[1]} – {values[2]} | {bar} | {verdict} | {controls} |"


def write_report(folder: Path, rows: list[Row], cases: list[Case], settings: dict[str, float]) -> None:
    """Write REPORT.md, report.json and the contact sheet."""
    contact_sheet(cases, folder / "report.webp")
    data = {"rows": [asdict(row) for row in rows], "weights_sha256": weight_sums(folder), "settings": settings}
    (folder / "report.json").write_text(json.dumps(data, indent=1) + "\n")
    prompts = "\n".join(f"{number}. {case.prompt}" for number, case in enumerate(cases[:12], 1))
    lines = [
        "# What Tabletop can do, measured",
        "",
        f"Made by `make eval`: {len(cases)} held-out programs of one solid, {settings['steps']:g} steps, guidance "
        f"{settings['guidance']:g}, {settings['seconds']:.0f} s in all. An attribute counts as right where the probe "
        "reads in the clip what the prompt says; chance is the control from clips of other prompts.",
        "",
        "| what | value | n | 95 % interval | bar | | controls |",
        "|---|---|---|---|---|---|---|",
        *map(format_row, rows),
        "",
        "The first twelve clips, left column then right, unchosen:",
        "",
        "![contact sheet](report.webp)",
        "",
        prompts,
        "",
    ]
    (folder / "REPORT.md").write_text("\n".join(lines))


def main() -> None:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("assets/tabletop"))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--steps", type=int, default=Sampling.steps)
    parser.add_argument("--guidance", type=float, default=Sampling.guidance)
    parser.add_argument("--seed", type=int, default=Sampling.seed)
    options = parser.parse_args()
    started = time.monotonic()
    pipe, probe = load_pipeline(options.model), load_probe(options.model)
    how = Sampling(options.steps, options.guidance, options.seed)
    cases = generate_cases(pipe, options.count, how)
    rows = [*adherence_rows(probe, pipe, cases), *autoencoder_rows(pipe, 20)]
    settings = {**asdict(how), "seconds": time.monotonic() - started}
    write_report(options.model, rows, cases, settings)
    print("\n".join(map(format_row, rows)))


if __name__ == "__main__":
    main()
