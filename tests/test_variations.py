"""One prompt field becomes many requests, and a plan a draft: counted, bounded, refused in plain words."""

from typing import Any

import pytest
from conftest import MakePlan

from pipeline.errors import BadRequest, CannotDo
from pipeline.halfway import Stopped
from pipeline.model_spec import ModelSpec
from pipeline.models import MODELS
from pipeline.plan import make_plan
from pipeline.planning.speed import Speed
from pipeline.quota import gpu_seconds
from pipeline.request import parse_request
from pipeline.variations import DRAFT_SHARE, MOST_DRAFTS, as_draft, draw_seeds, finishing, steps_of, variations


def prompts(field: str, **asked: Any) -> list[str]:
    return [request.prompt for request in variations({"prompt": field} | asked, (1,))]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("a red ball", ["a red ball"]),
        ("a {red|blue} ball", ["a red ball", "a blue ball"]),
        (
            "a { red | dark blue } {ball|cube} falls",
            ["a red ball falls", "a red cube falls", "a dark blue ball falls", "a dark blue cube falls"],
        ),
        ("a ball\n\n  {one|two} cubes \r\na cone", ["a ball", "one cubes", "two cubes", "a cone"]),
        ("{x: 1} and {a {b}} :-}", ["{x: 1} and {a {b}} :-}"]),
        ("a ball | a cube", ["a ball | a cube"]),
        ("{plain} {a|b}", ["{plain} a", "{plain} b"]),
        ("ein {roter|blauer} Ball 球 {📦|🎈}", [f"ein {a} Ball 球 {b}" for a in ("roter", "blauer") for b in "📦🎈"]),
    ],
)
def test_a_field_may_hold_several_prompts(field: str, expected: list[str]) -> None:
    assert prompts(field) == expected


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("a {red|blue ball", "has no partner. Write alternatives as {red|blue}"),
        ("a red|blue} ball", "has no partner"),
        ("a {red {dark|light} ball", "has no partner"),
        ("a {red|{dark|light} blue} ball", "braces within braces.*side by side"),
        ("a {red|} ball", "is empty.*on both sides of a bar"),
        ("a {|} ball", "is empty"),
        ("a ball\na {ball|cube}", "“a ball” comes twice"),
        ("{a|b} {c|d} {e|f} {g|h} {i|j}", "32 prompts × 1 seeds are 32 takes, and 16 is the most"),
        (" \n ", "The prompt is empty"),
    ],
)
def test_what_is_meant_otherwise_is_said(field: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as refused:
        prompts(field)
    assert refused.value.field == "prompt"


def test_a_field_of_many_groups_is_counted_and_not_written_out() -> None:
    with pytest.raises(BadRequest, match="is the most"):
        prompts("{a|b}" * 400)


def test_prompts_are_multiplied_with_seeds_and_keep_what_else_is_asked() -> None:
    asked = {"prompt": "a {red|blue} ball", "frames": 9, "seed": 99}
    made = variations(asked, (7, 8))
    assert [(each.prompt, each.seed) for each in made] == [(f"a {c} ball", s) for c in ("red", "blue") for s in (7, 8)]
    assert {each.frames for each in made} == {9}
    with pytest.raises(BadRequest, match="2 prompts × 9 seeds are 18 takes"):
        variations(asked, range(9))
    restyled = variations({"task": "restyle", "video": "a.mp4", "theme": "on snow"}, (1, 2))
    assert [(each.task, each.prompt) for each in restyled] == [("restyle", "")] * 2
    with pytest.raises(BadRequest, match="steps is"):
        variations(asked | {"steps": "many"}, (7,))


class Loaded:
    """Dice that fall as somebody wants."""

    def __init__(self, *falls: int) -> None:
        self._falls = iter(falls)

    def randbelow(self, _: int, /) -> int:
        return next(self._falls)


def test_seeds_are_given_or_drawn() -> None:
    assert draw_seeds((7, 8)) == (7, 8)
    assert draw_seeds((7,), 4, Loaded(3, 7, 3, 5, 9)) == (7, 3, 5, 9)
    assert len(draw_seeds()) == 1
    assert len(set(draw_seeds(count=MOST_DRAFTS))) == MOST_DRAFTS


@pytest.mark.parametrize(
    ("given", "count", "says"),
    [
        ((7, 7), None, "given twice"),
        ((7, 8), 1, "is 1: choose from 2"),
        ((), 0, "is 0: choose from 1"),
        ((), 17, "to 16"),
    ],
)
def test_seeds_out_of_reach_are_refused(given: tuple[int, ...], count: int | None, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        draw_seeds(given, count)


def test_a_draft_costs_its_share_and_its_end_the_rest(spec: ModelSpec, plan_for: MakePlan) -> None:
    speed = Speed(gflops=100.0, megapixels=1e9)
    whole = make_plan(request := parse_request({"prompt": "a ball", "seed": 7, "steps": 25}), spec, speed)
    draft = as_draft(whole, speed)
    assert (steps_of(whole), draft.stop_after) == (25, 5)
    rest = finishing(draft, Stopped("x", "id", 5), speed)
    assert (rest.stop_after, rest.whole.resumes) == (None, None)
    # On ZeroGPU nobody pays for steps that are not done.
    slow = Speed(gflops=2.0, megapixels=1e9)
    begun, all_of_it = (gpu_seconds(plan) for plan in (as_draft(whole, slow), make_plan(request, spec, slow)))
    assert begun < all_of_it / 3
    assert draft.estimate.denoise == pytest.approx(whole.estimate.denoise * 5 / 25, rel=0.01)
    assert draft.estimate.denoise + rest.estimate.denoise == pytest.approx(whole.estimate.denoise, rel=0.01)
    assert draft.estimate.after == rest.estimate.after == whole.estimate.after, "both are decoded"
    with pytest.raises(CannotDo, match="of one step has no draft"):
        as_draft(plan_for(steps=1))


@pytest.mark.parametrize("model", [spec.name for spec in MODELS])
@pytest.mark.parametrize("deliver", [None, "1080p"])
def test_eight_drafts_of_any_model_and_one_end_cost_less_than_half(model: str, deliver: str | None) -> None:
    spec = next(each for each in MODELS if each.name == model)
    speed = Speed(gflops=100.0, megapixels=1e9)
    asked = {"prompt": "a ball", "model": model, "deliver": deliver, "frames": min(spec.frames, spec.max_frames)}
    whole = make_plan(parse_request(asked), spec, speed)
    draft = as_draft(whole, speed)
    rest = finishing(whole, Stopped("x", "id", draft.stop_after or 0), speed)
    assert draft.stop_after == pytest.approx(DRAFT_SHARE * steps_of(whole), abs=0.5)
    # Writing an enlarged file takes as long for a draft as for a take.
    assert (8 * draft.estimate.denoise + rest.estimate.denoise) / (8 * whole.estimate.denoise) <= 0.35
