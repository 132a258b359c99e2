"""What watches the pipeline's steps: it foresees the finished latents, passes a stop on, and turns a loop."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pipeline.events import IsCancelled
from pipeline.families.begun import Begun, in_place_of
from pipeline.families.ltx_conditions import TOLERANCE

# The noise level from which on details are decided: the pipeline takes half of its steps above it.
LATE = 0.975

Watch = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]]


def eased(watch: Watch, scale: float, share: float) -> Watch:
    """Return a step callback after which the pipeline guides less: from LATE down by a share of what is beyond 1.

    What words decide is mostly decided by then; more guidance makes details harder than they are. To guide in a part of
    the noise levels is of Kynkäänniemi et al. (arXiv 2404.07724).
    """

    def step(pipe: Any, index: int, timestep: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        sigma = float(timestep) / pipe.scheduler.config.num_train_timesteps
        if float(_after(pipe.scheduler, torch.tensor([sigma]))) <= LATE + TOLERANCE:
            # The pipeline asks for its scale anew at each step.
            pipe._guidance_scale = 1 + (scale - 1) * share
        return watch(pipe, index, timestep, tensors)

    return step if share < 1 else watch


class StepWatch:
    """The pipeline's step callback: estimates the finished latents after each step and passes a stop on.

    `given` (frames, height, width) holds how strongly each latent is given, 0..1: such a token has a sigma of its own,
    never above 1 - strength, and waits until the others are there. Where the segment is rolled, the latents are turned
    in time by a frame after each step. Steps that were `begun` before are passed over. `state` is what the pipeline
    holds after a step: the tokens of all conditions too.
    """

    def __init__(
        self,
        noise: Tensor,
        given: Tensor,
        on_step: Callable[[int, Tensor], None],
        cancelled: IsCancelled,
        rolled: bool = False,
        begun: Begun | None = None,
    ) -> None:
        self.estimate = noise
        self.done = 0
        self.state: dict[str, Tensor] = {}
        self._begun = begun or Begun()
        self._latents = noise
        self._shape = given.shape
        self._highest = 1 - given.flatten()
        self._on_step = on_step
        self._cancelled = cancelled
        self.rolled = rolled
        self._turned = 0

    @property
    def passing(self) -> bool:
        """True until the steps that were done before have passed."""
        return self.done < self._begun.steps

    def unrolled(self, latents: Tensor) -> Tensor:
        """Turn latents (1, channels, frames, height, width) back to where they began."""
        return latents.roll(-self._turned, 2)

    def __call__(self, pipe: Any, index: int, timestep: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take the latents after a step (1, tokens, channels) at this timestep."""
        if self.passing:
            return self._pass_over(index, tensors["latents"])
        # Pictures that are given elsewhere than at frame 0 are tokens in front of the clip's own.
        stepped = tensors["latents"][:, -len(self._highest) :]
        clean = self._foresee(pipe.scheduler, timestep.cpu(), stepped)
        self.estimate = self.unrolled(clean.transpose(1, 2).reshape(1, -1, *self._shape))
        self._latents = self._turn(stepped)
        # A loop has no conditions: its own tokens are all there are.
        self.state = {"latents": self._latents if self.rolled else tensors["latents"]}
        self.done = index + 1
        self._on_step(self.done, self.estimate)
        if self._cancelled():
            pipe._interrupt = True
        return {"latents": self._latents} if self.rolled else {}

    def _pass_over(self, index: int, latents: Tensor) -> dict[str, Tensor]:
        """Put what was kept in place after the last step that was done before."""
        latents = self._turn(latents)
        if index + 1 < self._begun.steps:
            return {"latents": latents}
        self.state = {"latents": in_place_of(latents, self._begun.tensors["latents"])}
        self._latents = self.state["latents"][:, -len(self._highest) :]
        self.done = index + 1
        return dict(self.state)

    def _turn(self, tokens: Tensor) -> Tensor:
        """Turn the latents of a loop by a frame, so that each is once the first, the last, and in between."""
        if not self.rolled:
            return tokens
        self._turned += 1
        return tokens.view(1, *self._shape, -1).roll(1, 1).flatten(1, 3)

    def _foresee(self, scheduler: Any, timestep: Tensor, stepped: Tensor) -> Tensor:
        sigma = timestep / scheduler.config.num_train_timesteps
        own = self._highest.clamp(max=float(sigma))
        following = _after(scheduler, own)
        share = (own / (own - following).clamp(min=TOLERANCE))[:, None].to(stepped.device)
        moves = (sigma - TOLERANCE < self._highest)[:, None].to(stepped.device)
        return torch.where(moves, self._latents - share * (self._latents - stepped), stepped)


def _after(scheduler: Any, sigma: Tensor) -> Tensor:
    """Return what follows each of some sigmas (n,): the scheduler's own rule, with its tolerance."""
    sigmas = scheduler.sigmas.cpu()
    return torch.where(sigmas < sigma[:, None] - TOLERANCE, sigmas, 0.0).amax(1)
