from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import MakePlan
from safetensors import SafetensorError
from safetensors.numpy import load_file
from test_ltx import run as run_segment

from pipeline.backends.local import LocalBackend
from pipeline.backends.take import Take
from pipeline.errors import BadClip, Cancelled, CannotDo, RunFailed
from pipeline.events import Decoding, IsCancelled, Listener, Loading, Pixels, Step
from pipeline.generate import Event, Finished, generate
from pipeline.library.runs import Run
from pipeline.plan import Plan
from pipeline.planning.segments import Segment
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.video import read_frames, read_recipe, write_clip
from pipeline.visitors import OF_THE_MACHINE

STAGES = ["load", "text", "denoise", "decode", "encode"]


def finish(plan: Plan, backend: LocalBackend, store: Store) -> tuple[list[Event], Run]:
    events = list(generate(plan, backend, store))
    assert isinstance(events[-1], Finished)
    return events, events[-1].run


def files(store: Store) -> list[Path]:
    return [path for path in store.home.rglob("*") if path.is_file()]


def test_a_run_tells_its_steps_and_ends_in_the_store(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    backend.warm("tabletop")
    plan = plan_for(frames=33)
    events, run = finish(plan, backend, store)
    steps = [event for event in events if isinstance(event, Step)]
    assert [(step.index, step.total) for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    left = [event.seconds_left for event in events if isinstance(event, Step | Decoding)]
    assert (left[0] or 0) > (steps[-1].seconds_left or 0) > 0, "frames are still to be decoded"
    assert left[-1] == 0
    decoded = [event.done for event in events if isinstance(event, Decoding)]
    assert decoded[-1] == 33
    assert all(earlier < later for earlier, later in pairwise(decoded))
    assert store.list() == (run,)
    assert (run.state, run.plan, run.notes) == ("done", plan, plan.notes)


def test_the_files_of_a_run_hold_what_they_should(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    plan = plan_for()
    _, run = finish(plan, backend, store)
    frames = np.stack(list(read_frames(run.file)))
    assert frames.shape == (9, 64, 64, 3)
    assert Plan.from_json(read_recipe(run.file)["plan"]) == plan
    latents = load_file(run.file.parent / "latents.safetensors")["latents"]
    assert latents.shape == (1, 64, 3, 4, 4)
    assert run.poster.stat().st_size > 0


def test_timings_add_up_to_the_whole(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    _, run = finish(plan_for(), backend, store)
    parts = [run.timings[stage] for stage in STAGES]
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(run.timings["total"], abs=0.3)
    assert run.peak_memory_mb > 100


def test_the_same_plan_gives_the_same_frames(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    first, again, other = (
        np.stack(list(read_frames(finish(plan, backend, store)[1].file)))
        for plan in (plan_for(), plan_for(), plan_for(seed=8))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_same_frames_give_the_same_file(backend: LocalBackend, tmp_path: Path, plan_for: MakePlan) -> None:
    plan = plan_for(width=96, height=160, frames=33, steps=2, seed=6)
    family = backend.warm("tabletop")
    latents = run_segment(family, plan)[0].latents
    files = set()
    for n in range(5):
        path = tmp_path / f"{n}.mp4"
        # Decoding in between leaves the memory that the encoder gets in another state each time.
        write_clip(family.codec.decode(latents), path, 8, {})
        files.add(path.read_bytes())
    assert len(files) == 1


def test_one_frame_is_a_picture(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    _, run = finish(plan_for(frames=1), backend, store)
    (picture,) = read_frames(run.file)
    assert run.file.name == "image.png"
    assert picture.shape == (64, 64, 3)


def test_the_first_run_of_a_backend_loads(settings: Settings, store: Store, plan_for: MakePlan) -> None:
    backend = LocalBackend(settings)
    assert backend.loaded is None
    events, run = finish(plan_for(steps=1), backend, store)
    assert events[0] == Loading("Tabletop")
    assert backend.loaded == "tabletop"
    assert run.timings["load"] > 0.05
    assert not any(isinstance(event, Loading) for event in finish(plan_for(steps=1), backend, store)[0])


def test_a_stop_keeps_what_there_is(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    stop: list[bool] = []
    events: list[Event] = []
    for event in generate(plan_for(steps=50), backend, store, lambda: bool(stop)):
        events.append(event)
        if isinstance(event, Step):
            stop.append(True)
    assert isinstance(events[-1], Finished)
    run = events[-1].run
    done = sum(isinstance(event, Step) for event in events)
    assert run.state == "stopped"
    assert run.notes[-1] == f"Stopped after step {done} of 50: this is what the model had by then."
    assert done < 50
    assert len(list(read_frames(run.file))) == 9


def test_a_stop_before_the_first_step_leaves_nothing(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    with pytest.raises(Cancelled):
        list(generate(plan_for(), backend, store, lambda: True))
    assert files(store) == []


def test_closing_the_generator_stops_the_work(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    events = generate(plan_for(steps=100), backend, store)
    for event in events:
        if isinstance(event, Step):
            break
    events.close()
    (run,) = store.list()
    assert run.state == "stopped"
    assert not list((store.home / ".unfinished").iterdir())


class Poisoned(LocalBackend):
    """Runs the real model, then spoils its result."""

    def __init__(self, settings: Settings, latents: float, brightness: int) -> None:
        super().__init__(settings)
        self._spoil = (latents, brightness)

    def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        """Run, then scale the latents and the frames."""
        take = super().run(plan, on_event, cancelled)
        latents, brightness = self._spoil
        return replace(
            take, latents=take.latents * np.float32(latents), frames=(f * np.uint8(brightness) for f in take.frames)
        )


@pytest.mark.parametrize(("latents", "brightness"), [(np.nan, 1), (np.inf, 1), (1.0, 0)])
def test_a_broken_clip_is_never_done(
    settings: Settings, store: Store, plan_for: MakePlan, latents: float, brightness: int
) -> None:
    with pytest.raises(BadClip):
        list(generate(plan_for(steps=1), Poisoned(settings, latents, brightness), store))
    assert files(store) == []


def test_a_clip_is_kept_where_there_is_no_room_for_its_latents(
    backend: LocalBackend, settings: Settings, store: Store, plan_for: MakePlan
) -> None:
    class Full(LocalBackend):
        def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
            take = backend.run(plan, on_event, cancelled)
            return replace(take, frames=in_the_way(take.frames))

    def in_the_way(frames: Iterator[Pixels]) -> Iterator[Pixels]:
        (store.disk / ".unfinished" / "busy" / "latents.safetensors").mkdir()
        yield from frames

    origin = replace(OF_THE_MACHINE, job="busy")
    events = list(generate(plan_for(), Full(settings), store, origin=origin))
    assert isinstance(events[-1], Finished)
    run = events[-1].run
    assert run.state == "done"
    assert "Only the clip was kept" in run.notes[-1]
    assert len(list(read_frames(run.file))) == 9
    assert store.find_source(f"run:{run.id}") == str(run.file)


def test_a_full_disk_is_told_as_such(settings: Settings, store: Store, plan_for: MakePlan) -> None:
    class Full(LocalBackend):
        def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:  # noqa: ARG002
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(RunFailed, match=r"The disk is full.*Free some space and try again"):
        list(generate(plan_for(), Full(settings), store))


def test_a_backend_that_breaks_is_a_failed_run(settings: Settings, store: Store, plan_for: MakePlan) -> None:
    class Broken(LocalBackend):
        def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
            raise RuntimeError(f"CUDA out of memory for {plan.width} pixels, {on_event}, {cancelled}")

    with pytest.raises(RunFailed, match=r"CUDA out of memory.*smaller"):
        list(generate(plan_for(), Broken(settings), store))


def test_segments_that_are_no_part_of_the_take_are_refused(
    backend: LocalBackend, store: Store, plan_for: MakePlan
) -> None:
    with pytest.raises(CannotDo):
        list(generate(replace(plan_for(), segments=(Segment("a", 9), Segment("b", 9))), backend, store))
    assert files(store) == []
