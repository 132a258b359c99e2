"""Makes the clips that are judged: each from its prompt and a seed of its own, some with their first frames given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import LTXConditionPipeline
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from PIL import Image
from torch import Tensor

from pipeline.tabletop.network import TEXT_LENGTH, to_frames
from pipeline.tabletop.world import FPS, Program

BATCH: Final = 10
LATE: Final = 0.975 + 1e-6
"""The noise level from which on details are decided, with what rounding adds: half of the steps are above it."""


@dataclass(frozen=True)
class Sampling:
    """How clips are made: denoising steps, guidance scale, the share of it that is left late, a suite's first seed."""

    steps: int = 8
    guidance: float = 4.0
    seed: int = 0
    late: float = 1 / 3


@dataclass(frozen=True)
class Case:
    """A held-out program with its prompt, its number in its suite, and the first frames that are given (uint8)."""

    suite: str
    number: int
    program: Program
    prompt: str
    given: Tensor | None = None


def load_pipeline(folder: Path) -> LTXConditionPipeline:
    """The shipped model in float32 on the processor."""
    pipe = LTXConditionPipeline.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sample(pipe: LTXConditionPipeline, cases: list[Case], how: Sampling) -> Tensor:
    """Generate a clip per case, all of one size and length; uint8 (clips, frames, height, width, 3).

    Frames can be given to one case at a time: the pipeline gives the same to a whole batch.
    """
    program, given = cases[0].program, cases[0].given
    conditions = None
    if given is not None:
        conditions = [LTXVideoCondition(video=[Image.fromarray(frame.numpy()) for frame in given], frame_index=0)]
    seeds = [torch.Generator().manual_seed(how.seed + case.number) for case in cases]
    result = pipe(
        conditions=conditions,
        prompt=[case.prompt for case in cases],
        negative_prompt=[""] * len(cases),
        width=program.width,
        height=program.height,
        num_frames=program.frames,
        frame_rate=FPS,
        num_inference_steps=how.steps,
        guidance_scale=how.guidance,
        image_cond_noise_scale=0.0,
        generator=seeds if given is None else seeds[0],
        max_sequence_length=TEXT_LENGTH,
        output_type="pt",
        callback_on_step_end=eased(how),
    )
    return to_frames(result.frames.movedim(2, 1) * 2 - 1)


def eased(how: Sampling) -> Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]]:
    """Return a step callback that guides less from LATE down, as the app does."""

    def step(pipe: Any, index: int, _timestep: Tensor, _tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if float(pipe.scheduler.sigmas[index + 1]) <= LATE:
            pipe._guidance_scale = 1 + (how.guidance - 1) * how.late
        return {}

    return step


def batches(cases: list[Case]) -> list[list[Case]]:
    """Cases that can be sampled together."""
    size = BATCH if cases and cases[0].given is None else 1
    return [cases[start : start + size] for start in range(0, len(cases), size)]
