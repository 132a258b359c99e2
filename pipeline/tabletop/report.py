"""The report on the shipped weights: figures with intervals, bars and controls, and contact sheets, none chosen."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from torch import Tensor

from pipeline.tabletop.sampling import Case
from pipeline.tabletop.suites import ADHERENCE, GIVEN_LOSS, MADE, ORBIT_ERROR, OTHERS, Verdicts

STILL_THERE: Final = "solid there at the end of a long take, in its colour"
MEAN_DB: Final = "autoencoder PSNR, mean (dB)"
WORST_DB: Final = "autoencoder PSNR, worst clip (dB)"

BARS: Final = {
    "colour": 0.97,
    "solid": 0.93,
    "floor": 0.98,
    "sky": 0.98,
    "moving": 0.85,
    "motion": 0.92,
    "camera": 0.90,
    "second object": 0.85,
    "same colour after 8 hidden frames": 0.90,
    "same solid after 8 hidden frames": 0.85,
    "resting solid unchanged after something passed": 0.95,
    "pushed solid moves only after contact": 0.85,
    "mirrored colour": 0.85,
    "shadow away from the sun": 0.85,
    "nothing floats": 0.95,
    ORBIT_ERROR: 2.0,
    GIVEN_LOSS: 1.0,
    STILL_THERE: 0.80,
    MEAN_DB: 32.0,
    WORST_DB: 26.0,
}

LOWER_IS_BETTER: Final = (ORBIT_ERROR, GIVEN_LOSS)
FAILURES: Final = 10


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

    @property
    def reached(self) -> bool:
        """Whether the value is at its bar or on the better side of it."""
        return self.bar is None or (self.value >= self.bar if self.higher_is_better else self.value <= self.bar)

    @property
    def verdict(self) -> str:
        """Whether it is, in words; nothing where there is no bar."""
        return "" if self.bar is None else ("reached" if self.reached else "**not reached**")


@dataclass(frozen=True)
class Judged:
    """A case with the clip that was made of it (uint8 frames), and what was found by the kind of clip."""

    case: Case
    clip: Tensor
    found: dict[str, Verdicts]

    @property
    def score(self) -> float:
        """Share of what was asked of the clip that is so."""
        found = self.found[MADE].items()
        asked = [value for name, value in found if value is not None and name not in LOWER_IS_BETTER]
        return sum(asked) / len(asked)

    @property
    def missed(self) -> list[str]:
        """What is not so."""
        return [name for name, value in self.found[MADE].items() if value == 0 and name not in LOWER_IS_BETTER]


@dataclass(frozen=True)
class Section:
    """A part of the report: its text, its pictures by the names of their files, its numbers, and a list of prompts."""

    title: str
    text: str
    pictures: dict[str, Image.Image] = field(default_factory=dict)
    curves: dict[str, object] = field(default_factory=dict)
    prompts: list[str] = field(default_factory=list)

    def written(self, folder: Path) -> list[str]:
        """Save the pictures, and return the lines."""
        for name, picture in self.pictures.items():
            picture.save(folder / f"{name}.webp", quality=85)
        shown = [line for name in self.pictures for line in (f"![{self.title}: {name}]({name}.webp)", "")]
        return [f"## {self.title}", "", self.text, "", *shown, *self.prompts, ""]


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson's score interval)."""
    z, share = 1.96, right / n
    centre = share + z * z / (2 * n)
    spread = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    low, high = (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)
    # At 0 and 1 the ends meet the share itself, but for rounding.
    return min(low, share), max(high, share)


def around_mean(values: list[float]) -> tuple[float, float, float]:
    """The mean with its 95 % interval by normal theory."""
    mean = float(np.mean(values))
    margin = 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return mean, mean - margin, mean + margin


def row_of(name: str, judged: list[Judged]) -> Row | None:
    """A figure over all cases that were asked for it; None where there was nothing to measure."""
    kinds: dict[str, list[float]] = {}
    for one in judged:
        for kind, verdicts in one.found.items():
            value = verdicts.get(name)
            if value is not None:
                kinds.setdefault(kind, []).append(value)
    made = kinds.pop(MADE, [])
    if not made:
        return None
    controls = {kind: float(np.mean(values)) for kind, values in kinds.items()}
    if name in LOWER_IS_BETTER:
        value, low, high = around_mean(made)
        return Row(name, value, len(made), low, high, BARS[name], higher_is_better=False, controls=controls)
    low, high = wilson(round(sum(made)), len(made))
    return Row(name, sum(made) / len(made), len(made), low, high, BARS.get(name), controls=controls)


def rows_of(judged: list[Judged]) -> Iterator[Row]:
    """A row per figure, in the order in which they were asked for."""
    names = dict.fromkeys(name for one in judged for name in one.found[MADE])
    names |= dict.fromkeys(name for one in judged for name in one.found[OTHERS])
    for name in (*ADHERENCE, *(name for name in names if name not in ADHERENCE)):
        row = row_of(name, judged)
        if row:
            yield row


def weight_sums(folder: Path) -> dict[str, str]:
    """SHA-256 of each weight file, so that a report names the weights that it judged."""
    files = sorted(folder.rglob("*.safetensors"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def strip(clip: Tensor) -> np.ndarray:
    """Six frames of a clip across."""
    index = np.linspace(0, len(clip) - 1, 6).round().astype(int)
    return np.concatenate([clip[i].numpy() for i in index], 1)


def sheet(rows: list[np.ndarray]) -> np.ndarray:
    """Strips in two columns: the left one first."""
    half = (len(rows) + 1) // 2
    rows = [*rows, *[np.full_like(rows[0], 255)] * (2 * half - len(rows))]
    columns = [np.concatenate(part, 0) for part in (rows[:half], rows[half:])]
    return np.concatenate(columns, 1)


def contact_sheet(judged: list[Judged], path: Path) -> None:
    """Clips, a row each, in two columns: the left one first."""
    Image.fromarray(sheet([strip(one.clip) for one in judged])).save(path, quality=85)


def failures(judged: list[Judged]) -> list[Judged]:
    """The worst ten by score; among equals the order is that of a sum of their prompts, which nobody chose."""

    def key(one: Judged) -> tuple[float, str]:
        return one.score, hashlib.sha256(f"{one.case.suite} {one.case.prompt}".encode()).hexdigest()

    return sorted(judged, key=key)[:FAILURES]


def format_row(row: Row) -> str:
    """A row of the report's table."""
    measure = "(" in row.name
    digits = "z.1f" if measure else "z.1%"
    values = [format(value, digits) for value in (row.value, row.low, row.high)]
    bar = "" if row.bar is None else f"{'≥' if row.higher_is_better else '≤'} {format(row.bar, digits)}"
    beside = "z.1f" if measure else "z.0%"
    controls = "; ".join(f"{name} {format(value, beside)}" for name, value in row.controls.items())
    return f"| {row.name} | {values[0]} | {row.n} | {values[1]} – {values[2]} | {bar} | {row.verdict} | {controls} |"


def in_short(row: Row) -> str:
    """A figure as the README tells it: three cells, what it is of, its value, and whether it is at its bar."""
    measure = "(" in row.name
    values = row.value, row.low, row.high, row.bar or 0
    value, low, high, bar = (format(one, "z.1f") if measure else f"{100 * one:z.0f} %" for one in values)
    within = f", {low.removesuffix(' %')}–{high}" if low != high else ""
    return f"{row.name} | {value} (n = {row.n}{within}) | {'' if row.bar is None else f'{bar}, {row.verdict}'}"


def numbered(judged: list[Judged], say_missed: bool) -> list[str]:
    """The prompts of a contact sheet."""
    missed = [f" (missed: {', '.join(one.missed)})" if say_missed else "" for one in judged]
    return [
        f"{number}. {one.case.prompt}{text}" for number, (one, text) in enumerate(zip(judged, missed, strict=True), 1)
    ]


def write_report(
    folder: Path, rows: list[Row], judged: list[Judged], settings: dict[str, float], sections: Sequence[Section] = ()
) -> None:
    """Write REPORT.md, report.json and the pictures."""
    first = [one for one in judged if one.case.suite == "plain"][:12]
    worst = failures(judged)
    contact_sheet(first, folder / "report.webp")
    contact_sheet(worst, folder / "failures.webp")
    curves = {name: curve for section in sections for name, curve in section.curves.items()}
    data = {
        "rows": [asdict(row) for row in rows],
        "curves": curves,
        "weights_sha256": weight_sums(folder),
        "settings": settings,
    }
    (folder / "report.json").write_text(json.dumps(data, indent=1) + "\n")
    lines = [
        *introduction(judged, settings),
        "| what | value | n | 95 % interval | bar | | controls |",
        "|---|---|---|---|---|---|---|",
        *map(format_row, rows),
        "",
        "The first twelve clips, left column then right, unchosen:",
        "",
        "![contact sheet](report.webp)",
        "",
        *numbered(first, say_missed=False),
        "",
        *(line for section in sections for line in section.written(folder)),
        "## Failures",
        "",
        f"The worst {len(worst)} of all {len(judged)} by the share of what was asked that they show; equals come in "
        "the order of a sum of their prompts. Left column then right:",
        "",
        "![the worst clips](failures.webp)",
        "",
        *numbered(worst, say_missed=True),
        "",
    ]
    (folder / "REPORT.md").write_text("\n".join(lines))


def introduction(judged: list[Judged], settings: dict[str, float]) -> list[str]:
    """What the report's figures are of."""
    late = 1 + (settings["guidance"] - 1) * settings.get("late", 1.0)
    return [
        "# What Tabletop can do, measured",
        "",
        f"Made by `make eval`: {len(judged)} clips of held-out programs, {settings['steps']:g} steps, guidance "
        f"{settings['guidance']:g}, {late:g} in the second half of the steps. The seven figures at the top are of "
        "scenes of one solid: an attribute counts as right where the probe reads in the clip what the prompt says. The "
        "others are told by colour and place, and solids by a reader of crops, each on scenes made for it; where "
        "something is hidden, or passed, the prompt leaves out what it is, and only the five first frames, which are "
        "given, show it. Intervals are 95 %: Wilson's for shares, by normal theory for means.",
        "",
        "Renders through the autoencoder are the most that a model of these latents could show. Frozen and shuffled "
        "clips must fail where motion is judged, clips of other prompts tell what chance is worth, and plain ones "
        "in half of the steps what steps are worth.",
        "",
    ]
