"""Muon: momentum whose update is made orthogonal, for matrices and (flattened) convolutions.

Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024. torch's own takes matrices only,
and the autoencoder is all convolutions.
"""

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

NEWTON_SCHULZ: Final = (3.4445, -4.7750, 2.0315)
MOMENTUM: Final = 0.95
MUON_RATE: Final = 0.01
ADAM_RATE: Final = 1e-3
PLAIN_RATE: Final = 3e-4
PLAIN_DECAY: Final = 0.05


def orthogonalize(gradient: Tensor) -> Tensor:
    """Push the singular values of a matrix (rows, columns) towards one: five Newton–Schulz steps in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    tall = gradient.shape[0] > gradient.shape[1]
    x = (gradient.T if tall else gradient).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(gradient.dtype)


class Muon(Optimizer):
    """Muon for parameters of two dimensions or more; rates are per group."""

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002, torch's signature
        """Take one step; gradients must be there."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group["lr"])

    def _move(self, parameter: Tensor, rate: float) -> None:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
        update = orthogonalize(parameter.grad.lerp(state["momentum"], MOMENTUM).flatten(1))
        scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
        parameter.add_(update.view_as(parameter), alpha=-rate * scale)


def make_optimizers(module: nn.Module, *plain: nn.Module) -> list[Optimizer]:
    """Muon for a module's hidden matrices, AdamW at its edges (first and last layers, biases, gains) and for `plain`.

    A T5 encoder belongs in `plain`: its attention has no scale of its own, and under Muon it saturates. At the rate of
    the edges, with no decay, one common vector grows in it until words are hardly told apart; its last norm hides that.
    """
    hidden: list[Tensor] = []
    edges: list[Tensor] = []
    for name, parameter in module.named_parameters():
        edge = any(part in name for part in ("proj_in", "proj_out", "time_embed", "conv_in", "conv_out", "table"))
        (edges if parameter.ndim < 2 or edge else hidden).append(parameter)
    adam = AdamW(edges, lr=ADAM_RATE, betas=(0.9, 0.95), weight_decay=0.0)
    if plain:
        weights = [parameter for part in plain for parameter in part.parameters()]
        adam.add_param_group({"params": weights, "lr": PLAIN_RATE, "weight_decay": PLAIN_DECAY})
    return [Muon(hidden, MUON_RATE), adam]
