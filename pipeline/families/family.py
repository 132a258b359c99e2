"""What every family of models can do for a backend, and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from pipeline.events import IsCancelled, Latents, Pixels
from pipeline.families.codec import Codec
from pipeline.families.preview import Preview
from pipeline.families.text_encoder import TextEncoder
from pipeline.given.footage import Excerpt
from pipeline.halfway import Tensors
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan
from pipeline.planning.segments import Segment

OnStep = Callable[[int, int, Pixels], None]
Read = Callable[[Excerpt], Pixels]
TextEmbeds = Mapping[str, Tensor | None]


class Source(Protocol):
    """What a segment is made from: excerpts, which are read, and the latents of the segments that are `made`."""

    made: Sequence[Latents]

    def __call__(self, excerpt: Excerpt, /) -> Pixels:
        """Return the frames of an excerpt (frames, height, width, 3) at the size of the plan."""


@dataclass(frozen=True)
class Sample:
    """What denoising left: normalised latents (1, channels, frames, height, width) after so many of its steps.

    `change` is how far they are from what they started from, 0..1 (see strengths.CHANGES), None where from noise;
    `state` is what it takes to do the other steps, None after the last one.
    """

    latents: Latents
    steps_done: int
    steps: int
    change: float | None = None
    state: Tensors | None = None


class Family(Protocol):
    """A loaded model with its parts, and what a segment needs done."""

    spec: ModelSpec
    codec: Codec
    pipe: Any
    preview: Preview
    words: TextEncoder

    def device_memory_mb(self) -> float | None:
        """Return the peak of a card's memory in MB, or None on a processor."""

    def encode_text(self, plan: Plan, segment: Segment) -> TextEmbeds:
        """Encode the prompt, and what guidance steers away from, as arguments of the pipeline's call."""

    def run_segment(
        self, plan: Plan, segment: Segment, text: TextEmbeds, read: Source, on_step: OnStep, cancelled: IsCancelled
    ) -> Sample:
        """Denoise one segment; when cancelled, stop after the step and return what the model had by then.

        A plan that resumes a take goes on after its last step, to the same latents as without a stop.
        """
