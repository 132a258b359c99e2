"""The real app under many visitors, with a page open, killed in the middle, and started again on the same runs."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from app_server import Server, running_app
from crowd import ask, crowd, mean_waits, rows, visitors, wait_for
from playwright.sync_api import Browser, Page, expect

from browser.conftest import PATIENCE_MS
from browser.test_following import LONG, begin, make
from pipeline.store import Store
from pipeline.visitors import owner_of

TEN = visitors(10)
WAITING = "a blue ball stays on snow"
# Of the second app: waiting jobs, of which one visitor may have half.
SHORT_QUEUE = 6


def all_are_made_once(server: Server) -> None:
    answers = crowd(server.url, TEN, each=4)
    assert {kind for kind, _ in answers} == {"complete"}
    made = [run["id"] for _, (_, run) in answers]
    jobs = rows(server.home)
    assert sorted(made) == sorted(job["run"] for job in jobs) == sorted(run.id for run in Store(server.home).list())
    assert len(set(made)) == 40
    assert Counter(job["owner"] for job in jobs) == {owner_of(key): 4 for key in TEN}
    waits = mean_waits(jobs)
    print(f"mean waits of ten visitors: {min(waits):.2f} to {max(waits):.2f} s")
    assert max(waits) <= 2 * min(waits)


def kill_with_jobs(server: Server, page: Page) -> None:
    """Let a page have a take under way and one that waits, and three programs others, and kill the app."""
    page.goto(server.url)
    page.locator("#text-contract .promise").wait_for()
    begin(page)
    make(page, WAITING, 2)
    for waiting, key in enumerate((TEN[0], TEN[0], TEN[1], TEN[2]), start=2):
        ask(server.url, key)
        # Asked for one after another, and accepted so: programs are answered before their jobs are submitted.
        wait_for(lambda waiting=waiting: len(rows(server.home, state="queued")) == waiting)  # type: ignore[misc]
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()


def what_waited_is_made(server: Server) -> None:
    (cut,) = rows(server.home, state="interrupted")
    assert cut["run"] is None
    wait_for(lambda: len(rows(server.home, state="done")) == 45)
    kept = [run.id for run in Store(server.home).list()]
    assert sorted(job["run"] for job in rows(server.home, state="done")) == sorted(kept)
    after = [job["owner"] for job in sorted(rows(server.home)[-5:], key=lambda job: job["started"])]
    assert [owner for owner in after if owner != cut["owner"]] == [owner_of(TEN[number]) for number in (0, 1, 2, 0)]
    assert not list((server.home / ".unfinished").iterdir())


def the_page_finds_its_takes_again(page: Page) -> None:
    expect(page.locator(".screen.is-done figcaption q")).to_have_text(WAITING)
    expect(page.locator(".job.is-interrupted small")).to_contain_text("Run it again")
    page.get_by_role("button", name=f"Run again: {LONG}").click()
    expect(page.locator(".screen.is-running figcaption q")).to_have_text(LONG)
    expect(page.locator(".job.is-interrupted")).to_have_count(0)
    page.get_by_role("button", name=f"Stop: {LONG}").click()
    expect(page.locator(".screen.is-done figcaption q")).to_have_text(LONG)


def who_is_refused_is_told(server: Server) -> None:
    before = len(Store(server.home).list())
    answers = crowd(server.url, TEN, each=4)
    made = [data[1]["id"] for kind, data in answers if kind == "complete"]
    said = [str(data) for kind, data in answers if kind == "error"]
    assert len(made) + len(said) == 40
    assert len(made) >= SHORT_QUEUE
    assert said
    full, own = "6 videos are waiting already. Try again in a minute.", "3 videos of yours are waiting already."
    assert all(full in words or own in words for words in said)
    assert len(set(made)) == len(made) == len(Store(server.home).list()) - before


def test_nothing_accepted_is_lost_or_made_twice(
    browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with browser.new_context() as context:
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        with running_app(tmp_path) as server:
            all_are_made_once(server)
            kill_with_jobs(server, page)
        port = int(server.url.rpartition(":")[2])
        with running_app(tmp_path, port, ONETAKE_MAX_QUEUE=str(SHORT_QUEUE)) as server:
            what_waited_is_made(server)
            the_page_finds_its_takes_again(page)
            who_is_refused_is_told(server)
    with capsys.disabled():
        print(f"  {capsys.readouterr().out.strip()}")
