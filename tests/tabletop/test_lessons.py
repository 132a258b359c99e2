"""Clips that are hard to learn from are drawn more often than they are, each kind of them for what it teaches."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from toy_clips import resting, three_clips

from pipeline.tabletop.latent_library import LatentLibrary
from pipeline.tabletop.lessons import (
    CAST,
    FILMED,
    HIDDEN,
    LESSONS,
    MET,
    MIRRORED,
    ORBITED,
    SIDED,
    SIDED_FROM,
    TURNED,
    Lesson,
    is_cast,
    is_filmed,
    is_mirrored,
)
from pipeline.tabletop.network import make_autoencoder
from pipeline.tabletop.scenes import draw_kind
from pipeline.tabletop.train_transformer import LESSON_EVERY, draw_batch
from pipeline.tabletop.world import Program

BALL = resting("grass", 0.9)
TURNING = replace(BALL, solids=(replace(BALL.solids[0], motion="turns"),))
ROLLING = replace(BALL, solids=(replace(BALL.solids[0], motion="left"),))
BEHIND = draw_kind(Random(4), "behind")
PUSHES = draw_kind(Random(4), "pushes")
ORBIT = draw_kind(Random(4), "orbits")


@pytest.fixture
def library(tmp_path: Path) -> LatentLibrary:
    """Three clips that are said to show a ball that rests, one that turns, and one that rolls."""
    library = LatentLibrary(make_autoencoder().requires_grad_(False), three_clips(tmp_path), half=False)
    library.refresh()
    return say_they_show(library, BALL, TURNING, ROLLING)


def say_they_show(library: LatentLibrary, *programs: Program) -> LatentLibrary:
    (path,) = library.parts
    first, *others = library.parts[path]
    same = (replace(program, frames=first.frames, width=64, height=64) for program in programs)
    library.parts[path] = [replace(first, programs=tuple(same)), *others]
    return library


def turn_of(lesson: Lesson) -> int:
    """A step whose batch is of a lesson."""
    return LESSONS.index(lesson) * LESSON_EVERY


@pytest.mark.parametrize("lesson", [SIDED, CAST, TURNED])
def test_what_is_hard_to_learn_is_drawn_in_its_turn(library: LatentLibrary, lesson: Lesson) -> None:
    sample, sigma = draw_batch(library, library, 0.0, turn_of(lesson))
    (program,) = sample.programs
    assert lesson.fits(program)
    assert {other for other in LESSONS if other.fits(program)} == {lesson}
    assert len(sigma) == 1
    assert float(sigma) >= (SIDED_FROM if lesson is SIDED else 0)
    assert not sample.given


def test_what_comes_out_from_behind_a_wall_is_given_at_first(library: LatentLibrary) -> None:
    say_they_show(library, BALL, BEHIND, ROLLING)
    sample, _ = draw_batch(library, library, 0.0, turn_of(HIDDEN))
    assert [program.story for program in sample.programs] == ["behind"]
    assert sample.given[0].latents.shape[2] == 2


def test_what_bumps_into_something_is_told_by_words_alone(library: LatentLibrary) -> None:
    say_they_show(library, BALL, BEHIND, PUSHES)
    sample, _ = draw_batch(library, library, 0.0, turn_of(MET))
    assert [program.story for program in sample.programs] == ["pushes"]
    assert not sample.given


@pytest.mark.parametrize(
    ("lesson", "program"),
    [(ORBITED, ORBIT), (MIRRORED, resting("water", 0.9)), (FILMED, replace(BALL, camera="pans"))],
)
def test_orbits_cameras_and_water_have_their_turns(library: LatentLibrary, lesson: Lesson, program: Program) -> None:
    say_they_show(library, BALL, program, ROLLING)
    sample, sigma = draw_batch(library, library, 0.0, turn_of(lesson))
    (drawn,) = sample.programs
    assert (drawn.pace, drawn.floor, drawn.camera) == (program.pace, program.floor, program.camera)
    assert len(sigma) == 1
    assert not sample.given


def test_other_batches_are_of_any_clips(library: LatentLibrary) -> None:
    steps = [step for step in range(40) if step % LESSON_EVERY]
    drawn = [program for step in steps for program in draw_batch(library, library, 0.0, step)[0].programs]
    assert {program.solids[0].motion for program in drawn} >= {"stays", "turns", "left"}


def test_where_no_clip_is_so_any_will_do(library: LatentLibrary) -> None:
    say_they_show(library, BALL, BALL, BALL)
    assert draw_batch(library, library, 0.0, turn_of(FILMED))[0].programs


def test_lessons_never_hold_more_than_a_batch_does(library: LatentLibrary) -> None:
    say_they_show(library, BALL, BALL, BALL)
    chunk = next(iter(library.parts.values()))[0]
    for clips in (1, 2, 3):
        assert len(library.draw_lesson(CAST, clips * chunk.tokens).programs) == clips
    assert len(library.draw_lesson(CAST, 1).programs) == 1


def test_one_solid_before_a_camera_that_moves_is_filmed() -> None:
    panned = replace(BALL, camera="pans")
    assert is_filmed(panned)
    assert not is_filmed(BALL)
    assert not is_filmed(replace(panned, solids=(*BALL.solids, *BALL.solids)))
    assert not is_filmed(draw_kind(Random(4), "follows"))


def test_what_rests_on_water_alone_is_mirrored() -> None:
    assert is_mirrored(resting("water", 0.9))
    assert not is_mirrored(BALL)
    assert not is_mirrored(replace(TURNING, floor="water"))


def test_what_rests_alone_before_a_camera_that_stands_shows_its_light() -> None:
    assert is_cast(BALL)
    assert is_cast(resting("water", 0.9))
    assert not is_cast(replace(BALL, camera="pans"))
    assert not is_cast(replace(BALL, solids=(*BALL.solids, *BALL.solids)))
    assert not is_cast(TURNING)
