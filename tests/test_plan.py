import json
import random
from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import BadRequest, CannotDo, LoadError
from pipeline.given.footage import Excerpt
from pipeline.given.sound import Sound
from pipeline.history import measured_speed
from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.plan import DRAWN_SEEDS, Plan, make_plan
from pipeline.planning.estimate import default_speed
from pipeline.planning.segments import Kept, Made, Pin, Segment, Source
from pipeline.planning.speed import Speed
from pipeline.planning.words import unknown_words
from pipeline.request import parse_request


class Dice:
    """Draws from a seeded generator."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def randbelow(self, bound: int) -> int:
        return self._random.randrange(bound)


def plan(spec: ModelSpec, **asked: Any) -> Plan:
    return make_plan(parse_request({"prompt": "a red ball"} | asked), spec)


def test_defaults_come_from_the_row(spec: ModelSpec) -> None:
    made = plan(spec)
    assert (made.width, made.height) == spec.shapes[spec.shape]
    assert (made.num_frames, made.steps, made.guidance_scale, made.fps) == (17, 8, 4.0, 8)
    assert made.notes == ()
    assert made.prompt == "a red ball"


def test_the_seed_is_drawn_unless_given(spec: ModelSpec) -> None:
    request = parse_request({"prompt": "a red ball"})
    drawn = make_plan(request, spec, rng=Dice(1)).seed
    assert drawn == make_plan(request, spec, rng=Dice(1)).seed != make_plan(request, spec, rng=Dice(2)).seed
    assert 0 <= drawn < DRAWN_SEEDS
    assert plan(spec, seed=2**64 - 1).seed == 2**64 - 1


@pytest.mark.parametrize("shape", ["landscape", "square", "portrait"])
def test_shapes_have_their_native_size(spec: ModelSpec, shape: str) -> None:
    made = plan(spec, shape=shape)
    assert (made.width, made.height) == spec.shapes[shape]


def test_what_is_off_the_grid_is_rounded_and_told(spec: ModelSpec) -> None:
    made = plan(spec, width=100, height=250, frames=18)
    assert (made.width, made.height, made.num_frames) == (96, 256, 17)
    assert len(made.notes) == 2
    assert "100×250 became 96×256" in made.notes[0]
    assert "18 frames became 17" in made.notes[1]


@pytest.mark.parametrize(
    ("shape", "deliver", "size", "says"),
    [
        ("square", "480p", (480, 480), "enlarged, not generated"),
        ("landscape", "720p", (1200, 720), "160×96 is delivered as 1200×720"),
        ("portrait", "1080p", (1080, 1800), "enlarged, not generated"),
    ],
)
def test_a_larger_file_is_planned_and_told(
    spec: ModelSpec, shape: str, deliver: str, size: tuple[int, int], says: str
) -> None:
    made = plan(spec, shape=shape, deliver=deliver)
    assert made.delivered == size
    assert any(says in note for note in made.notes)
    assert Plan.from_json(made.to_json()) == made
    assert (made.width, made.height) == spec.shapes[shape]


@pytest.mark.parametrize(("seconds", "frames", "notes"), [(2.0, 17, 0), (12.0, 97, 0), (2.2, 17, 1), (0.1, 1, 1)])
def test_seconds_become_frames(spec: ModelSpec, seconds: float, frames: int, notes: int) -> None:
    made = plan(spec, seconds=seconds)
    assert made.num_frames == frames
    assert len(made.notes) == notes


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("width", {"width": 16384, "height": 16384}),
        ("height", {"width": 128, "height": 0}),
        ("width", {"width": -128, "height": 128}),
        ("frames", {"frames": 0}),
        ("frames", {"frames": 10**6}),
        ("frames", {"frames": -17}),
        ("seconds", {"seconds": 36_000.0}),
        ("seconds", {"seconds": -1.0}),
        ("steps", {"steps": 0}),
        ("steps", {"steps": -1}),
        ("steps", {"steps": 10**9}),
        ("guidance_scale", {"guidance_scale": 0.0}),
        ("guidance_scale", {"guidance_scale": 1e9}),
    ],
)
def test_what_is_out_of_limits_is_refused_with_the_limits(spec: ModelSpec, field: str, asked: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"choose from .* to ") as refused:
        plan(spec, **asked)
    assert refused.value.field == field


def test_a_task_that_the_model_lacks_is_refused(spec: ModelSpec) -> None:
    with pytest.raises(CannotDo, match="animate"):
        plan(replace(spec, tasks=("animate",)))
    with pytest.raises(CannotDo, match="'animate'"):
        make_plan(
            parse_request({"task": "animate", "prompt": "a ball", "image": "x.png"}), replace(spec, tasks=("text",))
        )


def test_unknown_words_are_named_once_in_order() -> None:
    vocabulary = frozenset({"a", "red", "ball", ",", "."})
    assert unknown_words("A dragon, a RED ball! A Dragon 🐉 <b>", vocabulary) == ("dragon", "🐉", "b")
    assert unknown_words("a red ball", vocabulary) == ()


def test_the_notes_name_what_the_model_does_not_know(spec: ModelSpec) -> None:
    (note,) = plan(spec, prompt="a red dragon").notes
    assert "unknown: dragon." in note
    assert spec.knows is not None
    assert spec.knows in note


def test_a_long_list_of_unknown_words_is_cut(spec: ModelSpec) -> None:
    (note,) = plan(spec, prompt=" ".join(f"zz{n}" for n in range(20))).notes
    assert note.count("zz") == 8
    assert note.endswith(", ….")


def test_a_prompt_beyond_the_text_encoder_is_told(spec: ModelSpec) -> None:
    notes = plan(spec, prompt="a red ball " * 30).notes
    assert any("first 48 words" in note for note in notes)


def test_a_model_without_its_words_is_a_load_error(spec: ModelSpec) -> None:
    with pytest.raises(LoadError, match="Fetch its files anew"):
        plan(replace(spec, repo="nowhere"))


def test_the_contract_is_one_line(spec: ModelSpec) -> None:
    made = plan(spec)
    contract = replace(made, estimate=replace(made.estimate, seconds=6.2, memory_mb=900)).contract()
    assert contract == "17 frames, 2.1 s, 128×128, about 6 s, 900 MB"
    assert plan(spec, frames=1).contract().startswith("1 picture, 128×128, about 1 s")


def test_the_estimate_grows_with_the_work(spec: ModelSpec) -> None:
    small, large = plan(spec).estimate, plan(spec, frames=97).estimate
    assert large.tokens == 5 * small.tokens
    assert large.seconds > 5 * small.seconds
    assert large.memory_mb > small.memory_mb


def test_the_estimate_follows_what_runs_measured(spec: ModelSpec) -> None:
    made = plan(spec)
    timings = {"denoise": 20.0, "decode": 1.5, "encode": 0.5}
    speed = measured_speed([(made, timings)] * 3, spec)
    again = make_plan(parse_request({"prompt": "a red ball"}), spec, speed)
    assert again.estimate.seconds == pytest.approx(22.0, abs=0.02)


def test_without_runs_the_registry_guesses(spec: ModelSpec) -> None:
    assert measured_speed([], spec) == default_speed(spec)
    other = replace(plan(spec), model="another")
    assert measured_speed([(other, {"denoise": 1.0, "decode": 1.0, "encode": 1.0})], spec) == default_speed(spec)
    assert default_speed(spec) == Speed(spec.gflops_per_second, spec.decode_megapixels_per_second)


def test_plans_from_before_pins_could_be_clips_are_read(spec: ModelSpec) -> None:
    data = plan(spec).to_json()
    pin = {"frame": 8, "picture": "x.png", "strength": 0.5, "fit": "pad", "focus": [0.5, 0.25]}
    data["segments"] = [{**data["segments"][0], "pins": [pin]}]
    (segment,) = Plan.from_json(json.loads(json.dumps(data))).segments
    assert segment.pins == (Pin(8, Excerpt("x.png", fit="pad", focus=(0.5, 0.25)), 0.5),)


def test_plans_survive_json(spec: ModelSpec) -> None:
    made = replace(
        plan(spec, prompt="a dragon"), segments=(Segment("a", 9, (Pin(0, Excerpt("x.png"), 0.5),)), Segment("b", 5))
    )
    assert Plan.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.num_frames == 14
    clip = Excerpt("a.mp4", 0.5, 9)
    spliced = replace(
        made,
        segments=(Segment("a", 13, source=Source(clip, clip, "late"), strength=0.5, rolled=True),),
        timeline=(Kept(clip), Made(5, 3, matched=True)),
        sound=Sound("a.mp4", 0.0, 1.5),
    )
    assert Plan.from_json(json.loads(json.dumps(spliced.to_json()))) == spliced
    assert spliced.num_frames == 12
    assert spliced.to_recipe()["segments"][0]["source"]["clip"]["file"] == "a.mp4"


def test_a_guidance_that_was_asked_for_is_told_where_it_is_less_late(spec: ModelSpec) -> None:
    def told(asked: dict[str, Any], model: ModelSpec = spec) -> list[str]:
        plan = make_plan(parse_request({"prompt": "a red ball on snow", "seed": 1} | asked), model)
        return [note for note in plan.notes if note.startswith("Guided by")]

    assert told({"guidance_scale": 7.0}) == ["Guided by 7 until shapes and motion are there, and then by 3."]
    assert told({}) == told({"guidance_scale": spec.guidance_scale}) == told({"guidance_scale": 1.0}) == []
    assert told({"guidance_scale": 7.0}, get_model("wan-1.3b")) == []
