"""A take that is used again sets every control as it was: one's own with its files, that of others without."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_server import running_app
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from seeded import keep_run
from test_layouts import film

from pipeline.library.runs import Run
from pipeline.models import EMBEDDED
from pipeline.plan import make_plan
from pipeline.request import parse_request, with_sources
from pipeline.store import Store
from pipeline.visitors import EVERYTHING, Parent, Viewer

SOMEBODY = Viewer("b" * 32)
SAMPLING: dict[str, Any] = {"prompt": "a red ball", "seed": 2**64 - 1, "steps": 7, "guidance_scale": 2.5}


@pytest.fixture(scope="module")
def studio(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Studio"]:
    """A page of an app whose library holds a take of every task, and some that somebody else has published."""
    folder = tmp_path_factory.mktemp("studio")
    runs = seeded(Store(folder / "home"), folder)
    with running_app(folder / "home") as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(120_000)
        yield Studio(page, server.url, runs)
        page.close()


class Studio:
    """The page, and the ids of the runs by their names."""

    def __init__(self, page: Page, address: str, runs: dict[str, str]) -> None:
        self.page, self.address, self.runs = page, address, runs

    def use_again(self, name: str, button: str = "Use again") -> Page:
        self.page.goto(f"{self.address}/?run={self.runs[name]}")
        self.page.get_by_role("button", name=button).click()
        return self.page


def seeded(store: Store, folder: Path) -> dict[str, str]:
    clip, other = film(folder / "clip.mp4", 17), film(folder / "other.mp4", 30, fps=16)
    for name, grey in (("one.png", 90), ("two.png", 160)):
        Image.fromarray(np.full((64, 96, 3), grey, np.uint8)).save(folder / name)
    one, two = str(folder / "one.png"), str(folder / "two.png")
    between = [{"seconds": 0.5, "image": two, "strength": 0.4}]
    style = {"theme": "on snow", "colour": "in blue", "camera": "the camera orbits", "light": "at night"}
    asked: dict[str, dict[str, Any]] = {
        "text": {"shape": "ultrawide", "seconds": 3.0, "deliver": "480p"},
        "animate": {"image": one, "last": two, "at": between, "strength": 0.8, "fit": "pad", "focus": [0.2, 0.7]},
        "restyle": {"video": clip, "strength": "strong", "range": [0.5, 1.5], **style},
        "transition": {"first": clip, "second": other, "curve": "late", "seconds": 1.5},
        "loop": {"video": clip, "seam": "short", "range": [0.0, 1.5]},
    }
    runs = {task: keep(store, {"task": task} | each).id for task, each in asked.items()}
    parent = keep(store, {"task": "text", "frames": 17}, SOMEBODY)
    of_it = {"task": "restyle", "video": f"run:{parent.id}"}
    child = keep(store, of_it, SOMEBODY, parents=(Parent(parent.id, "restyled from"),))
    theirs = keep(store, {"task": "restyle", "video": clip, "fit": "pad"}, SOMEBODY)
    for run in (parent, child, theirs):
        store.mark(run.id, SOMEBODY, published=True)
    return runs | {"child": child.id, "theirs": theirs.id}


def keep(store: Store, asked: dict[str, Any], owner: Viewer = EVERYTHING, **told: Any) -> Run:
    request = with_sources(parse_request(SAMPLING | asked), store.keep_source)
    return keep_run(store, make_plan(request, EMBEDDED), owner.owner, **told)


def expect_values(page: Page, task: str, **values: str) -> None:
    page.locator(f"#{task}-advanced > button").click()
    expect(page.locator(f"#{task}-prompt textarea")).to_have_value("a red ball")
    for name, value in ({"seed": "18446744073709551615", "steps": "7", "guidance": "2.5"} | values).items():
        field = name if "-" in name or name in ("across", "down") else f"{task}-{name}"
        expect(page.locator(f"#{field} input, #{field} textarea").first).to_have_value(value)


def test_words(studio: Studio) -> None:
    page = studio.use_again("text")
    expect(page.get_by_role("radio", name="Ultrawide")).to_be_checked()
    expect_values(page, "text", seconds="3", width="", height="", frames="", deliver="480p")
    expect(page.locator("#opened section")).to_have_count(0)


def test_pictures(studio: Studio) -> None:
    page = studio.use_again("animate")
    sharp = {"animate-strength": "0.8", "across": "0.2", "down": "0.7", "between-second": "0.5"}
    page.locator("#animate-more > button").click()
    expect_values(page, "animate", **sharp, **{"between-strength": "0.4"})
    expect(page.get_by_role("radio", name="Pad")).to_be_checked()
    expect(page.get_by_role("radio", name="As given").locator("visible=true")).to_be_checked()
    for field in ("first", "last", "between"):
        expect(page.locator(f"#{field} img").last).to_be_visible()
    expect(page.locator("#animate-contract .promise")).to_contain_text("17 frames")
    expect(page.locator("#opened section")).to_have_count(0)


def test_clips(studio: Studio) -> None:
    page = studio.use_again("restyle")
    page.locator("#styles > button").click()
    words = {"style-theme": "on snow", "style-colour": "in blue", "style-camera": "the camera orbits"}
    expect_values(page, "restyle", **words, **{"style-light": "at night"}, range="0.5..1.5")
    expect(page.get_by_role("radio", name="Strong")).to_be_checked()
    expect(page.locator("#restyle-video")).to_contain_text("clip")
    page = studio.use_again("transition")
    expect_values(page, "transition", seconds="1.5")
    expect(page.get_by_role("radio", name="Late")).to_be_checked()
    expect(page.locator("#first-clip")).to_contain_text("clip")
    expect(page.locator("#second-clip")).to_contain_text("other")
    page = studio.use_again("loop")
    expect_values(page, "loop", range="0..1.5")
    expect(page.get_by_role("radio", name="Short")).to_be_checked()
    expect(page.locator("#loop-video")).to_contain_text("clip")
    expect(page.locator("#opened section")).to_have_count(0)


def test_takes_of_others_come_without_their_files(studio: Studio) -> None:
    page = studio.use_again("child", "Make your own")
    expect(page.locator("#restyle-video")).to_contain_text("clip")
    expect(page.locator("#restyle-contract .promise")).to_contain_text("17 frames")
    expect(page.locator("#opened section")).to_have_count(0)
    page = studio.use_again("theirs", "Make your own")
    expect(page.locator("#opened")).to_contain_text("clip.mp4 was used too, and is not here: drop it into its field.")
    expect(page.locator("#opened")).to_contain_text("no field for it, so it is left out: how another shape fits in.")
    expect(page.locator("#restyle-contract")).to_contain_text("Give a clip")
    expect(page.locator("#restyle-prompt textarea")).to_have_value("a red ball")
