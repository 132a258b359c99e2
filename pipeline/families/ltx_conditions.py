"""How a segment is told to LTXConditionPipeline: its pins as conditions, its source as latents at a noise level."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from PIL import Image
from torch import Tensor

from pipeline.events import Pixels
from pipeline.families.family import Read, Source
from pipeline.families.stand_in import stand_in
from pipeline.given.footage import Excerpt
from pipeline.plan import BEFORE
from pipeline.planning.segments import Segment

# Latent frames of a later clip that become tokens in front: the pipeline's num_prefix_latent_frames.
PREFIX = 2
# Sigmas nearer to each other than this are one, as the pipeline and its scheduler have it.
TOLERANCE = 1e-6


def given_latents(segment: Segment, shape: tuple[int, int, int], grid: int) -> Tensor:
    """How strongly each latent (frames, height, width) is given.

    What stands at frame 0 takes its place. Elsewhere a picture, and a clip's first latents, are tokens in front; the
    rest of a clip takes its place.
    """
    given = torch.zeros(shape)
    for pin in segment.pins:
        first = pin.frame // grid + (PREFIX if pin.frame else 0)
        given[first : pin.frame // grid + (pin.given.frames - 1) // grid + 1] = pin.strength
    return given


def make_conditions(segment: Segment, read: Read) -> list[LTXVideoCondition] | None:
    """Return the pictures and clips that are given, None where there are none, as the pipeline wants it."""
    conditions = []
    for pin in segment.pins:
        frames = [Image.fromarray(frame) for frame in read(pin.given)]
        shown = {"image": frames[0]} if len(frames) == 1 else {"video": frames}
        conditions.append(LTXVideoCondition(**shown, frame_index=pin.frame, strength=pin.strength))
    return conditions or None


def scheduled(start: Tensor | None, levels: Sequence[float], taught: bool) -> dict[str, Any]:
    """Return what makes the pipeline denoise from the first of these noise levels, and take up latents at it.

    It counts a strength in steps and ignores latents at a strength of one; a timestep in front that is never taken
    makes it start at the second, whichever it is. From noise alone it has a schedule of its own, except for the levels
    that a distilled model was `taught`.
    """
    timesteps = [1000 * level for level in levels]
    if start is None:
        return {"timesteps": timesteps} if taught else {}
    count = len(timesteps)
    strength = (count + 0.5) / (count + 1)
    return {"latents": start, "timesteps": [1000.0, *timesteps], "denoise_strength": strength}


def made_before(segment: Segment, read: Source, shape: tuple[int, int, int]) -> Tensor | None:
    """Return the latents of the segment that this one goes on from; None where there is none, or of another size.

    `shape` is that of this one's latents (frames, height, width).
    """
    first = segment.pins[0] if segment.pins else None
    if first is None or (first.frame, first.given.file, first.strength) != (0, BEFORE, 1.0) or not read.made:
        return None
    made = torch.from_numpy(read.made[-1])
    return made if made.shape[-2:] == shape[-2:] else None


def going_on(vae: Any, before: Tensor | None) -> AbstractContextManager[None]:
    """Have the pipeline take the end of what was made before as it is: whatever is encoded anew has lost something.

    `before` are latents as the autoencoder gives them (1, channels, frames, height, width), or None where nothing is
    gone on from. A clip's first latent is of one frame, and is encoded; the others, of as many frames as the grid, are
    the same in both segments.
    """
    if before is None:
        return nullcontext()
    # What a segment goes on from is encoded first; what is encoded after it was not made before.
    encode, once = vae.encode, iter([before])

    def encoded(*args: Any, **kwargs: Any) -> Any:
        result = encode(*args, **kwargs)
        if (made := next(once, None)) is not None:
            result.latent_dist = _Ends(result.latent_dist, made)
        return result

    return stand_in(vae, "encode", encoded)


@dataclass(frozen=True)
class _Ends:
    """A distribution of latents of which all but the first are known."""

    encoded: DiagonalGaussianDistribution
    before: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Return the latents, the known ones from the end of what was made before."""
        latents = self.encoded.sample(generator)
        known = latents.shape[2] - 1
        return torch.cat([latents[:, :, :1], self.before[:, :, self.before.shape[2] - known :].to(latents)], 2)


def at_size(read: Read, size: tuple[int, int]) -> Read:
    """Return what reads the same frames at a size (width, height)."""

    def smaller(excerpt: Excerpt) -> Pixels:
        frames = read(excerpt)
        if frames.shape[1:3] == size[::-1]:
            return frames
        return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)) for frame in frames])

    return smaller
