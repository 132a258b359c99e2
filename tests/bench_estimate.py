"""How far promises are off after a short history: runs that are unlike each other, foretold and then made."""

import time
from pathlib import Path
from statistics import mean
from typing import Any

from pipeline.backends.local import LocalBackend
from pipeline.events import Decoding, Step
from pipeline.generate import Finished, generate
from pipeline.library.runs import Run
from pipeline.models import EMBEDDED
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import Settings
from pipeline.store import Store

PROMPT = "a red ball bounces on snow"
HISTORY: tuple[dict[str, Any], ...] = (
    {"shape": "square", "frames": 17},
    {"shape": "landscape", "frames": 33, "steps": 8},
    {"width": 64, "height": 64, "frames": 9},
    {"shape": "square", "frames": 1},
)
TRIALS: tuple[dict[str, Any], ...] = (
    {"shape": "portrait", "frames": 17, "steps": 12},
    {"shape": "square", "frames": 49, "steps": 8},
    {"shape": "landscape", "frames": 9, "steps": 40},
    {"width": 192, "height": 192, "frames": 17, "steps": 10},
    {"width": 64, "height": 64, "frames": 97, "steps": 8},
    {"shape": "square", "frames": 17, "deliver": "720p"},
    {"shape": "square", "frames": 1, "steps": 50},
    {"shape": "square", "frames": 17, "guidance_scale": 1.0},
)
MOST_MISSED, MOST_MISSED_LEFT = 0.25, 0.25


def estimates(home: Path) -> bool:
    """Foretell and make the trials, print how far off that was, and return whether the bounds are kept."""
    settings, store = Settings(home=home / "estimates", device="cpu"), Store(home / "estimates")
    backend = LocalBackend(settings)
    backend.warm(EMBEDDED.name)
    for asked in HISTORY:
        _follow(_plan(asked, store), backend, store)
    missed, missed_left = zip(*(_trial(_plan(asked, store), backend, store) for asked in TRIALS), strict=True)
    print(f"estimate after {len(HISTORY)} runs: missed by {mean(missed):.0%} on average (at most {MOST_MISSED:.0%})")
    print(f"time left in mid-run: missed by {mean(missed_left):.0%} on average (at most {MOST_MISSED_LEFT:.0%})")
    kept: bool = mean(missed) <= MOST_MISSED and mean(missed_left) <= MOST_MISSED_LEFT
    return kept


def _plan(asked: dict[str, Any], store: Store) -> Plan:
    return make_plan(parse_request({"prompt": PROMPT, "seed": 7} | asked), EMBEDDED, store.speed(EMBEDDED))


def _trial(plan: Plan, backend: LocalBackend, store: Store) -> tuple[float, float]:
    """Return by which share of what it took the promise was off, and the time left in the middle of its steps."""
    run, half, left = _follow(plan, backend, store)
    took = run.timings["total"] - run.timings["load"]
    promised = plan.estimate.seconds
    print(f"{plan.contract()}, {plan.steps} steps: promised {promised:.2f} s, took {took:.2f} s, left {left:.2f} s")
    return abs(promised - took) / took, abs(left - half) / took


def _follow(plan: Plan, backend: LocalBackend, store: Store) -> tuple[Run, float, float]:
    """Make a run; return it with the seconds from the middle of its steps to its end, and what was told of them."""
    told: list[tuple[float, float]] = []
    for event in generate(plan, backend, store):
        if isinstance(event, Step | Decoding):
            told.append((time.perf_counter(), event.seconds_left or 0.0))
        if isinstance(event, Finished):
            at, left = told[max(plan.steps // 2 - 1, 0)]
            return event.run, time.perf_counter() - at, left
    raise AssertionError("a run ends with Finished")
