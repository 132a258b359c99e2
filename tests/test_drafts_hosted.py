"""Takes of the hosted rows that stop and go on, with random weights: both passes of LTX-Video, and Wan's memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from halves import assert_goes_on_exactly, begin, denoised
from hub_cache import snapshot
from PIL import Image
from test_layouts import film
from tiny_ltx import pipeline, place_row
from tiny_wan import place_wan

from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest
from pipeline.halfway import read_halfway, write_halfway
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import Settings
from pipeline.variations import as_draft, steps_of

SMALL: dict[str, Any] = {"prompt": "a red ball", "width": 256, "height": 256, "seed": 7}
ENDS = {"task": "animate", "image": "red", "last": "blue", "frames": 17}
LARGE = {"deliver": "480p"}
LOOP = {"task": "loop", "frames": 32}
LTX: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    ({"frames": 9}, (2,)),
    (ENDS | {"strength": 0.6}, (3,)),
    ({"task": "restyle", "video": "clip", "strength": 0.9}, (1,)),
    # The first pass has 8 steps, the second one 3: stopped in the one, between both, and in the other.
    (ENDS | LARGE, (5, 8, 9)),
    (LOOP | LARGE, (6, 10)),
]
# UniPC is of the second order from the second step on, and of the first again in the last.
WAN: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("wan-1.3b", {"frames": 9}, (1, 2, 4)),
    ("wan-1.3b", {"task": "restyle", "video": "clip", "strength": 0.93}, (1, 2)),
    ("wan-1.3b", {"task": "loop", "frames": 12}, (3,)),
    ("wan-vace", {"task": "animate", "image": "red", "last": "blue", "frames": 9}, (3,)),
    ("wan-5b", {"task": "animate", "image": "red", "frames": 9}, (3,)),
]


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LocalBackend]:
    """One for each row, so that nothing is loaded twice."""
    hub = tmp_path_factory.mktemp("hub")
    place_row(get_model("ltx-2b"), hub, pipeline())
    rows = ("wan-1.3b", "wan-vace", "wan-5b")
    for name in rows:
        place_wan(get_model(name), hub)
    return {name: LocalBackend(Settings(home=hub, hub=hub, device="cpu")) for name in ("ltx-2b", *rows)}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("given")
    for name, colour in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        Image.new("RGB", (256, 256), colour).save(folder / f"{name}.png")
    pictures = {name: str(folder / f"{name}.png") for name in ("red", "blue")}
    return pictures | {"clip": film(folder / "clip.mp4", 9, 16, (256, 256))}


def plan(given: dict[str, str], model: str, **asked: Any) -> Plan:
    named = {name: given.get(value, value) if isinstance(value, str) else value for name, value in asked.items()}
    return make_plan(parse_request(SMALL | {"model": model} | named), get_model(model))


@pytest.mark.parametrize(("asked", "stops"), LTX)
def test_ltx_goes_on_in_either_pass(
    backends: dict[str, LocalBackend], given: dict[str, str], tmp_path: Path, asked: dict[str, Any], stops: Any
) -> None:
    assert_goes_on_exactly(backends["ltx-2b"], plan(given, "ltx-2b", **asked), stops, tmp_path)


@pytest.mark.parametrize(("model", "asked", "stops"), WAN)
def test_wan_goes_on_with_what_its_scheduler_remembers(
    backends: dict[str, LocalBackend], given: dict[str, str], tmp_path: Path, model: str, asked: Any, stops: Any
) -> None:
    made = plan(given, model, steps=5, **asked)
    assert_goes_on_exactly(backends[model], made, stops, tmp_path)


def test_without_the_memory_of_its_scheduler_it_would_be_another_take(
    backends: dict[str, LocalBackend], given: dict[str, str], tmp_path: Path
) -> None:
    backend, made = backends["wan-1.3b"], plan(given, "wan-1.3b", steps=5, frames=9)
    going_on = begin(backend, made, 2, tmp_path)
    kept = read_halfway(Path(going_on.files[0]))
    assert set(kept.tensors) == {"latents", "last_sample", "model_output_0", "model_output_1"}
    whole = denoised(backend, made)
    for name in kept.tensors:
        write_halfway(replace(kept, tensors={**kept.tensors, name: 0 * kept.tensors[name]}), Path(going_on.files[0]))
        assert not np.array_equal(denoised(backend, going_on).latents, whole.latents), name


def test_a_draft_of_few_steps_is_one_of_its_first(given: dict[str, str]) -> None:
    shares = {
        (8, 2): plan(given, "ltx-2b", frames=9),
        (11, 2): plan(given, "ltx-2b", frames=9, **LARGE),
        (2, 1): plan(given, "wan-1.3b", frames=9, steps=2),
        (30, 6): plan(given, "wan-vace", frames=9, steps=30),
    }
    for (total, last), made in shares.items():
        assert (steps_of(made), as_draft(made).stop_after) == (total, last)


def test_weights_of_another_commit_do_not_go_on(
    given: dict[str, str], tmp_path: Path, backends: dict[str, LocalBackend]
) -> None:
    going_on = begin(backends["wan-1.3b"], plan(given, "wan-1.3b", frames=5, steps=2), 1, tmp_path)
    folder = place_wan(get_model("wan-1.3b"), tmp_path)
    assert folder == snapshot(get_model("wan-1.3b").repo, tmp_path)
    folder.rename(folder.with_name("b" * 40))
    for ref in folder.parents[1].glob("refs/*"):
        ref.write_text("b" * 40)
    with pytest.raises(BadRequest, match=r"has other weights now than this take was begun with\. Make it anew"):
        denoised(LocalBackend(Settings(home=tmp_path, hub=tmp_path, device="cpu")), going_on)
