"""LoRAs by their Hub id: found on this machine, fetched from a Hub of our own, and what is not fetched."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lora_files
import pytest
from hub_cache import snapshot
from hub_server import Hub, running_hub

from pipeline.errors import BadRequest, DownloadFailed
from pipeline.hub.loras import fetch_lora, find_lora
from pipeline.hub.transfer import Patience
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request, with_sources
from pipeline.settings import Settings

QUICK = Patience(connect_s=2, read_s=2, pause_s=0.05, tries=2)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    lora_files.write(tmp_path / "served" / "user" / "inks" / "ink.safetensors")
    with running_hub(tmp_path / "served") as running:
        yield running


@pytest.fixture
def here(hub: Hub, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", hub=tmp_path / "hub", hub_endpoint=hub.url)


def plan_with(source: str, spec: ModelSpec, settings: Settings) -> Plan:
    request = parse_request({"prompt": "a ball", "loras": [{"source": source}]})
    return make_plan(with_sources(request, str, lambda name: find_lora(name, settings)), spec)


def test_it_is_promised_then_fetched_once_and_used_without_the_hub(hub: Hub, here: Settings, spec: ModelSpec) -> None:
    before = plan_with("user/inks", spec, here)
    assert before.notes == ("user/inks is fetched from the Hub before it is used.",)
    assert (before.loras[0].file, hub.asked) == ("", [])
    file = Path(fetch_lora("user/inks", here, QUICK))
    assert file.read_bytes() == (hub.root / "user/inks/ink.safetensors").read_bytes()
    assert hub.files_asked() == ["ink.safetensors"]
    shutil.rmtree(hub.root / "user/inks")
    assert fetch_lora("user/inks", here, QUICK) == fetch_lora("user/inks:ink.safetensors", here, QUICK) == str(file)
    (adapter,) = plan_with("user/inks", spec, here).loras
    assert (adapter.name, adapter.file) == ("user/inks:ink.safetensors", str(file))


def test_of_several_files_one_is_named(hub: Hub, here: Settings) -> None:
    lora_files.write(hub.root / "user/inks/wash.safetensors")
    lora_files.write(hub.root / "user/inks/old/ink.safetensors", trigger="old")
    with pytest.raises(BadRequest, match=r"2 files. Name one of them: user/inks:ink\.safetensors, user/inks:wash"):
        fetch_lora("user/inks", here, QUICK)
    assert fetch_lora("user/inks:old/ink.safetensors", here, QUICK).endswith("old/ink.safetensors")
    assert hub.files_asked() == ["old/ink.safetensors"]


def test_of_several_files_that_are_here_one_is_named(tmp_path: Path, spec: ModelSpec, settings: Settings) -> None:
    for name in ("ink", "wash"):
        lora_files.write(snapshot("user/inks", tmp_path) / f"{name}.safetensors")
    with pytest.raises(BadRequest, match="holds 2 files"):
        plan_with("user/inks", spec, replace(settings, hub=tmp_path))
    assert plan_with("user/inks:wash.safetensors", spec, replace(settings, hub=tmp_path)).loras[0].file


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("user/inks:wash.safetensors", "holds no such .safetensors file"),
        ("user/pickles", "holds no such .safetensors file"),
        ("user/large", "5.0 GB large, too much for a LoRA"),
    ],
)
def test_what_is_no_lora_is_not_fetched(hub: Hub, here: Settings, source: str, says: str) -> None:
    for name in ("pickles/ink.bin", "pickles/ink.pt", "large/large.safetensors"):
        (path := hub.root / "user" / name).parent.mkdir(exist_ok=True)
        path.write_bytes(b"0" * 2000)
    hub.sizes["large.safetensors"] = 5 * 10**9
    with pytest.raises(BadRequest, match=says):
        fetch_lora(source, here, QUICK)
    assert hub.files_asked() == []


def test_a_damaged_file_and_a_hub_that_is_away_are_told(hub: Hub, here: Settings) -> None:
    hub.damaged.add("ink.safetensors")
    with pytest.raises(DownloadFailed, match="arrived damaged"):
        fetch_lora("user/inks", here, QUICK)
    assert find_lora("user/inks", here) == "user/inks"
    with pytest.raises(DownloadFailed, match="user/nobody is not on the Hub"):
        fetch_lora("user/nobody", here, QUICK)
    with pytest.raises(DownloadFailed, match="cannot be reached"):
        fetch_lora("user/inks", replace(here, hub_endpoint="http://127.0.0.1:9"), QUICK)


def test_visitors_of_a_space_get_nothing_by_its_owners_token(
    hub: Hub, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_owner")
    space = replace(here, on_space=True)
    hub.private.add("user/inks")
    with pytest.raises(DownloadFailed, match="not for everybody"):
        fetch_lora("user/inks", space, QUICK)
    hub.private.clear()
    hub.gated.add("user/inks")
    with pytest.raises(DownloadFailed, match="gated"):
        fetch_lora("user/inks", space, QUICK)
    assert hub.files_asked() == []
    hub.private.add("user/inks")
    assert Path(fetch_lora("user/inks", here, QUICK)).is_file()
