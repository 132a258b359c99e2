"""What a backend tells whoever follows a run."""

from collections.abc import Callable
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

    A backend says how many `seconds` the steps took; whoever follows the whole run, how many are left of it.
    """

    index: int
    total: int
    preview: Pixels | None
    seconds_left: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Decoding:
    """So many of the clip's frames are decoded and encoded."""

    done: int
    total: int
    seconds_left: float | None = None


Told = Waiting | Loading | Again | Step
Listener = Callable[[Told], None]
IsCancelled = Callable[[], bool]
