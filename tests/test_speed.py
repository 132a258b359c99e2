"""What finished runs foretell, by runs that were recorded and by arithmetic that can be followed by hand."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import mean, median

import pytest

from pipeline.model_spec import ModelSpec
from pipeline.planning.estimate import default_speed
from pipeline.planning.speed import MARGINS, Amounts, Past, Seconds, Speed

RECORDED = Path(__file__).with_name("recorded_runs.json")
WORK = Amounts("text", (128, 128), steps=10, gflop=100.0, given=0.0, decoded=1.0, written=1.0)


def recorded() -> list[Past]:
    """Runs of before, the oldest first."""
    runs = json.loads(RECORDED.read_text("utf-8"))["runs"]
    return [Past(Amounts(kind, (width, height), *work), "whole", Seconds(*took))
            for kind, width, height, *rest in runs
            for work, took in [(rest[:5], rest[5:])]]  # fmt: skip


def run(amounts: Amounts = WORK, slower: float = 1.0, fixed: float = 0.0, **more: float) -> Past:
    """A run on a machine of 20 GFLOP/s and 2 megapixels/s with a fixed cost per step."""
    took = Seconds(0.1, fixed * amounts.steps + amounts.gflop / 20, amounts.decoded / 2, amounts.written / 10)
    return Past(amounts, "whole", Seconds(*(slower * each for each in vars(took).values())), **more)


def test_recorded_runs_are_foretold_by_those_before_them(spec: ModelSpec) -> None:
    runs, missed = recorded(), []
    for count in range(5, len(runs)):
        speed = replace(default_speed(spec), runs=tuple(reversed(runs[:count])))
        took = runs[count].took.total
        missed.append(abs(speed.seconds(runs[count].amounts, "whole").total - took) / took)
    assert len(missed) > 50
    assert mean(missed) < 0.15
    assert median(missed) < 0.1


def test_what_is_fixed_is_told_apart_from_what_grows() -> None:
    small, large = replace(WORK, gflop=2.0), replace(WORK, gflop=2000.0)
    speed = Speed(60.0, 1.0, (run(large, fixed=0.16), run(small, fixed=0.16)))
    between = replace(WORK, gflop=40.0)
    assert speed.seconds(between, "whole").denoise == pytest.approx(run(between, fixed=0.16).took.denoise, rel=0.05)


def test_a_run_that_was_disturbed_changes_nothing() -> None:
    calm = Speed(60.0, 1.0, (run(), run(), run()))
    assert replace(calm, runs=(run(slower=9), *calm.runs)).seconds(WORK, "whole") == calm.seconds(WORK, "whole")


def test_runs_that_are_alike_count_more_than_newer_ones() -> None:
    other = replace(WORK, kind="restyle", size=(224, 96))
    speed = Speed(60.0, 1.0, (run(other, slower=2), run(other, slower=2), run()))
    assert speed.seconds(WORK, "whole").decode == pytest.approx(run().took.decode)
    assert speed.seconds(other, "whole").decode == pytest.approx(2 * run().took.decode)


def test_weights_that_lie_elsewhere_tell_nothing() -> None:
    guess = Speed(60.0, 1.0)
    speed = replace(guess, runs=(run(),))
    assert speed.known("whole")
    assert not speed.known("group")
    assert speed.seconds(WORK, "group") == guess.seconds(WORK, "group") != speed.seconds(WORK, "whole")


def test_loading_is_told_apart_where_it_was_measured() -> None:
    speed = Speed(60.0, 1.0, (run(load=0.0), run(load=8.0), run(load=6.0), run(load=7.0)))
    assert speed.loading("whole") == 7.0
    assert speed.loading("group") is None
    assert Speed(60.0, 1.0, (run(load=0.01),)).loading("whole") is None, "it was there already"


def test_the_margin_is_what_promises_were_missed_by() -> None:
    least, most = MARGINS
    kept = [run(promised=run().took.total)] * 4
    assert Speed(60.0, 1.0, tuple(kept)).margin("whole") == most, "too few to know"
    assert Speed(60.0, 1.0, (*kept, kept[0])).margin("whole") == least
    assert Speed(60.0, 1.0, (*kept, run(promised=run().took.total / 1.3))).margin("whole") == pytest.approx(1.3)
    assert Speed(60.0, 1.0, (*kept, run(promised=0.001))).margin("whole") == most
