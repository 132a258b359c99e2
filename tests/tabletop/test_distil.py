"""Fewer steps without guidance: the teacher's road, and a student that learns to take it in leaps."""

import random
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
import torch

from pipeline.frames import noise_levels
from pipeline.tabletop.denoiser import Denoiser, Shape, build_denoiser
from pipeline.tabletop.distil import (
    SMALLER,
    STEPS,
    begin,
    guided,
    levels_of,
    own_state,
    student_loss,
    taught,
    teacher_of,
)
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.layout import Given
from pipeline.tabletop.muon import make_optimizers

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
def test_the_student_goes_its_own_road_and_keeps_what_is_given(model: Denoiser, sample: Sample) -> None:
    state = begin(sample)
    passed = [own_state(model, state, step) for step in range(STEPS)]
    clean = sample.latents[:, :, 0].flatten(2).transpose(1, 2)
    for inputs in passed:
        assert torch.equal(inputs[:, :4], clean), "given wholly, whatever the strength was"
    levels = levels_of(STEPS)
    velocity = model.predict(state.at(passed[2], levels[2]), sample.captions)
    leapt = passed[2][:, 4:] + velocity[:, 4:] * (levels[3] - levels[2])
    assert torch.allclose(leapt, passed[3][:, 4:], atol=1e-4)


@torch.no_grad()
def test_a_teacher_goes_on_from_the_students_state_in_small_guided_steps(model: Denoiser, sample: Sample) -> None:
    state = begin(sample)
    here, fine = own_state(model, state, 5), levels_of(STEPS * SMALLER)
    by_hand = here.clone()
    for number in range(5 * SMALLER, 6 * SMALLER):
        velocity = guided(model, state, state.at(by_hand, fine[number]), 2.0)
        by_hand[:, 4:] += velocity[:, 4:] * (fine[number + 1] - fine[number])
    reached = here + taught(model, state, here, 5, 2.0) * (levels_of(STEPS)[6] - levels_of(STEPS)[5])
    assert torch.allclose(reached[:, 4:], by_hand[:, 4:], atol=1e-3)


def test_a_student_learns_to_leap(model: Denoiser, sample: Sample) -> None:
    teacher = build_denoiser(Shape(width=64, layers=1), "cpu")
    teacher.transformer.load_state_dict(model.transformer.state_dict())
    with torch.no_grad():
        teacher.transformer.proj_out.weight.mul_(3)
    state = begin(sample)
    optimizers = make_optimizers(model.transformer, model.text_encoder)
    losses = []
    for number in range(24):
        step = random.Random(number).randrange(STEPS)
        here = own_state(model, state, step)
        loss = student_loss(model, state, here, step, taught(teacher, state, here, step, 4.0))
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
    assert sum(losses[-6:]) < 0.7 * sum(losses[:6])


def test_a_teacher_is_named_with_its_world() -> None:
    assert teacher_of("whole=some/folder") == ("whole", Path("some/folder"))
    for words in ("some/folder", "moon=some/folder", "plain="):
        with pytest.raises(ArgumentTypeError, match="plain=FOLDER, whole=FOLDER"):
            teacher_of(words)
