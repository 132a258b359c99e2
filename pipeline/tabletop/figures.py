"""The report's charts of what was trained, tried and permanent, wherever there are figures to draw."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final

from PIL import Image

from pipeline.tabletop.charts import PENS, Axis, Line, draw_chart, stacked
from pipeline.tabletop.claims import HIDDEN
from pipeline.tabletop.power_law import Law
from pipeline.tabletop.report import BARS, Row, Section
from pipeline.tabletop.scaling import CHART, RECORD, SAMPLES, drawn, named
from pipeline.tabletop.suites import OTHERS, RENDERS

CURVES: Final = {
    "transformer": {"held_out": "loss on held-out clips", "deaf": "the same with other clips' captions"},
    "autoencoder": {"psnr": "held-out clips, mean", "worst": "the worst of them"},
}
UP: Final = {"transformer": Axis("", log=True), "autoencoder": Axis("dB")}
MINUTES: Final = Axis("minutes of training")
KEPT: Final = ("colour", "solid")


def trainings(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of all trainings that led to a model, the first one first."""
    before = record.get("before")
    return [*(trainings(before) if before else []), record]


def learning_lines(records: Sequence[dict[str, Any]], part: str) -> Iterator[Line]:
    """Curves of a part over the minutes of all trainings, one after the other; each training is a line of its own."""
    spent = 0.0
    for record in records:
        rows = record["curves"].get(part, [])
        for pen, (key, name) in enumerate(CURVES[part].items()):
            points = [(spent + row["minutes"], row[key]) for row in rows if key in row]
            if points:
                yield Line(name, points, dashed=pen > 0, pen=pen)
        spent += rows[-1]["minutes"] if rows else 0.0


def distilled_lines(record: dict[str, Any]) -> Iterator[Line]:
    """How far a distilled model is from its teacher, the mean over its steps; nothing for one that was not."""
    rows = record.get("distilled", {}).get("curve", [])
    points = [(row["minutes"], mean(row[key] for key in row if key.startswith("loss_"))) for row in rows]
    if points:
        yield Line("loss against the teacher, mean over the steps", points)


def learning(model: Path) -> Section | None:
    """How the losses went, of all trainings in a model's record; nothing where it has none."""
    if not (model / "training.json").is_file():
        return None
    records = trainings(json.loads((model / "training.json").read_text()))
    charts = list[Image.Image]()
    for part, up in UP.items():
        lines = list(learning_lines(records, part))
        if lines:
            charts.append(draw_chart(f"The {part} learns", lines, MINUTES, up))
    if lines := list(distilled_lines(records[-1])):
        charts.append(draw_chart("Distillation to few steps", lines, MINUTES, UP["transformer"]))
    if not charts:
        return None
    text = (
        f"{len(records)} training{'s, one after the other' if len(records) > 1 else ''}, each a line of its own; "
        "[training.json](training.json) has the numbers. How much the loss rises with other clips' captions tells how "
        "much the model listens."
    )
    return Section("Training", text, {"learning": stacked(charts)})


def ablations(model: Path) -> Section | None:
    """What learned how fast, one thing changed at a time; nothing where that was not tried."""
    if not (model / "ablations.json").is_file():
        return None
    record = json.loads((model / "ablations.json").read_text())
    named = {way["name"]: [(row["minutes"], row["held_out"]) for row in way["curve"]] for way in record["ways"]}
    lines = [
        Line(name, points, dashed=number >= len(PENS), pen=number % len(PENS))
        for number, (name, points) in enumerate(named.items())
    ]
    chart = draw_chart("Held-out loss, one thing changed", lines, MINUTES, UP["transformer"], (620, 400))
    last = {way["name"]: way["curve"][-1] for way in record["ways"]}
    ends = "; ".join(f"{name} {row['held_out']:.3f} +{row['deaf'] - row['held_out']:.3f}" for name, row in last.items())
    text = (
        f"A small transformer ({record['size'].replace('x', ' wide, ')} layers) was trained in several ways, "
        f"{record['minutes']:g} minutes{of_cores(record)} each, from the same weights. Held-out loss at the end, and "
        f"what other clips' captions add to it, which tells how much is listened to: {ends}. "
        "[ablations.json](ablations.json) has the curves."
    )
    return Section("What learns fastest", text, {"ablations": chart})


def of_cores(record: dict[str, Any]) -> str:
    """Of how many cores a record's minutes are; nothing where it was a card or is not told."""
    cores = record.get("cores", 0)
    return f" of {'one core' if cores == 1 else f'{cores} cores'}" if cores else ""


def scaling(model: Path) -> Section | None:
    """How the loss falls with compute, and what sizes make of the same prompts; nothing where that was not tried."""
    if not (model / RECORD).is_file():
        return None
    record = json.loads((model / RECORD).read_text())
    law = Law(**record["fits"][record["chosen"]])
    sizes, clips = record["sizes"], record["data"]["clips"]
    ends = "; ".join(f"{in_words(one)} {one['curve'][-1]['held_out']:.3f}" for one in sizes)
    floor = f" + {law.floor:.3f}" if law.floor else ""
    text = (
        f"{len(sizes)} sizes were trained from nothing on the same {clips} clips in the same order, "
        f"{record['minutes'] / len(sizes):g} minutes{of_cores(record)} each. Held-out loss at the end: {ends}. The "
        f"best of them at each amount of compute follow loss = {law.scale:.3g} · FLOPs^-{law.power:.3f}{floor} within "
        f"{law.error:.1%}. [{RECORD}]({RECORD}) has the curves; `make scaling` makes them. Below, what the sizes make "
        "of the same prompts from the same seeds: the first, middle and last frame."
    )
    prompts = [f"{number}. {prompt}" for number, prompt in enumerate(record["samples"]["prompts"], 1)]
    samples = [f"![Scaling law: samples]({SAMPLES})", "", *prompts]
    return Section("Scaling law", text, {Path(CHART).stem: drawn(record)}, prompts=samples)


def in_words(size: dict[str, Any]) -> str:
    """A size of the scaling law with its weights."""
    return f"{named(size['size'])} ({sum(size['parameters'].values()) / 1e6:.1f} M weights)"


def permanence(rows: Sequence[Row]) -> Section | None:
    """What comes out of hiding as it went in, over how long it was hidden; nothing where that was not measured."""
    named = {row.name: row for row in rows}
    charts = list[Image.Image]()
    for what in KEPT:
        known = {k: row for k in HIDDEN if (row := named.get(f"same {what} after {k} hidden frames"))}
        if known:
            charts.append(draw_chart(f"Same {what} after hidden frames", permanence_lines(known, what), FRAMES, SHARE))
    if not charts:
        return None
    text = "Points with their 95 % intervals, over the frames for which the solid is hidden."
    return Section("Permanence", text, {"permanence": stacked(charts)})


FRAMES: Final = Axis("frames hidden", low=0, high=max(HIDDEN) + 1)
SHARE: Final = Axis("", low=0, high=1, percent=True)


def permanence_lines(known: dict[int, Row], what: str) -> list[Line]:
    """The measured shares with their intervals, their controls, and the bar at the end."""
    points = [(float(k), row.value) for k, row in known.items()]
    lines = [Line("measured", points, [(row.low, row.high) for row in known.values()])]
    for kind in (RENDERS, OTHERS):
        lines.append(Line(kind, [(float(k), row.controls[kind]) for k, row in known.items() if kind in row.controls]))
    bar = BARS[f"same {what} after {max(HIDDEN)} hidden frames"]
    lines.append(Line("bar", [(max(HIDDEN) - 0.5, bar), (max(HIDDEN) + 0.5, bar)], dashed=True))
    return [line for line in lines if line.points]
