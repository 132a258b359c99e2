"""The family against the bare pipeline: the same latents, the same frames, and honest estimates on the way."""

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from conftest import MakePlan
from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.backends.cutting import Reader
from pipeline.errors import Cancelled, LoadError
from pipeline.events import Latents, Pixels
from pipeline.families import ltx
from pipeline.families.attention import attention_backend
from pipeline.frames import noise_levels
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.families.family import Family, Sample

Told = list[tuple[int, int, Pixels]]


def run(family: "Family", plan: Plan, stop_after: int | None = None) -> "tuple[Sample, Told]":
    told: Told = []
    (segment,) = plan.segments
    sample = family.run_segment(
        plan,
        segment,
        family.encode_text(plan, segment),
        Reader(plan, lambda: family.codec),
        lambda *step: told.append(step),
        lambda: stop_after is not None and len(told) >= stop_after,
    )
    return sample, told


def bare(family: "Family", plan: Plan, output_type: str = "latent", conditions: Any = None) -> Latents:
    """Call the pipeline as its documentation does, guided less in the second half of the steps where the model is."""

    def late(pipe: Any, index: int, *_: object) -> dict[str, Tensor]:
        if index + 1 >= plan.steps // 2:
            pipe._guidance_scale = 1 + (plan.guidance_scale - 1) * plan.segments[0].late_guidance
        return {}

    made = family.pipe(
        conditions=conditions,
        prompt=plan.prompt,
        width=plan.width,
        height=plan.height,
        num_frames=plan.num_frames,
        frame_rate=plan.fps,
        num_inference_steps=plan.steps,
        guidance_scale=plan.guidance_scale,
        image_cond_noise_scale=0,
        generator=torch.Generator("cpu").manual_seed(plan.seed),
        max_sequence_length=family.spec.network.text_tokens,
        output_type=output_type,
        callback_on_step_end=late,
    ).frames
    return np.asarray(made)


@pytest.mark.parametrize("asked", [{}, {"guidance_scale": 1.0}, {"frames": 1}, {"seed": 2**64 - 1, "steps": 1}])
def test_latents_equal_the_bare_call_bit_for_bit(family: "Family", plan_for: MakePlan, asked: dict[str, float]) -> None:
    plan = plan_for(**asked)
    sample, told = run(family, plan)
    assert np.array_equal(sample.latents, bare(family, plan))
    assert sample.steps_done == plan.steps == len(told)


def test_a_share_of_the_guidance_is_left_late_in_takes_from_noise_alone(family: "Family", plan_for: MakePlan) -> None:
    plan = plan_for(guidance_scale=6.0)
    unchanged = replace(plan, segments=(plan.segments[0].eased(1.0),))
    less, early = run(family, plan)
    whole, same = run(family, unchanged)
    assert not np.array_equal(less.latents, whole.latents)
    assert np.array_equal(early[1][2], same[1][2]), "the first half of four steps is guided as before"
    assert not np.array_equal(early[2][2], same[2][2])
    assert np.array_equal(whole.latents, bare(family, unchanged))


@pytest.mark.parametrize("steps", [1, 2, 5, 25, 40])
def test_noise_levels_are_those_of_the_pipeline(steps: int) -> None:
    assert noise_levels(steps) == pytest.approx(linear_quadratic_schedule(steps).tolist(), abs=1e-6)
    levels = noise_levels(steps, 0.5)
    assert levels[0] == 0.5
    assert all(later < earlier for earlier, later in pairwise(levels))


def test_frames_equal_those_of_the_bare_call(family: "Family", plan_for: MakePlan) -> None:
    plan = plan_for()
    frames = np.concatenate(list(family.codec.decode(run(family, plan)[0].latents)))
    theirs = bare(family, plan, "np")[0] * 255
    assert frames.dtype == np.uint8
    assert frames.shape == theirs.shape == (9, 64, 64, 3)
    assert np.abs(frames - theirs).max() <= 0.51


def test_decoding_in_pieces_changes_nothing_that_shows(family: "Family", plan_for: MakePlan) -> None:
    latents = run(family, plan_for(frames=97, steps=6))[0].latents
    pieces = list(family.codec.decode(latents))
    assert len(pieces) > 5
    frames = np.concatenate(pieces).astype(float)
    whole = family.codec.decode_whole(torch.from_numpy(latents)).astype(float)
    assert frames.shape == whole.shape
    assert np.abs(frames - whole).max() <= 4
    assert 10 * np.log10(255**2 / np.mean((frames - whole) ** 2)) > 50


@pytest.mark.parametrize("frames", [1, 9, 33])
def test_the_last_frame_alone_is_the_last_of_the_clip(family: "Family", plan_for: MakePlan, frames: int) -> None:
    latents = run(family, plan_for(frames=frames))[0].latents
    *_, piece = family.codec.decode(latents)
    assert np.abs(family.codec.last_frame(latents).astype(int) - piece[-1]).max() <= 4


def test_each_step_is_told_with_a_preview(family: "Family", plan_for: MakePlan) -> None:
    told = run(family, plan_for())[1]
    assert [(done, total) for done, total, _ in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for _, _, preview in told:
        assert preview.dtype == np.uint8
        assert preview.shape == (3, 16, 16, 3)


def test_the_preview_is_the_linear_map_of_the_file(family: "Family", settings: Settings) -> None:
    linear = load_file(settings.assets / "tabletop" / "preview.safetensors")
    latents = torch.randn(1, 64, 2, 3, 5, generator=torch.Generator().manual_seed(0))
    preview = family.preview(latents)
    patch = (latents[0, :, 1, 2, 4] @ linear["weight"].float() + linear["bias"].float()).view(4, 4, 3)
    assert preview.shape == (2, 12, 20, 3)
    assert np.array_equal(preview[1, 8:, 16:], (patch * 255).round().clamp(0, 255).byte().numpy())


def test_the_last_estimate_is_the_result(family: "Family", plan_for: MakePlan) -> None:
    plan = plan_for(steps=6)
    sample, told = run(family, plan)
    result = family.preview(torch.from_numpy(sample.latents))
    assert np.abs(told[-1][2].astype(int) - result).max() <= 1


def test_a_stop_keeps_what_the_model_foresaw(family: "Family", plan_for: MakePlan) -> None:
    plan = plan_for(guidance_scale=1.0)
    velocities: list[Tensor] = []
    hook = family.pipe.transformer.register_forward_hook(lambda _module, _given, out: velocities.append(out[0]))
    sample, told = run(family, plan, stop_after=1)
    hook.remove()
    assert sample.steps_done == len(told) == len(velocities) == 1
    noise = torch.randn((1, 64, 3, 4, 4), generator=torch.Generator("cpu").manual_seed(plan.seed))
    # At sigma 1 the latents are noise alone, and the velocity is noise − x0.
    foreseen = noise - velocities[0].transpose(1, 2).reshape(noise.shape)
    assert np.allclose(sample.latents, foreseen.numpy(), atol=1e-3)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_stop_takes_effect_within_the_step(family: "Family", plan_for: MakePlan, after: int) -> None:
    sample, told = run(family, plan_for(), stop_after=after)
    assert sample.steps_done == len(told) == after
    assert np.isfinite(sample.latents).all()


def test_a_stop_at_the_last_step_is_the_finished_run(family: "Family", plan_for: MakePlan) -> None:
    plan = plan_for()
    assert np.array_equal(run(family, plan, stop_after=4)[0].latents, run(family, plan)[0].latents)


def test_a_stop_before_the_first_step_keeps_nothing(family: "Family", plan_for: MakePlan) -> None:
    with pytest.raises(Cancelled, match="nothing to keep"):
        run(family, plan_for(), stop_after=0)


def test_a_stopped_run_does_not_stop_the_next(family: "Family", plan_for: MakePlan) -> None:
    run(family, plan_for(), stop_after=1)
    assert run(family, plan_for())[0].steps_done == 4


@pytest.fixture
def copied(settings: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(settings.assets / "tabletop", tmp_path / "tabletop")
    return replace(settings, assets=tmp_path)


def weights_of(settings: Settings, part: str) -> Path:
    return next((settings.assets / "tabletop" / part).glob("*.safetensors"))


def test_attention_is_native_where_xformers_has_no_kernels(family: "Family") -> None:
    assert attention_backend("cpu", torch.float32) == "native"
    assert family.pipe.device.type == "cpu"


def test_a_missing_model_is_a_load_error(settings: Settings, spec: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"Tabletop could not be loaded .*Fetch its files anew\."):
        ltx.load(spec, replace(settings, assets=tmp_path))


def test_truncated_weights_are_a_load_error(copied: Settings, spec: ModelSpec) -> None:
    path = weights_of(copied, "transformer")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(LoadError, match="Fetch its files anew"):
        ltx.load(spec, copied)


def test_weights_that_are_not_numbers_are_a_load_error(copied: Settings, spec: ModelSpec) -> None:
    path = weights_of(copied, "vae")
    weights = load_file(path)
    weights[min(weights)].view(-1)[0] = float("nan")
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(LoadError, match="not numbers"):
        ltx.load(spec, copied)
