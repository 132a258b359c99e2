"""`runs`, `show`, `link` and `rerun` as a user has them."""

import json
import shutil
from pathlib import Path

import numpy as np
from test_draft_commands import SMALL, Said
from test_draft_commands import said as said

from pipeline.video import read_frames


def frames_of(path: str) -> np.ndarray:
    return np.stack(list(read_frames(Path(path))))


def test_runs_are_listed_shown_linked_and_made_again(said: Said, tmp_path: Path) -> None:
    for prompt, seed in (("a red ball on snow", "7"), ("a blue cube & a cone", "8")):
        assert said("text", prompt, "--seed", seed, *SMALL)[0] == 0
    status, out, _ = said("runs")
    newest, oldest = (line.split(None, 5) for line in out.splitlines())
    assert (status, newest[3:], oldest[3:]) == (
        0, ["done", "8", "a blue cube & a cone"], ["done", "7", "a red ball on snow"],
    )  # fmt: skip
    assert [run["id"] for run in json.loads(said("runs", "SNOW", "ball", "--json")[1])["runs"]] == [oldest[0]]
    assert "1 of 2" in said("runs", "--limit", "1", "--sort", "name")[2]
    shown = said("show", f"run:{newest[0]}")[1]
    assert "prompt    a blue cube & a cone\n" in shown
    assert "size      64×64, 9 frames at 8 a second\n" in shown
    told = json.loads(said("show", oldest[0], "--json")[1])
    assert (told["recipe"]["prompt"], told["starred"], told["children"]) == ("a red ball on snow", False, [])
    recipe, run = said("link", newest[0], "--base", "https://example.org/")[1].splitlines()
    assert recipe.startswith("https://example.org/?task=text&prompt=a+blue+cube+%26+a+cone&")
    assert run == f"https://example.org/?run={newest[0]}"
    elsewhere = shutil.copyfile(told["file"], tmp_path / "sent.mp4")
    for what in (oldest[0], str(elsewhere)):
        status, out, _ = said("rerun", what, "--json")
        assert status == 0
        assert np.array_equal(frames_of(json.loads(out)["file"]), frames_of(told["file"]))
    joined = json.loads(said("loop", f"run:{oldest[0]}", "--seam", "short", "--steps", "3", "--json")[1])
    assert joined["parents"] == [{"run": oldest[0], "how": "looped from"}]
    again = json.loads(said("rerun", joined["id"], "--json")[1])
    assert again["parents"] == joined["parents"]
    assert np.array_equal(frames_of(again["file"]), frames_of(joined["file"]))
    assert f"became    {again['id']} (looped from)" in said("show", oldest[0])[1]
    by_link = json.loads(said("rerun", recipe, "--seed", "9", "--json")[1])
    assert (by_link["plan"]["seed"], by_link["plan"]["width"]) == (9, 64)
    assert by_link["plan"]["segments"][0]["prompt"] == "a blue cube & a cone"


def test_what_is_not_there_is_refused_in_one_line(said: Said, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("no recipe")
    for arguments, told in (
        (("show", "nothing"), "There is no run 'nothing'"),
        (("link", "nothing"), "There is no run 'nothing'"),
        (("rerun", "nothing"), "There is no run and no file 'nothing'. List the runs"),
        (("rerun", "http://example.org/?run=nothing"), "There is no run and no file"),
        (("rerun", str(tmp_path / "words.txt")), "words.txt holds no recipe"),
        (("rerun", "?prompt=a+ball&steps=many"), "steps is 'many' in this link"),
        (("runs", "--limit", "0"), "--limit is 0"),
    ):
        status, out, err = said(*arguments)
        assert (status, out) == (2, ""), arguments
        assert err.startswith("onetake: ")
        assert told in err
