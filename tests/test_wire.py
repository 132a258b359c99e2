import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from conftest import MakePlan

from pipeline.backends.crossing import Crossing, Ended, Sampled, crossings, take_from
from pipeline.backends.local import LocalBackend
from pipeline.backends.take import Take
from pipeline.backends.wire import Message, pack, pack_plan, unpack, unpack_machine, unpack_plan
from pipeline.errors import BadRequest, Cancelled, CannotDo, LoadError, OnetakeError, OutOfStep
from pipeline.events import Again, IsCancelled, Listener, Loading, Pixels, Step, Waiting
from pipeline.halfway import Halfway
from pipeline.memory import Machine
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan, place_again
from pipeline.request import parse_request
from pipeline.settings import ROOT, Settings

CLIP = str(ROOT / "assets" / "examples" / "ball.mp4")


def across(crossing: Crossing) -> list[Crossing]:
    return [unpack(json.loads(json.dumps(message)), "user/name") for message in pack(crossing)]


def smooth(*shape: int) -> Pixels:
    return np.linspace(0, 255, int(np.prod(shape))).reshape(shape).astype(np.uint8)


@pytest.mark.parametrize(
    "event", [Waiting("a GPU"), Loading("Tabletop"), Ended(812.5), Again("Memory ran out."), Step(3, 8, None, 1.25)]
)
def test_events_come_as_they_were(event: Crossing) -> None:
    assert across(event) == [event]


def test_latents_and_frames_come_without_loss() -> None:
    rng = np.random.default_rng(7)
    latents = rng.standard_normal((1, 4, 3, 2, 5), np.float32)
    (sampled,) = across(Sampled(latents.swapaxes(3, 4), 3, 8, {"denoise": 1.5}, {"change": 0.25}, "abc"))
    assert isinstance(sampled, Sampled)
    assert np.array_equal(sampled.latents, latents.swapaxes(3, 4))
    assert (sampled.steps_done, sampled.timings, sampled.measures) == (3, {"denoise": 1.5}, {"change": 0.25})
    frames = rng.integers(0, 256, (3, 24, 40, 3), np.uint8)
    assert np.array_equal(np.concatenate([each for each in across(frames) if isinstance(each, np.ndarray)]), frames)


def test_where_a_take_stopped_comes_without_loss() -> None:
    tensors = {"latents": np.random.default_rng(7).standard_normal((1, 12, 4), np.float32).swapaxes(1, 2)}
    halfway = Halfway(3, tensors, {"model": "tabletop"})
    (sampled,) = across(Sampled(np.zeros((1, 4, 3, 2, 5), np.float32), 3, 8, {}, {}, "", halfway))
    assert isinstance(sampled, Sampled)
    assert sampled.halfway is not None
    assert (sampled.halfway.steps, sampled.halfway.marks) == (3, {"model": "tabletop"})
    assert np.array_equal(sampled.halfway.tensors["latents"], tensors["latents"])


def test_previews_are_small_and_close() -> None:
    preview = smooth(4, 16, 32, 3)
    (step,) = across(Step(1, 4, preview, 2.0))
    assert isinstance(step, Step)
    assert step.preview is not None
    assert step.preview.shape == preview.shape
    assert np.abs(step.preview.astype(int) - preview).mean() < 8


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CannotDo("seconds", "Make it shorter."), "Make it shorter."),
        (LoadError("It holds NaN. Download it again."), "user/name: It holds NaN. Download it again."),
        (Cancelled("Stopped."), "Stopped."),
    ],
)
def test_errors_keep_their_class_and_say_where(error: OnetakeError, words: str) -> None:
    (come,) = across(error)
    assert type(come) is type(error)
    assert str(come) == words
    assert not isinstance(come, BadRequest) or come.field == "seconds"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"kind": "Levitating", "height": 3},
        {"kind": "Loading", "model": "x", "more": 1},
        {"kind": "Step"},
        {"frame": "no picture"},
        {"error": "pathlib", "message": "x", "field": ""},
    ],
)
def test_an_answer_of_another_version_is_told(message: Message) -> None:
    with pytest.raises(OutOfStep, match="Update both"):
        unpack(message, "user/name")


def test_a_plan_arrives_over_the_files_that_went_along(plan_for: MakePlan) -> None:
    plan = plan_for(task="restyle", video=CLIP, range=(0.5, 1.2), frames=None)
    message, files = pack_plan(plan)
    assert files == [CLIP]
    assert CLIP not in json.dumps(message)
    arrived = unpack_plan(json.loads(json.dumps(message)), ["/there/1.mp4"])
    assert arrived.files == ("/there/1.mp4",)
    assert arrived.with_files(lambda _: CLIP) == replace(plan, notes=(), sound=None)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"version": 0}, "two versions of Onetake"),
        ({"row": "another"}, "two versions of Tabletop's row"),
        ({"plan": {"model": "levitation"}}, "only one of them can read"),
        ({"plan": {"style": "new"}}, "two versions of a plan"),
        ({"plan": {"steps": "many"}}, "only one of them can read"),
    ],
)
def test_a_plan_of_another_version_is_refused(plan_for: MakePlan, change: dict[str, Any], what: str) -> None:
    message, _ = pack_plan(plan_for())
    sent = json.loads(json.dumps(message))
    changed = {name: sent[name] | value if isinstance(value, dict) else value for name, value in change.items()}
    with pytest.raises(OutOfStep, match=what):
        unpack_plan(sent | changed, [])
    with pytest.raises(OutOfStep):
        unpack_plan({}, [])


def test_what_is_told_of_a_card_arrives() -> None:
    card = Machine(24_000, 64_000, (8, 9), torchao=True, wanted="fp8")
    assert unpack_machine(json.loads(json.dumps(asdict(card)))) == card
    with pytest.raises(OutOfStep, match="Update both"):
        unpack_machine({"vram_mb": "much"})


def test_a_plan_is_placed_again_for_what_it_runs_on() -> None:
    spec, asked = get_model("ltx-13b"), parse_request({"task": "text", "prompt": "a ball", "seed": 7})
    large, small = Machine(141_000, 200_000, (9, 0)), Machine(24_000, 64_000, (8, 9))
    planned = {card: make_plan(asked, spec, machine=card) for card in (Machine(), small, large)}
    assert len({plan.estimate.policy for plan in planned.values()}) == 2
    for plan in planned.values():
        for card, own in planned.items():
            assert place_again(plan, spec, card).estimate == own.estimate


def test_what_went_otherwise_than_planned_crosses_with_the_last_frame(settings: Settings, plan_for: MakePlan) -> None:
    class Forced(LocalBackend):
        def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
            take, notes = super().run(plan, on_event, cancelled), list[str]()

            def frames() -> Any:
                yield from take.frames
                notes.append("Memory ran out.")

            return replace(take, frames=frames(), notes=notes)

    take = take_from(crossings(Forced(settings), plan_for(), lambda: False), lambda _: None, lambda: False, list)
    assert list(take.notes) == []
    assert sum(len(piece) for piece in take.frames) == 9
    assert list(take.notes) == ["Memory ran out."]
