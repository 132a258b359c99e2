import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, MakePlan
from safetensors.numpy import save_file

from pipeline.errors import NotFound, RunFailed
from pipeline.given.sound import Sound
from pipeline.latents import read_latents, write_latents
from pipeline.library.index import INDEX
from pipeline.library.runs import Run
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan, make_plan
from pipeline.planning.estimate import default_speed
from pipeline.planning.segments import Made
from pipeline.planning.speed import Speed
from pipeline.request import parse_request
from pipeline.store import Store

TIMINGS = {"load": 0.0, "text": 0.1, "denoise": 2.0, "decode": 0.3, "encode": 0.1, "total": 2.5}


def finish(store: Store, plan: Plan, state: str = "done", timings: dict[str, float] | None = None) -> Run:
    with store.create(plan) as draft:
        draft.clip.write_bytes(b"clip")
        draft.poster.write_bytes(b"poster")
        write_latents(np.zeros((1, 64, 3, 4, 4), np.float32), draft.latents, (64, 64), 9, 8)
        return store.commit(draft, state=state, notes=("a note",), timings=timings or TIMINGS, peak_memory_mb=800.5)


def test_a_run_is_found_again_by_another_process(store: Store, plan_for: MakePlan) -> None:
    plan = plan_for()
    run = finish(store, plan)
    again = Store(store.home)
    assert again.list() == (run,)
    assert again.get(run.id) == run
    assert (run.plan, run.state, run.notes, run.timings, run.peak_memory_mb) == (
        plan,
        "done",
        ("a note",),
        TIMINGS,
        800.5,
    )
    assert run.file.read_bytes() == b"clip"
    assert {path.name for path in run.file.parent.iterdir()} == {
        "clip.mp4",
        "poster.webp",
        "run.json",
        "latents.safetensors",
    }
    json.dumps(run.to_json())


def test_one_frame_is_an_image(store: Store, plan_for: MakePlan) -> None:
    assert finish(store, plan_for(frames=1)).file.name == "image.png"


def test_newest_first(store: Store, plan_for: MakePlan) -> None:
    runs = [finish(store, plan_for()) for _ in range(3)]
    assert [run.id for run in store.list()] == [run.id for run in reversed(runs)]


def test_ids_cannot_be_guessed(store: Store, plan_for: MakePlan) -> None:
    ids = {finish(store, plan_for()).id for _ in range(20)}
    assert len(ids) == 20
    assert all(len(run_id) == 20 and run_id.isalnum() for run_id in ids)


def test_half_a_run_is_never_listed_and_nothing_stays(store: Store, plan_for: MakePlan) -> None:
    def break_off() -> None:
        with store.create(plan_for()) as draft:
            draft.clip.write_bytes(b"half")
            assert store.list() == ()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert store.list() == ()
    assert not [path for path in store.home.rglob("*") if path.is_file() and not path.name.startswith(INDEX)]


@pytest.mark.parametrize("run_id", ["", "nothing", "..", "../../etc", ".unfinished", "a/b", "a\0b"])
def test_what_is_not_there_is_not_found(store: Store, run_id: str) -> None:
    with pytest.raises(NotFound, match="library"):
        store.get(run_id)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "x"}'])
def test_a_broken_folder_does_not_hide_the_others(
    store: Store, plan_for: MakePlan, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = finish(store, plan_for())
    broken = store.home / "broken" / "run.json"
    broken.parent.mkdir()
    broken.write_text(content)
    with caplog.at_level(logging.WARNING):
        assert store.list() == (run,)
    assert "is not a run" in caplog.text


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, plan_for: MakePlan) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFailed, match="ONETAKE_HOME"), Store(tmp_path / "file").create(plan_for()):
        pass


def denoising(spec: ModelSpec, speed: Speed) -> float:
    """Seconds that a small plan's steps are going to take."""
    return make_plan(parse_request(SMALL | {"seed": 7}), spec, speed).estimate.denoise


def test_the_speed_is_that_of_the_newest_finished_runs(store: Store, spec: ModelSpec, plan_for: MakePlan) -> None:
    assert store.speed(spec) == default_speed(spec)
    for _ in range(3):
        finish(store, plan_for(), timings=TIMINGS | {"denoise": 100.0})
    slow = denoising(spec, store.speed(spec))
    for _ in range(5):
        finish(store, plan_for(), timings=TIMINGS | {"denoise": 1.0})
    finish(store, plan_for(), "stopped", TIMINGS | {"denoise": 0.001})
    assert slow == pytest.approx(100, rel=1e-3)
    assert denoising(spec, store.speed(spec)) == pytest.approx(1, rel=1e-3)
    assert store.speed(replace(spec, name="another")) == default_speed(spec)


def test_a_run_is_known_by_its_name_and_by_its_file(store: Store, plan_for: MakePlan, tmp_path: Path) -> None:
    run = finish(store, plan_for())
    copy = tmp_path / "downloaded.mp4"
    copy.write_bytes(run.file.read_bytes())
    latents = run.file.parent / "latents.safetensors"
    assert store.find_source(f"run:{run.id}") == store.find_source(str(copy)) == str(latents)
    copy.write_bytes(b"another clip")
    assert store.find_source(str(copy)) == str(copy)
    with pytest.raises(NotFound):
        store.find_source("run:nothing")


def test_latents_are_for_the_model_that_made_them(store: Store, plan_for: MakePlan) -> None:
    run = finish(store, plan_for())
    name, latents = f"run:{run.id}", run.file.parent / "latents.safetensors"
    assert store.find_source(name, model="tabletop") == str(latents)
    assert store.find_source(name, model="wan-5b") == str(run.file), "no other autoencoder reads them"
    kept = [Path(store.keep_source(name, model=model)).suffix for model in ("tabletop", "wan-5b")]
    assert kept == [".safetensors", ".mp4"]
    spliced = finish(store, replace(plan_for(), timeline=(Made(0, 9),)))
    (frames := spliced.file.parent / f"take-{spliced.id[:6]}.mkv").write_bytes(b"frames")
    assert store.find_source(f"run:{spliced.id}", model="wan-5b") == str(frames), "frames are everybody's"


def test_what_latents_do_not_hold_is_edited_from_its_frames(store: Store, plan_for: MakePlan) -> None:
    for plan in (replace(plan_for(), timeline=(Made(0, 9),)), replace(plan_for(), sound=Sound("a.mp4", 0.0, 1.0))):
        run = finish(store, plan)
        assert store.find_source(f"run:{run.id}") == str(run.file), "runs of before have no such file"
        (frames := run.file.parent / f"take-{run.id[:6]}.mkv").write_bytes(b"frames")
        assert store.find_source(f"run:{run.id}") == str(frames)
    picture = finish(store, plan_for(frames=1))
    assert store.find_source(f"run:{picture.id}") == str(picture.file)
    early = finish(store, plan_for())
    save_file({"latents": np.zeros((1, 64, 3, 4, 4), np.float32)}, early.file.parent / "latents.safetensors")
    assert store.find_source(f"run:{early.id}") == str(early.file), "they do not say what they decode to"


def test_sources_outlast_the_run_and_the_upload(store: Store, plan_for: MakePlan, tmp_path: Path) -> None:
    run = finish(store, plan_for())
    (upload := tmp_path / "my clip.mp4").write_bytes(b"mine")
    kept, own = Path(store.keep_source(str(upload))), Path(store.keep_source(f"run:{run.id}"))
    upload.unlink()
    shutil.rmtree(run.file.parent)
    assert kept.read_bytes() == b"mine"
    assert (kept.name, own.name) == ("my clip.mp4", f"take-{run.id[:6]}.safetensors")
    assert np.array_equal(read_latents(own), np.zeros((1, 64, 3, 4, 4)))
    assert own.with_suffix(".mp4").read_bytes() == b"clip", "what it looks like"
    assert store.keep_source("/gone.mp4") == "/gone.mp4"
