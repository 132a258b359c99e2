"""Clips made anew, joined and looped by the real model, judged on what comes out."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from conftest import SMALL
from test_layouts import film
from test_ltx import run as run_segment

from pipeline.backends.local import LocalBackend
from pipeline.backends.take import Take
from pipeline.errors import BadRequest, NotFound
from pipeline.events import Pixels
from pipeline.generate import Finished, generate
from pipeline.given.footage import Excerpt, read_clip
from pipeline.library.runs import Run
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan, make_plan
from pipeline.planning.segments import Kept, Made
from pipeline.request import parse_request, with_sources
from pipeline.seams import SeamGauge, calm_start
from pipeline.store import Store
from pipeline.video import read_frames, write_clip

if TYPE_CHECKING:
    from pipeline.families.family import Family

Make = Callable[..., Run]
SIZE = {"width": 64, "height": 64, "steps": 6, "seed": 3}


@pytest.fixture
def make(spec: ModelSpec, backend: LocalBackend, store: Store) -> Make:
    def made(**asked: Any) -> Run:
        request = with_sources(parse_request(SIZE | asked), store.keep_source)
        *_, last = generate(make_plan(request, spec), backend, store)
        assert isinstance(last, Finished)
        return last.run

    return made


def plan(spec: ModelSpec, **asked: Any) -> Plan:
    return make_plan(parse_request(SIZE | asked), spec)


def take(backend: LocalBackend, made: Plan) -> tuple[Take, Pixels]:
    taken = backend.run(made, lambda _: None, lambda: False)
    return taken, np.concatenate(list(taken.frames))


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """A red block that crosses a green floor under a blue sky."""
    frames = np.zeros((17, 64, 64, 3), np.uint8)
    frames[:, :30], frames[:, 30:] = (120, 170, 230), (60, 140, 50)
    for number, frame in enumerate(frames):
        frame[24:40, 4 + 2 * number : 20 + 2 * number] = (210, 30, 25)
    write_clip([frames], tmp_path / "block.mp4", 8, {})
    return str(tmp_path / "block.mp4")


def psnr(one: Pixels, other: Pixels) -> float:
    """In dB; infinite where no pixel differs."""
    error = np.mean((one.astype(float) - other) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else np.inf


def test_latents_of_frames_decode_to_them(family: "Family", clip: str) -> None:
    frames = read_clip(Excerpt(clip, frames=17), 8, (64, 64))
    latents = family.codec.encode(frames)
    assert latents.shape == (1, 64, 5, 4, 4)
    assert psnr(np.concatenate(list(family.codec.decode(latents.numpy()))), frames) > 22


def test_at_full_noise_nothing_of_the_clip_is_left(family: "Family", spec: ModelSpec, clip: str) -> None:
    anew = plan(spec, task="restyle", video=clip, prompt="a red ball", strength=1.0)
    words = plan(spec, prompt="a red ball", frames=17)
    # The pipeline's own schedule differs in the last bit.
    assert np.allclose(run_segment(family, anew)[0].latents, run_segment(family, words)[0].latents, atol=1e-3)


def test_the_last_estimate_is_the_result_from_any_noise_level(family: "Family", spec: ModelSpec, clip: str) -> None:
    sample, told = run_segment(family, plan(spec, task="restyle", video=clip, prompt="a red ball", strength=0.6))
    assert sample.steps_done == sample.steps == len(told) < 6
    foreseen = family.preview(torch.from_numpy(sample.latents))
    assert np.abs(told[-1][2].astype(int) - foreseen).max() <= 1


def test_a_stop_after_the_first_step_keeps_something_near_the_clip(
    family: "Family", spec: ModelSpec, clip: str
) -> None:
    anew = plan(spec, task="restyle", video=clip, prompt="a red ball", strength=0.3, guidance_scale=1.0)
    stopped, whole = run_segment(family, anew, stop_after=1)[0], run_segment(family, anew)[0]
    source = family.codec.encode(read_clip(Excerpt(clip, frames=17), 8, (64, 64))).numpy()
    assert stopped.steps_done == 1
    assert np.abs(stopped.latents - source).mean() < 3 * np.abs(whole.latents - source).mean()


def test_the_more_noise_the_more_a_clip_changes(make: Make, clip: str) -> None:
    runs = [make(task="restyle", video=clip, prompt="a blue cone on snow", strength=s) for s in (0.1, 0.6, 0.95)]
    changes = [run.measures["change"] for run in runs]
    assert changes[0] < changes[1] < changes[2]
    assert changes[0] < 0.15
    source = read_clip(Excerpt(clip, frames=17), 8, (64, 64))
    scores = [psnr(np.stack(list(read_frames(run.file))), source) for run in runs]
    assert scores[0] > scores[1] > scores[2]
    assert any(f"The clip changed by {changes[1]:.0%}" in note for note in runs[1].notes)


def test_a_take_is_edited_from_its_own_latents(make: Make, store: Store) -> None:
    taken = make(prompt="a red ball on grass", frames=9)
    asked = {"task": "restyle", "prompt": "a red ball on grass", "strength": 0.05}
    named, by_file = (make(video=video, **asked) for video in (f"run:{taken.id}", str(taken.file)))
    for anew in (named, by_file):
        assert anew.plan.segments[0].source is not None
        path = Path(anew.plan.segments[0].source.clip.file)
        assert path.suffix == ".safetensors"
        assert path.is_relative_to(store.home / ".sources"), "a copy, which outlasts the take"
        assert anew.measures["change"] < 0.1
    assert np.array_equal(np.stack(list(read_frames(named.file))), np.stack(list(read_frames(by_file.file))))


@pytest.mark.parametrize("wanted", [(0.5, 1.25), (0.0, 1.0), (1.25, 2.125)])
def test_outside_of_a_range_frames_reach_the_encoder_unchanged(
    backend: LocalBackend, spec: ModelSpec, clip: str, wanted: tuple[float, float]
) -> None:
    made = plan(spec, task="restyle", video=clip, prompt="a blue ball on snow at night", strength=0.95, range=wanted)
    _, frames = take(backend, made)
    source = read_clip(Excerpt(clip, frames=17), 8, (64, 64))
    assert len(frames) == 17
    position = 0
    for part in made.timeline:
        there = slice(position, position + part.frames)
        assert np.array_equal(frames[there], source[there]) == isinstance(part, Kept)
        position += part.frames


def test_a_transition_splices_the_originals_back(
    backend: LocalBackend, spec: ModelSpec, clip: str, tmp_path: Path
) -> None:
    light = film(tmp_path / "light.mp4", 17, size=(64, 64))
    made = plan(spec, task="transition", first=clip, second=light)
    _, frames = take(backend, made)
    one, other = (read_clip(Excerpt(path, frames=17), 8, (64, 64)) for path in (clip, light))
    between = next(part for part in made.timeline if isinstance(part, Made)).frames
    assert len(frames) == 34 - between
    assert np.array_equal(frames[: 17 - between], one[: 17 - between])
    assert np.array_equal(frames[17:], other[between:])


def test_the_curve_decides_when_the_second_clip_takes_over(
    backend: LocalBackend, spec: ModelSpec, tmp_path: Path
) -> None:
    dark, light = tmp_path / "dark.mp4", tmp_path / "light.mp4"
    write_clip([np.full((17, 64, 64, 3), 30, np.uint8)], dark, 8, {})
    write_clip([np.full((17, 64, 64, 3), 220, np.uint8)], light, 8, {})
    asked = {"task": "transition", "first": str(dark), "second": str(light), "seconds": 2.0}
    means = {}
    for curve in ("early", "linear", "late"):
        _, frames = take(backend, plan(spec, **asked, curve=curve))
        means[curve] = frames[:17].mean()
    assert means["early"] > means["linear"] > means["late"]


def test_a_loop_of_words_ends_where_it_begins(make: Make, family: "Family", spec: ModelSpec) -> None:
    asked = {"task": "loop", "prompt": "a red ball rolls right on snow", "frames": 20}
    run = make(**asked)
    frames = np.stack(list(read_frames(run.file)))
    assert len(frames) == 20
    around = family.codec.decode_loop(np.roll(run_segment(family, plan(spec, **asked))[0].latents, 1, axis=2))
    assert np.abs(np.roll(around, -4, axis=0).astype(int) - frames).mean() < 6, "no latent frame is the first"


def test_a_rolled_take_is_shown_as_it_is_going_to_be(family: "Family", spec: ModelSpec) -> None:
    made = plan(spec, task="loop", prompt="a red ball rolls right on snow", frames=20)
    sample, told = run_segment(family, made)
    foreseen = family.preview(torch.from_numpy(sample.latents)).astype(int)
    turns = [np.roll(foreseen, turn, axis=0) for turn in range(len(foreseen))]
    assert min(np.abs(told[-1][2] - turned).max() for turned in turns) <= 1
    assert calm_start(foreseen.astype(np.uint8)) == 0, "it begins where little moves"
    plain = run_segment(family, plan(spec, **SMALL | {"prompt": "a red ball rolls right on snow", "frames": 17}))[0]
    assert not np.allclose(sample.latents, plain.latents), "the latents were turned"


def test_a_loop_of_a_clip_keeps_it_and_adds_a_seam(backend: LocalBackend, spec: ModelSpec, clip: str) -> None:
    _, frames = take(backend, plan(spec, task="loop", video=clip, prompt="a red cube", range=(0.0, 1.5)))
    assert len(frames) == 12 + 7
    assert np.array_equal(frames[:12], read_clip(Excerpt(clip, frames=12), 8, (64, 64)))


def test_short_loops_are_decoded_among_their_neighbours(family: "Family", spec: ModelSpec) -> None:
    latents = run_segment(family, plan(spec, task="loop", prompt="a red ball rolls right", frames=8))[0].latents
    frames, turned = family.codec.decode_loop(latents), family.codec.decode_loop(np.roll(latents, 1, axis=2))
    assert frames.shape == (8, 64, 64, 3)
    assert np.abs(np.roll(turned, -4, axis=0).astype(int) - frames).mean() < 6


def test_a_spliced_take_goes_on_without_loss(make: Make, store: Store, clip: str) -> None:
    run = make(task="loop", video=clip, prompt="a red cube", range=(0.0, 1.5), deliver="480p")
    source = store.find_source(f"run:{run.id}")
    frames = read_clip(Excerpt(source, frames=12), 8, (64, 64))
    assert np.array_equal(frames, read_clip(Excerpt(clip, frames=12), 8, (64, 64))), "kept frames stay as they were"
    again = make(task="restyle", video=f"run:{run.id}", prompt="a red cube", strength=0.5)
    (given,) = again.plan.segments[0].excerpts
    assert Path(given.file).name == Path(source).name


def test_what_is_no_plain_clip_is_taken_from_its_file(make: Make, store: Store) -> None:
    picture = make(prompt="a red ball", frames=1)
    assert store.find_source(f"run:{picture.id}") == str(picture.file)
    moved = make(task="animate", image=str(picture.file), prompt="a red ball", frames=5)
    assert moved.plan.num_frames == 5


def test_sources_that_are_gone_fail_in_plain_words(
    make: Make, backend: LocalBackend, store: Store, spec: ModelSpec, clip: str
) -> None:
    with pytest.raises(NotFound, match="no run"):
        make(task="restyle", video="run:0123456789", prompt="a ball", strength=0.5)
    made = plan(spec, task="restyle", video=clip, prompt="a ball", strength=0.5)
    Path(clip).unlink()
    with pytest.raises(BadRequest, match=r"block\.mp4"):
        list(generate(made, backend, store))
    assert store.list() == ()


@pytest.mark.slow
@pytest.mark.parametrize("given", ["words", "a clip"])
def test_seams_are_no_larger_than_the_clip_moves_in_nine_of_ten_seeds(make: Make, given: str) -> None:
    size = {"width": 128, "height": 128}
    words = (
        "a red ball rolls right on grass by day",
        "a yellow cube turns on grass by day",
        "a green cone falls onto snow",
        "an orange cylinder comes closer on the checkered floor",
        "a red ball bounces on snow",
    )
    seams, motions = [], []
    for seed in range(10):
        asked = {"prompt": words[seed % 5], "seed": seed, **size}
        source = {} if given == "words" else {"video": f"run:{make(**asked).id}"}
        run = make(task="loop", **asked, **source)
        frames = np.stack(list(read_frames(run.file)))
        motions.append(np.abs(np.diff(frames.astype(int), axis=0)).mean())
        seen = SeamGauge()
        seen.feed(frames)
        seams.append(seen.worst(run.plan.joins) or np.inf)
    assert sum(motion > 0.2 for motion in motions) >= 9, motions
    assert max(seams) < 2.5, seams
    reached = sum(seam <= 1.5 for seam in seams)
    assert reached >= 9, seams
