"""What Wan's rows promise, against the authors' own figures; and what they refuse, with the reason."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanVACEPipeline,
    WanVideoToVideoPipeline,
)
from PIL import Image
from test_layouts import film

from pipeline.errors import BadRequest, CannotDo
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request

# The authors' figures (model cards, the examples in diffusers' own pipelines): steps, guidance, shift, frames, frames
# a second, size. VACE and T2V-1.3B are 480p models, for which the shift is 3, TI2V-5B is one of 720p, where it is 5.
# The example of VACE takes 30 steps; those of the others leave the pipeline's 50, the authors' own for text.
AUTHORS: dict[str, tuple[int, float, float, int, int, tuple[int, int]]] = {
    "wan-vace": (30, 5.0, 3.0, 81, 16, (832, 480)),
    "wan-1.3b": (50, 5.0, 3.0, 81, 16, (832, 480)),
    "wan-5b": (50, 5.0, 5.0, 121, 24, (1280, 704)),
}
# Every argument that a family gives a pipeline's call, beside the text.
SHARED = {"width", "height", "num_inference_steps", "guidance_scale", "generator", "max_sequence_length"}
SHARED |= {"output_type", "return_dict", "callback_on_step_end", "prompt_embeds", "negative_prompt_embeds"}


def plan(model: str, **asked: Any) -> Plan:
    return make_plan(parse_request({"seed": 1, "model": model} | asked), get_model(model))


def refusal(model: str, **asked: Any) -> CannotDo:
    with pytest.raises(CannotDo) as refused:
        plan(model, **asked)
    return refused.value


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return film(tmp_path / "clip.mp4", 33, fps=16)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    Image.fromarray(np.full((128, 128, 3), 200, np.uint8)).save(path)
    return str(path)


@pytest.mark.parametrize("model", AUTHORS)
def test_settings_are_those_of_the_authors(model: str) -> None:
    spec, made = get_model(model), plan(model, prompt="a red ball")
    size = (made.width, made.height)
    assert (made.steps, made.guidance_scale, spec.flow_shift, made.num_frames, made.fps, size) == AUTHORS[model]
    assert (spec.dtype, spec.network.text_tokens) == ("bfloat16", 512)
    # Word by word what their examples steer away from, as diffusers quotes it.
    assert spec.negative_prompt in inspect.getsource(inspect.getmodule(WanVACEPipeline) or WanVACEPipeline)


@pytest.mark.parametrize(
    ("pipeline", "own"),
    [
        (WanPipeline, {"num_frames"}),
        (WanVACEPipeline, {"num_frames", "video", "mask"}),
        (WanImageToVideoPipeline, {"num_frames", "image"}),
        (WanVideoToVideoPipeline, {"latents", "strength"}),
    ],
)
def test_the_pipelines_take_what_they_are_given(pipeline: Any, own: set[str]) -> None:
    assert set(inspect.signature(pipeline.__call__).parameters) >= SHARED | own
    encode = {"prompt", "negative_prompt", "do_classifier_free_guidance", "max_sequence_length"}
    assert set(inspect.signature(pipeline.encode_prompt).parameters) >= encode
    parts = {"tokenizer", "text_encoder", "transformer", "vae", "scheduler"}
    assert set(inspect.signature(pipeline).parameters) >= parts


def test_decoder_and_scheduler_take_what_they_are_given() -> None:
    vae = AutoencoderKLWan(base_dim=2, num_res_blocks=1)
    assert set(inspect.signature(vae.decoder.forward).parameters) >= {"feat_cache", "feat_idx", "first_chunk"}
    assert vae.use_tiling is False
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    scheduler.set_timesteps(30)
    assert scheduler.model_outputs == [None, None]
    assert get_model("wan-1.3b").levels_from(1.0, 30) == pytest.approx(scheduler.sigmas[:-1].tolist(), abs=2e-6)


def test_what_a_row_cannot_do_is_refused_with_the_reason(clip: str, picture: str) -> None:
    words = {"prompt": "a red ball"}
    assert "cannot do 'restyle'" in str(refusal("wan-vace", task="restyle", video=clip, **words))
    assert "cannot do 'animate'" in str(refusal("wan-1.3b", task="animate", image=picture, **words))
    assert "Set their strength to 1" in str(refusal("wan-vace", task="animate", image=picture, strength=0.5, **words))
    assert "no loops of words" in str(refusal("wan-vace", task="loop", **words))
    assert "loops words alone" in str(refusal("wan-1.3b", task="loop", video=clip))
    assert "loops words alone" in str(refusal("wan-5b", task="loop", video=clip))
    part = refusal("wan-1.3b", task="restyle", video=clip, range=(0.5, 1.0), **words)
    assert (part.field, "holds no frames" in str(part)) == ("range", True)
    last = refusal("wan-5b", task="animate", image=picture, last=picture, **words)
    assert (last.field, "first picture only" in str(last)) == ("image", True)
    assert "first picture only" in str(refusal("wan-5b", task="animate", last=picture, **words))
    curve = refusal("wan-vace", task="transition", first=clip, second=clip, curve="late")
    assert (curve.field, "its own way" in str(curve)) == ("curve", True)


def test_a_restyle_says_at_which_noise_level_it_starts(clip: str) -> None:
    asked = {"task": "restyle", "video": clip, "prompt": "a red ball", "steps": 4}
    between = plan("wan-1.3b", strength=0.6, **asked)
    assert any("Noise level 0.6 became 0.5, that of a step" in note for note in between.notes)
    assert get_model("wan-1.3b").levels_from(0.6, 4) == pytest.approx([0.5], abs=2e-3)
    assert not any("became" in note for note in plan("wan-1.3b", strength=0.75, **asked).notes)
    below = plan("wan-1.3b", strength=0.1, **asked)
    assert any("Noise level 0.1 became 0.5" in note for note in below.notes), "there is no step below it"
    for name in ("subtle", "mild", "strong"):
        notes = plan("wan-1.3b", task="restyle", video=clip, prompt="a red ball", strength=name).notes
        assert any("nobody has calibrated" in note for note in notes)
        assert not any("that of a step" in note for note in notes), "the names are levels of the usual schedule"


def test_the_shortest_clip_is_taken_whatever_its_file_rounds_it_to(tmp_path: Path) -> None:
    made = plan("wan-vace", task="loop", video=film(tmp_path / "brief.mp4", 5, 16), seam="short")
    assert made.num_frames == 5 + 7
    with pytest.raises(BadRequest, match=r"at least 0\.3125 s"):
        plan("wan-vace", task="loop", video=film(tmp_path / "briefer.mp4", 4, 16), seam="short")


def test_loops_of_words_are_whole_latent_frames() -> None:
    made = plan("wan-1.3b", task="loop", prompt="a red ball")
    assert (made.num_frames, made.segments[0].frames, made.notes) == (80, 77, ())
    assert plan("wan-5b", task="loop", prompt="a red ball", frames=11).num_frames == 12
