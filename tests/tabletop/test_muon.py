"""The optimizer: orthogonal updates, and everything at the edges left to AdamW."""

import torch
from torch import nn

from pipeline.tabletop.muon import make_optimizers, orthogonalize


def test_orthogonalize_brings_singular_values_near_one() -> None:
    for shape in ((32, 64), (64, 32), (48, 48)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert values.max() < 1.35
        assert values.median() > 0.6


def test_every_parameter_has_exactly_one_optimizer() -> None:
    model = nn.ModuleDict({"conv_in": nn.Conv3d(3, 4, 3), "middle": nn.Conv3d(4, 4, 3), "proj_out": nn.Linear(4, 2)})
    plain = nn.Linear(2, 2)
    muon, adam = make_optimizers(model, plain)
    owned = [id(p) for optimizer in (muon, adam) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in [*model.parameters(), *plain.parameters()])
    assert [p.shape for p in muon.param_groups[0]["params"]] == [model["middle"].weight.shape]


def test_muon_learns_a_linear_map() -> None:
    torch.manual_seed(0)
    wanted, model = torch.randn(8, 8), nn.Linear(8, 8)
    optimizers = make_optimizers(model)
    losses = []
    for _ in range(600):
        x = torch.randn(64, 8)
        loss = (model(x) - x @ wanted.T).square().mean()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 20
