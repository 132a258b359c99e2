"""Pictures become pins: at the frame that was asked for, in the clip as the autoencoder can show them, or refused."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from conftest import SMALL
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from PIL import Image
from test_ltx import bare, run

from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest
from pipeline.given.footage import Excerpt
from pipeline.given.media import read_picture
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan, make_plan
from pipeline.planning.segments import Pin
from pipeline.request import parse_request
from pipeline.settings import ASSETS

if TYPE_CHECKING:
    from pipeline.families.family import Family


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """A wide picture: an orange sky over a green floor, with a red block."""
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[:90], pixels[90:] = (240, 160, 90), (60, 140, 50)
    pixels[70:130, 170:230] = (210, 30, 25)
    path = tmp_path / "block.png"
    Image.fromarray(pixels).save(path)
    return str(path)


def animate(spec: ModelSpec, **asked: Any) -> Plan:
    return make_plan(parse_request({"task": "animate", "prompt": "a red cube", "seed": 7} | asked), spec)


def refusal(spec: ModelSpec, **asked: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        animate(spec, **asked)
    return refused.value


def test_pictures_stand_where_they_were_asked_for(spec: ModelSpec, picture: str) -> None:
    at = [{"seconds": 1.0, "image": picture, "strength": 0.5}]
    plan = animate(spec, image=picture, last=picture, at=at, frames=17, fit="pad", focus=[0.2, 0.8])
    given = Excerpt(picture, fit="pad", focus=(0.2, 0.8))
    assert plan.segments[0].pins == (
        Pin(0, given, 1.0),
        Pin(8, given, 0.5),
        Pin(16, given, 1.0),
    )
    assert Plan.from_json(plan.to_json()) == plan


def test_a_picture_in_between_is_kept_as_closely_as_the_others(spec: ModelSpec, picture: str) -> None:
    plan = animate(spec, at=[{"seconds": 1.0, "image": picture}], strength=0.4)
    assert [pin.strength for pin in plan.segments[0].pins] == [0.4]


def test_the_shape_follows_the_picture_and_cropping_is_told(spec: ModelSpec, picture: str) -> None:
    plan = animate(spec, image=picture)
    assert (plan.width, plan.height) == spec.shapes["ultrawide"]
    assert any("block.png, 400×200, was cropped" in note for note in plan.notes)
    assert animate(spec, image=picture, width=128, height=64).notes == ()
    assert any("was padded" in note for note in animate(spec, image=picture, shape="portrait", fit="pad").notes)


def test_what_cannot_be_shown_is_refused(spec: ModelSpec, picture: str) -> None:
    assert "no picture" in str(refusal(spec))
    assert refusal(spec, image="/gone.png").field == "image"
    assert refusal(spec, image=picture, frames=1).field == "frames"
    assert "choose from 0 to 2 s" in str(refusal(spec, at=[{"seconds": 3.0, "image": picture}], frames=17))
    assert "Two pictures" in str(refusal(spec, image=picture, at=[{"seconds": 0.0, "image": picture}]))
    for field, value in {"strength": 0.0, "fit": "squash", "focus": [2.0, 0.5], "at": [{"seconds": -1.0}]}.items():
        assert refusal(spec, image=picture, **{field: value}).field == field


def conditions(plan: Plan) -> list[LTXVideoCondition]:
    size = (plan.width, plan.height)
    return [
        LTXVideoCondition(image=read_picture(pin.given.file, size), frame_index=pin.frame, strength=pin.strength)
        for pin in plan.segments[0].pins
    ]


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_latents_equal_the_bare_call_and_the_last_estimate(
    family: "Family", spec: ModelSpec, picture: str, strength: float
) -> None:
    plan = animate(spec, **{**SMALL, "steps": 6}, image=picture, last=picture, strength=strength)
    sample, told = run(family, plan)
    assert np.array_equal(sample.latents, bare(family, plan, conditions=conditions(plan)))
    foreseen = family.preview(torch.from_numpy(sample.latents))
    assert np.abs(told[-1][2].astype(int) - foreseen).max() <= 1


@pytest.mark.parametrize("after", [1, 3])
def test_a_stopped_animation_still_begins_with_its_picture(
    family: "Family", spec: ModelSpec, picture: str, after: int
) -> None:
    plan = animate(spec, **SMALL, image=picture)
    stopped, whole = run(family, plan, stop_after=after)[0], run(family, plan)[0]
    assert np.array_equal(stopped.latents[:, :, 0], whole.latents[:, :, 0])
    assert np.isfinite(stopped.latents).all()


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


def test_the_first_frame_is_the_picture_within_1_db_of_the_autoencoder(
    backend: LocalBackend, family: "Family", spec: ModelSpec, picture: str
) -> None:
    plan = animate(spec, image=picture, width=128, height=128, frames=17, steps=10)
    wanted = np.asarray(read_picture(picture, (128, 128)))
    made = np.concatenate(list(backend.run(plan, lambda _: None, lambda: False).frames))[0]
    pixels = torch.from_numpy(wanted.copy()).permute(2, 0, 1)[None, :, None].float() / 127.5 - 1
    with torch.no_grad():
        best = family.pipe.vae.decode(family.pipe.vae.encode(pixels).latent_dist.mode()).sample
    best = ((best[0, :, 0] + 1) * 127.5).clamp(0, 255).permute(1, 2, 0).numpy()
    assert psnr(made, wanted) >= psnr(best, wanted) - 1


def test_what_moves_away_leaves_the_first_frame_as_the_picture(
    backend: LocalBackend, family: "Family", spec: ModelSpec
) -> None:
    picture = str(ASSETS / "examples" / "rolls-first.png")
    asked = {"prompt": "the red ball rolls right on the checkered floor", "steps": 25, "frames": 17}
    plan = animate(spec, image=picture, width=128, height=128, **asked)
    wanted = np.asarray(read_picture(picture, (128, 128)))
    made = np.concatenate(list(backend.run(plan, lambda _: None, lambda: False).frames))
    (best,) = np.concatenate(list(family.codec.decode(family.codec.encode(wanted[None].copy()).numpy())))
    assert len(made) == 17
    assert psnr(made[0], wanted) >= psnr(best, wanted) - 1
