"""The figures of long takes: what `drift.py` found in them, as rows, curves and pictures of the report."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from PIL import Image

from pipeline.tabletop.charts import Axis, Line, draw_chart, stacked
from pipeline.tabletop.drift import WITH, WITHOUT, Curve, Found, LongTakes, read_take
from pipeline.tabletop.report import BARS, STILL_THERE, Row, Section, around_mean, sheet, strip, wilson
from pipeline.tabletop.sampling import Case

DOING: Final = "solid does what was asked at the end of a long take"
MOVEMENT: Final = "movement in the last third of a long take, of that in the first third"
COLOUR: Final = "colour of the last second, from the first one's (of 255)"
SHARPNESS: Final = "sharpness of the last second, more or less than the first one's"

TOLD: Final = {WITH: "with the correction", WITHOUT: "without the correction", "renders": "renders"}

SHOWN: Final = 8
"""Takes on the contact sheet."""

SECONDS: Final = Axis("seconds", low=0)

Figure = TypeVar("Figure", float, Curve)


def rows_of_takes(found: list[Found]) -> Iterator[Row]:
    """The figures of the report: those of the end, and how much still moves in what should."""
    yield share_row(STILL_THERE, [one.there for one in found])
    yield share_row(DOING, [one.does for one in found])
    moving = [one for one in found if one.moves]
    if moving:
        yield mean_row(MOVEMENT, moving, movement_left, True)
    yield mean_row(COLOUR, found, colour_change)
    yield mean_row(SHARPNESS, found, sharpness_change)


def share_row(name: str, verdicts: list[dict[str, float]]) -> Row:
    """In how many takes something is so, and in how many controls."""
    n, shares = len(verdicts), means_of(verdicts)
    share = shares.pop(WITH)
    low, high = wilson(round(share * n), n)
    controls = {TOLD.get(kind, kind): value for kind, value in shares.items()}
    return Row(name, share, n, low, high, BARS.get(name), controls=controls)


def mean_row(name: str, found: list[Found], measure: Callable[[Found, str], float], better: bool = False) -> Row:
    """The mean of a measure over takes, and over their controls; whether more of it is better."""
    value, low, high = around_mean([measure(one, WITH) for one in found])
    controls = means_of([{TOLD[way]: measure(one, way) for way in one.colour if way != WITH} for one in found])
    return Row(name, value, len(found), low, high, higher_is_better=better, controls=controls)


def means_of(found: list[dict[str, Figure]]) -> dict[str, Figure]:
    """The mean of each figure, or of each point of a curve, over the takes that have it."""
    names = dict.fromkeys(name for one in found for name in one)
    return {name: np.mean([one[name] for one in found if name in one], 0).tolist() for name in names}


def colour_change(found: Found, way: str) -> float:
    """How far a take's colour has gone by its last second."""
    return found.colour[way][-1]


def sharpness_change(found: Found, way: str) -> float:
    """By what share a take has become sharper or softer by its last second: rings around edges count as sharp."""
    return abs(found.sharpness[way][-1] - 1)


def movement_left(found: Found, way: str) -> float:
    """How much changes in the last third of a take, of what does in its first."""
    return float(np.mean(of_first_third(found.movement[way])[-third(found.movement[way]) :]))


def third(curve: Curve) -> int:
    """How many points are a third of a curve, one at least."""
    return max(len(curve) // 3, 1)


def of_first_third(curve: Curve) -> Curve:
    """A curve as shares of its mean in the first third."""
    found: Curve = (np.asarray(curve) / max(float(np.mean(curve[: third(curve)])), 1e-6)).tolist()
    return found


def mean_curves(curves: list[dict[str, Curve]]) -> dict[str, Curve]:
    """The mean over takes in each second, by way of making."""
    return {TOLD[way]: mean for way, mean in means_of(curves).items()}


def curves_of(found: list[Found]) -> dict[str, dict[str, Curve]]:
    """The mean curves of colour and sharpness, and of movement over the takes that should move, if any."""
    movement = [{way: of_first_third(curve) for way, curve in f.movement.items()} for f in found if f.moves]
    return {
        "colour": mean_curves([f.colour for f in found]),
        "sharpness": mean_curves([f.sharpness for f in found]),
        **({"movement": mean_curves(movement)} if movement else {}),
    }


CHARTS: Final = {
    "colour": ("Mean colour, from the first second's", Axis("of 255", low=0)),
    "sharpness": ("Sharpness, of the first second's", Axis("", percent=True)),
    "movement": ("Movement, of the first third's", Axis("", percent=True)),
}


def section_of_takes(found: list[Found], takes: LongTakes, cases: list[Case], folder: Path) -> Section:
    """The report's part on long takes: the curves, and takes as they came."""
    data = curves_of(found)
    charts = [draw_chart(title, lines_of(data[n]), SECONDS, up) for n, (title, up) in CHARTS.items() if n in data]
    shown = cases[:SHOWN]
    strips = [strip(read_take(folder, case, WITH)) for case in shown]
    prompts = [f"{number}. {case.prompt}" for number, case in enumerate(shown, 1)]
    text = (
        f"{len(found)} takes of {takes.seconds:g} seconds, of held-out scenes in which nothing leaves the picture, "
        f"made in parts as the app makes them, and the first {takes.twice} once more without the correction: there "
        "details are guided as strongly as the motion, which adds contrast to each part anew. Means over the "
        f"takes of each kind, of movement over the {sum(one.moves for one in found)} that turn or bounce; renders tell "
        "how much such scenes change by themselves."
    )
    pictures = {"drift": stacked(charts), "long-takes": Image.fromarray(sheet(strips))}
    return Section("Long takes", text, pictures, {"drift": {**data, "seconds": takes.seconds}}, prompts)


def lines_of(curves: dict[str, Curve]) -> list[Line]:
    """Curves over the seconds, that of renders dashed."""
    return [
        Line(name, [(second + 0.5, value) for second, value in enumerate(curve)], dashed=name == TOLD["renders"])
        for name, curve in curves.items()
    ]
