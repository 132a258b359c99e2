"""A training that was interrupted goes on as if it had not been."""

import time
from pathlib import Path

import torch
from torch import nn

from pipeline.tabletop.checkpoint import Clock, Training, set_rates, start_training, step_all
from pipeline.tabletop.muon import make_optimizers


def start(path: Path) -> tuple[nn.Linear, Training]:
    torch.manual_seed(0)
    model = nn.Linear(6, 6)
    return model, start_training({"model": model}, make_optimizers(model), 1.0, path)


def advance(model: nn.Linear, training: Training, steps: int) -> None:
    for _ in range(steps):
        x = torch.randn(4, 6, generator=torch.Generator().manual_seed(training.clock.step))
        model(x).square().mean().backward()
        step_all(training.optimizers)
        training.averages["model"].update(model, training.clock.step)
        training.clock.step += 1


def test_resuming_gives_the_same_weights_as_going_on(tmp_path: Path) -> None:
    whole, training = start(tmp_path / "none.pt")
    advance(whole, training, 6)

    first, interrupted = start(tmp_path / "saved.pt")
    advance(first, interrupted, 3)
    interrupted.save(tmp_path / "saved.pt")
    second, resumed = start(tmp_path / "saved.pt")
    assert resumed.clock.step == 3
    advance(second, resumed, 3)

    assert torch.equal(second.weight, whole.weight)
    assert torch.equal(resumed.averages["model"].values["weight"], training.averages["model"].values["weight"])


def test_time_spent_is_counted_over_sessions(tmp_path: Path) -> None:
    _, training = start(tmp_path / "saved.pt")
    training.clock.spent = 42.0
    training.save(tmp_path / "saved.pt")
    _, resumed = start(tmp_path / "saved.pt")
    assert 42 <= resumed.clock.elapsed < 50
    assert resumed.clock.progress > 0.7


def test_waiting_for_a_busy_machine_costs_no_training() -> None:
    clock = Clock(budget=60.0)
    time.sleep(0.3)
    waited = clock.elapsed
    total, until = 0.0, time.process_time() + 0.2
    while time.process_time() < until:
        total += 1
    assert waited < 0.1
    assert clock.elapsed - waited >= 0.19 / torch.get_num_threads()


def test_rates_warm_up_and_fall_to_nothing() -> None:
    optimizers = make_optimizers(nn.Linear(2, 2))
    rates = []
    for step, spent in ((0, 0.0), (60, 10.0), (90, 80.0), (99, 100.0)):
        set_rates(optimizers, Clock(budget=100.0, step=step, spent=spent))
        rates.append(optimizers[0].param_groups[0]["lr"])
    top = rates[1]
    assert rates[0] < 0.05 * top
    assert 0.4 * top < rates[2] < 0.6 * top
    assert rates[3] <= 0.011 * top
