"""Takes longer than a model makes in one go: parts that go on from each other, are watched, stopped, and resumed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from halves import decoded, forwards
from PIL import Image
from test_edits import plan, psnr
from test_layouts import film

from pipeline.backends.chain import LATENTS, SMALL, small
from pipeline.backends.local import LocalBackend
from pipeline.backends.parts import Parts
from pipeline.countdown import Countdown
from pipeline.errors import CannotDo, Interrupted
from pipeline.events import PartDone, Pixels, Step, Watchable
from pipeline.generate import Event, Finished, generate
from pipeline.halfway import read_halfway
from pipeline.library.runs import Run
from pipeline.model_spec import Chunks, ModelSpec
from pipeline.models import MODELS, get_model
from pipeline.plan import Plan
from pipeline.planning.segments import Kept, Made
from pipeline.queue.job import JobView, cut_short, told
from pipeline.quota import gpu_seconds
from pipeline.store import Store
from pipeline.ui.screen import going_on
from pipeline.variations import as_draft
from pipeline.video import read_frames, write_clip

LONG = {"prompt": "a red ball bounces on snow", "frames": 33, "steps": 2}


def made(plan: Plan, backend: LocalBackend, store: Store, cancelled: Callable[[], bool] = lambda: False) -> list[Event]:
    return list(generate(plan, backend, store, cancelled))


def run_of(events: list[Event]) -> Run:
    last = events[-1]
    assert isinstance(last, Finished)
    return last.run


def frames_of(run: Run) -> Pixels:
    return np.stack(list(read_frames(run.file)))


@pytest.mark.parametrize(
    ("asked", "frames", "parts"),
    [({"seconds": 12.0}, 97, 1), ({"frames": 98}, 97, 1), ({"frames": 101}, 101, 3), ({"seconds": 60.0}, 481, 15)],
)
def test_what_is_too_long_for_one_go_is_planned_in_parts(
    spec: ModelSpec, asked: dict[str, Any], frames: int, parts: int
) -> None:
    long = plan(spec, prompt="a red ball", **asked)
    assert (long.num_frames, len(long.segments)) == (frames, parts)
    assert any(f"Made in {parts} parts" in note for note in long.notes) == (parts > 1)
    assert all(segment.frames % spec.frame_grid == 1 for segment in long.segments)
    assert [segment.follows for segment in long.segments[1:]] == [17] * (parts - 1)
    assert long.prompt == "a red ball"
    whole = plan(spec, prompt="a red ball", frames=49)
    assert long.estimate.seconds == pytest.approx(max(parts, 2) * whole.estimate.seconds, rel=0.45)


def test_details_of_all_parts_are_guided_less_which_would_add_contrast_each_time(spec: ModelSpec) -> None:
    asked = {"prompt": "a red ball", "seconds": 15.0}
    usual, gentle = plan(spec, **asked), plan(spec, **asked, guidance_scale=1.5)
    assert {usual.alone(number).guidance_scale for number in range(4)} == {4.0}, "less of all, and motion dies away"
    assert {gentle.alone(number).guidance_scale for number in range(4)} == {1.5}
    assert {segment.late_guidance for segment in usual.segments} == {spec.late_guidance}
    assert spec.late_guidance < 0.5
    hosted = plan(get_model("ltx-2b"), prompt="a ball", seconds=20.0, steps=8, width=256, height=256)
    assert {hosted.alone(number).guidance_scale for number in range(len(hosted.segments))} == {hosted.guidance_scale}
    assert {segment.late_guidance for segment in hosted.segments} == {1.0}


def test_parts_that_go_on_are_shown_as_they_come_which_what_hides_a_join_would_sharpen(spec: ModelSpec) -> None:
    parts = plan(spec, prompt="a red ball", seconds=15.0).timeline
    assert len(parts) == 4
    assert not any(part.matched for part in parts if isinstance(part, Made))


def test_each_part_has_a_seed_and_the_pictures_of_its_time(spec: ModelSpec, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(picture := str(tmp_path / "red.png"))
    at = [{"seconds": 8.0, "image": picture}, {"seconds": 2.5, "image": picture}]
    long = plan(spec, task="animate", prompt="a ball", image=picture, last=picture, at=at, seconds=15.0)
    pins = [(number, pin.frame) for number, segment in enumerate(long.segments) for pin in segment.pins]
    assert pins == [(0, 0), (0, 20), (1, 32), (3, 24)]
    starts = [32 * number for number in range(4)]
    assert [starts[number] + frame for number, frame in pins] == [0, 20, 64, 120]
    seeds = {long.alone(number).seed for number in range(4)}
    assert (len(seeds), long.alone(0).seed) == (4, long.seed)


def test_others_make_no_parts_and_parts_no_drafts(spec: ModelSpec) -> None:
    assert get_model("ltx-2b").most_frames("text") == 60 * 24 + 1
    assert {get_model(name).most_frames("text") for name in ("wan-1.3b", "wan-5b")} <= {81, 121}
    assert {spec.most_frames(task) for task in ("restyle", "transition", "loop")} == {97}
    with pytest.raises(CannotDo, match=r"no draft\. Make it whole, or ask for 12 s at most"):
        as_draft(plan(spec, **LONG | {"frames": 101}))
    minute = plan(get_model("ltx-13b"), prompt="a ball", seconds=60.0, steps=8, width=256, height=256)
    minute = replace(minute, estimate=replace(minute.estimate, seconds=400.0))
    with pytest.raises(CannotDo, match="Make it shorter"):
        gpu_seconds(minute)


@pytest.fixture(scope="module")
def short(spec: ModelSpec) -> ModelSpec:
    """The same model, of which a take of 33 frames has three parts."""
    return replace(spec, max_frames=17, chunks=Chunks(17, 9))


@pytest.fixture(scope="module")
def long(short: ModelSpec) -> Plan:
    return plan(short, **LONG)


def test_parts_go_on_from_each_other_and_each_can_be_watched(long: Plan, backend: LocalBackend, store: Store) -> None:
    watched: list[tuple[int, int, int]] = []
    steps: list[Step] = []
    for event in generate(long, backend, store):
        if isinstance(event, Watchable):
            watched.append((event.part, event.parts, len(list(read_frames(Path(event.file))))))
        if isinstance(event, Step):
            steps.append(event)
    run = run_of([event])
    frames = frames_of(run)
    assert (run.state, run.plan, len(frames)) == ("done", long, 33)
    assert watched == [(1, 3, 17), (2, 3, 8), (3, 3, 8)]
    assert [step.index for step in steps] == list(range(1, 7))
    assert [(step.part, step.parts) for step in steps[:3]] == [(1, 3), (1, 3), (2, 3)]
    assert all(0 <= (step.part_left or 0) <= (step.seconds_left or 0) for step in steps)
    assert {step.part_left for step in steps[1::2]} == {0}
    assert not list((store.disk / ".unfinished").glob("parts-*")), "what is done needs no parts"


def test_parts_join_without_a_cut(long: Plan, backend: LocalBackend, store: Store) -> None:
    """One take of two steps tells little: of eight, one or two jump at a join."""
    joins = []
    for seed in range(8):
        frames = frames_of(run_of(made(replace(long, seed=seed), backend, store)))
        joins += [psnr(frames[join - 1], frames[join]) for join in long.joins]
    assert median(joins) > 20
    assert sum(join > 20 for join in joins) >= 14, joins


def test_a_part_is_decoded_once(long: Plan, backend: LocalBackend) -> None:
    shown: list[PartDone] = []
    decoder: Any = backend.warm(long.model).pipe.vae.decoder
    calls: list[int] = []
    hook = decoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        take = backend.run(long, lambda event: shown.append(event) if isinstance(event, PartDone) else None, bool)
        assert calls, "each part can be watched"
        del calls[:]
        frames = decoded(take)
    finally:
        hook.remove()
    assert not calls
    assert np.array_equal(frames, np.concatenate([part.frames for part in shown]))


def test_stop_keeps_the_parts_that_are_done_and_the_same_take_goes_on_after_them(
    long: Plan, backend: LocalBackend, store: Store, spec: ModelSpec
) -> None:
    whole = frames_of(run_of(made(long, backend, store)))

    def stop() -> bool:
        return len(list((store.disk / ".unfinished").glob("parts-*/*.safetensors"))) == 2

    stopped = run_of(made(long, backend, store, stop))
    assert (stopped.state, stopped.plan.num_frames, len(stopped.plan.segments)) == ("stopped", 25, 2)
    assert any("the first 2 parts were done, of 3" in note for note in stopped.notes)
    assert np.array_equal(frames_of(stopped)[:20], whole[:20])
    with forwards(backend, spec.name) as calls:
        events = made(long, backend, store)
    resumed = run_of(events)
    assert len(calls) == 2, "only the parts that were left"
    assert any("first 2 parts were made before" in note for note in resumed.notes)
    assert [event.index for event in events if isinstance(event, Step)] == [5, 6]
    assert np.array_equal(frames_of(resumed), whole)
    assert resumed.plan == long
    assert resumed.finishes, "its time tells nothing of the whole"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_part_can_be_watched_in_every_shape_of_every_model(model: ModelSpec, tmp_path: Path) -> None:
    for number, (width, height) in enumerate((*model.shapes.values(), (1536, 1024), (1279, 719))):
        frames = small(np.full((2, height, width, 3), 90, np.uint8))
        assert max(frames.shape[1:3]) <= SMALL
        assert frames.shape[2] / frames.shape[1] == pytest.approx(width / height, rel=0.02)
        write_clip([frames], file := tmp_path / f"{number}.mp4", 8, {})
        assert [frame.shape for frame in read_frames(file)] == [frames.shape[1:]] * 2


def test_what_breaks_off_goes_on_after_its_last_part_unless_it_is_another_take(
    long: Plan, backend: LocalBackend, store: Store
) -> None:
    def broken() -> bool:
        if Parts(store.disk, long).begun.begun:
            raise Interrupted("The app was stopped. Run it again.")
        return False

    with pytest.raises(Interrupted):
        made(long, backend, store, broken)
    (first,) = Parts(store.disk, long).begun.begun
    assert read_halfway(Path(first.file)).tensors[LATENTS].shape[2] == 5
    assert Parts(store.disk, long).begun.estimate.denoise < long.estimate.denoise
    for other in (replace(long, seed=4), replace(long, steps=3)):
        assert not Parts(store.disk, other).begun.begun
    shown = Countdown(Parts(store.disk, long).begun).told(Step(3, 6, None, seconds=1.0, part=2, parts=3))
    assert isinstance(shown, Step)
    assert 0 < (shown.part_left or 0) < (shown.seconds_left or 0)
    Path(first.file).write_bytes(b"nothing")
    assert run_of(made(long, backend, store)).state == "done", "a damaged part is made again"


def test_a_take_goes_on_where_its_parts_cannot_be_kept(long: Plan, backend: LocalBackend, store: Store) -> None:
    in_the_way = Parts(store.disk, long).folder
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_bytes(b"no room")
    events = made(long, backend, store)
    assert run_of(events).state == "done"
    assert not any(isinstance(event, Watchable) for event in events)


def test_a_clip_goes_on_for_long_and_begins_earlier(
    spec: ModelSpec, short: ModelSpec, backend: LocalBackend, store: Store, tmp_path: Path
) -> None:
    clip = film(tmp_path / "clip.mp4", 17, size=(64, 64))
    both = plan(spec, task="extend", video=clip, direction="both", seconds=1.0, steps=2)
    assert [type(part) for part in both.timeline] == [Made, Kept, Made]
    far = plan(replace(short, max_frames=25, chunks=Chunks(25, 9)), task="extend", video=clip, seconds=3.0, steps=2)
    assert (far.num_frames, len(far.segments), len(far.segments[0].pins)) == (17 + 24, 2, 1)
    for asked, first in ((both, 8), (far, 0)):
        run = run_of(made(asked, backend, store))
        frames = frames_of(run)
        assert (run.state, len(frames)) == ("done", asked.num_frames)
        shown = np.stack(list(read_frames(Path(clip))))
        assert all(
            np.array_equal(one, other) or psnr(one, other) > 35
            for one, other in zip(frames[first : first + 17], shown, strict=True)
        )
    assert any("each" in note for note in plan(spec, task="extend", video=clip, direction="both", seconds=1.3).notes)


def test_who_waits_is_told_of_both_times_and_of_what_can_be_watched(long: Plan) -> None:
    view = JobView("job", long, state="running")
    view = replace(view, **told(Step(3, 6, None, 40.0, 20.0, part=2, parts=3, part_left=12.0), view))
    assert going_on(view) == "Part 2 of 3 · 12 s left · 40 s left of all"
    view = replace(view, **told(Watchable(1, 3, "one.mp4"), view))
    assert replace(view, **told(Watchable(2, 3, "two.mp4"), view)).parts_done == ("one.mp4", "two.mp4")
    assert cut_short(long) != cut_short(long.first(1))


def test_a_plan_over_files_that_are_gone_is_named_all_the_same(spec: ModelSpec, tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", 17)
    far = plan(spec, task="extend", video=clip, seconds=11.0)
    one = Parts(tmp_path, far).folder
    film(tmp_path / "clip.mp4", 18)
    assert Parts(tmp_path, far).folder != one, "a file of other contents makes another take"
    Path(clip).unlink()
    assert Parts(tmp_path, far).folder.name.startswith("parts-")
