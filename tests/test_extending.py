"""A clip goes on: its own frames stay as they are, what is made follows their motion, and what cannot be is refused."""

from pathlib import Path

import numpy as np
import pytest
from test_edits import Make, plan, psnr
from test_edits import clip as clip
from test_edits import make as make
from test_layouts import film

from pipeline.errors import BadRequest, CannotDo
from pipeline.given.footage import Excerpt, read_clip
from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.planning.segments import Kept, Made
from pipeline.splice import joined
from pipeline.tabletop.render import render
from pipeline.tabletop.world import Program, Solid
from pipeline.video import read_frames, write_clip


@pytest.mark.parametrize(("seconds", "made"), [(None, 16), (0.5, 4), (0.1, 4), (1.3, 12), (10, 80)])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_what_is_made_is_pinned_to_the_clip(
    spec: ModelSpec, clip: str, direction: str, seconds: float | None, made: int
) -> None:
    length = {} if seconds is None else {"seconds": seconds}
    laid = plan(spec, task="extend", video=clip, direction=direction, **length)
    (segment,) = laid.segments
    (pin,) = segment.pins
    assert (segment.frames, laid.num_frames) == (17 + made, 17 + made)
    assert (pin.frame, pin.given.frames) == (0 if direction == "forward" else made, 17)
    assert [type(part) for part in laid.timeline] == ([Kept, Made] if direction == "forward" else [Made, Kept])
    rounded = seconds not in (None, 0.5, 10)
    assert any("Tabletop counts in 4s" in note for note in laid.notes) == rounded


def test_all_of_a_long_clip_stays_and_a_short_one_is_enough(spec: ModelSpec, tmp_path: Path) -> None:
    long = plan(spec, task="extend", video=film(tmp_path / "long.mp4", 200, size=(64, 64)), seconds=1)
    assert long.num_frames == 208
    assert long.segments[0].pins[0].given.start == pytest.approx((200 - 17) / 8)
    assert long.notes == ()
    short = plan(spec, task="extend", video=film(tmp_path / "short.mp4", 7, size=(64, 64)), seconds=1)
    assert (short.num_frames, short.segments[0].frames, short.segments[0].pins[0].given.frames) == (15, 13, 5)


def test_a_clip_of_a_size_that_the_model_makes_keeps_it(spec: ModelSpec, tmp_path: Path) -> None:
    asked = {"task": "extend", "width": None, "height": None}
    own = plan(spec, **asked, video=film(tmp_path / "own.mp4", 17, size=(96, 64)))
    assert (own.width, own.height) == (96, 64)
    other = plan(spec, **asked, video=film(tmp_path / "other.mp4", 17, size=(300, 200)))
    assert (other.width, other.height) == (160, 96)
    assert any("was cropped to the shape of 160×96" in note for note in other.notes)


def test_what_cannot_go_on_is_refused(spec: ModelSpec, clip: str) -> None:
    for direction, most in (("forward", 60), ("backward", 10), ("both", 10)):
        with pytest.raises(BadRequest, match=rf"seconds is 60\.5 s: choose from 0 to {most} s"):
            plan(spec, task="extend", video=clip, seconds=60.5, direction=direction)
    with pytest.raises(BadRequest, match="Give the seconds to add instead"):
        plan(spec, task="extend", video=clip, frames=9)
    with pytest.raises(CannotDo, match="cannot do 'extend'"):
        plan(get_model("wan-5b"), task="extend", video=clip)


ROLL = {
    "task": "extend",
    "prompt": "a red ball rolls right on snow by day",
    "width": None,
    "height": None,
}


@pytest.fixture(scope="module")
def roll(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A render in which a ball rolls to the right, in the middle of the picture."""
    ball = Solid("ball", "red", False, "right", 0.0, 0.0, 0.95, 1.0, 0.3)
    frames = render(Program((ball,), "snow", "day", "stands", 0.3, 0.8, 128, 128, 33)).numpy()
    write_clip([frames[8:25]], path := tmp_path_factory.mktemp("roll") / "roll.mp4", 8, {})
    return str(path)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_clip_itself_is_unchanged(make: Make, roll: str, direction: str) -> None:
    run = make(**ROLL, video=roll, direction=direction, seconds=0.5, steps=4)
    frames = np.stack(list(read_frames(run.file)))
    given = read_clip(Excerpt(roll, frames=17), 8, (128, 128))
    kept, made = (frames[:17], frames[17:]) if direction == "forward" else (frames[4:], frames[:4])
    assert len(frames) == 21
    assert min(psnr(one, other) for one, other in zip(kept, given, strict=True)) > 35
    beside = (kept[-1], made[0]) if direction == "forward" else (made[-1], kept[0])
    assert psnr(*beside) > 20, "no cut"


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_motion_goes_on_in_its_direction(make: Make, roll: str, direction: str) -> None:
    speeds = []
    for seed in range(1, 6):
        run = make(**ROLL, video=roll, direction=direction, seconds=0.5, seed=seed)
        frames = list(read_frames(run.file))
        made = frames[16:] if direction == "forward" else frames[:5]
        speeds.append(np.polyfit(range(5), [_middle(frame) for frame in made], 1)[0])
    assert sum(speed > 0.5 for speed in speeds) >= 4, f"pixels a frame to the right, as in the clip: {speeds}"


def _middle(frame: np.ndarray) -> float:
    """Return where the red block is, in pixels from the left."""
    red = np.maximum(frame[..., 0].astype(float) - frame[..., 1:].max(2), 0)
    return float((red.sum(0) * np.arange(red.shape[1])).sum() / max(red.sum(), 1))


def test_after_a_single_join_what_differs_fades_soon() -> None:
    def grey(*values: int) -> np.ndarray:
        return np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)

    made, real = grey(*[60] * 20), grey(20, 20)
    after = joined(made, real, None)[:, 0, 0, 0]
    assert after[2] < 30, "it goes on from the real frames"
    assert len(set(after[10:].tolist())) == 1
    assert joined(made[::-1], None, real)[::-1, 0, 0, 0].tolist() == after.tolist()
