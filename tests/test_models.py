import json
from dataclasses import asdict

import pytest

from pipeline.errors import BadRequest, UnknownModel
from pipeline.frames import snap_side
from pipeline.memory import Machine
from pipeline.model_spec import ModelSpec
from pipeline.models import MODELS, default_model, get_model
from pipeline.settings import ASSETS


def test_without_a_card_the_default_model_is_the_embedded_one() -> None:
    assert default_model(Machine(ram_mb=500_000), lambda _: True).embedded


@pytest.mark.parametrize(
    ("vram_mb", "here", "name"),
    [
        (80_000, {"ltx-2b", "ltx-13b", "wan-5b"}, "ltx-13b"),
        (80_000, {"ltx-2b"}, "ltx-2b"),
        (80_000, {"wan-5b"}, "tabletop"),
        (24_000, {"ltx-2b", "ltx-13b"}, "ltx-13b"),
        (12_000, {"ltx-2b", "ltx-13b"}, "ltx-2b"),
        (8_000, {"ltx-2b", "ltx-13b"}, "ltx-2b"),
        (4_000, {"ltx-2b", "ltx-13b"}, "tabletop"),
    ],
)
def test_with_a_card_it_is_the_largest_that_fits_and_is_here(vram_mb: int, here: set[str], name: str) -> None:
    assert default_model(Machine(vram_mb), lambda spec: spec.name in here).name == name


def test_who_names_a_model_gets_it() -> None:
    assert default_model(Machine(), lambda _: False, "wan-5b").name == "wan-5b"
    with pytest.raises(UnknownModel):
        default_model(Machine(), lambda _: True, "sora")


def test_an_unknown_model_is_a_bad_request_that_names_the_others() -> None:
    with pytest.raises(UnknownModel, match="tabletop") as refused:
        get_model("sora")
    assert isinstance(refused.value, BadRequest)


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_a_row_obeys_its_own_grid_and_limits(spec: ModelSpec) -> None:
    assert get_model(spec.name) is spec
    for width, height in (*spec.shapes.values(), (spec.min_side, spec.max_side)):
        for side in (width, height):
            assert spec.min_side <= side <= spec.max_side
            assert snap_side(side, spec.grid) == side
    for frames in (spec.frames, spec.max_frames):
        assert spec.snap(frames) == frames
    assert spec.shape in spec.shapes
    assert 1 <= spec.steps <= spec.max_steps
    assert 1 <= spec.guidance_scale <= spec.max_guidance_scale
    assert spec.grid % spec.side_stride == 0
    json.dumps(asdict(spec))


def test_the_row_of_the_embedded_model_says_what_its_files_say(spec: ModelSpec) -> None:
    folder = ASSETS / spec.repo
    transformer = json.loads((folder / "transformer" / "config.json").read_text())
    vae = json.loads((folder / "vae" / "config.json").read_text())
    assert transformer["num_layers"] == spec.network.layers
    assert transformer["num_attention_heads"] * transformer["attention_head_dim"] == spec.network.width
    assert transformer["in_channels"] == vae["latent_channels"]
    assert vae["patch_size"] * 2 ** sum(vae["spatio_temporal_scaling"]) == spec.side_stride
    assert vae["patch_size_t"] * 2 ** sum(vae["spatio_temporal_scaling"]) == spec.frame_grid
