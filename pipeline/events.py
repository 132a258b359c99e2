"""What a backend tells whoever follows a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Latents = NDArray[np.float32]


@dataclass(frozen=True)
class Waiting:
    """The run waits for what it needs first: a GPU that is lent, a Space that wakes up."""

    what: str


@dataclass(frozen=True)
class Loading:
    """The model is being loaded into memory."""

    model: str


@dataclass(frozen=True)
class Again:
    """What was done is lost, and made again in another way: `why`, and how."""

    why: str


@dataclass(frozen=True)
class Step:
    """Denoising step `index` of `total` is done; the preview is (frames, height, width, 3), a quarter of the size.

    A backend says how many `seconds` the steps took; whoever follows the whole run, how many are left of it. Of a take
    in `parts`, steps are counted through all of them, and `part_left` is what is left of the one that is made.
    """

    index: int
    total: int
    preview: Pixels | None
    seconds_left: float | None = None
    seconds: float = 0.0
    part: int = 1
    parts: int = 1
    part_left: float | None = None


@dataclass(frozen=True)
class PartDone:
    """A part of a take is made, by its number from 1 on: its frames, small, and what it takes to go on after it."""

    part: int
    parts: int
    frames: Pixels
    latents: Latents
    steps: int
    marks: Mapping[str, str]


@dataclass(frozen=True)
class Watchable:
    """A part of a take can be watched, in a file of its own."""

    part: int
    parts: int
    file: str


@dataclass(frozen=True)
class Decoding:
    """So many of the clip's frames are decoded and encoded."""

    done: int
    total: int
    seconds_left: float | None = None


Told = Waiting | Loading | Again | Step | PartDone
Listener = Callable[[Told], None]
IsCancelled = Callable[[], bool]
