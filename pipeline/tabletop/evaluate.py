"""Judge the shipped weights: `python -m pipeline.tabletop.evaluate` writes REPORT.md and report.json beside them.

Every clip and every verdict is kept as it is made, so that the same command goes on where it was interrupted. Kept
results are of one set of weights, settings, and code: others are never mixed in.
"""

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import torch
from diffusers import LTXConditionPipeline
from torch import Tensor

from pipeline.tabletop.data import chunk_programs
from pipeline.tabletop.drift import IN_FULL, Found, LongTakes, draw_takes, judge_takes, kept_takes, make_takes
from pipeline.tabletop.drift_figures import rows_of_takes, section_of_takes
from pipeline.tabletop.figures import ablations, learning, permanence, scaling
from pipeline.tabletop.history import remember, towards, tried
from pipeline.tabletop.probe import Judge, load_probe
from pipeline.tabletop.render import render
from pipeline.tabletop.report import (
    BARS,
    MEAN_DB,
    WORST_DB,
    Judged,
    Row,
    Section,
    around_mean,
    format_row,
    rows_of,
    weight_sums,
    write_report,
)
from pipeline.tabletop.sampling import Case, Sampling, batches, load_pipeline, sample
from pipeline.tabletop.suites import SUITES, Clips, Suite, Verdicts, draw_cases, judge_case, neighbour
from pipeline.tabletop.train_autoencoder import judge as judge_autoencoder

PROGRAMS: Final = 100
PROGRAMS_IN_FULL: Final = 300
REBUILT: Final = 20
"""Clips by which the autoencoder is judged."""

CODE: Final = Path(__file__).parent


@dataclass(frozen=True)
class Bench:
    """What judges: the model, its probe, how clips are made, and the folder that keeps what was found."""

    pipe: LTXConditionPipeline
    judge: Judge
    how: Sampling
    kept: Path


def kept_folder(work: Path, model: Path, how: Sampling) -> Path:
    """Where results of these weights, settings and code are kept."""
    code = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(CODE.glob("*.py"))}
    mark = hashlib.sha256(json.dumps([weight_sums(model), asdict(how), code]).encode()).hexdigest()
    return work / mark[:16]


def write_aside(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_suffix(".part")
    partial.write_text(text)
    partial.rename(path)


def clip_path(bench: Bench, case: Case, steps: int) -> Path:
    """Where the clip lies that was made for a case in so many steps."""
    return bench.kept / f"{case.suite.replace(' ', '-')}-{case.number:04d}-{steps}.pt"


def make_clips(bench: Bench, cases: list[Case], steps: int) -> list[Tensor]:
    """The cases' clips in so many steps: kept ones, or made now."""
    files = {case.number: clip_path(bench, case, steps) for case in cases}
    for batch in batches([case for case in cases if not files[case.number].exists()]):
        for case, clip in zip(batch, sample(bench.pipe, batch, replace(bench.how, steps=steps)), strict=True):
            partial = files[case.number].with_suffix(".part")
            torch.save(clip.clone(), partial)
            partial.rename(files[case.number])
    return [torch.load(file, weights_only=True) for file in files.values()]


def verdicts_on(bench: Bench, suite: Suite, case: Case, clips: Clips) -> dict[str, Verdicts]:
    """What is found in a clip and its controls: kept, or judged now."""
    path = clip_path(bench, case, bench.how.steps).with_suffix(".json")
    if not path.exists():
        write_aside(path, json.dumps(judge_case(suite, bench.judge, case, clips)))
    found: dict[str, Verdicts] = json.loads(path.read_text())
    return found


def run_suite(bench: Bench, suite: Suite, programs: int) -> Iterator[Judged]:
    """Make and judge the clips of a suite."""
    cases = draw_cases(suite, suite.count(programs))
    made = make_clips(bench, cases, bench.how.steps)
    halved = [None] * len(cases) if suite.claims else make_clips(bench, cases, max(bench.how.steps // 2, 1))
    for case, clip, fewer in zip(cases, made, halved, strict=True):
        clips = Clips(clip, made[neighbour(case.number)], fewer)
        yield Judged(case, clip, verdicts_on(bench, suite, case, clips))


def autoencoder_rows(pipe: LTXConditionPipeline, count: int) -> Iterator[Row]:
    """PSNR of the autoencoder on held-out renders of all shapes; the interval of the mean is by normal theory."""
    programs = [program for number in range(count) for program in chunk_programs(number, kept_out=True, count=1)]
    scores = [judge_autoencoder(pipe.vae, [render(program)])[0] for program in programs]
    mean, low, high = around_mean(scores)
    yield Row(MEAN_DB, mean, count, low, high, BARS[MEAN_DB])
    worst = min(scores)
    yield Row(WORST_DB, worst, count, worst, worst, BARS[WORST_DB])


def run_takes(bench: Bench, model: Path, takes: LongTakes) -> tuple[list[Row], list[Section]]:
    """Make and judge the long takes: their rows, and their part of the report; none of either where there are none."""
    if not takes.count:
        return [], []
    started, cases, folder = time.monotonic(), draw_takes(takes.count), kept_takes(bench.kept, takes)
    make_takes(model, cases, takes, bench.how, folder)
    found: list[Found] = list(judge_takes(bench.judge, cases, takes, folder))
    print(f"long: {len(found)} takes, {takes.twice} made twice, in {time.monotonic() - started:.0f} s", flush=True)
    return list(rows_of_takes(found)), [section_of_takes(found, takes, cases, folder)]


def open_bench(options: argparse.Namespace) -> Bench:
    """What judges as the command line asks, with the folder that keeps what it finds."""
    how = Sampling(options.steps, options.guidance, options.seed)
    kept = kept_folder(options.work, options.model, how)
    kept.mkdir(parents=True, exist_ok=True)
    return Bench(load_pipeline(options.model), load_probe(options.model), how, kept)


def asked_takes(options: argparse.Namespace) -> LongTakes:
    """The long takes that the command line asks for."""
    return IN_FULL if options.full else LongTakes(options.long_takes, options.long_seconds)


def asked_programs(options: argparse.Namespace) -> int:
    """How many plain programs it asks for."""
    programs: int = PROGRAMS_IN_FULL if options.full else options.programs
    return programs


def judge_ahead(options: argparse.Namespace, suite: Suite) -> str:
    """Make and judge the clips of a suite, for what keeps them; return its name."""
    list(run_suite(open_bench(options), suite, asked_programs(options)))
    return suite.name


def work_ahead(options: argparse.Namespace, suites: Sequence[Suite], workers: int) -> None:
    """Judge suites in several processes of one thread each; whoever asks for their results then finds them kept."""
    started = time.monotonic()
    with get_context("spawn").Pool(workers, torch.set_num_threads, (1,)) as pool:
        for name in pool.imap_unordered(partial(judge_ahead, options), suites, chunksize=1):
            print(f"{name}: done after {time.monotonic() - started:.0f} s", flush=True)


def read_options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("assets/tabletop"))
    parser.add_argument("--programs", type=int, default=PROGRAMS, help="plain ones; each other suite has its share")
    whole = f"{PROGRAMS_IN_FULL} plain programs, and {IN_FULL.count} long takes of {IN_FULL.seconds:g} s"
    parser.add_argument("--full", action="store_true", help=whole)
    parser.add_argument("--steps", type=int, default=Sampling.steps)
    parser.add_argument("--guidance", type=float, default=Sampling.guidance)
    parser.add_argument("--seed", type=int, default=Sampling.seed)
    parser.add_argument("--long-takes", type=int, default=LongTakes.count, help="takes by which drift is judged, or 0")
    parser.add_argument("--long-seconds", type=float, default=LongTakes.seconds, help="how long each of them is")
    parser.add_argument("--work", type=Path, default=Path(".cache/evaluation"), help="keeps clips and verdicts")
    return parser.parse_args(words)


def main() -> None:
    """Run the evaluation."""
    options, started = read_options(), time.monotonic()
    work_ahead(options, sorted(SUITES, key=lambda suite: -suite.share), os.cpu_count() or 1)
    bench = open_bench(options)
    judged = [one for suite in SUITES for one in run_suite(bench, suite, asked_programs(options))]
    long_rows, long_sections = run_takes(bench, options.model, asked_takes(options))
    rows = [*rows_of(judged), *long_rows, *autoencoder_rows(bench.pipe, REBUILT)]
    trained = (learning(options.model), ablations(options.model), scaling(options.model))
    way = (towards(options.model, rows), tried(options.model))
    sections = [part for part in (permanence(rows), *long_sections, *way, *trained) if part]
    settings = {**asdict(bench.how), "seconds": time.monotonic() - started}
    write_report(options.model, rows, judged, settings, sections=sections)
    remember(options.model)
    print("\n".join(map(format_row, rows)))


if __name__ == "__main__":
    main()
