from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.errors import BadRequest
from pipeline.request import TextRequest, parse_request


def refusal(**asked: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        parse_request({"prompt": "a red ball"} | asked)
    return refused.value


def test_a_sentence_is_enough() -> None:
    request = parse_request({"prompt": "  a red ball \n"})
    assert request == TextRequest(prompt="a red ball")


@pytest.mark.parametrize(
    "prompt", ["سيارة حمراء", "a red ball 🔴", "赤いボール", "<script>alert(1)</script>", "x" * 2000]
)
def test_any_writing_is_accepted(prompt: str) -> None:
    assert parse_request({"prompt": prompt}).prompt == prompt


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("x" * 2001, "Shorten it to 2000"),
        ("a\0ball", "U+0000"),
        ("a \ud800 ball", "U+D800"),
        (7, "prompt is 7: give a sentence"),
        (None, "prompt is None: give a sentence"),
    ],
)
def test_prompts_that_cannot_be_read_are_refused(prompt: object, says: str) -> None:
    error = refusal(prompt=prompt)
    assert error.field == "prompt"
    assert says in str(error)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", 2**64),
        ("seed", -1),
        ("seed", 1.5),
        ("seed", True),
        ("steps", float("nan")),
        ("steps", "5"),
        ("steps", True),
        ("frames", 17.5),
        ("seconds", float("nan")),
        ("seconds", float("inf")),
        ("guidance_scale", float("nan")),
        ("guidance_scale", "3"),
        ("shape", "round"),
        ("width", [128]),
        ("model", 3),
        ("task", "dream"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_give(field: str, value: object) -> None:
    both = {"width": 128, "height": 128} if field == "width" else {}
    error = refusal(**both | {field: value})
    assert error.field == field
    assert "give" in str(error)


def test_the_largest_seed_is_accepted() -> None:
    assert parse_request({"prompt": "a ball", "seed": 2**64 - 1}).seed == 2**64 - 1


@pytest.mark.parametrize(
    "asked",
    [
        {"frames": 17, "seconds": 2.0},
        {"shape": "square", "width": 128, "height": 128},
        {"shape": "square", "width": 128},
        {"width": 128},
        {"height": 128},
    ],
)
def test_contradictions_are_refused(asked: dict[str, Any]) -> None:
    assert "Give" in str(refusal(**asked))


@pytest.mark.parametrize("late", [1e308, 1e6, -1.0])
def test_no_card_or_picture_stands_where_no_clip_is(late: float) -> None:
    card = {"seconds": late, "prompt": "a red ball"}
    assert refusal(task="storyboard", cards=[card]).field == "cards"
    still = {"seconds": late, "image": "a.png"}
    assert refusal(task="animate", prompt="a red ball", image="a.png", at=[still]).field == "at"


def test_unknown_fields_are_named_and_the_known_ones_listed() -> None:
    error = refusal(strength=0.5)
    assert error.field == "strength"
    assert "guidance_scale" in str(error)


def test_a_missing_prompt_is_named() -> None:
    with pytest.raises(BadRequest, match="prompt is missing"):
        parse_request({})


def test_a_message_stays_short_whatever_was_sent() -> None:
    assert len(str(refusal(steps="9" * 10_000))) < 200


def test_requests_are_frozen() -> None:
    request = parse_request({"prompt": "a ball"})
    with pytest.raises(ValidationError):
        request.prompt = "another"
