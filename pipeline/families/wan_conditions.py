"""How a segment is told to Wan's pipelines: frames to keep as a masked video, a source as latents at a noise level."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pipeline.families.family import Read
from pipeline.planning.segments import Segment


def masked_video(segment: Segment, size: tuple[int, int], read: Read) -> dict[str, Tensor]:
    """Return the given frames in a grey video (1, frames, 3, height, width) of 0..1, and the mask of what is made.

    As VACE was taught: grey and 1 where something is to be made, the frame itself and 0 where it is given. The grey is
    exactly between black and white, which a picture of bytes has not.
    """
    width, height = size
    video = torch.full((1, segment.frames, 3, height, width), 0.5)
    mask = torch.ones((1, segment.frames, 1, height, width))
    for pin in segment.pins:
        there = slice(pin.frame, pin.frame + pin.given.frames)
        video[0, there] = torch.from_numpy(read(pin.given)).permute(0, 3, 1, 2) / 255
        mask[0, there] = 0
    return {"video": video, "mask": mask}


def started_from(start: Tensor, levels: list[float], steps: int, seed: int) -> dict[str, Any]:
    """Return what makes the pipeline take up latents at the first of these noise levels.

    They are the last ones of so many steps: it counts a strength in steps and rounds down, hence the half.
    """
    noise = torch.randn(start.shape, generator=torch.Generator("cpu").manual_seed(seed)).to(start.device)
    return {"latents": torch.lerp(start, noise, levels[0]), "strength": min((len(levels) + 0.5) / steps, 1.0)}


@contextmanager
def turned(transformer: Any, turns: Callable[[], int]) -> Iterator[None]:
    """Let a transformer see its latents turned in time by so many frames, and turn its answer back.

    The latents themselves stay as they are, for the scheduler remembers those of earlier steps.
    """

    def turn(_module: Any, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, given | {"hidden_states": given["hidden_states"].roll(turns(), 2)}

    def turn_back(_module: Any, _args: tuple[Any, ...], answer: tuple[Tensor]) -> tuple[Tensor]:
        return (answer[0].roll(-turns(), 2),)

    hooks = (
        transformer.register_forward_pre_hook(turn, with_kwargs=True),
        transformer.register_forward_hook(turn_back),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
