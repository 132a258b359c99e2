"""The road from what a user asks to the file they get, with everything real on it."""

import numpy as np
import pytest

from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest
from pipeline.jobs import Jobs
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan, make_plan
from pipeline.queue.job import JobView
from pipeline.request import parse_request
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.video import read_frames, read_recipe


def end_of(jobs: Jobs, plan: Plan) -> JobView:
    *_, view = jobs.submit(plan).watch()
    return view


def test_from_a_sentence_to_a_file_and_back(spec: ModelSpec, backend: LocalBackend, store: Store) -> None:
    asked = {"prompt": "a red ball bounces on snow", "shape": "landscape", "seconds": 1.0, "steps": 3}
    plan = make_plan(parse_request(asked), spec, store.speed(spec))
    jobs = Jobs(backend, store, max_queue=1)
    run = end_of(jobs, plan).run
    assert run is not None
    frames = np.stack(list(read_frames(run.file)))
    assert frames.shape == (9, 96, 160, 3)

    # The file alone is enough to make the same frames again.
    recipe = Plan.from_json(read_recipe(run.file)["plan"])
    again = end_of(jobs, recipe).run
    assert again is not None
    assert np.array_equal(frames, np.stack(list(read_frames(again.file))))

    # The next plan is costed by what these runs took.
    measured = make_plan(parse_request(asked), spec, store.speed(spec)).estimate.seconds
    took = [sum(run.timings[stage] for stage in ("denoise", "decode", "encode")) for run in store.list()]
    assert min(took) - 0.1 <= measured <= max(took) + 0.1
    jobs.close()


def test_a_bad_request_touches_no_model(settings: Settings, spec: ModelSpec) -> None:
    backend = LocalBackend(settings)
    with pytest.raises(BadRequest):
        make_plan(parse_request({"prompt": "a ball", "width": 16384, "height": 16384}), spec)
    assert backend.loaded is None


@pytest.mark.slow
def test_two_seconds_of_video_take_ten_at_most(spec: ModelSpec, backend: LocalBackend, store: Store) -> None:
    backend.warm("tabletop")
    jobs = Jobs(backend, store, max_queue=1)
    plan = make_plan(parse_request({"prompt": "a red ball bounces on snow"}), spec)
    assert plan.contract().startswith("17 frames, 2.1 s, 128×128")
    run = end_of(jobs, plan).run
    jobs.close()
    assert run is not None
    assert run.timings["total"] <= 10
