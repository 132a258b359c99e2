"""A Onetake runs its plans on another one: both are the real app, in processes of their own."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from app_server import PATIENCE_S, ROOT, Server, running_app
from conftest import SMALL, MakePlan
from gradio_client import Client  # type: ignore[import-untyped]
from lora_files import write
from test_edits import psnr

from app import open_house
from pipeline.backends.local import LocalBackend
from pipeline.backends.space import SpaceBackend
from pipeline.backends.take import Take
from pipeline.errors import (
    BadRequest,
    Cancelled,
    CannotDo,
    ConnectionLost,
    KeyRefused,
    NoDevice,
    NotDownloaded,
)
from pipeline.events import Loading, Step, Told, Waiting
from pipeline.generate import Finished, generate
from pipeline.library.runs import stopped_at
from pipeline.models import get_model
from pipeline.plan import Plan
from pipeline.planning.segments import Segment
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.ui.lending import Lender
from pipeline.variations import as_draft, finishing
from pipeline.video import read_frames, read_recipe

KEY = "a secret of two, for tests"
LONG = {"steps": 100, "width": 192, "height": 192}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_app(tmp_path_factory.mktemp("host"), ONETAKE_KEY=KEY, ONETAKE_DEVICE="cpu") as server:
        yield server


@pytest.fixture
def space(host: Server) -> SpaceBackend:
    return SpaceBackend(Settings(space=host.url, key=KEY))


def whole(take: Take) -> np.ndarray:
    return np.concatenate(list(take.frames))


def run(backend: Any, plan: Plan, told: list[Told], stop_after: int = 1000) -> Take:
    take: Take = backend.run(plan, told.append, lambda: sum(isinstance(each, Step) for each in told) >= stop_after)
    return take


def left_behind(host: Server) -> list[str]:
    """What a run has left on the other side: takes, and files that were sent."""
    served = host.home / ".served"
    sent = [path.name for path in served.rglob("*") if path.is_file()] if served.is_dir() else []
    return sent + [run.id for run in Store(host.home).list()]


def test_what_is_made_over_there_is_what_is_made_here(
    space: SpaceBackend, host: Server, backend: LocalBackend, plan_for: MakePlan
) -> None:
    told: list[Told] = []
    there, here = run(space, plan_for(frames=33), told), run(backend, plan_for(frames=33), [])
    assert np.array_equal(there.latents, here.latents)
    assert np.array_equal(whole(there), whole(here))
    assert (there.where, here.where) == (host.url, "")
    assert (there.peak_mb() or 0) > 100
    assert there.timings["denoise"] > 0
    steps = [each for each in told if isinstance(each, Step)]
    assert [step.index for step in steps] == [1, 2, 3, 4]
    assert all(step.preview is not None and step.preview.shape == (9, 16, 16, 3) for step in steps)
    assert left_behind(host) == []


def test_clips_latents_and_loras_go_along_and_are_not_kept_there(
    space: SpaceBackend, host: Server, backend: LocalBackend, plan_for: MakePlan, tmp_path: Path
) -> None:
    store = Store(tmp_path / "runs")
    (*_, done) = generate(plan_for(), backend, store)
    assert isinstance(done, Finished)
    latents, clip = store.find_source(f"run:{done.run.id}"), str(ROOT / "assets" / "examples" / "ball.mp4")
    lora = {"source": write(tmp_path / "style.safetensors")}
    part = {
        "task": "restyle",
        "prompt": "a blue ball",
        "video": clip,
        "range": (0.5, 1.2),
        "frames": None,
        "loras": [lora],
    }
    for asked in (part, {"task": "restyle", "video": latents}, {"task": "loop", "video": latents, "frames": None}):
        plan = plan_for(**asked)
        assert np.array_equal(whole(run(space, plan, [])), whole(run(backend, plan, [])))
    assert left_behind(host) == []


def test_a_stop_keeps_what_there_is_by_then(space: SpaceBackend, plan_for: MakePlan) -> None:
    take = run(space, plan_for(**LONG), [], stop_after=2)
    assert 2 <= take.steps_done < 20
    assert whole(take).shape == (9, 192, 192, 3)


def test_a_draft_from_over_there_is_finished_there_and_here(
    space: SpaceBackend, host: Server, backend: LocalBackend, plan_for: MakePlan, tmp_path: Path
) -> None:
    store, plan = Store(tmp_path / "runs"), plan_for(steps=8)
    (*_, made) = generate(as_draft(plan), space, store)
    assert isinstance(made, Finished)
    assert (made.run.state, made.run.where) == ("draft", host.url)
    going_on = finishing(made.run.plan, stopped_at(made.run))
    told: list[Told] = []
    there, here, uninterrupted = run(space, going_on, told), run(backend, going_on, []), run(backend, plan, [])
    assert [event.index for event in told if isinstance(event, Step)] == [3, 4, 5, 6, 7, 8]
    for take in (there, here):
        assert np.array_equal(take.latents, uninterrupted.latents)
    assert left_behind(host) == []
    with pytest.raises(BadRequest, match=r"^What would go on is another take"):
        run(space, replace(going_on, seed=8), [])


def test_a_long_take_is_stopped_there_and_goes_on_after_its_parts(
    space: SpaceBackend, host: Server, backend: LocalBackend, plan_for: MakePlan, tmp_path: Path
) -> None:
    plan, store = plan_for(frames=161, steps=2), Store(tmp_path / "runs")
    (*_, stopped) = generate(plan, space, store, lambda: len(list(store.disk.glob(".unfinished/*/*.mp4"))) > 1)
    assert isinstance(stopped, Finished)
    assert 81 <= stopped.run.plan.num_frames < 161
    (*_, finished) = generate(plan, space, store)
    assert isinstance(finished, Finished)
    assert any("made before" in note for note in finished.run.notes)
    assert psnr(np.stack(list(read_frames(finished.run.file))), whole(run(backend, plan, []))) > 35
    assert left_behind(host) == []


def test_leaving_ends_the_work_over_there(space: SpaceBackend, plan_for: MakePlan) -> None:
    class Leave(Exception):
        pass

    def leave(told: Told) -> None:
        if isinstance(told, Step):
            raise Leave

    with pytest.raises(Leave):
        space.run(plan_for(**LONG), leave, lambda: False)
    # The device is free for the next one long before a hundred steps.
    told: list[Told] = []
    assert run(space, plan_for(steps=1), told).steps_done == 1


def test_a_run_that_waits_for_its_turn_is_cancelled(space: SpaceBackend, plan_for: MakePlan) -> None:
    running, begun = threading.Event(), threading.Event()
    before: list[Told] = []

    def first(told: Told) -> None:
        before.append(told)
        if isinstance(told, Step):
            begun.set()

    other = threading.Thread(target=lambda: space.run(plan_for(**LONG), first, running.is_set))
    other.start()
    assert begun.wait(PATIENCE_S)
    told: list[Told] = []
    with pytest.raises(Cancelled):
        space.run(plan_for(), told.append, lambda: bool(told))
    running.set()
    other.join()
    assert not any(isinstance(each, Loading | Step) for each in told)


def test_refusals_come_with_their_class_and_words(space: SpaceBackend, host: Server, plan_for: MakePlan) -> None:
    two = replace(plan_for(), segments=(Segment("a", 9), Segment("b", 9)))
    with pytest.raises(CannotDo, match="Say for each where it comes in") as refused:
        run(space, two, [])
    assert refused.value.field == "segments"
    with pytest.raises(NotDownloaded, match=r"is not on http.*Choose another model"):
        run(space, replace(plan_for(), model="wan-1.3b"), [])
    assert not space.has(get_model("wan-1.3b"))
    assert space.has(get_model("tabletop"))
    assert space.machine().ram_mb > 0 == space.machine().vram_mb
    with pytest.raises(KeyRefused, match="has another key") as stranger:
        run(SpaceBackend(Settings(space=host.url, key=KEY + "!")), plan_for(), [])
    assert KEY not in str(stranger.value)


def test_the_command_line_runs_there_and_keeps_here(host: Server, tmp_path: Path) -> None:
    env = os.environ | {"ONETAKE_HOME": str(tmp_path), "ONETAKE_KEY": KEY}
    command = [sys.executable, "-m", "pipeline", "text", SMALL["prompt"], "--size", "64x64", "--frames", "9"]
    command += ["--steps", "2", "--json", "--space", host.url]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (run,) = Store(tmp_path).list()
    assert json.loads(done.stdout)["where"] == run.where == host.url
    assert host.url not in json.dumps(read_recipe(run.file))
    assert KEY not in done.stderr + done.stdout + (run.file.parent / "run.json").read_text()
    # What another machine is able to do says nothing of this one.
    store, spec = Store(tmp_path), get_model("tabletop")
    assert store.speed(spec, host.url) != store.speed(spec)


@pytest.mark.slow
def test_a_page_runs_its_takes_there(host: Server, tmp_path: Path) -> None:
    with running_app(tmp_path, ONETAKE_SPACE=host.url, ONETAKE_KEY=KEY) as server:
        client = Client(server.url, verbose=False, httpx_kwargs={"timeout": PATIENCE_S})
        _, run = client.predict(**SMALL, api_name="/text")
        assert (run["state"], run["where"]) == ("done", host.url)
        assert host.url.partition("://")[2] in str(client.config)


@pytest.mark.parametrize("shown", [{}, {"x-onetake-key": ""}, {"x-onetake-key": KEY}])
def test_without_a_key_nobody_is_served(tmp_path: Path, shown: dict[str, str]) -> None:
    house = open_house(Settings(home=tmp_path))
    lender, stranger = Lender(house), gr.Request(headers=shown)
    for answer in (lender.about(stranger), *lender.lend({}, stranger)):
        assert answer["error"] == "KeyRefused"
        assert "Give it a secret named ONETAKE_KEY" in answer["message"]
    with pytest.raises(KeyRefused):
        lender.stop("anything", stranger)
    house.jobs.close()


def test_what_does_not_answer_is_told(plan_for: MakePlan) -> None:
    with pytest.raises(NoDevice, match=r"127\.0\.0\.1:9 does not answer"):
        run(SpaceBackend(Settings(space="http://127.0.0.1:9", key=KEY)), plan_for(), [])


def test_a_space_that_sleeps_is_waited_for(plan_for: MakePlan) -> None:
    class Asleep(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Asleep)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address, told = f"http://127.0.0.1:{server.server_port}", list[Told]()
    try:
        with pytest.raises(NoDevice, match="does not answer"):
            run(SpaceBackend(Settings(space=address, key=KEY), patience_s=1), plan_for(), told)
        with pytest.raises(Cancelled):
            SpaceBackend(Settings(space=address, key=KEY)).run(plan_for(), told.append, lambda: len(told) > 3)
    finally:
        server.shutdown()
        server.server_close()
    assert Waiting(f"{address} to wake up") in told


@pytest.mark.slow
def test_a_space_that_goes_away_is_told(tmp_path: Path, plan_for: MakePlan) -> None:
    with running_app(tmp_path, ONETAKE_KEY=KEY) as server:
        told: list[Told] = []

        def pull_the_plug(event: Told) -> None:
            told.append(event)
            if isinstance(event, Step):
                server.process.kill()

        with pytest.raises(ConnectionLost, match="try again"):
            SpaceBackend(Settings(space=server.url, key=KEY)).run(plan_for(**LONG), pull_the_plug, lambda: False)


@pytest.mark.parametrize("space", ["ftp://host", "only-a-name", "https://user:word@host", "a b/c"])
def test_a_name_that_is_none_is_refused(space: str) -> None:
    with pytest.raises(BadRequest, match="user/name"):
        Settings.from_env({"ONETAKE_SPACE": space, "ONETAKE_KEY": KEY})


def test_settings_say_what_is_missing_and_never_the_key() -> None:
    with pytest.raises(BadRequest, match="Set ONETAKE_KEY"):
        Settings.from_env({"ONETAKE_SPACE": "user/name"})
    with pytest.raises(BadRequest, match="too easy") as easy:
        Settings.from_env({"ONETAKE_KEY": "swordfish"})
    assert "swordfish" not in str(easy.value)
    with pytest.raises(BadRequest, match="runs its plans itself"):
        Settings.from_env({"ONETAKE_SPACE": "user/name", "ONETAKE_KEY": KEY, "SPACES_ZERO_GPU": "1"})
    settings = Settings.from_env({"ONETAKE_SPACE": "https://user-name.hf.space/", "ONETAKE_KEY": KEY})
    assert settings.space == "https://user-name.hf.space"
    assert KEY not in repr(settings)
