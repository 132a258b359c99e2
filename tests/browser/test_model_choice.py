"""Models from the Hub in the page: told before, downloaded on a click, stopped, gone on with, and given up plainly."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from app_server import running_app
from hub_server import Hub, running_hub
from playwright.sync_api import Browser, Locator, Page, expect

from pipeline.models import get_model

WAN, GATED = get_model("wan-1.3b"), get_model("wan-5b")
KINDS = {
    "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    "text_encoder": ["transformers", "UMT5EncoderModel"],
    "tokenizer": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "WanTransformer3DModel"],
    "vae": ["diffusers", "AutoencoderKLWan"],
}
SETTINGS = {"scheduler": "scheduler_config.json", "tokenizer": "tokenizer_config.json"}
WEIGH = ("text_encoder/model", "transformer/diffusion_pytorch_model", "vae/diffusion_pytorch_model")


class Studio(NamedTuple):
    page: Page
    hub: Hub


@pytest.fixture
def studio(browser: Browser, tmp_path: Path) -> Iterator[Studio]:
    """A page of an app whose Hub is ours, and slow enough to be watched."""
    folder = tmp_path / "served" / WAN.repo
    files = {"model_index.json": json.dumps({"_class_name": "WanPipeline"} | KINDS).encode()}
    files |= {f"{part}/{SETTINGS.get(part, 'config.json')}": b"{}" for part in KINDS}
    files |= {f"{name}.safetensors": os.urandom(2_000_000) for name in WEIGH}
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with running_hub(tmp_path / "served") as hub:
        hub.seconds_each_chunk, hub.faults[GATED.repo] = 0.4, (403, "GatedRepo")
        with running_app(tmp_path / "home", HF_ENDPOINT=hub.url, HF_HUB_CACHE=str(tmp_path / "cache")) as server:
            page = browser.new_page()
            page.goto(server.url)
            page.locator("#text-contract .promise").wait_for()
            yield Studio(page, hub)
            page.close()


def choose(page: Page, title: str) -> Locator:
    page.locator("#text-model input").click()
    page.get_by_role("option", name=title, exact=True).click()
    return page.locator("#text-contract")


def test_a_model_is_told_downloaded_stopped_and_gone_on_with(studio: Studio) -> None:
    contract = choose(studio.page, WAN.title)
    expect(contract).to_contain_text(f"{WAN.title} is not on this machine yet.")
    expect(contract).to_contain_text("It downloads 6.0 MB, once. The disk has")
    expect(contract.get_by_role("link", name=WAN.licence)).to_have_attribute("href", WAN.licence_url)
    assert studio.hub.files_asked() == ["model_index.json"]
    contract.get_by_role("button", name="Accept the licence and download").click()
    expect(contract.get_by_role("progressbar")).to_be_visible()
    contract.get_by_role("button", name="Cancel").click()
    expect(contract).to_contain_text("are here already")
    studio.hub.seconds_each_chunk = 0
    contract.get_by_role("button", name="Download", exact=True).click()
    expect(contract.locator(".promise")).to_contain_text("81 frames")
    expect(studio.page.locator("#text-model input")).to_have_value(WAN.title)


def test_a_model_that_is_refused_says_why_and_selects_the_embedded_model(studio: Studio) -> None:
    contract = choose(studio.page, GATED.title)
    expect(studio.page.locator("#text-model input")).to_have_value("Tabletop")
    expect(studio.page.locator("#text-told")).to_contain_text("gated. Accept the licence at")
    expect(studio.page.locator("#text-told")).to_contain_text("Tabletop is selected.")
    expect(contract.locator(".promise")).to_contain_text("17 frames")
