"""What watches the steps of Wan's pipelines: it reads what the model foresees, and passes a stop on."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from pipeline.events import IsCancelled


class WanWatch:
    """The pipeline's step callback: keeps the finished latents as the model foresees them after each step.

    The scheduler (UniPC) has them: x − σ·v, with guidance. `held` (1, channels, frames, height, width) are latents at
    the beginning that are given; the pipeline sets them in after the last step only.
    """

    def __init__(self, held: Tensor | None, on_step: Callable[[int, Tensor], None], cancelled: IsCancelled) -> None:
        self.done = 0
        self.estimate: Tensor
        self._held = held
        self._on_step = on_step
        self._cancelled = cancelled

    def __call__(self, pipe: Any, index: int, _timestep: Tensor, _tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take note of a step that was done, and stop the pipeline after it when cancelled."""
        self.estimate = self._with_held(pipe.scheduler.model_outputs[-1])
        self.done = index + 1
        self._on_step(self.done, self.estimate)
        if self._cancelled():
            pipe._interrupt = True
        return {}

    def _with_held(self, latents: Tensor) -> Tensor:
        if self._held is None:
            return latents
        latents = latents.clone()
        latents[:, :, : self._held.shape[2]] = self._held.to(latents)
        return latents
