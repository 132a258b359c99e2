"""What every backend gives back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.events import Latents, Pixels
from pipeline.halfway import Halfway


@dataclass(frozen=True)
class Take:
    """What a backend made: latents, and their frames, decoded only as they are read. Timings in seconds.

    `peak_mb` tells, once the frames are read, the peak of a card's memory in MB, or None where it is a processor's;
    `revision` is the commit of a hosted model's weights or a digest of those that ship, `where` the Space that made it,
    if any. `notes` say what went otherwise than planned, and are complete once all frames are read. `halfway` is what
    it takes to go on with a take that was stopped.
    """

    latents: Latents
    frames: Iterator[Pixels]
    steps_done: int
    steps: int
    timings: dict[str, float]
    measures: dict[str, float]
    peak_mb: Callable[[], float | None]
    revision: str = ""
    where: str = ""
    notes: Sequence[str] = ()
    halfway: Halfway | None = None
