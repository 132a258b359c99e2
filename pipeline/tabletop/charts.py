"""Line charts as small pictures, for the report, drawn at twice their size so that they are smooth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil, floor, log10
from typing import Final

from PIL import Image, ImageDraw, ImageFont

INK: Final = (60, 56, 48)
FAINT: Final = (228, 224, 214)
PAPER: Final = (252, 250, 245)
PENS: Final = ((196, 62, 40), (34, 102, 166), (66, 138, 76), (160, 112, 24), (122, 78, 152), (90, 90, 90))
SCALE: Final = 2
TEXT: Final = 12
LEFT, RIGHT, BELOW, ROW = 56, 14, 40, 17
"""Pixels around the field, and the height of a line of words."""

DASH: Final = 5
MOST_TICKS: Final = 6
DECADES: Final = 2.5
"""Over more powers of ten than this, only they are marked."""

NARROW: Final = 5
"""From one end of a logarithmic axis to the other, as a factor: on narrower ones round values are marked evenly."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """Points (across, up) under a name; `spans` are the ends of each one's interval.

    A dashed one is something to compare with; one that is not joined shows its points alone. `pen` is its colour's
    number, where it is another than its place among the lines.
    """

    name: str
    points: Sequence[Point]
    spans: Sequence[Point] = ()
    dashed: bool = False
    joined: bool = True
    pen: int | None = None


@dataclass(frozen=True)
class Axis:
    """What is told along one side, by powers of ten or evenly, and how far: as far as the points go if left out."""

    name: str
    log: bool = False
    low: float | None = None
    high: float | None = None
    percent: bool = False

    def reaching(self, values: Iterable[float]) -> "Axis":
        """The same from one end of the values to the other, where it has no ends of its own."""
        seen = list(values)
        low = min(seen) if self.low is None else self.low
        high = max(seen) if self.high is None else self.high
        if low == high:
            low, high = (low / 2, high * 2) if self.log else (low - 0.5, high + 0.5)
        return Axis(self.name, self.log, low, high, self.percent)

    def share(self, value: float) -> float:
        """Where a value lies, from 0 at one end to 1 at the other."""
        assert self.low is not None
        assert self.high is not None
        low, high, at = (log10(v) if self.log else v for v in (self.low, self.high, max(value, self._least)))
        return min(max((at - low) / (high - low), 0.0), 1.0)

    @property
    def _least(self) -> float:
        return 1e-300 if self.log else float("-inf")

    def ticks(self) -> list[float]:
        """Round values between both ends."""
        assert self.low is not None
        assert self.high is not None
        if self.log and self.high > NARROW * self.low:
            steps = (1,) if log10(self.high / self.low) > DECADES else (1, 2, 5)
            powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            return [
                s * 10.0**p for p in powers for s in steps if self.low <= s * 10.0**p * 1.000001 <= self.high * 1.01
            ]
        step = nice_step((self.high - self.low) / MOST_TICKS)
        return [n * step for n in range(ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9) + 1)]

    def told(self, value: float) -> str:
        """A value in words."""
        return f"{value:.0%}" if self.percent else f"{value:.6g}"


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, ... that is not below this."""
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * 0.999)


@dataclass(frozen=True)
class Field:
    """Where the lines are drawn: its corners, in pixels as drawn, and both axes."""

    pen: ImageDraw.ImageDraw
    left: int
    top: int
    right: int
    bottom: int
    across: Axis
    up: Axis

    def at(self, point: Point) -> Point:
        """Where a point is in the picture."""
        x, y = self.across.share(point[0]), self.up.share(point[1])
        return self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top)


def write(pen: ImageDraw.ImageDraw, at: Point, text: str, anchor: str, size: int = TEXT) -> None:
    """Put words into a picture."""
    pen.text(at, text, INK, ImageFont.load_default(size * SCALE), anchor)


def draw_chart(
    title: str, lines: Sequence[Line], across: Axis, up: Axis, size: tuple[int, int] = (460, 300)
) -> Image.Image:
    """A chart of lines with their names above it."""
    width, height = (side * SCALE for side in size)
    picture = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(picture)
    write(pen, (LEFT * SCALE, 6 * SCALE), title, "la", TEXT + 1)
    rows = name_lines(pen, lines, width)
    points = [point for line in lines for point in (*line.points, *spans_of(line))]
    field = Field(
        pen, LEFT * SCALE, (ROW * (rows + 2) + 10) * SCALE, width - RIGHT * SCALE, height - BELOW * SCALE,
        across.reaching(x for x, _ in points), up.reaching(y for _, y in points),
    )  # fmt: skip
    draw_axes(field)
    for number, line in enumerate(lines):
        draw_line(field, line, colour_of(line, number))
    return picture.reduce(SCALE)


def spans_of(line: Line) -> list[Point]:
    """The ends of a line's intervals as points."""
    return [(point[0], end) for point, span in zip(line.points, line.spans, strict=False) for end in span]


def colour_of(line: Line, number: int) -> tuple[int, int, int]:
    """A line's colour."""
    return PENS[(number if line.pen is None else line.pen) % len(PENS)]


def name_lines(pen: ImageDraw.ImageDraw, lines: Sequence[Line], width: int) -> int:
    """Write the names of lines, each once, beside a stroke of theirs; return how many rows that took."""
    x, y, rows = LEFT * SCALE, (ROW + 8) * SCALE, 1
    font = ImageFont.load_default(TEXT * SCALE)
    for number, line in enumerate(lines):
        if not line.name or line.name in [other.name for other in lines[:number]]:
            continue
        length = 30 * SCALE + round(font.getlength(line.name))
        if x + length > width and x > LEFT * SCALE:
            x, y, rows = LEFT * SCALE, y + ROW * SCALE, rows + 1
        middle = y + ROW * SCALE // 2
        stroke(pen, ((x, middle), (x + 16 * SCALE, middle)), colour_of(line, number), line.dashed)
        write(pen, (x + 20 * SCALE, middle), line.name, "lm")
        x += length
    return rows


def draw_axes(field: Field) -> None:
    """Faint lines at round values, with the values beside them and the names of both axes."""
    pen = field.pen
    for value in field.across.ticks():
        x, _ = field.at((value, field.up.low or 0))
        pen.line((x, field.top, x, field.bottom), FAINT, SCALE)
        write(pen, (x, field.bottom + 4 * SCALE), field.across.told(value), "ma")
    for value in field.up.ticks():
        _, y = field.at((field.across.low or 0, value))
        pen.line((field.left, y, field.right, y), FAINT, SCALE)
        write(pen, (field.left - 5 * SCALE, y), field.up.told(value), "rm")
    pen.line((field.left, field.top, field.left, field.bottom, field.right, field.bottom), INK, SCALE)
    write(pen, ((field.left + field.right) / 2, field.bottom + 22 * SCALE), field.across.name, "ma")
    write(pen, (6 * SCALE, field.top - 4 * SCALE), field.up.name, "ls")


def draw_line(field: Field, line: Line, colour: tuple[int, int, int]) -> None:
    """Draw a line with the intervals of its points."""
    places = [field.at(point) for point in line.points]
    if line.joined:
        stroke(field.pen, places, colour, line.dashed)
    if not line.joined or line.spans or len(places) == 1:
        for x, y in places:
            box = (x - 2.5 * SCALE, y - 2.5 * SCALE, x + 2.5 * SCALE, y + 2.5 * SCALE)
            field.pen.ellipse(box, colour)
    for point, (low, high) in zip(line.points, line.spans, strict=False):
        field.pen.line((field.at((point[0], low)), field.at((point[0], high))), colour, SCALE)


def stroke(pen: ImageDraw.ImageDraw, places: Sequence[Point], colour: tuple[int, int, int], dashed: bool) -> None:
    """Draw through places in the picture, whole or in dashes."""
    if not dashed:
        pen.line(list(places), colour, 2 * SCALE, joint="curve")
        return
    for (x, y), (to_x, to_y) in pairwise(places):
        length = max(((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5, 1e-6)
        count = max(round(length / (DASH * SCALE)), 1)
        along = partial(between, (x, y), (to_x, to_y))
        for part in range(0, count, 2):
            pen.line((along(part / count), along(min(part + 1, count) / count)), colour, SCALE)


def between(one: Point, other: Point, share: float) -> Point:
    """The point so far from one to the other."""
    return one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1])


def stacked(charts: Sequence[Image.Image]) -> Image.Image:
    """Charts below each other: beside each other they would be too small to read on a telephone."""
    whole = Image.new("RGB", (max(chart.width for chart in charts), sum(chart.height for chart in charts)), PAPER)
    y = 0
    for chart in charts:
        whole.paste(chart, (0, y))
        y += chart.height
    return whole
