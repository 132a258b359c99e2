"""The segments of a plan, made one after the other: each is given the last frames of the one that it follows."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipeline.backends.belonging import marks_of
from pipeline.backends.cutting import Reader, made_of
from pipeline.backends.steps import Steps
from pipeline.errors import Cancelled, NotFound
from pipeline.events import IsCancelled, Latents, Listener, PartDone, Pixels
from pipeline.halfway import read_halfway
from pipeline.plan import Plan
from pipeline.planning.segments import Made
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.families.family import Family, Sample, TextEmbeds

LATENTS = "latents"
# The longer side of what is only looked at, in pixels.
SMALL = 320
REDUCED = Image.Resampling.BOX
Text = Callable[["Family", Plan], "TextEmbeds"]


class Chain:
    """What is made of a plan so far; it outlives a change of where weights lie.

    A take in parts tells each one that is done. Where it is stopped, the one that was being made is given up, but for
    the first.
    """

    def __init__(self, plan: Plan, settings: Settings, on_event: Listener, cancelled: IsCancelled) -> None:
        self.samples: list[Sample] = []
        self._begun = [Path(each.file) for each in plan.begun]
        self._marks = marks_of(plan, settings) if len(plan.segments) > 1 else {}
        self._on_event = on_event
        self._cancelled = cancelled

    @property
    def latents(self) -> Latents:
        """The latents of all segments, one after the other."""
        return np.concatenate([sample.latents for sample in self.samples], axis=2)

    def make(self, family: "Family", plan: Plan, text: Text, read: Reader) -> None:
        """Make the segments that are not made yet, as far as nobody stops it."""
        steps = Steps(plan, self._on_event, self._cancelled)
        texts: dict[str, TextEmbeds] = {}
        for number in range(len(self.samples), len(plan.segments)):
            if number and self._cancelled():
                return
            steps.begin(number)
            alone = plan.alone(number)
            (segment,) = alone.segments
            sample = self._kept(number)
            if sample is None:
                if segment.prompt not in texts:
                    texts[segment.prompt] = text(family, alone)
                # Stopped between two parts, it ends with the one before.
                read.made = [each.latents for each in self.samples]
                with suppress(*[Cancelled] if number else []):
                    sample = family.run_segment(alone, segment, texts[segment.prompt], read, steps, steps.over)
            if sample is None or (number and sample.steps_done < sample.steps):
                return
            self.samples.append(sample)
            if len(plan.segments) > 1:
                self._show(family, plan, number, read)

    def _kept(self, number: int) -> "Sample | None":
        """Return a segment that was made before, with the same weights and for the same take."""
        from pipeline.families.family import Sample

        if number >= len(self._begun):
            return None
        with suppress(NotFound):
            kept = read_halfway(self._begun[number])
            if kept.marks == self._marks and LATENTS in kept.tensors:
                return Sample(kept.tensors[LATENTS], kept.steps, kept.steps)
        self._begun = self._begun[:number]
        return None

    def _show(self, family: "Family", plan: Plan, number: int, read: Reader) -> None:
        sample = self.samples[number]
        if sample.steps_done < sample.steps:
            return
        part = next(each for each in plan.timeline if isinstance(each, Made) and each.segment == number)
        frames = made_of(family, plan.alone(number), sample.latents, part, read)
        read.shown.keep(part, frames)
        self._on_event(
            PartDone(number + 1, len(plan.segments), small(frames), sample.latents, sample.steps, self._marks)
        )


def small(frames: Pixels) -> Pixels:
    """Return frames (n, height, width, 3) as they are only looked at: of even sides, as clips have them."""
    times = -(-max(frames.shape[1:3]) // SMALL)
    if times == 1:
        return frames
    height, width = (2 * max(round(side / times / 2), 1) for side in frames.shape[1:3])
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height), REDUCED)) for frame in frames])
