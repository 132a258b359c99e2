"""How a take comes to the size of its file, and that both passes are counted."""

from typing import Any

import pytest

from pipeline.frames import denoise_flops
from pipeline.history import measured_speed
from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.planning.delivery import Delivery, deliver, passes_of
from pipeline.planning.segments import Segment
from pipeline.planning.speed import STEP_S, Speed
from pipeline.request import parse_request


@pytest.fixture
def ltx() -> ModelSpec:
    return get_model("ltx-13b")


def plan(spec: ModelSpec, speed: Speed | None = None, **asked: Any) -> Plan:
    return make_plan(parse_request({"prompt": "a red ball"} | asked), spec, speed)


def test_more_lines_than_a_model_makes_are_made_in_two_passes(ltx: ModelSpec) -> None:
    made = plan(ltx, deliver="720p")
    assert (made.first_pass, made.width, made.height, made.delivered) == ((768, 512), 1536, 1024, (1080, 720))
    assert made.notes == (
        "Made at 768×512, doubled and refined to 1536×1024 by the model itself.",
        "1536×1024 is delivered as 1080×720: made smaller.",
    )
    assert made.asked == (768, 512)
    assert Plan.from_json(made.to_json()) == made


def test_what_is_left_to_enlarge_is_told(ltx: ModelSpec) -> None:
    made = plan(ltx, deliver="1080p")
    assert (made.width, made.height, made.delivered) == (1536, 1024, (1620, 1080))
    assert made.notes[-1] == "1536×1024 is delivered as 1620×1080: enlarged, not generated."


def test_a_file_as_large_as_the_second_pass_is_not_resized(ltx: ModelSpec) -> None:
    assert deliver(720, (640, 360), 1.0, ltx) == Delivery(
        (1280, 720), (640, 360), None, ("Made at 640×360, doubled and refined to 1280×720 by the model itself.",)
    )


def test_fewer_lines_need_one_pass(ltx: ModelSpec) -> None:
    made = plan(ltx, deliver="480p")
    assert (made.first_pass, made.width, made.height, made.delivered) == (None, 768, 512, (720, 480))
    assert (plan(ltx).first_pass, plan(ltx).asked) == (None, None)


def test_what_is_too_large_to_double_is_enlarged(ltx: ModelSpec) -> None:
    made = plan(ltx, width=1280, height=704, deliver="1080p")
    assert (made.first_pass, made.width, made.height, min(made.delivered or ())) == (None, 1280, 704, 1080)
    assert made.notes[0] == "1280×704 is too large to be doubled: LTX-Video 13B doubles to 2048 pixels."
    assert made.notes[1].endswith("enlarged, not generated.")


def test_a_model_without_an_upsampler_enlarges(spec: ModelSpec) -> None:
    assert deliver(480, (160, 96), 1.0, spec).first_pass is None


@pytest.mark.parametrize(("start", "passes"), [(0.421, 1), (0.725, 1), (0.909, 2), (0.95, 2), (1.0, 2)])
def test_a_clip_gets_no_more_noise_than_was_asked_for(ltx: ModelSpec, start: float, passes: int) -> None:
    made = deliver(720, (768, 512), start, ltx)
    assert made.made == (1536, 1024)
    assert (made.first_pass is None) == (passes == 1)
    assert any("Made at" in note for note in made.notes)


def test_the_estimate_counts_both_passes(ltx: ModelSpec) -> None:
    speed = Speed(1000.0, 1e9)
    once, twice = plan(ltx, speed), plan(ltx, speed, deliver="720p")
    assert (once.estimate.tokens, twice.estimate.tokens) == (6144, 24576)
    flops = denoise_flops(ltx.network, 6144, 8, 1.0) + denoise_flops(ltx.network, 24576, 3, 1.0)
    assert twice.estimate.denoise == pytest.approx(flops / 1e12 + 11 * STEP_S, abs=0.01)
    assert twice.estimate.memory_mb > once.estimate.memory_mb
    first, second = passes_of(ltx, Segment("", 121), 8, (1536, 1024), (768, 512))
    assert (first.size, len(first.levels)) == ((768, 512), 8)
    assert (second.size, second.levels) == ((1536, 1024), (0.909, 0.725, 0.421))


def test_what_a_run_of_two_passes_took_foretells_the_next(ltx: ModelSpec) -> None:
    made = plan(ltx, deliver="720p")
    speed = measured_speed([(made, {"denoise": 30.0, "decode": 3.0, "encode": 1.0})], ltx)
    assert plan(ltx, speed, deliver="720p").estimate.seconds == pytest.approx(34.0, abs=0.02)
