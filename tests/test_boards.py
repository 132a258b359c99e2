"""Storyboards as files: whole again after a round trip, and refused in plain words; cards that are being written."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_layouts import film

from pipeline.errors import BadRequest
from pipeline.model_spec import ModelSpec
from pipeline.planning.storyboard import standing
from pipeline.recipes.boards import MOST_MB, board_of, board_text, is_board, read_board, said_over
from pipeline.recipes.cards import (
    FIRST,
    Arranged,
    Slip,
    delete,
    duplicate,
    insert_after,
    move,
    read_cards,
    write_cards,
    written,
)
from pipeline.request import MOST_CARDS, StoryboardRequest, parse_request
from pipeline.settings import ASSETS

HEAD = {"onetake": "storyboard", "version": 1}
WORDS = [{"seconds": 0, "prompt": "a red ball"}]


def refused(source: str) -> str:
    raise BadRequest("cards", f"{source} is not for you.")


def inside(content: bytes, name: str = "a.png") -> str:
    return f"data:image/png;name={name};base64,{base64.b64encode(content).decode()}"


def board(**fields: Any) -> str:
    return json.dumps(HEAD | {"cards": WORDS} | fields)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (30, 20), "red").save(path := tmp_path / "my picture.png")
    return path


def test_a_board_is_one_file_and_whole_again_elsewhere(tmp_path: Path, picture: Path) -> None:
    clip = film(tmp_path / "clip.mp4", 9)
    asked: dict[str, Any] = {
        "task": "storyboard",
        "prompt": "on snow",
        "cards": [
            {"seconds": 0.0, "image": str(picture), "prompt": "a ball, “round” & red"},
            {"seconds": 2.5, "video": clip, "begins": "with a cut"},
            {"seconds": 5.0, "video": "run:0a1b"},
        ],
        "seconds": 7.0,
        "width": 64,
        "height": 96,
        "seed": 2**64 - 1,
        "loras": [{"source": "user/name", "weight": 0.5}, {"source": "/home/me/ink.safetensors", "weight": 1.0}],
        "focus": [0.2, 0.7],
    }
    (file := tmp_path / "board.json").write_text(board_of(asked), "utf-8")
    assert str(tmp_path) not in file.read_text("utf-8")
    picture_bytes, clip_bytes = picture.read_bytes(), Path(clip).read_bytes()
    picture.unlink()
    Path(clip).unlink()
    assert is_board(file)
    named: list[str] = []

    def find(source: str) -> str:
        named.append(source)
        return source

    again = read_board(board_text(file), tmp_path / "elsewhere", find)
    first, second, _ = again["cards"]
    assert Path(first["image"]).read_bytes() == picture_bytes
    assert Path(second["video"]).read_bytes() == clip_bytes
    assert [Path(first["image"]).name, Path(second["video"]).name] == ["my picture.png", "clip.mp4"]
    assert named == ["run:0a1b", "ink.safetensors"]
    files = {first["image"]: str(picture), second["video"]: clip}
    cards = [{key: files.get(value, value) for key, value in card.items()} for card in again["cards"]]
    assert again | {"cards": cards} == asked | {
        "loras": [asked["loras"][0], {"source": "ink.safetensors", "weight": 1.0}]
    }


def test_what_lies_inside_is_known_by_its_content_and_stays_in_its_folder(tmp_path: Path, picture: Path) -> None:
    card = {"seconds": 0, "image": inside(picture.read_bytes(), "../../-x/evil.mp4")}
    asked = read_board(board(cards=[card]), tmp_path / "in", refused)
    path = Path(asked["cards"][0]["image"])
    assert path.suffix == ".png"
    assert path.is_relative_to(tmp_path / "in")
    assert ".." not in path.parts
    # The same bytes are kept once.
    read_board(board(cards=[card]), tmp_path / "in", refused)
    assert [path] == [each for each in (tmp_path / "in").rglob("*") if each.is_file()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its JSON is broken in line 1"),
        ('{\n"onetake": }', "its JSON is broken in line 2"),
        ("[" * 100_000, "This is no storyboard"),
        ("[]", "This is no storyboard of Onetake"),
        ('{"onetake": "draft"}', 'it does not say "onetake": "storyboard"'),
        (board(version=2), "of version 2, and this Onetake reads 1. Update it"),
        (board(version="x"), "which never was"),
        (json.dumps(HEAD), "The cards is missing"),
        (board(cards=[]), "give 1 to 40 cards"),
        (board(cards="x"), "cards is 'x': give 1 to 40 cards"),
        (board(cards=[{"seconds": 0}]), "The card at 0 s is empty"),
        (board(cards=[*WORDS, *WORDS]), "Two cards stand at 0 s"),
        (board(cards=[{"seconds": 0, "image": 1}]), "cards is 1: give"),
        (board(cards=[{"seconds": 0, "image": inside(b"words")}]), "neither a picture nor a clip"),
        (board(cards=[{"seconds": 0, "image": inside(b"")}]), "inside the storyboard is broken"),
        (board(cards=[{"seconds": 0, "image": "data:image/png;base64,?"}]), "inside the storyboard is broken"),
        (board(cards=[{"seconds": 0, "image": "data:,x"}]), "inside the storyboard is broken"),
        (board(cards=[{"seconds": 0, "image": "/etc/passwd"}]), "/etc/passwd is not for you"),
        (board(colour="red"), "There is no field 'colour'"),
        (board(steps="many"), "give a whole number of steps"),
        (board(remake=1), "holds no remake"),
        (board(frames=9), "holds no frames"),
    ],
)
def test_what_is_no_board_is_refused_in_plain_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=r"\A[^\n]{10,300}\Z") as told:
        read_board(text, tmp_path / "in", refused)
    assert words in str(told.value)
    assert not (tmp_path / "in").exists()


def test_files_that_cannot_be_boards_are_told_by_name(tmp_path: Path, picture: Path) -> None:
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(MOST_MB * 10**6 + 1)
    for path, words in (
        (large, f"large.json has {MOST_MB} MB, and {MOST_MB} MB are the most"),
        (picture, "my picture.png cannot be read as a storyboard"),
        (tmp_path / "gone.json", "There is no file gone.json"),
    ):
        with pytest.raises(BadRequest, match=words):
            board_text(path)
        assert not is_board(path)
    with pytest.raises(BadRequest, match=r"gone\.png is gone"):
        board_of({"cards": [{"seconds": 0, "image": str(tmp_path / "gone.png")}]})


def test_what_is_said_beside_a_board_takes_the_place_of_what_it_says() -> None:
    asked = {"shape": "square", "seed": 1, "cards": WORDS}
    assert said_over(asked, {"seed": 2, "prompt": "", "loras": [], "steps": None}) == asked | {"seed": 2}
    assert said_over(asked, {"width": 64, "height": 64}) == {"seed": 1, "cards": WORDS, "width": 64, "height": 64}
    assert said_over({"width": 64, "height": 64}, {"shape": "portrait"}) == {"shape": "portrait"}


@pytest.mark.parametrize("name", ["story.json", "meeting.json"])
def test_examples_can_be_made(name: str, tmp_path: Path, spec: ModelSpec) -> None:
    folder = ASSETS / "examples"
    request = parse_request(read_board(board_text(folder / name), tmp_path, lambda file: str(folder / file)))
    assert isinstance(request, StoryboardRequest)
    told = [(each.start, each.led) for each in standing(request, spec)]
    assert (
        told
        == {"story.json": [(0.0, False), (2.125, True), (2.625, False)], "meeting.json": [(0.0, False), (2.5, True)]}[
            name
        ]
    )


CARDS = (Slip(0.0, "a"), Slip(2.0, "b"), Slip(2.5, "c"))


def test_cards_are_put_in_copied_and_taken_out() -> None:
    assert insert_after(CARDS, 0) == Arranged((CARDS[0], Slip(1.0), *CARDS[1:]), 1)
    assert insert_after(CARDS, 1) == Arranged((*CARDS[:2], Slip(2.25), CARDS[2]), 2)
    assert insert_after(CARDS, 2) == Arranged((*CARDS, Slip(4.5)), 3)
    assert duplicate(CARDS, 2) == Arranged((*CARDS, Slip(4.5, "c")), 3)
    assert delete(CARDS, 0) == Arranged(CARDS[1:], 0)
    assert delete(CARDS, 2) == Arranged(CARDS[:2], 1)
    refusals: tuple[tuple[Callable[[], Arranged], str], ...] = (
        (lambda: insert_after((Slip(0.0), Slip(0.25)), 0), "no room behind the card at 0 s"),
        (lambda: insert_after(tuple(Slip(float(at)) for at in range(MOST_CARDS)), 0), "which are the most"),
        (lambda: duplicate((Slip(60.0),), 0), "ends at 60 s at the latest"),
        (lambda: delete(FIRST, 0), "This is the only card"),
    )
    for refuse, words in refusals:
        with pytest.raises(BadRequest, match=words):
            refuse()


def test_cards_move_past_each_other_and_never_onto_each_other() -> None:
    assert move(CARDS, 0, 1.5) == Arranged((Slip(1.5, "a"), *CARDS[1:]), 0)
    assert move(CARDS, 0, 2.25).cards == (CARDS[1], Slip(2.25, "a"), CARDS[2])
    # Where one stands already, it goes on in its direction.
    assert move(CARDS, 0, 2.0) == Arranged((CARDS[1], Slip(2.25, "a"), CARDS[2]), 1)
    assert move(CARDS, 2, 2.0) == Arranged((CARDS[0], Slip(1.75, "c"), CARDS[1]), 1)
    for number, seconds in ((1, 0.0), (0, -1.0), (0, 61.0)):
        with pytest.raises(BadRequest, match="no free place"):
            move(CARDS, number, seconds)


def test_a_card_that_is_written_stands_where_its_time_puts_it() -> None:
    assert written(CARDS, 0, Slip(2.2, "d")) == Arranged((CARDS[1], Slip(2.2, "d"), CARDS[2]), 1)
    assert read_cards(write_cards(CARDS[::-1])) == CARDS
    assert read_cards("") == FIRST
    for broken in ("{", "[1]", '[{"seconds": "x"}]', '[{"seconds": 0, "path": "x"}]'):
        with pytest.raises(BadRequest, match="cannot be read"):
            read_cards(broken)
