"""What each task lays out in time: every frame is accounted for, on the model's grid, or the request is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import BadRequest
from pipeline.frames import context_frames, place_window
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan, make_plan
from pipeline.planning.segments import Kept, Made
from pipeline.request import parse_request
from pipeline.video import write_clip


def film(path: Path, frames: int, fps: int = 8, size: tuple[int, int] = (128, 128)) -> str:
    """A grey clip whose frames grow lighter."""
    pixels = np.linspace(20, 220, frames)[:, None, None, None] * np.ones((1, size[1], size[0], 3))
    write_clip([pixels.astype(np.uint8)], path, fps, {})
    return str(path)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return film(tmp_path / "clip.mp4", 17)


@pytest.fixture
def other(tmp_path: Path) -> str:
    return film(tmp_path / "other.mp4", 25)


def plan(spec: ModelSpec, **asked: Any) -> Plan:
    return make_plan(parse_request({"seed": 1} | asked), spec)


def refusal(spec: ModelSpec, **asked: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refused:
        plan(spec, **asked)
    return refused.value


def test_a_clip_is_restyled_from_its_first_frame_to_its_last(spec: ModelSpec, clip: str) -> None:
    made = plan(spec, task="restyle", video=clip, prompt="a ball", strength=0.5)
    (segment,) = made.segments
    assert segment.source is not None
    assert (segment.frames, segment.strength, segment.source.clip.frames) == (17, 0.5, 17)
    assert (made.timeline, made.notes, made.sound) == ((), (), None)
    assert (made.width, made.height) == (128, 128)


def test_what_the_model_cannot_take_is_cut_and_told(spec: ModelSpec, tmp_path: Path) -> None:
    made = plan(spec, task="restyle", video=film(tmp_path / "a.mp4", 20), prompt="a ball", strength=0.5)
    assert made.num_frames == 17
    assert any("first 17 frames (2.1 s) of a.mp4" in note for note in made.notes)
    made = plan(spec, task="restyle", video=film(tmp_path / "b.mp4", 120), prompt="a ball", strength=0.5)
    assert made.num_frames == 97
    assert any("b.mp4 plays 15.0 s; its first 12.1 s are used" in note for note in made.notes)
    made = plan(spec, task="restyle", video=film(tmp_path / "c.mp4", 60, 30, (96, 64)), prompt="a ball", strength=0.5)
    assert made.num_frames == 13
    assert any("c.mp4 shows 30 frames a second; Tabletop makes 8" in note for note in made.notes)


@pytest.mark.parametrize("wanted", [(0.0, 1.0), (0.5, 1.5), (1.0, 2.125), (0.25, 0.375), (2.0, 2.125), (0.0, 9.0)])
def test_a_range_is_remade_between_frames_that_stay(spec: ModelSpec, clip: str, wanted: tuple[float, float]) -> None:
    made = plan(spec, task="restyle", video=clip, prompt="a ball", strength=0.5, range=wanted)
    (segment,) = made.segments
    assert segment.frames % 4 == 1
    assert made.num_frames == 17, "no frame is lost"
    position = 0
    for part in made.timeline:
        if isinstance(part, Kept):
            assert part.excerpt.start * 8 == position
        else:
            first = position
            assert part.start + part.frames <= segment.frames
        position += part.frames
    made_until = first + next(part for part in made.timeline if isinstance(part, Made)).frames
    assert first <= wanted[0] * 8, "what was asked for is made"
    assert made_until >= min(wanted[1] * 8, 17)
    told = any(note.startswith("The range became") for note in made.notes)
    assert told == ((first / 8, made_until / 8) != wanted)
    for pin in segment.pins:
        assert pin.frame + pin.given.frames <= segment.frames
        assert pin.frame % 4 == 0


def test_a_transition_keeps_both_clips_outside_of_it(spec: ModelSpec, clip: str, other: str) -> None:
    made = plan(spec, task="transition", first=clip, second=other, seconds=1.0, curve="late")
    before, between, after = made.timeline
    assert isinstance(before, Kept)
    assert isinstance(between, Made)
    assert isinstance(after, Kept)
    assert (before.frames, between.frames, after.frames) == (10, 7, 18)
    assert after.excerpt.start == 7 / 8
    (segment,) = made.segments
    assert [pin.given.frames for pin in segment.pins] == [9, 9], "several real frames, not a still"
    assert segment.frames == 9 + 7 + 9
    assert made.joins == (10, 17)
    assert made.guidance_scale == 1.0, "without words there is nothing to be guided to"


def test_a_transition_is_never_longer_than_the_model_can_make(spec: ModelSpec, tmp_path: Path) -> None:
    long = film(tmp_path / "long.mp4", 97)
    made = plan(spec, task="transition", first=long, second=long, seconds=9.5)
    assert made.segments[0].frames <= spec.max_frames
    short = plan(spec, task="transition", first=long, second=film(tmp_path / "brief.mp4", 9), seconds=4.0)
    assert any("in between is 7 frames" in note for note in short.notes)


def test_a_range_beyond_the_clip_is_cut_and_told(spec: ModelSpec, clip: str) -> None:
    made = plan(spec, task="loop", video=clip, range=(0.5, 99.0))
    assert made.timeline[0].frames == 13
    assert any("became 0.5 to 2.125 s" in note for note in made.notes)


def test_a_picture_stands_still_in_a_transition(spec: ModelSpec, clip: str, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "photo.jpg")
    made = plan(spec, task="transition", first=clip, second=str(tmp_path / "photo.jpg"))
    assert any("photo.jpg is a picture: it is held for 2 s" in note for note in made.notes)
    assert any("photo.jpg, 300×200, was cropped" in note for note in made.notes)
    assert refusal(spec, task="loop", video=str(tmp_path / "photo.jpg")).field == "video"


@pytest.mark.parametrize(("seam", "frames"), [("short", 3), ("normal", 7), ("long", 15)])
def test_a_loop_goes_from_the_clips_tail_to_its_head(spec: ModelSpec, clip: str, seam: str, frames: int) -> None:
    made = plan(spec, task="loop", video=clip, seam=seam)
    kept, between = made.timeline
    assert (kept.frames, between.frames) == (17, frames)
    tail, head = made.segments[0].pins
    assert (tail.given.start, tail.given.frames, head.given.start, head.given.frames) == (1.0, 9, 0.0, 9)
    assert made.joins == (0, 17)


def test_a_seam_is_guided_by_its_ends_more_than_by_words_and_that_is_told(spec: ModelSpec, clip: str) -> None:
    made = plan(spec, task="loop", video=clip, prompt="a red ball")
    assert (made.guidance_scale, made.alone(0).guidance_scale) == (4.0, 1.0)
    assert any(note.startswith("The seam is guided by 1") for note in made.notes)
    for silent in ({"prompt": "a red ball", "guidance_scale": 1.0}, {}):
        assert not any("guided" in note for note in plan(spec, task="loop", video=clip, **silent).notes)
    assert plan(spec, task="loop", prompt="a red ball").alone(0).guidance_scale == 4.0


@pytest.mark.parametrize("scale", [None, 1.0, 3.0])
def test_a_model_that_guides_its_seams_like_the_rest_says_nothing_of_it(
    spec: ModelSpec, clip: str, scale: float | None
) -> None:
    same = replace(spec, seam_guidance=None)
    made = plan(same, task="loop", video=clip, prompt="a red ball", guidance_scale=scale)
    assert made.alone(0).guidance_scale == (scale or same.guidance_scale)
    assert not any("guided" in note for note in made.notes)


def test_a_seam_takes_the_time_of_the_guidance_that_it_has(spec: ModelSpec, clip: str) -> None:
    def denoise(**asked: object) -> tuple[float, float]:
        guided, unguided = (plan(spec, prompt="a red ball", **asked, guidance_scale=scale) for scale in (4.0, 1.0))
        return guided.estimate.denoise, unguided.estimate.denoise

    seam, words = denoise(task="loop", video=clip), denoise()
    assert seam[0] == seam[1]
    assert words[0] > words[1]


def test_a_loop_of_words_has_no_first_frame(spec: ModelSpec) -> None:
    made = plan(spec, task="loop", prompt="a ball turns", seconds=2.0)
    assert made.segments[0].rolled
    assert (made.num_frames, made.segments[0].frames, made.notes) == (16, 13, ())
    assert made.joins == (0,)
    assert plan(spec, task="loop", prompt="a ball turns").num_frames == 16
    longest = plan(spec, task="loop", prompt="a ball turns", frames=97)
    assert longest.num_frames == 96
    assert any("97 frames became 96 frames (12.0 s)" in note for note in longest.notes)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"task": "restyle", "prompt": "a ball"}, "video is missing"),
        ({"task": "restyle", "video": "/gone.mp4", "prompt": "a ball"}, "no file gone.mp4"),
        ({"task": "restyle", "video": "CLIP"}, "choose a style"),
        ({"task": "restyle", "video": "CLIP", "prompt": "a ball", "strength": 2.0}, "noise level"),
        ({"task": "restyle", "video": "CLIP", "prompt": "a ball", "range": [1.5, 0.5]}, "range is empty"),
        ({"task": "restyle", "video": "CLIP", "prompt": "a ball", "range": [0.5]}, "two times"),
        ({"task": "transition", "first": "CLIP"}, "second is missing"),
        ({"task": "transition", "first": "CLIP", "second": "CLIP", "curve": "wild"}, "linear, early, late or hold"),
        ({"task": "transition", "first": "CLIP", "second": "CLIP", "frames": 9}, "seconds of the transition"),
        ({"task": "loop"}, "nothing to loop"),
        ({"task": "loop", "video": "CLIP", "seconds": 2.0}, "decides how long"),
        ({"task": "loop", "prompt": "a ball", "range": [0.0, 1.0]}, "Give the clip too"),
        ({"task": "loop", "prompt": "a ball", "seam": "long"}, "A seam was given without a clip"),
        ({"task": "restyle", "video": "CLIP", "prompt": "a ball", "frames": 1, "range": [0.0, 0.1]}, "too few"),
        ({"task": "restyle", "video": "CLIP", "theme": "\0"}, "U+0000"),
        ({"task": "transition", "first": "CLIP", "second": "CLIP", "seconds": -3.0}, "choose from 0 to"),
        ({"task": "transition", "first": "CLIP", "second": "CLIP", "seconds": 1e308}, "choose from 0 to"),
        ({"task": "transition", "first": "CLIP", "second": "BROKEN"}, "broken.mp4 cannot be read as a clip"),
        ({"task": "loop", "prompt": "a ball", "frames": 1}, "cannot loop"),
        ({"task": "loop", "video": "CLIP", "seam": "endless"}, "short, normal or long"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(spec: ModelSpec, clip: str, asked: dict[str, Any], says: str) -> None:
    (broken := Path(clip).with_name("broken.mp4")).write_bytes(b"no film")
    files = {"CLIP": clip, "BROKEN": str(broken)}
    filled = {name: files.get(str(value), value) for name, value in asked.items()}
    assert says in str(refusal(spec, **filled))


def test_clips_that_are_too_short_are_refused(spec: ModelSpec, clip: str, tmp_path: Path) -> None:
    short = film(tmp_path / "short.mp4", 3)
    for asked in ({"task": "restyle", "video": short}, {"task": "loop", "video": short}):
        assert "at least 0.625 s" in str(refusal(spec, prompt="a ball", **asked))
    assert "at least" in str(refusal(spec, task="transition", first=clip, second=short))


@pytest.mark.parametrize("grid", [4, 8])
def test_windows_are_on_the_grid_and_hold_the_range(grid: int) -> None:
    for frames in range(grid + 1, 4 * grid + 3):
        for begins in range(frames):
            for ends in range(begins + 1, frames + 1):
                first, before, made, after = place_window((begins, ends), frames, grid)
                assert (before + made + after) % grid == 1
                assert before <= first <= begins < first + made
                assert first + made + after <= frames
                assert first + made >= ends or (begins < grid and ends > frames - grid)
    assert [context_frames(there, 4) for there in (0, 1, 4, 5, 8, 9, 30)] == [0, 1, 1, 5, 5, 9, 9]
