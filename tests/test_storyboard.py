"""Storyboards: cards become shots that go on, lead over or cut, and one can be made anew while the others stay."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_edits import Make, plan, psnr
from test_edits import clip as clip
from test_edits import make as make
from test_layouts import film

from pipeline.errors import BadRequest, CannotDo
from pipeline.fields import files_in, said, unsaid
from pipeline.given.footage import Excerpt, read_clip
from pipeline.model_spec import ModelSpec
from pipeline.models import MODELS, get_model
from pipeline.plan import Plan
from pipeline.planning.segments import Kept, Made
from pipeline.request import parse_request, sources_of, with_sources
from pipeline.video import read_frames

BALL, CUBE = "a red ball rolls right on grass", "a blue cube turns on grass"


def board(spec: ModelSpec, *cards: dict[str, Any], **asked: Any) -> Plan:
    return plan(spec, task="storyboard", cards=cards, **asked)


def card(seconds: float, prompt: str = "", **shown: str) -> dict[str, Any]:
    return {"seconds": seconds, "prompt": prompt, **shown}


def told(laid: Plan) -> list[tuple[str | int, ...]]:
    """Each part of a take: how it comes out of what is before it, its frames, and those of the clip it leads to."""
    parts: list[tuple[str | int, ...]] = []
    for part in laid.timeline:
        if isinstance(part, Kept):
            parts.append(("clip", part.frames, 0))
            continue
        segment = laid.segments[part.segment]
        ends = [pin.given.frames for pin in segment.pins if pin.frame >= part.start + part.frames]
        parts.append(("on" if part.start else "anew", part.frames, *(ends or [0])))
    return parts


@pytest.fixture
def picture(tmp_path: Path) -> str:
    Image.new("RGB", (64, 64), (40, 60, 200)).save(file := tmp_path / "blue.png")
    return str(file)


def test_one_card_of_words_is_a_clip_of_words(spec: ModelSpec) -> None:
    alone, words = board(spec, card(0, BALL)), plan(spec, prompt=BALL)
    assert (alone.segments, alone.timeline, alone.num_frames) == (words.segments, (), words.num_frames)


def test_words_apart_go_on_and_close_words_cut(spec: ModelSpec) -> None:
    laid = board(spec, card(0, BALL), card(2, CUBE), card(2.5, "a cone"), seconds=5)
    assert told(laid) == [("anew", 17, 0), ("on", 4, 0), ("anew", 21, 0)]
    assert [segment.prompt for segment in laid.segments] == [BALL, CUBE, "a cone"]
    assert laid.joins == (17,), "a cut is no seam"
    assert any("2.5 s became 2.625 s" in note for note in laid.notes)


def test_how_a_card_begins_can_be_said(spec: ModelSpec) -> None:
    cut = board(spec, card(0, BALL), card(2, CUBE) | {"begins": "with a cut"}, seconds=4)
    assert told(cut) == [("anew", 17, 0), ("anew", 17, 0)]
    led = board(spec, card(0, BALL), card(0.5, CUBE) | {"begins": "led over"}, seconds=4)
    assert told(led) == [("anew", 5, 0), ("on", 28, 0)]


def test_pictures_are_led_to_and_a_cut_begins_with_one(spec: ModelSpec, picture: str) -> None:
    led = board(spec, card(0, BALL), card(2, image=picture), seconds=4)
    assert told(led) == [("anew", 17, 0), ("on", 16, 0)]
    assert [(pin.frame, pin.given.file) for pin in led.segments[0].pins] == [(16, picture)]
    assert led.segments[1].prompt == BALL, "a card without words goes on with those before it"
    cut = board(spec, card(0, BALL), card(0.5, image=picture), seconds=4)
    assert [[pin.frame for pin in segment.pins] for segment in cut.segments] == [[], [0]]


def test_clips_stay_and_gaps_between_them_are_bridged(spec: ModelSpec, clip: str, picture: str) -> None:
    cards = (card(0, BALL), card(2, image=picture), card(4, video=clip), card(6.5, CUBE) | {"begins": "led over"})
    laid = board(spec, *cards, seconds=9)
    assert told(laid) == [("anew", 17, 0), ("on", 15, 9), ("clip", 17, 0), ("on", 4, 0), ("on", 20, 0)]
    assert laid.segments[2].pins[0].given == Excerpt(clip, frames=17)
    assert laid.joins == (17, 32, 49, 53)
    assert [type(part) for part in board(spec, card(0, video=clip), card(4, video=clip)).timeline] == [Kept, Made, Kept]
    close = board(spec, card(0, video=clip), card(2, CUBE) | {"begins": "led over"}, seconds=4)
    assert told(close) == [("clip", 16, 0), ("on", 16, 0)], "words go on from the clip itself"


def test_what_comes_before_a_clip_is_led_in_to_it(spec: ModelSpec, clip: str) -> None:
    assert told(board(spec, card(2, BALL, video=clip))) == [("anew", 16, 9), ("clip", 17, 0)]
    assert told(board(spec, card(0.5, BALL, video=clip), seconds=4)) == [("clip", 17, 0), ("on", 16, 0)]
    # Words have nothing to be led in to.
    assert told(board(spec, card(3, BALL), card(5, CUBE), seconds=7)) == [("anew", 41, 0), ("on", 16, 0)]


def test_a_clip_ends_where_the_next_card_begins(spec: ModelSpec, clip: str) -> None:
    laid = board(spec, card(0, video=clip), card(1, CUBE), seconds=3)
    assert told(laid) == [("clip", 8, 0), ("anew", 17, 0)]


def test_long_gaps_are_made_in_parts(spec: ModelSpec, clip: str) -> None:
    laid = board(spec, card(0, BALL), card(30, video=clip), card(50, CUBE), seconds=60)
    assert abs(laid.num_frames - 481) < spec.frame_grid
    assert all(segment.frames <= spec.max_frames for segment in laid.segments)
    assert [part.frames for part in laid.timeline if isinstance(part, Kept)] == [17]


@pytest.mark.parametrize("number", range(40))
def test_any_board_is_one_that_a_model_can_make(spec: ModelSpec, clip: str, picture: str, number: int) -> None:
    rng, at, cards = Random(number), 0.0, []
    for _ in range(rng.randint(1, 7)):
        at += rng.choice((0.3, 0.9, 1.4, 2.0, 3.7, 14.0))
        kind = rng.choice(({"prompt": BALL}, {"image": picture}, {"video": clip}, {"video": clip, "prompt": CUBE}))
        cards.append({"seconds": at, **kind, "begins": rng.choice(("by spacing", "with a cut", "led over"))})
    model = rng.choice([spec, get_model("ltx-2b")])
    laid = plan(
        model, task="storyboard", cards=cards, prompt="at night", seconds=at + 4, width=256, height=256, steps=8
    )
    timeline = laid.timeline or (Made(0, laid.num_frames),)
    made = [part for part in timeline if isinstance(part, Made)]
    assert [part.segment for part in made] == list(range(len(laid.segments)))
    assert abs(laid.seconds - (at + 4)) < 1.5
    for part, segment in zip(made, laid.segments, strict=True):
        assert segment.frames % model.frame_grid == 1 < segment.frames <= model.max_frames
        assert part.frames > 0
        assert part.start + part.frames <= segment.frames
        for pin in segment.pins:
            assert pin.given.frames % model.frame_grid == 1
            assert pin.frame + pin.given.frames <= segment.frames
            assert pin.given.frames == 1 or pin.frame % model.frame_grid == 0
        before = timeline[timeline.index(part) - 1]
        assert not segment.follows or (isinstance(before, Made) and segment.follows == part.start)


@pytest.mark.parametrize(
    ("cards", "asked", "message"),
    [
        ([], {}, "1 to 40 cards"),
        ([card(0)], {}, "The card at 0 s is empty"),
        ([card(0, BALL), card(0, CUBE)], {}, "Two cards stand at 0 s"),
        ([card(1, BALL), card(4, CUBE)], {"seconds": 4}, "The last card stands at 4 s"),
        ([card(0, BALL), card(61, CUBE)], {}, "cards is 61.0 s: choose from 0 to 60 s"),
        ([card(0, BALL)], {"seconds": 61}, "seconds is 61.0 s: choose from 0 to 60 s"),
        ([card(0, BALL)], {"frames": 9}, "Give the seconds when all ends"),
        ([card(0, BALL)], {"remake": 1}, "give both its number and the video"),
        ([card(0, image="nowhere.png")], {}, "nowhere.png"),
        ([card(0, BALL, begins="slowly")], {}, "1 to 40 cards"),
    ],
)
def test_what_is_no_storyboard_is_refused(
    spec: ModelSpec, cards: list[dict[str, Any]], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        board(spec, *cards, **asked)


def test_a_card_that_shows_two_things_is_refused(spec: ModelSpec, clip: str, picture: str) -> None:
    with pytest.raises(BadRequest, match="both a picture and a clip"):
        board(spec, card(0, image=picture, video=clip))
    with pytest.raises(BadRequest, match="nothing to make"):
        board(spec, card(0, video=clip))


def test_models_that_hold_no_clips_make_none() -> None:
    holding = {row.name for row in MODELS if "storyboard" in row.tasks}
    assert holding == {row.name for row in MODELS if row.pins == "any"}
    with pytest.raises(CannotDo, match="cannot do 'storyboard'"):
        board(get_model("wan-5b"), card(0, BALL), width=None, height=None)


def test_a_board_is_told_and_its_files_are_kept(spec: ModelSpec, clip: str, picture: str) -> None:
    asked = {"task": "storyboard", "cards": [card(0, BALL, image=picture), card(4, video=clip), card(8, CUBE)]}
    request = parse_request(asked)
    assert sources_of(request) == (picture, clip)
    kept = with_sources(request, lambda path: path.upper())
    assert sources_of(kept) == (picture.upper(), clip.upper())
    assert parse_request({"task": "storyboard", **unsaid(said(request))}) == request
    assert set(files_in(unsaid(said(request)))) == {picture, clip}
    laid = board(spec, *asked["cards"])  # type: ignore[arg-type]
    assert Plan.from_json(laid.to_json()) == laid
    names = [each.get("image", each.get("video")) for each in laid.to_recipe()["said"]["cards"]]
    assert names == [{"file": "blue.png"}, {"file": "block.mp4"}, None]


def test_a_take_of_cards_shows_its_clip_as_it_is(make: Make, clip: str, picture: str) -> None:
    run = make(
        task="storyboard", cards=[card(0, image=picture), card(2, video=clip), card(5, BALL)], steps=4, seconds=6
    )
    frames = np.stack(list(read_frames(run.file)))
    assert len(frames) == run.plan.num_frames
    given = read_clip(Excerpt(clip, frames=17), 8, (64, 64))
    places = [place for place, part in enumerate(run.plan.timeline) if isinstance(part, Kept)]
    first = sum(part.frames for part in run.plan.timeline[: places[0]])
    assert psnr(frames[first : first + 17], given) > 35
    assert frames[0].mean((0, 1))[2] > frames[0].mean((0, 1))[0] + 60, "it begins with the blue picture"
    assert psnr(frames[first - 1], frames[first]) > 20, "what is made leads to the clip"


def test_one_card_is_made_anew_and_the_others_stay(make: Make, spec: ModelSpec) -> None:
    cards = [card(0, BALL), card(2, CUBE), card(4, BALL)]
    run = make(task="storyboard", cards=cards, seconds=6, steps=4)
    again = [cards[0], card(2, "a yellow cone on snow at night"), cards[2]]
    other = make(task="storyboard", cards=again, seconds=6, steps=4, video=str(run.file), remake=2, seed=9)
    one, two = (np.stack(list(read_frames(each.file))) for each in (run, other))
    assert one.shape == two.shape
    made = next(part for part in other.plan.timeline if isinstance(part, Made))
    assert [part.frames for part in other.plan.timeline] == [17, 15, 17]
    assert other.plan.segments[0].prompt == "a yellow cone on snow at night"
    assert psnr(one[:17], two[:17]) > 35
    assert psnr(one[-17:], two[-17:]) > 35
    assert psnr(one[17:32], two[17:32]) < 30, "what was made anew is another"
    assert made.matched
    with pytest.raises(BadRequest, match="times or lengths were changed"):
        plan(spec, task="storyboard", cards=cards, seconds=8, video=str(run.file), remake=1)


def test_a_clip_is_nothing_to_make_again(spec: ModelSpec, clip: str, tmp_path: Path) -> None:
    before = film(tmp_path / "before.mp4", 49, size=(64, 64))
    cards = (card(0, video=clip), card(4, video=clip))
    assert told(board(spec, *cards, video=before, remake=1)) == [("clip", 17, 0), ("on", 15, 9), ("clip", 17, 0)]
    with pytest.raises(BadRequest, match="Card 2 shows its clip as it is"):
        board(spec, *cards, video=before, remake=2)


def test_a_take_that_was_stopped_ends_with_its_last_part(spec: ModelSpec, clip: str) -> None:
    laid = board(spec, card(0, BALL), card(3, video=clip), card(7, video=clip))
    assert [type(part) for part in laid.first(1).timeline] == [Made, Kept]


def test_what_begins_with_a_picture_goes_on_as_it_began(make: Make, clip: str, tmp_path: Path) -> None:
    checks = (np.indices((64, 64)) // 4).sum(0) % 2 * 160 + 40
    Image.fromarray(checks.astype(np.uint8)).convert("RGB").save(picture := tmp_path / "checks.png")
    run = make(task="storyboard", cards=[card(0, BALL, image=str(picture)), card(2, video=clip)], steps=4)
    frames = np.stack(list(read_frames(run.file))).astype(float)
    steps = np.abs(np.diff(frames[:6], axis=0)).mean((1, 2, 3))
    assert steps[0] < 2 * steps[1:].max(), "what the autoencoder loses of the picture comes back in no later frame"
