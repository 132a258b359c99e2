"""What watches the steps of Wan's pipelines: it reads what the model foresees, and passes a stop on."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from pipeline.events import IsCancelled
from pipeline.families.begun import Begun, in_place_of

# What UniPC remembers besides what it counts: the sample before, and the estimates of the steps that it looks back on.
LAST, FORESEEN = "last_sample", "model_output_"


class WanWatch:
    """The pipeline's step callback: keeps the finished latents as the model foresees them after each step.

    The scheduler (UniPC) has them: x − σ·v, with guidance. `held` (1, channels, frames, height, width) are latents at
    the beginning that are given; the pipeline sets them in after the last step only. Steps that were `begun` before are
    passed over. `state` is what the pipeline and the scheduler hold after a step.
    """

    def __init__(
        self, held: Tensor | None, on_step: Callable[[int, Tensor], None], cancelled: IsCancelled, begun: Begun
    ) -> None:
        self.done = 0
        self.estimate: Tensor
        self.state: dict[str, Tensor] = {}
        self._begun = begun
        self._held = held
        self._on_step = on_step
        self._cancelled = cancelled

    @property
    def passing(self) -> bool:
        """True until the steps that were done before have passed."""
        return self.done < self._begun.steps

    def __call__(self, pipe: Any, index: int, _timestep: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take note of a step that was done, and stop the pipeline after it when cancelled."""
        if self.passing:
            return self._pass_over(pipe.scheduler, index, tensors["latents"])
        self.estimate = self._with_held(pipe.scheduler.model_outputs[-1])
        self.state = {"latents": tensors["latents"], **_memory(pipe.scheduler)}
        self.done = index + 1
        self._on_step(self.done, self.estimate)
        if self._cancelled():
            pipe._interrupt = True
        return {}

    def _pass_over(self, scheduler: Any, index: int, latents: Tensor) -> dict[str, Tensor]:
        """Put what was kept in place after the last step that was done before."""
        if index + 1 < self._begun.steps:
            return {}
        now = {"latents": latents, **_memory(scheduler)}
        self.state = {name: in_place_of(each, self._begun.tensors[name]) for name, each in now.items()}
        scheduler.last_sample = self.state[LAST]
        for place, old in enumerate(scheduler.model_outputs):
            scheduler.model_outputs[place] = old if old is None else self.state[f"{FORESEEN}{place}"]
        self.done = index + 1
        return {"latents": self.state["latents"]}

    def _with_held(self, latents: Tensor) -> Tensor:
        if self._held is None:
            return latents
        latents = latents.clone()
        latents[:, :, : self._held.shape[2]] = self._held.to(latents)
        return latents


def _memory(scheduler: Any) -> dict[str, Tensor]:
    outputs = {f"{FORESEEN}{place}": each for place, each in enumerate(scheduler.model_outputs) if each is not None}
    return {LAST: scheduler.last_sample, **outputs}
