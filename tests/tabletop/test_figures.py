"""Charts show what they are given where it belongs, and the report links what is drawn."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.tabletop.charts import PENS, Axis, Line, draw_chart, nice_step, stacked
from pipeline.tabletop.figures import (
    ablations,
    distilled_lines,
    learning,
    learning_lines,
    of_cores,
    permanence,
    scaling,
    trainings,
)
from pipeline.tabletop.report import Judged, Row, Section, write_report
from pipeline.tabletop.sampling import Case
from pipeline.tabletop.suites import MADE, OTHERS, RENDERS, held_out_programs


def places(picture: Image.Image, pen: int) -> list[tuple[float, float]]:
    """Where a pen's pixels are below the names of the lines, (x, y) from left to right."""
    pixels = np.asarray(picture).astype(int)
    near = np.abs(pixels - PENS[pen]).sum(-1) < 40
    near[:60] = False
    return sorted((float(x), float(y)) for y, x in np.argwhere(near))


def test_a_line_goes_through_its_points() -> None:
    axes = Axis("x", low=0, high=10), Axis("y", low=0, high=100)
    picture = draw_chart("rises", [Line("one", [(0, 0), (10, 100)]), Line("two", [(0, 100), (10, 100)])], *axes)
    rising, level = places(picture, 0), places(picture, 1)
    assert rising[0][1] - rising[-1][1] > 150, "up is up"
    assert {round(y) for _, y in level} <= {round(rising[-1][1]) + step for step in (-2, -1, 0, 1, 2, 3)}
    assert rising[-1][0] - rising[0][0] > 350


def test_on_logarithmic_axes_a_power_law_is_straight() -> None:
    points = [(10.0**power, 10.0**-power) for power in range(5)]
    drawn = places(draw_chart("", [Line("", points)], Axis("", log=True), Axis("", log=True)), 0)
    x, y = np.array(drawn).T
    assert abs(np.corrcoef(x, y)[0, 1]) > 0.999
    assert Axis("", log=True, low=0.9, high=1500).ticks() == [1, 10, 100, 1000]
    assert Axis("", log=True, low=0.9, high=6).ticks() == [1, 2, 5]
    assert Axis("", log=True, low=1.9, high=5.1).ticks() == [2, 3, 4, 5]


@pytest.mark.parametrize(("least", "step"), [(0.9, 1), (1.1, 2), (3, 5), (0.02, 0.02), (60, 100)])
def test_ticks_are_at_round_values(least: float, step: float) -> None:
    assert nice_step(least) == pytest.approx(step)
    assert Axis("", low=0, high=60).ticks() == [0, 10, 20, 30, 40, 50, 60]


def record(minutes: float, before: dict[str, Any] | None = None) -> dict[str, Any]:
    rows = [{"minutes": minutes * share, "held_out": 1 - share / 2, "deaf": 1.0} for share in (0.5, 1.0)]
    return {"curves": {"transformer": rows}, "before": before}


def test_trainings_come_one_after_the_other(tmp_path: Path) -> None:
    records = trainings(record(10, record(100)))
    lines = list(learning_lines(records, "transformer"))
    assert [line.points[-1][0] for line in lines] == [100, 100, 110, 110]
    assert list(learning_lines(records, "autoencoder")) == []
    assert learning(tmp_path) is None
    (tmp_path / "training.json").write_text(json.dumps(records[-1]))
    section = learning(tmp_path)
    assert section is not None
    assert "2 trainings" in section.text
    assert any("](learning.webp)" in line for line in section.written(tmp_path))
    with Image.open(tmp_path / "learning.webp") as picture:
        assert picture.size == section.pictures["learning"].size


def test_a_distillation_has_a_chart_of_its_own(tmp_path: Path) -> None:
    rows = [
        {"step": 8.0, "minutes": float(minutes), "loss_0": 0.2 / minutes, "loss_1": 0.4 / minutes} for minutes in (1, 2)
    ]
    (line,) = distilled_lines({"distilled": {"curve": rows}})
    assert [point[1] for point in line.points] == pytest.approx([0.3, 0.15])
    heights = []
    for more in ({}, {"distilled": {"curve": rows}}):
        (tmp_path / "training.json").write_text(json.dumps(record(10) | more))
        section = learning(tmp_path)
        assert section is not None
        heights.append(section.pictures["learning"].height)
    assert heights[1] == 2 * heights[0]


def test_permanence_is_drawn_where_it_was_measured() -> None:
    controls = {RENDERS: 1.0, OTHERS: 0.2}
    rows = [Row(f"same colour after {k} hidden frames", 0.9, 20, 0.7, 0.97, controls=controls) for k in (1, 4)]
    assert permanence([Row("colour", 0.9, 20, 0.7, 0.97)]) is None
    one = permanence(rows)
    both = permanence([*rows, Row("same solid after 8 hidden frames", 0.9, 20, 0.7, 0.97)])
    assert one is not None
    assert both is not None
    assert both.pictures["permanence"].height == 2 * one.pictures["permanence"].height
    assert len(places(one.pictures["permanence"], 0)) > 50


def test_the_report_has_every_part_with_its_numbers_and_pictures(tmp_path: Path) -> None:
    case = Case("plain", 0, held_out_programs(1)[0], "a red ball")
    judged = [Judged(case, torch.zeros(17, 16, 16, 3, dtype=torch.uint8), {MADE: {"colour": 1.0}})]
    drawn = {"one": Image.new("RGB", (8, 8), "red"), "two": Image.new("RGB", (8, 8), "blue")}
    section = Section("Long takes", "How they drift.", drawn, {"drift": {"colour": [0, 1]}}, ["1. a red ball"])
    write_report(tmp_path, [Row("colour", 1.0, 1, 0.2, 1.0)], judged, {"steps": 8, "guidance": 1}, [section])
    text, data = (tmp_path / "REPORT.md").read_text(), json.loads((tmp_path / "report.json").read_text())
    assert text.index("| colour |") < text.index("## Long takes") < text.index("## Failures")
    linked = set(re.findall(r"\]\(([\w-]+\.webp)\)", text))
    assert linked == {path.name for path in tmp_path.glob("*.webp")} == {
        "report.webp", "failures.webp", "one.webp", "two.webp",
    }  # fmt: skip
    assert data["curves"] == {"drift": {"colour": [0, 1]}}
    assert data["rows"][0]["name"] == "colour"


def test_charts_stand_below_each_other_so_that_a_telephone_shows_their_words() -> None:
    one, other = Image.new("RGB", (10, 20), "red"), Image.new("RGB", (5, 30), "blue")
    both = stacked([one, other])
    assert both.size == (10, 50)
    assert both.getpixel((4, 49)) == (0, 0, 255)


def test_minutes_are_told_with_the_cores_that_they_are_of() -> None:
    assert [of_cores({"cores": count}) for count in (1, 2, 0)] == [" of one core", " of 2 cores", ""]
    assert of_cores({}) == ""
    shipped = scaling(Path("assets/tabletop")), ablations(Path("assets/tabletop"))
    assert all(section and " minutes of one core each" in section.text for section in shipped)
