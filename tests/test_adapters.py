"""LoRAs before a model is touched: what is a file and what an id, what is refused, and what is told."""

import json
import pickle
from pathlib import Path
from typing import Any

import lora_files
import pytest
import torch
from conftest import MakePlan

from pipeline.adapters import hub_id
from pipeline.errors import BadRequest
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request

LAYER = "transformer.transformer_blocks.0.attn1.to_q"


def asked(path: str, **more: Any) -> dict[str, Any]:
    return {"loras": [{"source": path, **more}]}


@pytest.mark.parametrize(
    ("source", "means"),
    [
        ("user/name", ("user/name", None)),
        ("user/name.v2", ("user/name.v2", None)),
        ("user/name:ink.safetensors", ("user/name", "ink.safetensors")),
        ("user/name:some folder/ink.safetensors", ("user/name", "some folder/ink.safetensors")),
        ("folder/ink.safetensors", None),
        ("/user/name", None),
        ("./user/name", None),
        ("user/name:../../secret.safetensors", None),
        ("user/name:/secret.safetensors", None),
        ("user/name:folder//secret.safetensors", None),
        ("user/name:ink.bin", None),
        ("folder/ink.ckpt", None),
        ("run:0123", None),
    ],
)
def test_a_source_is_an_id_or_a_file_by_its_spelling_alone(source: str, means: object) -> None:
    assert hub_id(source) == means


@pytest.mark.parametrize("name", ["ink.bin", "ink.pt", "folder/ink.ckpt", "user/name:ink.pth", "run:0123", "", "ink"])
def test_other_formats_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(BadRequest, match="can hold code") as refused:
        parse_request({"prompt": "a ball"} | asked(name))
    assert refused.value.field == "loras"


@pytest.mark.parametrize(
    "given",
    [
        asked("a/b", weight=2.5),
        asked("a/b", weight=float("nan")),
        asked("a/b", weight="1"),
        asked("a/b", scale=1.0),
        {"loras": [{"weight": 1.0}]},
        {"loras": "a/b"},
        {"loras": [{"source": "a/b"}] * 5},
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(given: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="at most 4 LoRAs, each with its source and a weight from -2 to 2"):
        parse_request({"prompt": "a ball"} | given)


def test_a_pickle_under_another_name_is_not_opened(plan_for: MakePlan, tmp_path: Path) -> None:
    (path := tmp_path / "ink.safetensors").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(BadRequest, match="no safetensors file"):
        plan_for(**asked(str(path)))


def test_damaged_and_missing_files_are_refused(plan_for: MakePlan, tmp_path: Path) -> None:
    path = Path(lora_files.write(tmp_path / "ink.safetensors"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadRequest, match="damaged"):
        plan_for(**asked(str(path)))
    with pytest.raises(BadRequest, match=r"gone\.safetensors cannot be read"):
        plan_for(**asked(str(tmp_path / "gone.safetensors")))


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"latents": torch.zeros(2, 2)}, "holds no LoRA"),
        (lora_files.low_rank(LAYER) | {f"{LAYER}.dora_scale": torch.ones(4)}, "is a DoRA"),
        ({f"{LAYER}.lokr_w1": torch.ones(4, 4)}, "is a LoKr"),
        ({f"{LAYER}.hada_w1_a": torch.ones(4, 4)}, "is a LoHa"),
        (lora_files.low_rank("text_encoder.layers.0.q"), "changes the text encoder"),
        ({"lora_te1_q.lora_down.weight": torch.ones(4, 4)}, "changes the text encoder"),
        (lora_files.low_rank(LAYER, inwards=2048), "of width 2048; Tabletop has 256"),
        (lora_files.low_rank("diffusion_model.blocks.0.self_attn.q", inwards=1536), "of width 1536; Tabletop has 256"),
        ({"lora_unet_blocks_0_self_attn_q.lora_down.weight": torch.ones(4, 1536)}, "of width 1536"),
        (lora_files.low_rank(LAYER.replace("s.0", "s.8")), "more than 8 blocks; Tabletop has 8"),
    ],
)
def test_what_a_header_shows_to_be_unfit_is_refused(
    plan_for: MakePlan, tmp_path: Path, tensors: dict[str, torch.Tensor], says: str
) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors", tensors)
    with pytest.raises(BadRequest, match=says) as refused:
        plan_for(**asked(path))
    assert refused.value.field == "loras"
    assert "Give" in str(refused.value)


def test_the_same_file_fits_the_model_that_it_was_made_for(tmp_path: Path) -> None:
    spec = get_model("ltx-2b")
    path = lora_files.write(tmp_path / "ink.safetensors", lora_files.low_rank(LAYER, inwards=2048, outwards=2048))
    (adapter,) = make_plan(parse_request({"prompt": "a ball"} | asked(path, weight=0.5)), spec).loras
    assert (adapter.name, adapter.weight, adapter.file) == ("ink.safetensors", 0.5, path)


@pytest.mark.parametrize(
    ("metadata", "prompt", "note"),
    [
        ({"trigger": "Golden moon"}, "a ball", "ink.safetensors listens to: Golden moon. Add that to the prompt."),
        ({"trigger": "Golden moon"}, "golden moon, a ball", "ink.safetensors listens to: Golden moon."),
        ({"modelspec.trigger_phrase": "inky"}, "a ball", "ink.safetensors listens to: inky. Add that to the prompt."),
        ({"trigger": "a\x1b[31m\nb"}, "a ball", "ink.safetensors listens to: a [31m b. Add that to the prompt."),
        (
            {"ss_tag_frequency": json.dumps({"10_ink": {"paper": 3, "inky": 9}, "5_wash": {"wash": 4, "dull": 1}})},
            "a ball",
            "ink.safetensors was trained most on: inky, wash, paper.",
        ),
    ],
)
def test_what_a_lora_listens_to_is_told(
    plan_for: MakePlan, tmp_path: Path, metadata: dict[str, str], prompt: str, note: str
) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors", **metadata)
    assert plan_for(prompt=prompt, **asked(path)).notes == (note,)


@pytest.mark.parametrize("frequency", ["", "no json", "[]", '{"a": 1}', '{"a": {"b": "c"}}'])
def test_metadata_that_cannot_be_read_is_left_alone(plan_for: MakePlan, tmp_path: Path, frequency: str) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors", ss_tag_frequency=frequency)
    assert plan_for(**asked(path)).notes == ()


def test_what_diffusers_leaves_out_and_what_does_nothing_is_told(plan_for: MakePlan, tmp_path: Path) -> None:
    tensors = lora_files.low_rank(LAYER) | {"diffusion_model.blocks.0.norm3.diff": torch.zeros(4)}
    path = lora_files.write(tmp_path / "ink.safetensors", tensors)
    unread, idle = plan_for(**asked(path, weight=0.0)).notes[::-1]
    assert "changes 1 weights of norms and embeddings as a whole: these are left out" in unread
    assert "changes nothing" in idle


def test_a_recipe_tells_which_file_it_was_without_its_folder(plan_for: MakePlan, tmp_path: Path) -> None:
    plan = plan_for(**asked(lora_files.write(tmp_path / "ink.safetensors"), weight=-0.5))
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    (told,) = plan.to_recipe()["loras"]
    assert (told["name"], told["file"], told["weight"]) == ("ink.safetensors", "ink.safetensors", -0.5)
    assert len(told["sha256"]) == 64
    changed = lora_files.write(tmp_path / "ink.safetensors", trigger="another")
    assert plan_for(**asked(changed)).loras[0].sha256 != told["sha256"]
