"""How a pipeline goes on from a step in the middle, exactly as if it had never stopped."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.families.stand_in import stand_in
from pipeline.halfway import Tensors, read_halfway
from pipeline.plan import Plan


@dataclass(frozen=True)
class Begun:
    """The steps of a denoising that were done before, and tensors as they were after the last of them."""

    steps: int = 0
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def after(self, others: int) -> "Begun":
        """Return what was done of a pass that comes after so many steps of others."""
        return Begun(self.steps - others, self.tensors) if self.steps > others else Begun()


def begun(plan: Plan) -> Begun:
    """Return what was done before of a plan, nothing for a take from its start; raise NotFound where that is gone."""
    if plan.resumes is None:
        return Begun()
    halfway = read_halfway(Path(plan.resumes.file))
    return Begun(halfway.steps, {name: torch.from_numpy(each) for name, each in halfway.tensors.items()})


def kept(tensors: Mapping[str, Tensor]) -> Tensors:
    """Return tensors to be written; those of half precision lose nothing and come back as they were."""
    return {name: each.float().cpu().numpy() for name, each in tensors.items()}


def in_place_of(now: Tensor, was: Tensor) -> Tensor:
    """Return a kept tensor as the one whose place it takes: its type, its device, and the order of its memory.

    Tokens are a turned view of latents, which other kernels multiply than those of a copy: they round otherwise.
    """
    return torch.empty_like(now).copy_(was)


def passed_over(transformer: Any, passing: Callable[[], bool]) -> AbstractContextManager[None]:
    """Let a transformer answer at once, and nothing, while steps pass that were done before.

    A pipeline cannot begin in the middle: it would draw its noise anew, and take up latents only mixed with it. So it
    goes through all of its steps. Those that were done cost no forward, whatever hooks bring weights, and the step
    callback puts what was kept in place after the last of them. Everything that only counts, such as the index and the
    order of a scheduler, is right by then, for the same code has counted; no step draws noise.
    """
    forward = transformer.forward

    def answer(*arguments: Any, **given: Any) -> Any:
        # What the models here answer has the shape of the latents that they see.
        if not passing():
            return forward(*arguments, **given)
        return (torch.zeros_like(given["hidden_states"], memory_format=torch.contiguous_format),)

    return stand_in(transformer, "forward", answer)
