"""Ablations: every way is judged alike, differs in what it says, and what is done is not done again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_clips import three_clips

from pipeline.errors import BadRequest
from pipeline.tabletop.ablations import NORMALISED, WAYS, Options, Units, ablate, judge_in, read_options
from pipeline.tabletop.denoiser import Shape, build_denoiser, judge
from pipeline.tabletop.figures import ablations, of_cores
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.layout import Given

MODEL = Path(__file__).parents[2] / "assets" / "tabletop"
pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype")  # torch's hint about the speed of a norm


def test_the_usual_way_is_judged_as_trainings_are() -> None:
    torch.manual_seed(0)
    model, latents = build_denoiser(Shape(64, 1), "cpu"), torch.randn(2, 64, 3, 2, 2)
    sample = Sample(latents, [], ["a red ball", "a blue cube"])
    assert judge_in(NORMALISED, model, sample) == pytest.approx(judge(model, sample), rel=1e-4)


def test_other_units_hold_all_of_a_batch_and_a_flat_scale_changes_no_judgement_of_silence() -> None:
    torch.manual_seed(0)
    model, latents = build_denoiser(Shape(64, 1), "cpu"), torch.randn(2, 64, 3, 2, 2)
    sample = Sample(latents, [Given(latents[:, :, :1], 0)], ["a red ball", "a blue cube"])
    units = Units(torch.full((64,), 2.0), torch.linspace(0.5, 3, 64))
    raw = units.of(sample)
    assert torch.equal(raw.given[0].latents, raw.latents[:, :, :1])
    assert torch.allclose((raw.latents - 2) / units.std.view(1, -1, 1, 1, 1), latents, atol=1e-5)
    with torch.no_grad():
        model.transformer.proj_out.weight.zero_()
        model.transformer.proj_out.bias.zero_()
    alone = replace(sample, given=[])
    scaled = Units(torch.zeros(64), torch.full((64,), 3.0))
    # A model that says nothing leaves the clip where the noise took it: at the same signal to noise, as far off.
    low, high = sorted((judge_in(NORMALISED, model, alone), judge_in(scaled, model, alone)))
    assert high < 3 * low


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """A toy size on three clips, for a few steps of each way."""
    out = str(tmp_path / "ablations.json")
    words = ["--work", str(three_clips(tmp_path / "work")), "--out", out, "--model", str(MODEL)]
    return read_options([*words, "--size", "64x1", "--world", "plain", "--batches", "6", "--held-out", "2"])


def test_the_command_tries_all_ways_once_and_the_report_shows_them(options: Options) -> None:
    record = ablate(options)
    assert json.loads(options.out.read_text()) == record
    assert [way["name"] for way in record["ways"]] == [way.name for way in WAYS]
    assert all([row["step"] for row in way["curve"]] == [5, 6] for way in record["ways"])
    ends = [way["curve"][-1]["held_out"] for way in record["ways"]]
    assert len({round(end, 6) for end in ends}) >= len(WAYS) - 1, "each way learns otherwise"
    assert ablate(options) == record, "what is done is not trained again"
    section = ablations(options.out.parent)
    assert section
    assert all(way.name in section.text for way in WAYS)
    assert f" minutes{of_cores(record)} each" in section.text
    assert ablations(options.out.parent / "work") is None


def test_without_clips_it_says_where_they_come_from(options: Options, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="make train"):
        ablate(replace(options, work=tmp_path / "nothing"))
