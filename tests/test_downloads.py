"""Downloads against a Hub of our own: what is fetched, resumed, refused, and never taken for whole."""

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_cache import COMMIT
from hub_server import Hub, running_hub

from pipeline.errors import Cancelled, DownloadFailed, NotDownloaded
from pipeline.hub.downloads import commit_of, folder_of, is_here, model_folder, weights_file
from pipeline.hub.remembered import accept_licence, licence_accepted
from pipeline.hub.survey import Survey, download, survey
from pipeline.hub.transfer import Patience
from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.settings import Settings

REPO = "studio/tiny"
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
QUICK = Patience(connect_s=2, read_s=2, pause_s=0.05, tries=3)
FILES: dict[str, bytes] = {
    "model_index.json": json.dumps(
        {
            "_class_name": "LTXConditionPipeline",
            "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
            "text_encoder": ["transformers", "T5EncoderModel"],
            "tokenizer": ["transformers", "T5TokenizerFast"],
            "transformer": ["diffusers", "LTXVideoTransformer3DModel"],
            "transformer_2": [None, None],
            "vae": ["diffusers", "AutoencoderKLLTXVideo"],
        }
    ).encode(),
    "scheduler/scheduler_config.json": b"{}",
    "tokenizer/tokenizer_config.json": b"{}",
    "tokenizer/spiece.model": b"words" * 50,
    "text_encoder/config.json": b"{}",
    "text_encoder/model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    ).encode(),
    "text_encoder/model-00001-of-00002.safetensors": os.urandom(5000),
    "text_encoder/model-00002-of-00002.safetensors": os.urandom(6000),
    "transformer/config.json": b"{}",
    WEIGHTS: os.urandom(3_000_000),
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": os.urandom(9000),
}
UNWANTED: dict[str, bytes] = {
    "README.md": b"words",
    "all-in-one.safetensors": os.urandom(2000),
    "media/picture.json": b"{}",
    "text_encoder/pytorch_model.bin": os.urandom(2000),
    "text_encoder/model.fp16.safetensors": os.urandom(2000),
    "text_encoder/model.safetensors.index.fp16.json": b"{}",
    "transformer_2/diffusion_pytorch_model.safetensors": os.urandom(2000),
    "vae/modeling.py": b"print()",
}


def serve(root: Path, repo: str, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (root / repo / name).parent.mkdir(parents=True, exist_ok=True)
        (root / repo / name).write_bytes(data)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    serve(tmp_path / "served", REPO, FILES | UNWANTED)
    with running_hub(tmp_path / "served") as running:
        yield running


@pytest.fixture
def here(hub: Hub, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", hub=tmp_path / "hub", hub_endpoint=hub.url)


@pytest.fixture
def row() -> ModelSpec:
    return replace(get_model("ltx-2b"), repo=REPO, weights=None, upsampler=None)


def get(spec: ModelSpec, settings: Settings) -> tuple[Survey, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return download(spec, settings, lambda *bytes_: told.append(bytes_), lambda: False, QUICK), told


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_a_pipeline_needs_is_fetched_and_nothing_beside(hub: Hub, here: Settings, row: ModelSpec) -> None:
    assert not is_here(row, here)
    found, told = get(row, here)
    folder = model_folder(row, here)
    assert names_in(folder) == set(FILES)
    assert all((folder / name).read_bytes() == data for name, data in FILES.items())
    assert found.total == found.to_fetch == sum(map(len, set(FILES.values()))) == told[-1][0]
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert is_here(row, here)
    assert commit_of(row, here) == found.revision == hub.commit
    # Where the Hub's own library finds it, so that other programs share it.
    assert (here.hub / "models--studio--tiny" / "refs" / "main").read_text() == hub.commit
    hub.asked.clear()
    assert get(row, here)[0].to_fetch == 0
    assert set(hub.files_asked()) <= {"model_index.json"}


def test_weights_in_one_file_and_an_upsampler_come_along(hub: Hub, here: Settings, row: ModelSpec) -> None:
    serve(hub.root, "studio/single", {"all.safetensors": os.urandom(4000), "other.safetensors": b"no"})
    upsampler = {"model_index.json": b"{}", "latent_upsampler/config.json": b"{}"}
    upsampler["latent_upsampler/diffusion_pytorch_model.safetensors"] = os.urandom(2000)
    serve(hub.root, "studio/up", upsampler | {"vae/diffusion_pytorch_model.safetensors": b"no"})
    theirs = get_model("ltx-2b").upsampler
    assert theirs
    whole = replace(row, weights=("studio/single", "all.safetensors"), upsampler=replace(theirs, repo="studio/up"))
    get(whole, here)
    assert names_in(folder_of("studio/single", "main", here)) == {"all.safetensors"}
    assert names_in(folder_of("studio/up", "main", here)) == set(upsampler)
    kept = names_in(model_folder(whole, here))
    assert "transformer/config.json" in kept
    assert not kept & {WEIGHTS, "vae/diffusion_pytorch_model.safetensors"}
    assert is_here(whole, here)
    file = weights_file(whole, here)
    assert file == folder_of("studio/single", "main", here) / "all.safetensors"
    file.unlink()
    assert not is_here(whole, here)
    with pytest.raises(NotDownloaded, match="download ltx-2b"):
        weights_file(whole, here)


@pytest.mark.parametrize("missing", [name for name in FILES if name.endswith(("safetensors", "index.json"))])
def test_a_model_that_lacks_a_file_is_not_here(here: Settings, row: ModelSpec, missing: str) -> None:
    get(row, here)
    (model_folder(row, here) / missing).unlink()
    assert not is_here(row, here)
    with pytest.raises(NotDownloaded, match="python -m pipeline download ltx-2b"):
        model_folder(row, here)


def test_a_transfer_that_breaks_off_goes_on_from_there(hub: Hub, here: Settings, row: ModelSpec) -> None:
    hub.breaks_after = [5000, 6000, 9000, 1_200_000, 800_000]
    get(row, here)
    assert (model_folder(row, here) / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    ranges = [wanted for path, wanted in hub.asked if path.endswith(WEIGHTS)]
    assert ranges[0] == ""
    assert [int(each.removeprefix("bytes=").rstrip("-")) for each in ranges[1:]] == [1_200_000, 2_000_000]


def test_a_download_that_was_stopped_goes_on_from_there(hub: Hub, here: Settings, row: ModelSpec) -> None:
    seen = [0]
    with pytest.raises(Cancelled, match="is kept"):
        download(row, here, lambda done, _: seen.append(done), lambda: seen[-1] > 1_500_000, QUICK)
    assert not is_here(row, here)
    found = survey(row, here)
    assert 1_500_000 < found.here < found.total
    hub.asked.clear()
    get(row, here)
    assert is_here(row, here)
    assert hub.files_asked() == ["model_index.json", WEIGHTS]
    assert hub.asked[-1][1].startswith("bytes=1")


def test_a_hub_that_knows_no_ranges_sends_all_again(hub: Hub, here: Settings, row: ModelSpec) -> None:
    hub.ranges, hub.breaks_after = False, [5000, 6000, 9000, 1_000_000]
    get(row, here)
    assert (model_folder(row, here) / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_a_hub_that_breaks_off_for_good_is_told_and_nothing_counts(hub: Hub, here: Settings, row: ModelSpec) -> None:
    hub.breaks_after = [5000, 6000, 9000, 10_000, *[0] * 50]
    with pytest.raises(DownloadFailed, match=r"breaks off\. .*what was fetched is kept"):
        get(row, here)
    assert not is_here(row, here)
    assert survey(row, here).here > 20_000


def test_damaged_bytes_are_thrown_away(hub: Hub, here: Settings, row: ModelSpec) -> None:
    for name in ("tokenizer/spiece.model", WEIGHTS):
        hub.damaged = {name}
        with pytest.raises(DownloadFailed, match=f"{name} of {REPO} arrived damaged.*Download it again"):
            get(row, here)
        assert not is_here(row, here)
    hub.damaged = set()
    get(row, here)
    assert is_here(row, here)


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "GatedRepo", r"gated\. Accept the licence at http.*/studio/tiny, then log in with `hf auth login`"),
        (401, "GatedRepo", r"gated\. Accept the licence at"),
        (403, "", r"gated\. Accept the licence at"),
        (401, "", r"not for everybody.*HF_TOKEN"),
        (404, "RepoNotFound", r"not on the Hub, or not for everybody"),
        (429, "", r"more slowly.*Try again in some minutes"),
        (503, "", r"error \(503\)\. Try again"),
    ],
)
def test_a_refusal_says_what_to_do(hub: Hub, here: Settings, row: ModelSpec, status: int, code: str, says: str) -> None:
    hub.faults[REPO] = (status, code)
    with pytest.raises(DownloadFailed, match=says):
        get(row, here)
    assert not here.hub.joinpath("models--studio--tiny").exists()


def test_a_dead_hub_is_told_soon(here: Settings, row: ModelSpec) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = replace(here, hub_endpoint=f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(DownloadFailed, match="cannot be reached"):
            get(row, dead)


def test_a_hub_that_never_answers_is_not_waited_for(here: Settings, row: ModelSpec) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        mute = replace(here, hub_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(DownloadFailed, match="cannot be reached"):
            survey(row, mute, replace(QUICK, read_s=0.3))


def test_a_model_that_the_disk_cannot_hold_is_refused_before(hub: Hub, here: Settings, row: ModelSpec) -> None:
    hub.sizes[WEIGHTS] = 10**16
    with pytest.raises(DownloadFailed, match=r"needs 10000000\.0 GB more.* free\. Make room .*HF_HOME"):
        get(row, here)
    assert not here.hub.exists()


def test_a_disk_that_fills_up_is_told(here: Settings, row: ModelSpec) -> None:
    large = next(file for file in survey(row, here).files if file.path == WEIGHTS)
    partial = large.partial(here)
    partial.parent.mkdir(parents=True)
    # The device that is always full answers as a full disk does.
    partial.symlink_to("/dev/full")
    with pytest.raises(DownloadFailed, match="is full"):
        get(row, here)
    assert not is_here(row, here)


def test_a_folder_that_cannot_be_written_is_told(here: Settings, row: ModelSpec) -> None:
    here.hub.write_text("a file")
    with pytest.raises(DownloadFailed, match=r"cannot be written.*HF_HOME"):
        get(row, here)


def test_a_branch_stays_the_commit_of_the_first_download(hub: Hub, here: Settings, row: ModelSpec) -> None:
    get(row, here)
    first, hub.commit = hub.commit, "f" * 40
    assert commit_of(row, here) == first
    shutil.rmtree(here.hub)
    with pytest.raises(DownloadFailed, match=r"gone from the Hub\. Remove it from \.revisions\.json"):
        get(row, here)
    (here.home / ".revisions.json").unlink()
    get(row, here)
    assert commit_of(row, here) == hub.commit


def test_a_commit_in_the_row_is_taken_as_it_is(hub: Hub, here: Settings, row: ModelSpec) -> None:
    pinned = replace(row, revision=hub.commit)
    get(pinned, here)
    assert model_folder(pinned, here).name == COMMIT
    assert not (here.home / ".revisions.json").exists()


def test_what_another_program_fetched_in_part_is_not_taken_for_whole(hub: Hub, here: Settings, row: ModelSpec) -> None:
    cache = here.hub / "models--studio--tiny"
    for name in ("model_index.json", "vae/config.json", "transformer/config.json"):
        path = cache / "snapshots" / hub.commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(hub.commit)
    assert not is_here(row, here)
    get(row, here)
    assert is_here(row, here)


def test_names_from_outside_do_not_lead_outside(hub: Hub, here: Settings, row: ModelSpec) -> None:
    index = json.loads(FILES["model_index.json"]) | {"../../outside": ["diffusers", "Model"]}
    serve(hub.root, REPO, {"model_index.json": json.dumps(index).encode()})
    assert all(re.fullmatch(r"[\w./-]+", file.path) and ".." not in file.path for file in survey(row, here).files)


def test_a_licence_is_accepted_once_and_anew_where_it_changed(here: Settings, row: ModelSpec) -> None:
    assert not licence_accepted(row, here)
    accept_licence(row, here)
    assert licence_accepted(row, here)
    assert not licence_accepted(replace(row, licence_url="https://another"), here)
