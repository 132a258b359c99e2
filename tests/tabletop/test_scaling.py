"""Scaling: operations are those that torch counts, a known law is found again, the command writes its files."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from toy_clips import three_clips

from pipeline.errors import BadRequest
from pipeline.tabletop.denoiser import Shape, build_denoiser, draw_sigma, flow_loss
from pipeline.tabletop.figures import scaling
from pipeline.tabletop.flops import training_flops
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.layout import Given
from pipeline.tabletop.power_law import best_law, fit_laws, frontier
from pipeline.tabletop.scaling import Options, next_judged, read_options, scale, shape_of

MODEL = Path(__file__).parents[2] / "assets" / "tabletop"
pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype")  # torch's hint about the speed of a norm


@pytest.mark.parametrize(("width", "layers"), [(64, 1), (128, 2)])
def test_operations_are_those_that_torch_counts_in_both_directions(width: int, layers: int) -> None:
    model = build_denoiser(Shape(width, layers), "cpu")
    latents = torch.randn(2, 64, 5, 2, 3)
    for given in ([], [Given(latents[:, :, :1], 0)], [Given(latents[:, :, :3], 16)]):
        batch = Sample(latents, given, ["a red ball rolls", "a blue cube"])
        with FlopCounterMode(display=False) as counter:
            flow_loss(model, batch, draw_sigma(2)).backward()  # type: ignore[no-untyped-call]
        assert counter.get_total_flops() == training_flops(width, layers, batch)


def test_a_known_law_is_found_again_with_and_without_a_floor() -> None:
    compute = [10.0**power for power in range(12, 19)]
    bare = fit_laws([(c, 40 * c**-0.15) for c in compute])
    assert bare["without floor"].power == pytest.approx(0.15)
    assert bare["without floor"].scale == pytest.approx(40)
    assert bare["without floor"].error < 1e-9
    raised = fit_laws([(c, 40 * c**-0.15 + 0.1) for c in compute])
    assert best_law(raised) == "with floor"
    law = raised["with floor"]
    assert (law.power, law.floor) == pytest.approx((0.15, 0.1), rel=0.03)
    assert law.at(compute[3]) == pytest.approx(40 * compute[3] ** -0.15 + 0.1, rel=1e-3)
    assert law.error < raised["without floor"].error / 10


def test_the_frontier_is_the_best_of_all_sizes_and_only_falls() -> None:
    compute = [10.0**power for power in range(12, 17)]
    small = [(c, 0.3 + 3 * (c / 1e12) ** -0.5) for c in compute[:4]]
    large = [(c, 0.1 + 4 * (c / 1e12) ** -0.4) for c in compute[1:]]
    best = frontier({"small": small, "large": large, "worse": [(c, 9.0) for c in compute]})
    assert best[0].size == "small"
    assert best[-1].size == "large"
    assert all(after.loss < before.loss for before, after in pairwise(best))
    assert all(after.compute > before.compute for before, after in pairwise(best))
    with pytest.raises(BadRequest, match="Train for longer"):
        frontier({"one": [(1e12, 1.0)]})


def test_points_of_a_curve_are_even_on_a_logarithmic_axis_as_far_as_that_is_bearable() -> None:
    assert [next_judged(step) - step for step in (0, 20, 1000, 10_000)] == [5, 5, 150, 250]


@pytest.mark.parametrize("size", ["100x4", "64", "64x0", "0x2", "big"])
def test_a_size_that_is_none_is_refused_before_anything_is_trained(size: str) -> None:
    with pytest.raises(BadRequest, match="multiple of 64"):
        shape_of(size, "plain")


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Two toy sizes on three clips, for a few steps each."""
    words = ["--work", str(three_clips(tmp_path / "work")), "--out", str(tmp_path / "out"), "--model", str(MODEL)]
    words += ["--minutes", "60", "--batches", "12", "--sizes", "64x1", "128x1", "--world", "plain", "--device", "cpu"]
    return read_options([*words, "--prompts", "2", "--steps", "2", "--held-out", "2", "--judged-from", "1"])


def test_the_command_writes_what_it_found_and_goes_on_where_it_ended(options: Options) -> None:
    record = scale(options)
    written = ["scaling-samples.webp", "scaling.json", "scaling.webp"]
    assert sorted(path.name for path in options.out.iterdir()) == written
    assert json.loads((options.out / "scaling.json").read_text()) == record
    small, large = record["sizes"]
    for one in (small, large):
        steps, flops = [row["step"] for row in one["curve"]], [row["flops"] for row in one["curve"]]
        assert steps == [5, 10, 12]
        assert 0 < flops[0] < flops[1] < flops[2]
    assert 2.5 < large["curve"][-1]["flops"] / small["curve"][-1]["flops"] < 4.1, "the same batches, twice the width"
    assert set(record["fits"]) >= {"without floor"}
    assert record["data"]["clips"] == 3
    with Image.open(options.out / "scaling-samples.webp") as sheet:
        assert sheet.size == (2 * 3 * 128 + 6, 2 * 128 + 18)

    section = scaling(options.out)
    assert section is not None
    lines = section.written(options.out)
    assert {"![Scaling law: scaling](scaling.webp)", "![Scaling law: samples](scaling-samples.webp)"} <= set(lines)
    assert f"{large['curve'][-1]['held_out']:.3f}" in section.text
    assert len([line for line in lines if line[:2] in ("1.", "2.")]) == 2

    longer = scale(replace(options, batches=14))
    for before, after in zip(record["sizes"], longer["sizes"], strict=True):
        assert after["curve"][: len(before["curve"])] == before["curve"]
        assert [row["step"] for row in after["curve"]] == [5, 10, 12, 14], "no step is taken twice"


def test_without_clips_it_says_where_they_come_from(options: Options, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="make train"):
        scale(replace(options, work=tmp_path / "nothing"))
