"""Visitors who ask a running app for takes at the same time, and what its ledger says of them."""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import mean
from typing import Any
from urllib.request import Request, urlopen

from pipeline.queue.ledger import FILE

PATIENCE_S = 120
SMALL = {"prompt": "a red ball bounces on snow", "width": 64, "height": 64, "frames": 1, "steps": 1}


def visitors(count: int) -> list[str]:
    return [f"the key of visitor number {number}" for number in range(count)]


def ask(url: str, visitor: str, **asked: Any) -> str:
    """Ask for a take; return the name of the event."""
    body = json.dumps(SMALL | {"visitor": visitor} | asked).encode()
    request = Request(f"{url}/gradio_api/call/v2/text", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=PATIENCE_S) as answer:
        event: str = json.load(answer)["event_id"]
    return event


def outcome(url: str, event: str) -> tuple[str, Any]:
    """Wait for what becomes of an event: complete with its file and run, or error with what was said."""
    with urlopen(f"{url}/gradio_api/call/v2/text/{event}", timeout=PATIENCE_S) as answer:
        lines = answer.read().decode().splitlines()
    kinds = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return kinds[-1], json.loads(data[-1])


def crowd(url: str, keys: Sequence[str], each: int) -> list[tuple[str, Any]]:
    """Let every visitor ask for so many takes at once, and wait for all."""
    with ThreadPoolExecutor(len(keys) * each) as threads:
        asking = list(keys) * each
        events = threads.map(lambda key: ask(url, key), asking)
        return list(threads.map(lambda event: outcome(url, event), list(events)))


def rows(home: Path, **having: Any) -> list[dict[str, Any]]:
    """Return the jobs of a home that have such values, in the order in which they came."""
    with closing(sqlite3.connect(home / FILE, timeout=PATIENCE_S)) as base:
        base.row_factory = sqlite3.Row
        found = [dict(row) for row in base.execute("SELECT * FROM jobs ORDER BY number")]
    return [row for row in found if having.items() <= row.items()]


def wait_for(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.05)


def mean_waits(jobs: Sequence[dict[str, Any]]) -> list[float]:
    """Return how long the jobs of each visitor waited until they began, in seconds."""
    owners = {job["owner"] for job in jobs}
    return [mean(job["started"] - job["created"] for job in jobs if job["owner"] == owner) for owner in owners]
