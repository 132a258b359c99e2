"""Fewer steps without guidance: the teacher's road, and a student that learns to take it in leaps."""

import itertools
import random

import pytest
import torch

from pipeline.frames import noise_levels
from pipeline.tabletop.distil import SMALLER, STEPS, begin, guided, levels_of, student_loss, trajectory
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.layout import Given
from pipeline.tabletop.muon import make_optimizers
from pipeline.tabletop.train_transformer import Denoiser, Shape, build_denoiser

pytestmark = pytest.mark.filterwarnings("ignore:Mismatch dtype")  # torch's hint about a norm under autocast


@pytest.fixture
def model() -> Denoiser:
    torch.manual_seed(0)
    return build_denoiser(Shape(width=64, layers=1), "cpu")


@pytest.fixture
def sample() -> Sample:
    torch.manual_seed(1)
    latents = torch.randn(2, 64, 3, 2, 2)
    return Sample(latents, [Given(latents[:, :, :1], 0, 0.6)], ["a red ball", "a blue cube"])


def test_the_levels_are_those_of_the_app() -> None:
    assert levels_of(24)[:-1] == pytest.approx(noise_levels(24), abs=1e-6)
    assert levels_of(STEPS * SMALLER)[::SMALLER][:-1] == pytest.approx(noise_levels(STEPS), abs=1e-6)


def test_guidance_mixes_as_the_pipeline_does(model: Denoiser, sample: Sample) -> None:
    state = begin(sample)
    words = model.predict(state.tokens, sample.captions)
    nothing = model.predict(state.tokens, ["", ""])
    mixed = guided(model, state, state.tokens, 3.0)
    assert torch.allclose(mixed, nothing + 3 * (words - nothing), atol=0.05)
    assert not torch.allclose(words, nothing, atol=1e-3)


@torch.no_grad()
def test_the_road_begins_with_noise_and_keeps_what_is_given(model: Denoiser, sample: Sample) -> None:
    state = begin(sample)
    passed = trajectory(model, state, 2.0)
    assert len(passed) == STEPS + 1
    clean = sample.latents[:, :, 0].flatten(2).transpose(1, 2)
    for inputs in passed:
        assert torch.equal(inputs[:, :4], clean), "given wholly, whatever the strength was"
    assert all(not torch.equal(one[:, 4:], other[:, 4:]) for one, other in itertools.pairwise(passed))


def test_a_student_learns_to_leap(model: Denoiser, sample: Sample) -> None:
    teacher = build_denoiser(Shape(width=64, layers=1), "cpu")
    teacher.transformer.load_state_dict(model.transformer.state_dict())
    with torch.no_grad():
        teacher.transformer.proj_out.weight.mul_(3)
    state = begin(sample)
    passed = trajectory(teacher, state, 4.0)
    optimizers = make_optimizers(model.transformer, model.text_encoder)
    losses = []
    for number in range(24):
        loss = student_loss(model, state, passed, random.Random(number).randrange(STEPS))
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    assert sum(losses[-6:]) < 0.7 * sum(losses[:6])
