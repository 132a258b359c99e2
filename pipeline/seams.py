"""How well frames are joined: the change across a join over the usual change from frame to frame."""

from collections.abc import Sequence
from statistics import median

import numpy as np

from pipeline.events import Pixels

# Mean change of a grey level, 0..255, below which a clip stands still.
STILL = 0.05


class SeamGauge:
    """Takes a clip's frames as they come and knows how much each differs from the one before it."""

    def __init__(self) -> None:
        self._changes: list[float] = []
        self._first: Pixels | None = None
        self._last: Pixels | None = None

    def feed(self, piece: Pixels) -> None:
        """Take the next frames (n, height, width, 3)."""
        for frame in piece:
            if self._last is not None:
                self._changes.append(_change(self._last, frame))
            self._first = frame if self._first is None else self._first
            self._last = frame

    def worst(self, joins: Sequence[int]) -> float | None:
        """Return the largest change at the joins over the median of the others, None where the clip stands still.

        Changes that nobody sees are left out of the median: a slow clip holds each of its frames for several.

        A join is the frame after it; 0 stands for the join from the last frame to the first.
        """
        if self._first is None or self._last is None:
            return None
        inside = [change for frame, change in enumerate(self._changes, 1) if frame not in joins and change > STILL]
        across = [self._changes[join - 1] if join else _change(self._last, self._first) for join in joins]
        return max(across) / median(inside) if across and inside else None


def calm_start(pictures: Pixels) -> int:
    """Return the picture (n, height, width, 3) of an endless loop that differs least from the one before it."""
    changes = [_change(before, after) for before, after in zip(np.roll(pictures, 1, axis=0), pictures, strict=True)]
    return int(np.argmin(changes))


def _change(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())
