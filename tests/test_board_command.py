"""`storyboard` as a user has it: a file written by hand, with a picture beside it, and one of its cards made again."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_draft_commands import Said, said

from pipeline.settings import ASSETS
from pipeline.store import Store
from pipeline.video import read_frames

__all__ = ["said"]

SMALL = ["--size", "64x64", "--steps", "2", "--seed", "7"]
CARDS = [
    {"seconds": 0, "prompt": "a red ball rolls right", "image": "red.png"},
    {"seconds": 1, "prompt": "a blue cube turns", "begins": "with a cut"},
    {"seconds": 2, "prompt": "a green cone falls", "begins": "with a cut"},
]


@pytest.fixture
def board(tmp_path: Path) -> str:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    asked = {"onetake": "storyboard", "prompt": "on snow", "cards": CARDS, "shape": "square", "seconds": 3, "seed": 1}
    (path := tmp_path / "board.json").write_text(json.dumps(asked), "utf-8")
    return str(path)


def test_a_board_is_made_and_one_of_its_cards_again(said: Said, board: str, tmp_path: Path) -> None:
    status, out, err = said("storyboard", board, *SMALL, "--json")
    assert status == 0, err
    made = json.loads(out)
    # What is said beside the file takes the place of what it says.
    assert (made["plan"]["seed"], made["plan"]["width"], made["plan"]["steps"]) == (7, 64, 2)
    assert [segment["prompt"].split(",")[0] for segment in made["plan"]["segments"]] == [
        card["prompt"] for card in CARDS
    ]
    before = [frame.astype(int) for frame in read_frames(Path(made["file"]))]
    take = f"run:{made['id']}"
    status, out, err = said("storyboard", board, "--remake", "2", "--video", take, *SMALL, "--seed", "90", "--json")
    assert status == 0, err
    again = json.loads(out)
    after = [frame.astype(int) for frame in read_frames(Path(again["file"]))]
    assert [(parent["run"], parent["how"]) for parent in again["parents"]] == [(made["id"], "remade from")]
    changed = [float(np.abs(one - other).mean()) for one, other in zip(before, after, strict=True)]
    second, third = (sum(segment["frames"] for segment in made["plan"]["segments"][:count]) for count in (1, 2))
    assert max(changed[:second] + changed[third:]) < 4 < min(changed[second:third])
    # It is the same board still: made by its recipe, and known by its picture after the folder is gone.
    kept = Store(tmp_path / "runs").get(again["id"]).plan.said
    assert [card["seconds"] for card in kept["cards"]] == [0.0, 1.0, 2.0]
    assert Path(kept["cards"][0]["image"]["file"]).is_relative_to(tmp_path / "runs")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["gone.json"], "There is no file gone.json"),
        ([str(ASSETS / "favicon.png")], "favicon.png cannot be read as a storyboard"),
        ([str(ASSETS / "examples" / "ball.json")], "This is no storyboard of Onetake"),
        (["BOARD", "--remake", "2"], "give both its number and the video"),
        (["BOARD", "--remake", "4", "--video", "run:x"], "There is no card 4"),
        (["BOARD", "--remake", "2", "--video", "run:x"], "no run 'x'"),
        (["BOARD", "--frames", "9"], "Both frames and seconds were given"),
        (["BOARD", "--seconds", "1"], "The last card stands at 2 s"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(said: Said, board: str, asked: list[str], words: str) -> None:
    status, out, err = said("storyboard", *(board if each == "BOARD" else each for each in asked))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
