"""What the reports before this one found: the way towards the bars, over the hours of training, and what was tried."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.tabletop.charts import PENS, Axis, Line, draw_chart, stacked
from pipeline.tabletop.figures import trainings
from pipeline.tabletop.report import BARS, Row, Section
from pipeline.tabletop.suites import ADHERENCE

HISTORY: Final = "history.json"
TRIED: Final = "## What was tried"
"""Where the model card begins to tell what was tried and is not in the weights."""

JUDGES: Final = ("probe.safetensors", "crops.safetensors")
HOURS: Final = Axis("hours of training, on two cores", low=0)
SHARE: Final = Axis("", low=0, high=1, percent=True)
MEASURED: Final = "("
"""In the names of figures that are no shares."""


def load_history(folder: Path) -> list[dict[str, Any]]:
    """The reports before, the first one first: hours of training, rows (value and n by name), weights, settings."""
    path = folder / HISTORY
    entries: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    return entries


def hours_of(folder: Path) -> float:
    """How long the transformer was trained in all, as hours of two cores; 0 where there is no record."""
    path = folder / "training.json"
    records = trainings(json.loads(path.read_text())) if path.is_file() else []
    return round(sum(map(minutes_of, records)) / 60, 2)


def minutes_of(record: dict[str, Any]) -> float:
    """How many minutes of two cores a training of the transformer took; a card's count as they are.

    Records that name no threads are of two.
    """
    curve, threads = record["curves"].get("transformer", []), record.get("machine", {}).get("threads") or 2
    minutes: float = curve[-1]["minutes"] if curve else 0.0
    return minutes * threads / 2


def entry_of(report: dict[str, Any], hours: float) -> dict[str, Any]:
    """What is kept of a report."""
    rows = {row["name"]: [row["value"], row["n"]] for row in report["rows"]}
    return {"hours": hours, "rows": rows, "weights_sha256": report["weights_sha256"], "settings": report["settings"]}


def made_by(entry: dict[str, Any]) -> dict[str, str]:
    """The weights that made an entry's clips: all but those that judge them."""
    return {name: value for name, value in entry["weights_sha256"].items() if name not in JUDGES}


def remembered(history: Sequence[dict[str, Any]], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The history with one more report, which takes the place of what was found of the same weights."""
    return [*(one for one in history if made_by(one) != made_by(entry)), entry]


def remember(folder: Path) -> list[dict[str, Any]]:
    """Put the report that was just written into the history, and return it."""
    entry = entry_of(json.loads((folder / "report.json").read_text()), hours_of(folder))
    history = remembered(load_history(folder), entry)
    (folder / HISTORY).write_text(json.dumps(history, indent=1) + "\n")
    return history


def lines_of(history: Sequence[dict[str, Any]], names: Iterable[str]) -> Iterator[Line]:
    """A line a figure, over the hours of training of each report that has it."""
    for number, name in enumerate(names):
        points = [(one["hours"], one["rows"][name][0]) for one in history if name in one["rows"]]
        if points:
            yield Line(f"{name}, bar {BARS[name]:.0%}", points, dashed=number >= len(PENS), pen=number % len(PENS))


def towards(folder: Path, rows: Sequence[Row]) -> Section | None:
    """The shares that have a bar, from the first report to this one; nothing where none is before it."""
    now = {"hours": hours_of(folder), "rows": {row.name: [row.value, row.n] for row in rows}}
    history = [*(one for one in load_history(folder) if one["hours"] < now["hours"]), now]
    shares = [name for name in BARS if MEASURED not in name]
    groups = {
        "Follows the prompt": [name for name in shares if name in ADHERENCE],
        "Holds its world": [name for name in shares if name not in ADHERENCE],
    }
    drawn = {title: list(lines_of(history, names)) for title, names in groups.items()}
    charts = [draw_chart(title, lines, HOURS, SHARE, (520, 460)) for title, lines in drawn.items() if lines]
    if len(history) == 1 or not charts:
        return None
    text = (
        f"What the {len(history) - 1} reports before this one found, at the settings and by the judges of their time, "
        f"over the hours of training: [{HISTORY}]({HISTORY}) has each figure with its n. The last points are this "
        "report's."
    )
    return Section("Towards the bars", text, {"towards": stacked(charts)})


def tried(folder: Path) -> Section | None:
    """What was tried and is not in these weights, as the model card tells it; nothing where it tells nothing."""
    card = folder / "README.md"
    _, found, after = (card.read_text() if card.is_file() else "").partition(TRIED)
    if not found:
        return None
    return Section("What was tried", after.partition("\n")[2].partition("\n## ")[0].strip())
