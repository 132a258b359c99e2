"""How many seconds are left of a run: as promised at first, then as fast as it turns out."""

from dataclasses import replace
from itertools import pairwise

import pytest
from conftest import MakePlan

from pipeline.countdown import Countdown
from pipeline.events import Again, Decoding, Step
from pipeline.history import shares_of_steps, work_of
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.planning.segments import Chunk
from pipeline.request import parse_request


def promising(plan: Plan, denoise: float = 20.0, after: float = 5.0, measured: bool = True) -> Plan:
    costs = {"seconds": denoise + after, "denoise": denoise, "after": after, "measured": measured}
    return replace(plan, estimate=replace(plan.estimate, **costs))  # type: ignore[arg-type]


def test_it_begins_as_promised_and_counts_down_to_the_last_frame(plan_for: MakePlan) -> None:
    countdown = Countdown(promising(plan_for(steps=10)))
    left = [countdown.after_step(index, 2.0 * index) for index in range(1, 11)]
    assert left == pytest.approx([25 - 2 * index for index in range(1, 11)]), "decoding and writing are in it"
    frames = [countdown.after_frames(share, 5 * share) for share in (0.2, 0.6, 1.0)]
    assert frames == pytest.approx([4, 2, 0])


def test_it_follows_a_machine_that_turns_out_slower(plan_for: MakePlan) -> None:
    countdown = Countdown(promising(plan_for(steps=10)))
    left = [countdown.after_step(index, 4.0 * index) for index in range(1, 11)]
    assert left[0] < 46 - 8, "a first step alone does not break a promise"
    assert left[9] == pytest.approx(10, rel=0.1), "what comes after is slower too"
    assert countdown.after_frames(0.5, 8.0) == pytest.approx(8, rel=0.15)


def test_a_guess_is_worth_nothing_beside_a_step(plan_for: MakePlan) -> None:
    countdown = Countdown(promising(plan_for(steps=10), measured=False))
    assert countdown.after_step(1, 20.0) == pytest.approx(180 + 50)


def test_steps_of_a_larger_pass_weigh_more() -> None:
    asked = {"prompt": "a ball", "model": "ltx-2b", "seed": 7, "deliver": "720p"}
    plan = promising(make_plan(parse_request(asked), get_model("ltx-2b")))
    shares = shares_of_steps(plan)
    steps = [later - earlier for earlier, later in pairwise((0.0, *shares))]
    assert len(steps) == 11
    assert steps[8] > 4 * steps[0]
    assert Countdown(plan).after_step(8, shares[7] * 20) == pytest.approx(25 - shares[7] * 20)


def test_a_draft_and_its_end_count_their_own_steps(plan_for: MakePlan) -> None:
    draft = promising(replace(plan_for(steps=8), stop_after=2))
    assert len(shares_of_steps(draft)) == 2
    assert Countdown(draft).after_step(1, 10.0) == pytest.approx(15)


@pytest.mark.parametrize("kept", [1, 2, 3, 4])
def test_a_kept_part_that_has_to_be_made_again_is_counted_again(kept: int) -> None:
    asked = {"prompt": "a red ball rolls left on grass by day", "model": "tabletop", "seed": 7, "seconds": 20.0}
    whole = promising(make_plan(parse_request(asked), get_model("tabletop")), 100.0)
    assert len(whole.segments) == 5
    begun = replace(whole, begun=tuple(Chunk(f"part-{number}") for number in range(kept)))
    share = work_of(begun) / work_of(whole)
    begun = replace(begun, estimate=replace(begun.estimate, denoise=100 * share))
    first = Step(1, 5 * whole.steps, None, seconds=100 * shares_of_steps(whole)[0], part=1, parts=5)
    told, usual = Countdown(begun).told(first), Countdown(whole).told(first)
    assert isinstance(told, Step)
    assert isinstance(usual, Step)
    assert told.seconds_left == pytest.approx(usual.seconds_left)
    assert told.part_left == pytest.approx(usual.part_left)
    if kept > 2:
        second = Countdown(begun)
        second.told(replace(first, index=2 * whole.steps + 1, part=3))
        assert second.told(replace(first, index=5 * whole.steps, part=5)).seconds_left > 0  # type: ignore[operator, union-attr]


def test_plans_that_promised_only_the_whole_count_steps(plan_for: MakePlan) -> None:
    before = plan_for(steps=10)
    before = replace(before, estimate=replace(before.estimate, denoise=0.0, after=0.0))
    assert Countdown(before).after_step(5, 10.0) == pytest.approx(10)


def test_events_are_told_on_with_what_is_left(plan_for: MakePlan) -> None:
    countdown = Countdown(promising(plan_for(steps=10)))
    step = countdown.told(Step(5, 10, None, seconds=10.0))
    assert isinstance(step, Step)
    assert step.seconds_left == pytest.approx(15)
    told = countdown.told(Decoding(9, 9))
    assert isinstance(told, Decoding)
    assert told.seconds_left == 0
    assert countdown.told(Again("Memory ran out.")) == Again("Memory ran out.")
