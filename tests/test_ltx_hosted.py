"""The hosted LTX rows on the whole road, with random weights under their real names and nothing fetched."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from diffusers import LTXConditionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file
from test_ltx import run
from tiny_ltx import pipeline, place_row

from pipeline.backends.cutting import Reader
from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest, LoadError, NotDownloaded
from pipeline.families import ltx
from pipeline.families.ltx import LTXFamily
from pipeline.generate import Finished, generate
from pipeline.library.runs import Run
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import ROOT, Settings
from pipeline.store import Store
from pipeline.video import read_frames, write_clip

if TYPE_CHECKING:
    from pipeline.families.family import Family

ROWS = ("ltx-13b", "ltx-2b")
SMALL: dict[str, Any] = {"prompt": "a red ball", "width": 256, "height": 256, "seed": 7}
TASKS: dict[str, dict[str, Any]] = {
    "text": {"frames": 9},
    "picture": {"frames": 1},
    "animate": {"task": "animate", "image": "picture", "last": "picture", "strength": 0.6, "frames": 9},
    "restyle": {"task": "restyle", "video": "clip", "strength": 0.5, "range": [0.3, 0.7]},
    "transition": {"task": "transition", "first": "clip", "second": "clip", "seconds": 0.3},
    "extend": {"task": "extend", "video": "clip", "seconds": 0.3},
    "loop": {"task": "loop", "video": "clip", "seam": "short"},
    "loop of words": {"task": "loop", "frames": 32},
}
FRAMES = {
    "text": 9,
    "picture": 1,
    "animate": 9,
    "restyle": 25,
    "transition": 43,
    "extend": 33,
    "loop": 40,
    "loop of words": 32,
}
ENLARGED = TASKS["text"] | {"deliver": "480p"}


@pytest.fixture(scope="module")
def pipe() -> LTXConditionPipeline:
    return pipeline()


@pytest.fixture(scope="module")
def settings(pipe: LTXConditionPipeline, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    hub = tmp_path_factory.mktemp("hub")
    for name in ROWS:
        place_row(get_model(name), hub, pipe)
    return Settings(hub=hub, device="cpu")


@pytest.fixture(scope="module")
def backend(settings: Settings) -> LocalBackend:
    return LocalBackend(settings)


@pytest.fixture(scope="module")
def family(backend: LocalBackend) -> "Family":
    return backend.warm("ltx-2b")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("given")
    frames = np.tile(np.arange(64, dtype=np.uint8)[None, None, :, None] * 3, (25, 64, 1, 3))
    Image.fromarray(frames[0]).save(folder / "picture.png")
    write_clip([frames], folder / "clip.mp4", 24, {})
    return {"picture": str(folder / "picture.png"), "clip": str(folder / "clip.mp4")}


def plan(given: dict[str, str], model: str = "ltx-2b", **asked: Any) -> Plan:
    named = {name: given.get(value, value) if isinstance(value, str) else value for name, value in asked.items()}
    return make_plan(parse_request(SMALL | named), get_model(model))


def made(plan: Plan, backend: LocalBackend, store: Store) -> Run:
    *_, last = generate(plan, backend, store)
    assert isinstance(last, Finished)
    return last.run


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("model", "side"), [("ltx-13b", 256), ("ltx-2b", 256), ("ltx-2b", 480)], ids=[*ROWS, "enlarged"]
)
def test_every_tab_makes_a_run(
    backend: LocalBackend, store: Store, given: dict[str, str], model: str, task: str, side: int
) -> None:
    deliver = {"deliver": "480p"} if side == 480 else {}
    asked = plan(given, model, **TASKS[task], **deliver)
    run = made(asked, backend, store)
    assert run.state == "done"
    assert asked.num_frames == FRAMES[task]
    assert (asked.width, asked.height) == ((512, 512) if deliver else (256, 256))
    # What is taken up at half its noise is made at the large size from the clip itself.
    assert (asked.first_pass is not None) == (bool(deliver) and task != "restyle")
    if task == "picture":
        with Image.open(run.file) as picture:
            assert picture.size == (side, side)
    else:
        frames = np.stack(list(read_frames(run.file)))
        assert frames.shape == (asked.num_frames, side, side, 3)
    assert backend.loaded == model


def test_a_take_that_is_too_long_for_one_go_is_made_in_parts(backend: LocalBackend, store: Store) -> None:
    asked = plan({}, "ltx-2b", frames=265)
    assert [segment.frames for segment in asked.segments] == [121, 121, 73]
    run = made(asked, backend, store)
    assert run.state == "done"
    assert sum(1 for _ in read_frames(run.file)) == 265


def test_the_command_line_makes_one_with_the_hub_switched_off(settings: Settings, tmp_path: Path) -> None:
    home = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(settings.hub), "ONETAKE_HOME": str(tmp_path)}
    words = [
        "text",
        "a red ball",
        "--model",
        "ltx-2b",
        "--size",
        "256x256",
        "--frames",
        "9",
        "-o",
        str(tmp_path / "a.mp4"),
    ]
    command = [sys.executable, "-m", "pipeline", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | home | {"ONETAKE_DEVICE": "cpu"}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 9


def test_a_single_file_fills_transformer_and_autoencoder(family: "Family", pipe: LTXConditionPipeline) -> None:
    for part in ("transformer", "vae"):
        ours, theirs = getattr(family.pipe, part).state_dict(), getattr(pipe, part).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        assert {each.dtype for each in ours.values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    "lost",
    [
        "model.diffusion_model.patchify_proj.weight",
        "vae.decoder.conv_in.conv.weight",
        "vae.per_channel_statistics.mean-of-means",
        "vae.per_channel_statistics.std-of-means",
    ],
)
def test_a_single_file_with_gaps_is_a_load_error(pipe: LTXConditionPipeline, tmp_path: Path, lost: str) -> None:
    spec = get_model("ltx-2b")
    place_row(spec, tmp_path, pipe)
    (file,) = tmp_path.rglob("ltxv-2b-*.safetensors")
    weights = load_file(file)
    del weights[lost]
    save_file(weights, file)
    with pytest.raises(LoadError, match=r"ltxv-2b-.*safetensors.*Fetch its files anew"):
        ltx.load(spec, Settings(hub=tmp_path, device="cpu"))


def test_what_is_not_on_this_machine_is_named(
    pipe: LTXConditionPipeline, given: dict[str, str], tmp_path: Path
) -> None:
    spec, settings = get_model("ltx-2b"), Settings(hub=tmp_path, device="cpu")
    missing = pytest.raises(NotDownloaded, match=r"LTX-Video 2B is not on this machine.*download ltx-2b")
    with missing:
        ltx.load(spec, settings)
    place_row(replace(spec, weights=None, upsampler=None), tmp_path, pipe)
    with missing:
        ltx.load(spec, settings)
    place_row(replace(spec, upsampler=None), tmp_path, pipe)
    family, told = ltx.load(spec, settings), []
    doubled = plan(given, **ENLARGED)
    with missing:
        read = Reader(doubled, lambda: family.codec)
        family.run_segment(doubled, doubled.segments[0], {}, read, lambda *_: told.append(_), lambda: False)
    assert not told, "before the first step"


@pytest.mark.parametrize("after", [3, 8, 9])
def test_a_stopped_run_of_two_passes_is_whole_and_told(
    backend: LocalBackend, store: Store, given: dict[str, str], after: int
) -> None:
    steps: list[Any] = []
    road = generate(plan(given, **ENLARGED), backend, store, lambda: len(steps) >= after)
    for event in road:
        steps += [event] if hasattr(event, "index") else []
    assert isinstance(event, Finished)
    assert event.run.state == "stopped"
    note = event.run.notes[-1]
    assert f"Stopped after step {len(steps)} of 11" in note
    assert ("doubled, but not refined" in note) == (len(steps) <= 8)
    assert np.stack(list(read_frames(event.run.file))).shape == (9, 480, 480, 3)


def test_a_loop_of_words_goes_round_in_both_passes(family: "Family", given: dict[str, str]) -> None:
    asked = TASKS["loop of words"] | {"frames": 64}
    for deliver, side in (({}, 8), ({"deliver": "480p"}, 16)):
        sample, told = run(family, plan(given, **asked, **deliver))
        assert sample.latents.shape == (1, 128, 8, side, side)
        assert len(told) == (11 if deliver else 8)


def test_where_a_loop_begins_does_not_change_how_it_is_doubled(family: "Family") -> None:
    doubler = family.doubler() if isinstance(family, LTXFamily) else None
    assert doubler is not None
    latents = torch.randn(1, 128, 8, 4, 4, generator=torch.Generator().manual_seed(1))
    plain, cut = doubler(latents, rolled=True), doubler(latents)
    turned = doubler(latents.roll(1, 2), rolled=True)
    assert (turned - plain.roll(1, 2)).abs().mean() < 0.01 * plain.abs().mean()
    assert (cut - plain).abs().mean() > 0.1 * plain.abs().mean(), "a clip with two ends is another"


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({"steps": 4}, "steps", "choose from 8 to 8"),
        ({"guidance_scale": 3.0}, "guidance_scale", "choose from 1 to 1"),
        ({"width": 128, "height": 128}, "width", "choose from 256 to 1280 pixels"),
        ({"frames": 1500}, "frames", "choose from 1 to 1441"),
    ],
)
def test_what_a_distilled_model_was_not_taught_is_refused(asked: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as refused:
        plan({}, **asked)
    assert refused.value.field == field
