"""ZeroGPU: what `spaces` itself does with a plan, through its real fork, against a scheduler that says yes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spaces
from app_server import PATIENCE_S, ROOT, running_app
from conftest import SMALL, MakePlan
from gradio_client import Client  # type: ignore[import-untyped]
from halves import decoded, denoised
from scheduler import Scheduler, running_scheduler

from app import open_house
from pipeline.backends.local import LocalBackend
from pipeline.backends.space import SpaceBackend
from pipeline.backends.zero import ZeroBackend
from pipeline.errors import CannotDo
from pipeline.planning.estimate import Estimate
from pipeline.planning.speed import Speed
from pipeline.quota import LEAST_SECONDS, MOST_SECONDS, gpu_seconds
from pipeline.settings import Settings
from pipeline.ui.header import header
from pipeline.visitors import EVERYTHING

KEY = "a secret of two, for tests"
LIKE_ZEROGPU = ROOT / "tests" / "on_zerogpu.py"


def environment(scheduler: Scheduler, folder: Path) -> dict[str, Any]:
    offload = {"ZEROGPU_OFFLOAD_DIR": str(folder / "tensors"), "ONETAKE_HOME": str(folder / "home")}
    return {
        "SPACES_ZERO_GPU": "1",
        "SPACES_ZERO_DEVICE_API_URL": scheduler.url,
        "ONETAKE_DEVICE": "cpu",
        "ONETAKE_KEY": KEY,
    } | offload


def said(scheduler: Scheduler, folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(LIKE_ZEROGPU), *arguments]
    env = os.environ | environment(scheduler, folder)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    heard: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return heard


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was said in a process with forks, what its scheduler was asked, and the folder of its frames."""
    folder = tmp_path_factory.mktemp("zero")
    with running_scheduler() as scheduler:
        heard = said(scheduler, folder, "fork", str(folder))
        return heard | {"asked": scheduler.asked, "folder": folder}


def test_frames_made_in_a_fork_are_those_made_here(
    forked: dict[str, Any], backend: LocalBackend, plan_for: MakePlan
) -> None:
    take = backend.run(plan_for(frames=33), lambda _: None, lambda: False)
    assert np.array_equal(np.load(forked["folder"] / "latents.npy"), take.latents)
    assert np.array_equal(np.load(forked["folder"] / "frames.npy"), np.concatenate(list(take.frames)))


def test_steps_come_one_by_one_with_their_previews(forked: dict[str, Any]) -> None:
    assert forked["told"] == ["Waiting", "Step", "Step", "Step", "Step"]
    assert forked["previews"] == [[9, 16, 16, 3]] * 4


def test_a_stop_in_mid_run_keeps_what_there_is(forked: dict[str, Any]) -> None:
    done, steps, frames = forked["stopped"]
    assert 2 <= done < 10
    assert (steps, frames) == (100, 9)


def test_a_long_take_comes_out_of_a_fork_in_its_parts(
    forked: dict[str, Any], backend: LocalBackend, plan_for: MakePlan
) -> None:
    here = decoded(denoised(backend, plan_for(frames=101, steps=1)))
    assert forked["parts"] == [[1, 49], [2, 32], [3, 20]]
    assert np.array_equal(np.load(forked["folder"] / "long.npy"), here)


def test_a_draft_of_one_fork_is_finished_in_another(forked: dict[str, Any]) -> None:
    assert forked["resumed"] == [3, True, True]


def test_closing_ends_the_work_within_a_step_and_the_next_run_is_made(forked: dict[str, Any]) -> None:
    # The step under way, one that the fork had begun to tell, and the decoding of nothing.
    assert forked["closed_s"] < 4 * forked["step_s"] + 1
    assert forked["again"] == 9


def test_errors_cross_with_their_class_and_words(forked: dict[str, Any]) -> None:
    what = "The plan has 2 segments, and the take has parts of 1. Say for each where it comes in."
    assert forked["refused"] == ["CannotDo", "segments", what]
    kind, _, message = forked["over_quota"]
    assert kind == "NoDevice"
    assert "GPU limit" in message
    assert message.endswith("Try again later, or make it shorter.")


def test_each_run_asks_for_what_its_plan_says_and_gives_the_gpu_back(
    forked: dict[str, Any], plan_for: MakePlan
) -> None:
    scheduled = [int(each["durationSeconds"]) for path, each in forked["asked"] if path == "/schedule"]
    released = [each for path, each in forked["asked"] if path == "/release"]
    assert scheduled[:2] == [gpu_seconds(plan_for(frames=33)), gpu_seconds(plan_for(steps=100))]
    # All but the one that was over the quota.
    assert len(released) == len(scheduled) - 1


@pytest.mark.slow
def test_a_model_is_placed_before_there_is_a_card(tmp_path: Path) -> None:
    with running_scheduler() as scheduler:
        heard = said(scheduler, tmp_path, "place")
    assert heard["devices"] == ["cuda"]
    assert heard["packed"] >= heard["bytes"] > 50e6


def test_the_contract_says_what_it_asks_for(tmp_path: Path, plan_for: MakePlan) -> None:
    house, plan = open_house(Settings(home=tmp_path, on_zerogpu=True)), plan_for()
    assert f"; asks for {gpu_seconds(plan)} s of your ZeroGPU quota. Keep this page open" in house.contract(plan)
    assert "<span>ZeroGPU</span>" in header(house)
    house.speeds["tabletop"] = Speed(gflops=0.01, megapixels=1.0)
    with pytest.raises(CannotDo, match="ZeroGPU lends it for 300 s"):
        house.plan({"task": "text", **SMALL}, EVERYTHING)


@pytest.mark.slow
def test_the_page_runs_for_visitors_and_for_its_owner(tmp_path: Path, plan_for: MakePlan) -> None:
    with (
        running_scheduler() as scheduler,
        running_app(tmp_path, command=(str(LIKE_ZEROGPU), "serve"), **environment(scheduler, tmp_path)) as server,
    ):
        assert scheduler.asked == [("/startup-report", {})]
        # A visitor's token as the platform's proxy would add it: of three parts, the middle one being JSON.
        visitor = Client(
            server.url, verbose=False, httpx_kwargs={"timeout": PATIENCE_S}, headers={"x-ip-token": "a.e30.b"}
        )
        small = {"width": 64, "height": 64, "frames": 9, "steps": 2}
        _, run = visitor.predict("a red ball", **small, api_name="/text")
        assert run["state"] == "done"
        (asked,) = scheduler.parameters("/schedule")
        assert asked["token"] == "a.e30.b"
        assert int(asked["durationSeconds"]) >= LEAST_SECONDS
        assert scheduler.parameters("/release") == [{"allowToken": "token", "fail": "false"}]
        owner = SpaceBackend(Settings(space=server.url, key=KEY))
        frames = np.concatenate(list(owner.run(plan_for(), lambda _: None, lambda: False).frames))
        assert (frames.shape, owner.on_zerogpu) == ((9, 64, 64, 3), True)
        assert len(scheduler.parameters("/release")) == 2


def test_seconds_have_a_margin_and_bounds(plan_for: MakePlan) -> None:
    plan = plan_for()
    asked = {spent: gpu_seconds(replace(plan, estimate=Estimate(spent, 800, 1))) for spent in (0.5, 40.0, 280.0)}
    assert asked == {0.5: LEAST_SECONDS, 40.0: 61, 280.0: MOST_SECONDS}
    with pytest.raises(CannotDo, match="shorter"):
        gpu_seconds(replace(plan, estimate=Estimate(400.0, 800, 1)))


def test_elsewhere_the_decorator_changes_nothing_and_the_same_frames_come(
    settings: Settings, backend: LocalBackend, plan_for: MakePlan
) -> None:
    zero = ZeroBackend(settings)
    assert spaces.GPU(zero.in_fork, duration=5) == zero.in_fork == zero.ask
    here, there = (each.run(plan_for(), lambda _: None, lambda: False) for each in (backend, zero))
    assert np.array_equal(np.concatenate(list(here.frames)), np.concatenate(list(there.frames)))
