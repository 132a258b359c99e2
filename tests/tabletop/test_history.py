"""Reports are kept as they were, once for each set of weights, and the next one draws the way from them."""

import json
from pathlib import Path

import pytest

from pipeline.tabletop.figures import trainings
from pipeline.tabletop.history import entry_of, hours_of, lines_of, load_history, remember, towards, tried
from pipeline.tabletop.report import BARS, Row

SHIPPED = Path(__file__).parents[2] / "assets" / "tabletop"


def write(folder: Path, minutes: float, value: float, weights: str, judge: str = "one") -> None:
    """A report of some weights after so many minutes of training, by a judge."""
    curves = {"transformer": [{"minutes": minutes}]}
    (folder / "training.json").write_text(json.dumps({"curves": curves, "before": None}))
    report = {
        "rows": [{"name": "motion", "value": value, "n": 40}],
        "weights_sha256": {"transformer/x.safetensors": weights, "probe.safetensors": judge},
        "settings": {"steps": 8},
    }
    (folder / "report.json").write_text(json.dumps(report))


def motions(folder: Path) -> list[tuple[float, float]]:
    return [(one["hours"], one["rows"]["motion"][0]) for one in load_history(folder)]


def test_a_report_of_new_weights_is_added_and_one_of_the_same_takes_its_place(tmp_path: Path) -> None:
    assert load_history(tmp_path) == []
    write(tmp_path, 60, 0.5, "first")
    remember(tmp_path)
    write(tmp_path, 120, 0.7, "second")
    remember(tmp_path)
    assert motions(tmp_path) == [(1.0, 0.5), (2.0, 0.7)]
    write(tmp_path, 120, 0.6, "second", judge="a stricter one")
    remember(tmp_path)
    assert motions(tmp_path) == [(1.0, 0.5), (2.0, 0.6)]


def test_the_way_is_drawn_from_the_reports_before_to_this_one(tmp_path: Path) -> None:
    row = Row("motion", 0.8, 40, 0.7, 0.9, BARS["motion"])
    write(tmp_path, 60, 0.5, "first")
    remember(tmp_path)
    assert towards(tmp_path, [row]) is None, "nothing is before it"
    write(tmp_path, 120, 0.7, "second")
    section = towards(tmp_path, [row])
    assert section is not None
    assert set(section.pictures) == {"towards"}
    (line,) = lines_of([*load_history(tmp_path), {"hours": 2.0, "rows": {"motion": [0.8, 40]}}], ["motion", "colour"])
    assert line.points == [(1.0, 0.5), (2.0, 0.8)]


def test_the_shipped_history_ends_with_the_shipped_report() -> None:
    report = json.loads((SHIPPED / "report.json").read_text())
    history = load_history(SHIPPED)
    assert history[-1] == json.loads(json.dumps(entry_of(report, hours_of(SHIPPED))))
    hours = [one["hours"] for one in history]
    assert hours == sorted(set(hours))
    records = trainings(json.loads((SHIPPED / "training.json").read_text()))
    minutes = [record["curves"]["transformer"][-1]["minutes"] for record in records]
    on_one_core = [record["machine"].get("threads") == 1 for record in records]
    whole = sum(each / 2 if alone else each for each, alone in zip(minutes, on_one_core, strict=True))
    assert hours[-1] == pytest.approx(whole / 60, abs=0.01)


def test_hours_are_of_two_cores(tmp_path: Path) -> None:
    curves = {"transformer": [{"minutes": 30.0}, {"minutes": 60.0}]}
    first = {"curves": curves, "before": None}
    then = {"curves": curves, "machine": {"cores": 2, "threads": 1}, "before": first}
    (tmp_path / "training.json").write_text(json.dumps(then))
    assert hours_of(tmp_path) == 1.5


def test_what_was_tried_is_told_as_the_model_card_tells_it(tmp_path: Path) -> None:
    assert tried(tmp_path) is None
    (tmp_path / "README.md").write_text("# Card\n\n## What was tried, and more\n\n- *One*: no.\n\n## Limits\n\nMany.\n")
    section = tried(tmp_path)
    assert section is not None
    assert section.text == "- *One*: no."
    shipped = tried(SHIPPED)
    assert shipped is not None
    assert len(shipped.text) > 500
