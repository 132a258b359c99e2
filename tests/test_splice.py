"""Frames brought together, and how well they are joined."""

import numpy as np
import pytest

from pipeline.seams import SeamGauge, calm_start
from pipeline.splice import CURVES, dissolve, feather, match_colours, settle, shares


def grey(*levels: float) -> np.ndarray:
    return (np.array(levels)[:, None, None, None] * np.ones((1, 8, 8, 3))).astype(np.uint8)


@pytest.mark.parametrize("curve", CURVES)
def test_the_second_clip_takes_over_along_the_curve(curve: str) -> None:
    values = shares(curve, 9)  # type: ignore[arg-type]
    assert np.all(np.diff(values) > 0)
    assert 0 <= values[0] < values[-1] <= 1
    assert (values[4] > 0.6) == (curve == "early")
    assert (values[4] < 0.4) == (curve == "late")


def test_hold_turns_quickly_in_the_middle() -> None:
    hold, even = shares("hold", 9), shares("linear", 9)
    assert hold[2] < even[2]
    assert hold[6] > even[6]
    assert np.diff(hold).max() > 2 * np.diff(even).max()


def test_a_dissolve_is_each_clip_alone_and_a_mix_between() -> None:
    mixed = dissolve(grey(0, 0, 0, 0, 0), grey(200, 200, 200, 200), 7, "linear")
    assert mixed[:, 0, 0, 0].tolist() == [0, 0, 0, 67, 133, 200, 200]


def test_feathered_frames_come_out_of_one_clip_and_go_into_the_other() -> None:
    mixed = feather(grey(*[100] * 7), grey(*[0] * 7), grey(*[200] * 7))[:, 0, 0, 0].tolist()
    assert mixed == [33, 67, 100, 100, 100, 133, 167]


def test_colours_are_matched_at_both_ends_and_change_over_between() -> None:
    rng = np.random.default_rng(0)
    real = rng.integers(60, 190, (13, 16, 16, 3)).astype(np.uint8)
    tint = np.linspace(-20, 15, 13)[:, None, None, None] * np.array([1, 0.5, -1])
    made = (real * 0.95 + tint).clip(0, 255).astype(np.uint8)
    matched = match_colours(made, real[:5], real[-5:])
    for frames in (slice(0, 5), slice(-5, None)):
        off = np.abs(made[frames].mean((0, 1, 2)) - real[frames].mean((0, 1, 2)))
        left = np.abs(matched[frames].mean((0, 1, 2)) - real[frames].mean((0, 1, 2)))
        assert left.max() < 1 < off.max()
    jumps = np.abs(np.diff(matched.mean((1, 2)), axis=0)).max()
    assert jumps < 12, "the correction itself does not jump"


def test_made_frames_go_on_from_the_real_ones() -> None:
    made = grey(50, 50, 60, 60, 60, 60, 60, 60, 60, 80, 80)
    settled = settle(made, grey(20, 20), grey(110, 110))[:, 0, 0, 0].astype(int)
    assert settled[2:9].tolist() == [38, 45, 52, 60, 68, 75, 82], "what is missed at each end fades to the other"
    assert settled[2] - 20 < made[2, 0, 0, 0] - 20


@pytest.mark.parametrize("backward", [False, True])
def test_what_moves_on_leaves_no_ring_where_it_was(backward: bool) -> None:
    real, made = np.full((2, 1, 8, 3), 200, np.uint8), np.full((8, 1, 8, 3), 200, np.uint8)
    real[:, :, 2:4] = 40
    made[:2, :, 1:5] = 120  # The model blurs it, and it goes on to the right.
    made[2:, :, 4:6] = 120
    after = settle(made[::-1], None, real)[::-1] if backward else settle(made, real, None)
    assert after.max() == 200, "nothing is brighter than all there is"
    assert after[2, 0, 2, 0] < 150, "it goes on from the real frames"


def test_a_flat_picture_is_not_blown_up() -> None:
    flat, real = grey(*[100] * 9), np.random.default_rng(0).integers(0, 255, (9, 8, 8, 3)).astype(np.uint8)
    assert match_colours(flat, real[:3], real[-3:]).std() < 20


def test_the_worst_join_is_told_in_units_of_the_clip() -> None:
    gauge = SeamGauge()
    gauge.feed(grey(10, 12, 14))
    gauge.feed(grey(24, 26, 28))
    assert gauge.worst([3]) == pytest.approx(5.0)
    assert gauge.worst([0]) == pytest.approx(18 / 2)
    assert gauge.worst([3, 0]) == pytest.approx(9.0)


def test_frames_that_are_held_do_not_count() -> None:
    gauge = SeamGauge()
    gauge.feed(grey(10, 10, 12, 12, 14, 14, 24))
    assert gauge.worst([6]) == pytest.approx(5.0)


def test_a_clip_that_stands_still_has_no_seam() -> None:
    gauge = SeamGauge()
    gauge.feed(grey(10, 10, 10, 90))
    assert gauge.worst([3]) is None
    assert SeamGauge().worst([0]) is None


def test_a_loop_may_begin_wherever_it_moves_least() -> None:
    assert calm_start(grey(10, 30, 31, 60)) == 2
    assert calm_start(grey(10, 30, 60, 12)) == 0, "the last picture stands before the first"
