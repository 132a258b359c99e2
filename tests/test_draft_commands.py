"""`drafts` and `finish` as a user has them."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_cli import start

from pipeline.__main__ import main
from pipeline.store import Store
from pipeline.video import read_frames

Said = Callable[..., tuple[int, str, str]]
SMALL = ["--size", "64x64", "--frames", "9", "--steps", "4"]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Said]:
    """Run a command in this process, where torch is loaded already; return its status, its output and its errors."""
    monkeypatch.setenv("ONETAKE_HOME", str(tmp_path / "runs"))
    monkeypatch.setenv("ONETAKE_DEVICE", "cpu")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    on_interrupt = signal.getsignal(signal.SIGINT)
    yield lambda *arguments: (main(arguments), *capsys.readouterr())
    signal.signal(signal.SIGINT, on_interrupt)


def test_drafts_are_listed_and_the_chosen_ones_finished(said: Said, tmp_path: Path) -> None:
    status, out, err = said("drafts", "a {red|blue} ball", "--seed", "7", "--seeds", "2", *SMALL)
    assert status == 0
    assert err.splitlines()[0].startswith("4 drafts of 1 of 4 steps, about ")
    drafts = {run.id: run for run in Store(tmp_path / "runs").list()}
    listed = [line.split(None, 3) for line in out.splitlines()]
    drawn = next(run.plan.seed for run in drafts.values() if run.plan.seed != 7)
    wanted = [(prompt, str(seed)) for prompt in ("a red ball", "a blue ball") for seed in (7, drawn)]
    assert [(prompt, seed) for _, _, seed, prompt in listed] == wanted
    assert {run.state for run in drafts.values()} == {"draft"}
    ids = [listed[0][0], listed[3][0]]
    status, out, err = said("finish", *ids, ids[0], "--json")
    assert status == 0
    assert err.startswith("2 videos, about ")
    finished = json.loads(out)["runs"]
    assert [(each["state"], [parent["run"] for parent in each["parents"]]) for each in finished] == [
        ("done", [draft]) for draft in ids
    ]
    assert all(len(list(read_frames(Path(each["file"])))) == 9 for each in finished)


def test_an_interrupt_keeps_what_there_is_and_ends_the_others(tmp_path: Path) -> None:
    terminal, screen = os.openpty()
    asked = ["drafts", "a ball\na cube", "--size", "64x64", "--steps", "100", "--json"]
    process = start(tmp_path, *asked, stderr=screen)
    shown = b""
    while b"step 2 of 20" not in shown:
        shown += os.read(terminal, 1024)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 130
    (stopped,) = json.loads(out)["runs"]
    assert stopped["state"] == "stopped"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["drafts", "a {red|} ball"], "Write alternatives as {red|blue}"),
        (["drafts", "a {red|blue} ball", "--seeds", "9"], "2 prompts × 9 seeds are 18 takes, and 16 is the most"),
        (["drafts", "a ball", "--seeds", "0"], "choose from 1 to 16"),
        (["drafts", "a ball", "--seed", "7", "--seed", "7"], "given twice"),
        (["drafts", "a ball", "--steps", "1"], "of one step has no draft"),
        (["drafts", "a ball", "--model", "ltx-2b"], "is not on this machine"),
        (["drafts"], "prompt"),
        (["finish"], "ID"),
        (["finish", "nothing"], "There is no run 'nothing'"),
    ],
)
def test_what_is_wrong_is_one_line_and_a_status(said: Said, arguments: list[str], says: str) -> None:
    status, out, err = said(*arguments)
    assert (status, out) == (1 if "ltx-2b" in arguments else 2, "")
    assert err.startswith("onetake: ")
    assert err.count("\n") == 1
    assert says in err


def test_help_says_what_a_draft_is(capsys: pytest.CaptureFixture[str]) -> None:
    for word, says in (("drafts", "stop each after a fifth of its steps"), ("finish", "from where they stopped")):
        with pytest.raises(SystemExit):
            main([word, "--help"])
        assert says in " ".join(capsys.readouterr().out.split())
