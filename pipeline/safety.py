"""Checks of what came out, so that a broken clip is never called done."""

from collections.abc import Iterable, Iterator

import numpy as np

from pipeline.errors import BadClip
from pipeline.events import Latents, Pixels

# Levels of 0..255: H.264 turns black into up to this much.
DARKEST = 4


def check_latents(latents: Latents) -> None:
    """Raise BadClip when a value is NaN or infinite."""
    if not np.isfinite(latents).all():
        raise BadClip("The model's result is not a number everywhere. Try another seed or less guidance.")


def check_clip(frames: Iterable[Pixels]) -> Iterator[Pixels]:
    """Pass frames on as they come; raise BadClip at the end when all of them were black."""
    brightest = 0
    for piece in frames:
        brightest = max(brightest, int(piece.max(initial=0)))
        yield piece
    if brightest <= DARKEST:
        raise BadClip("The clip came out black throughout. Try another seed or other words.")
