"""Measures the named strengths: `python -m pipeline.measures.calibrate` restyles takes and writes the table.

A noise level means something else in every model. Here the same takes are made anew at several levels, and each name
gets the level at which the mean change of the clips is what the name says (strengths.CHANGES).
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from pipeline.backends.local import LocalBackend
from pipeline.generate import Finished, generate
from pipeline.library.runs import Run
from pipeline.model_spec import ModelSpec
from pipeline.models import MODELS, get_model
from pipeline.plan import Plan, make_plan
from pipeline.planning.strengths import CHANGES, read_table, write_table
from pipeline.request import parse_request
from pipeline.settings import Settings
from pipeline.store import Store

LEVELS = (0.2, 0.4, 0.55, 0.7, 0.8, 0.88, 0.94, 0.975)
# A take, and the words that it is made anew with: what is in it, where it is, and when.
PAIRS = (
    ("a red ball rolls right on grass by day", "a blue ball rolls right on grass by day"),
    ("a yellow cube turns on snow at sunset", "a yellow cube turns on sand at sunset"),
    ("a green cone stays on sand by day", "a green cone stays on sand at night"),
    ("a blue cylinder falls onto the checkered floor by day", "a white ball falls onto the checkered floor by day"),
    ("a white ball comes closer over water at night", "a white ball comes closer over grass at sunset"),
    ("a purple cube bounces on grass at sunset", "an orange cone bounces on snow by day"),
)


def main() -> None:
    """Calibrate one model."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.measures.calibrate", description=__doc__)
    parser.add_argument("--model", default=MODELS[0].name)
    spec = get_model(parser.parse_args().model)
    with TemporaryDirectory() as home:
        curve = measure(spec, LocalBackend(Settings.from_env()), Store(Path(home)))
    print(" ".join(f"{level:g}: {change:.3f}" for level, change in curve.items()))
    levels = {name: round(level_for(change, curve), 3) for name, change in CHANGES.items()}
    write_table(read_table() | {spec.name: levels})
    print(levels)


def measure(
    spec: ModelSpec, backend: LocalBackend, store: Store, pairs: Sequence[tuple[str, str]] = PAIRS,
    levels: Sequence[float] = LEVELS,
) -> dict[float, float]:  # fmt: skip
    """Return the mean change over the pairs at each noise level."""
    changes: dict[float, list[float]] = {level: [] for level in levels}
    for seed, (prompt, other) in enumerate(pairs):
        taken = _run(make_plan(parse_request({"prompt": prompt, "seed": seed}), spec), backend, store)
        for plan in _anew(taken, other, levels, store, spec):
            changes[plan.segments[0].strength].append(_run(plan, backend, store).measures["change"])
    return {level: mean(values) for level, values in changes.items()}


def level_for(change: float, curve: Mapping[float, float]) -> float:
    """Return the noise level at which clips change by so much, between the measured levels by a straight line."""
    points = [(0.0, 0.0), *sorted(curve.items()), (1.0, 1.0)]
    for (level, low), (above, high) in pairwise(points):
        if low <= change <= high and high > low:
            return level + (above - level) * (change - low) / (high - low)
    return 1.0


def _anew(taken: Run, prompt: str, levels: Sequence[float], store: Store, spec: ModelSpec) -> Iterator[Plan]:
    video = store.find_source(f"run:{taken.id}")
    asked = parse_request({"task": "restyle", "video": video, "prompt": prompt, "strength": 0.5, "seed": 1})
    plan = make_plan(asked, spec)
    for level in levels:
        yield replace(plan, segments=(replace(plan.segments[0], strength=level),))


def _run(plan: Plan, backend: LocalBackend, store: Store) -> Run:
    for event in generate(plan, backend, store):
        if isinstance(event, Finished):
            return event.run
    raise AssertionError("a run ends with Finished")


if __name__ == "__main__":
    main()
