"""What both trainings share: a time budget and rates that follow it, averaged weights, resumable checkpoints."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.optim import Optimizer


def seconds_computed() -> float:
    """Seconds that this process has had, of all its cores; with a card, those that went by.

    On a machine that does other things too, a training takes longer, and comes out the same.
    """
    return time.monotonic() if torch.cuda.is_available() else time.process_time() / torch.get_num_threads()


def cores() -> int:
    """Of how many cores those seconds are; 0 for those of a card."""
    return 0 if torch.cuda.is_available() else torch.get_num_threads()


@dataclass
class Clock:
    """Steps taken and seconds spent, over all sessions of a training; `budget` is in seconds."""

    budget: float
    step: int = 0
    spent: float = 0.0
    started: float = field(default_factory=seconds_computed)

    @property
    def elapsed(self) -> float:
        """Seconds of training so far."""
        return self.spent + seconds_computed() - self.started

    @property
    def progress(self) -> float:
        """Share of the budget that is used up, 0..1."""
        return min(self.elapsed / self.budget, 1.0)


@dataclass(frozen=True)
class Rates:
    """How the learning rates go: their top as a share of the usual ones, and the share of the time that they fall."""

    top: float = 1.0
    fall: float = 0.4


GOING_ON: Final = Rates(0.45, 1.0)
"""For trained weights: at the usual rates they first lose what the last fall had won."""


def set_rates(optimizers: list[Optimizer], clock: Clock, rates: Rates = Rates()) -> None:
    """Warm up over 50 steps, hold, and fall linearly to nothing."""
    scale = rates.top * min((clock.step + 1) / 50, 1.0, max((1 - clock.progress) / rates.fall, 0.01))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("top", group["lr"])
            group["lr"] = group["top"] * scale


class Average:
    """An exponential moving average of a module's weights, the ones that are shipped."""

    def __init__(self, module: nn.Module) -> None:
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module; the horizon grows with the step, so that early weights are forgotten."""
        keep = min(0.998, (step + 1) / (step + 10))
        for name, value in module.state_dict().items():
            self.values[name].lerp_(value, 1 - keep) if value.is_floating_point() else self.values[name].copy_(value)


@dataclass(frozen=True)
class Training:
    """Everything that a checkpoint holds."""

    modules: dict[str, nn.Module]
    averages: dict[str, Average]
    optimizers: list[Optimizer]
    clock: Clock

    def save(self, path: Path) -> None:
        """Write aside, then rename, so that an interrupted save leaves the checkpoint before."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "averages": {name: average.values for name, average in self.averages.items()},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "clock": {"step": self.clock.step, "spent": self.clock.elapsed},
        }
        partial = path.with_suffix(".part")
        torch.save(state, partial)
        partial.rename(path)

    def resume(self, path: Path) -> bool:
        """Take up a checkpoint if there is one."""
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
            self.averages[name].values = state["averages"][name]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.clock.step, self.clock.spent = state["clock"]["step"], state["clock"]["spent"]
        return True


@contextmanager
def averaged(training: Training) -> Iterator[None]:
    """Let the modules have their averaged weights for a while."""
    own = {name: deepcopy(module.state_dict()) for name, module in training.modules.items()}
    for name, module in training.modules.items():
        module.load_state_dict(training.averages[name].values)
    try:
        yield
    finally:
        for name, module in training.modules.items():
            module.load_state_dict(own[name])


def start_training(
    modules: dict[str, nn.Module], optimizers: list[Optimizer], minutes: float, path: Path | None
) -> Training:
    """Begin a training, or go on with the one whose checkpoint lies at `path`."""
    averages = {name: Average(module) for name, module in modules.items()}
    training = Training(modules, averages, optimizers, Clock(budget=minutes * 60))
    if path and training.resume(path):
        print(f"resumed at step {training.clock.step}, {training.clock.spent / 60:.1f} minutes in", flush=True)
    return training


def log_curve(path: Path, row: dict[str, float]) -> None:
    """Append a row to a learning curve, a JSON object per line, and show it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(" ".join(f"{name} {value:g}" for name, value in row.items()), flush=True)


def step_all(optimizers: Iterable[Optimizer]) -> None:
    """One step of each optimizer, gradients cleared after it."""
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
