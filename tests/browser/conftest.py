"""A real browser on the real app: one server for all tests, a fresh browser profile for each."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_server import Server, running_app
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline.store import Store
from pipeline.visitors import MACHINE

CHROMIUM = shutil.which("chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 800}
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def chromium() -> str:
    if CHROMIUM is None:
        message = "NO BROWSER: install Debian's chromium (apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return CHROMIUM


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_app(tmp_path_factory.mktemp("studio")) as server:
        yield server


@pytest.fixture(scope="session")
def address(studio: Server) -> str:
    return studio.url


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str, tmp_path: Path) -> Iterator[Page]:
    """A desktop page that has arrived; what breaks in its scripts fails the test."""
    context = browser.new_context(viewport=DESKTOP, accept_downloads=True)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.goto(address)
    page.locator("#text-contract .promise").wait_for()
    yield page
    page.screenshot(path=tmp_path / "last.png")
    context.close()
    assert not faults


@pytest.fixture
def store(studio: Server) -> Iterator[Store]:
    """The runs of the app. What a test adds belongs to the machine, so everybody sees it: it goes afterwards."""
    store = Store(studio.home)
    yield store
    for run in store.list():
        if run.owner == MACHINE:
            shutil.rmtree(run.file.parent)
