"""LoRAs on the page: drop a file, say how much of it, see it in the recipe, take it again."""

from pathlib import Path

import lora_files
import pytest
from app_server import running_app
from by_hand import type_into
from hub_server import running_hub
from playwright.sync_api import Browser, Page, expect


def test_a_lora_that_was_dropped_is_planned_used_and_restored(page: Page, tmp_path: Path) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors", trigger="golden moon")
    page.locator("#text-advanced > button").click()
    page.locator("#text-lora-files input[type=file]").set_input_files(path)
    type_into(page, "#text-prompt", "a golden moon and a ball")
    type_into(page, "#text-steps", "3")
    contract = page.locator("#text-contract")
    expect(contract).to_contain_text("ink.safetensors listens to: golden moon.")
    type_into(page, "#text-loras", "wash.safetensors=0.5")
    expect(contract.locator(".refusal")).to_contain_text("'wash.safetensors' is no LoRA that was uploaded")
    type_into(page, "#text-loras", "ink.safetensors=much")
    expect(contract.locator(".refusal")).to_contain_text("'much' is no weight")
    type_into(page, "#text-loras", "ink.safetensors=0.5\nuser/name")
    expect(contract).to_contain_text("user/name is fetched from the Hub before it is used.")
    type_into(page, "#text-loras", "ink.safetensors=0.5")
    expect(contract).not_to_contain_text("from the Hub")
    page.locator("#text-make").click()
    expect(page.locator(".screen.is-done figcaption q")).to_have_text("a golden moon and a ball")
    page.get_by_text("Recipe", exact=True).click()
    expect(page.locator(".recipe")).to_contain_text("ink.safetensors × 0.5")

    page.reload()
    page.get_by_role("button", name="Use again").click()
    page.locator("#text-advanced > button").click()
    expect(page.locator("#text-lora-files")).to_contain_text("ink")
    expect(page.locator("#text-loras textarea")).to_have_value("ink.safetensors=0.5")


@pytest.mark.slow
def test_a_lora_of_the_hub_is_fetched_in_sight_and_then_used(browser: Browser, tmp_path: Path) -> None:
    lora_files.write(tmp_path / "served" / "user" / "inks" / "ink.safetensors", trigger="golden moon")
    with running_hub(tmp_path / "served") as hub:
        hub.seconds_each_chunk = 0.3
        cache = str(tmp_path / "hub")
        with running_app(
            tmp_path / "home", HF_ENDPOINT=hub.url, HF_HUB_CACHE=cache, HF_HUB_OFFLINE="0"
        ) as server:  # fmt: skip
            page = browser.new_page()
            page.goto(server.url)
            type_into(page, "#text-prompt", "a red ball")
            page.locator("#text-advanced > button").click()
            type_into(page, "#text-steps", "3")
            type_into(page, "#text-loras", "user/inks=0.5")
            contract = page.locator("#text-contract")
            expect(contract).to_contain_text("user/inks is fetched from the Hub before it is used.")
            page.locator("#text-make").click()
            expect(contract).to_contain_text("Fetching user/inks from the Hub…")
            expect(page.locator(".screen.is-done figcaption q")).to_have_text("a red ball")
            expect(contract).to_contain_text("user/inks:ink.safetensors listens to: golden moon.")
            page.get_by_text("Recipe", exact=True).click()
            expect(page.locator(".recipe")).to_contain_text("user/inks:ink.safetensors × 0.5")
            page.close()
