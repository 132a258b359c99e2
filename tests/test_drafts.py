"""Drafts of the embedded model: what they keep, that they end as if they had never stopped, what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import lora_files
import numpy as np
import pytest
from conftest import MakePlan
from halves import assert_goes_on_exactly, begin, decoded, denoised
from PIL import Image
from safetensors.numpy import load_file
from test_layouts import film

from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest, NotFound
from pipeline.events import Step
from pipeline.generate import Finished, generate
from pipeline.halfway import read_halfway, write_halfway
from pipeline.library.runs import Run, stopped_at
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan
from pipeline.settings import ASSETS, Settings
from pipeline.store import Store
from pipeline.variations import as_draft, finishing, steps_of
from pipeline.video import read_frames, read_recipe
from pipeline.visitors import Parent

PINNED = {"task": "animate", "image": "red", "at": ({"seconds": 0.5, "image": "blue", "strength": 0.5},), "last": "red"}
TASKS: dict[str, dict[str, Any]] = {
    "text": {"guidance_scale": 1.0},
    "picture": {"frames": 1},
    "styled": {"loras": ({"source": "style"},)},
    "animate": PINNED,
    "softly": PINNED | {"strength": 0.7},
    "restyle": {"task": "restyle", "video": "clip", "strength": 0.6, "steps": 6, "frames": None},
    "a range anew": {
        "task": "restyle",
        "video": "clip",
        "strength": 0.8,
        "range": (1.0, 1.5),
        "steps": 6,
        "frames": None,
    },
    "transition": {"task": "transition", "first": "clip", "second": "clip", "steps": 6, "frames": None},
    "loop of words": {"task": "loop", "frames": 16},
}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("given")
    for name, colour in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        Image.new("RGB", (64, 64), colour).save(folder / f"{name}.png")
    pictures = {name: str(folder / f"{name}.png") for name in ("red", "blue")}
    style = lora_files.write(folder / "style.safetensors")
    return pictures | {"clip": film(folder / "clip.mp4", 25, 8, (64, 64)), "style": style}


def named(value: Any, given: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: named(part, given) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(named(part, given) for part in value)
    return given.get(value, value) if isinstance(value, str) else value


def made(plan: Plan, backend: LocalBackend, store: Store) -> Run:
    *_, last = generate(plan, backend, store)
    assert isinstance(last, Finished)
    return last.run


@pytest.mark.parametrize("task", TASKS)
def test_a_take_goes_on_as_if_it_had_never_stopped(
    backend: LocalBackend, plan_for: MakePlan, given: dict[str, str], tmp_path: Path, task: str
) -> None:
    plan = plan_for(**named(TASKS[task], given))
    last = steps_of(plan) - 1
    finished = assert_goes_on_exactly(backend, plan, (1, last) if task in ("text", "softly") else (last,), tmp_path)
    assert np.array_equal(decoded(finished), decoded(denoised(backend, plan)))


def test_it_may_stop_again(backend: LocalBackend, plan_for: MakePlan, tmp_path: Path) -> None:
    plan = plan_for(steps=6)
    first = begin(backend, plan, 2, tmp_path)
    again = denoised(backend, replace(first, stop_after=5))
    assert (again.steps_done, again.halfway and again.halfway.steps) == (5, 5)
    direct = read_halfway(Path(begin(backend, plan, 5, tmp_path).files[-1]))
    assert again.halfway is not None
    assert np.array_equal(again.halfway.tensors["latents"], direct.tensors["latents"])


def test_from_draft_to_final(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    plan = plan_for(steps=8)
    events = list(generate(as_draft(plan), backend, store))
    assert isinstance(events[-1], Finished)
    draft = events[-1].run
    steps = [event for event in events if isinstance(event, Step)]
    assert [(step.index, step.total) for step in steps] == [(1, 2), (2, 2)]
    assert (steps[0].seconds_left or 0) > (steps[-1].seconds_left or 0) > 0, "its frames are decoded too"
    assert draft.state == "draft"
    assert "A draft, after step 2 of 8" in draft.notes[-1]
    assert len(list(read_frames(draft.file))) == 9
    final = made(finishing(draft.plan, stopped_at(draft)), backend, store)
    whole = made(plan, backend, store)
    assert (final.state, final.parents, whole.parents) == ("done", (Parent(draft.id, "finished from"),), ())
    assert Store(store.home).get(final.id) == final
    assert f"Made from the run {draft.id}, whose first 2 steps were done." in final.notes
    assert final.file.read_bytes() != draft.file.read_bytes()
    one, other = (np.stack(list(read_frames(run.file))) for run in (final, whole))
    assert np.array_equal(one, other)
    one, other = (load_file(run.file.parent / "latents.safetensors")["latents"] for run in (final, whole))
    assert np.array_equal(one, other)


def test_its_recipe_is_that_of_the_whole_take(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    plan = plan_for()
    draft = made(as_draft(plan), backend, store)
    final = made(finishing(draft.plan, stopped_at(draft)), backend, store)
    for recipe in (read_recipe(final.file)["plan"], final.plan.to_json()):
        assert replace(Plan.from_json(recipe), estimate=plan.estimate) == plan
    for text in (json.dumps(read_recipe(final.file)), (final.file.parent / "run.json").read_text()):
        assert "halfway" not in text
    recipe = finishing(draft.plan, stopped_at(draft)).to_recipe()
    assert str(store.home) not in json.dumps(recipe)


def test_what_a_user_stopped_is_finished_too(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    plan, told = plan_for(steps=6), list[Any]()
    for event in generate(plan, backend, store, lambda: any(isinstance(each, Step) for each in told)):
        told.append(event)
    stopped = told[-1].run
    assert stopped.state == "stopped"
    final = made(finishing(stopped.plan, stopped_at(stopped)), backend, store)
    latents = load_file(final.file.parent / "latents.safetensors")["latents"]
    assert np.array_equal(latents, denoised(backend, plan).latents)
    with pytest.raises(BadRequest, match="has all of its steps"):
        stopped_at(final)


def test_speeds_are_measured_where_all_steps_are_known(
    backend: LocalBackend, store: Store, plan_for: MakePlan, spec: ModelSpec
) -> None:
    draft = made(as_draft(plan_for()), backend, store)
    (told,) = store.speed(spec).runs
    assert (told.amounts.steps, told.took.denoise) == (1, draft.timings["denoise"])
    made(finishing(draft.plan, stopped_at(draft)), backend, store)
    assert store.speed(spec).runs == (told,), "it does not say how many steps were left"
    made(plan_for(), backend, store)
    assert [each.amounts.steps for each in store.speed(spec).runs] == [4, 1]


def test_what_is_gone_is_made_anew(backend: LocalBackend, store: Store, plan_for: MakePlan) -> None:
    draft = made(as_draft(plan_for()), backend, store)
    plan = finishing(draft.plan, stopped_at(draft))
    kept = Path(plan.files[-1])
    kept.write_bytes(kept.read_bytes()[:-100])
    for refused in (lambda: stopped_at(draft), lambda: made(plan, backend, store)):
        with pytest.raises(NotFound, match="Make it anew"):
            refused()
    kept.unlink()
    for refused in (lambda: stopped_at(draft), lambda: made(plan, backend, store)):
        with pytest.raises(NotFound, match="Make it anew"):
            refused()
    assert store.list() == (draft,)


def test_another_take_does_not_go_on_with_it(backend: LocalBackend, plan_for: MakePlan, tmp_path: Path) -> None:
    plan = begin(backend, plan_for(), 2, tmp_path)
    others = (
        replace(plan, seed=8),
        replace(plan, guidance_scale=2.0),
        replace(plan, segments=plan_for(prompt="a blue ball").segments),
    )
    for other in others:
        with pytest.raises(BadRequest, match=r"another take.*Make it anew"):
            denoised(backend, other)
    assert plan.resumes is not None
    with pytest.raises(NotFound, match="Make it anew"):
        denoised(backend, replace(plan, resumes=replace(plan.resumes, steps=3)))


def test_nor_does_another_model_or_one_with_other_weights(
    backend: LocalBackend, plan_for: MakePlan, tmp_path: Path
) -> None:
    plan = begin(backend, plan_for(), 2, tmp_path)
    kept = read_halfway(path := Path(plan.files[-1]))
    write_halfway(replace(kept, marks={**kept.marks, "model": "ltx-2b"}), path)
    with pytest.raises(BadRequest, match=r"another model than Tabletop\. Make it anew") as refused:
        denoised(backend, plan)
    assert refused.value.field == "model"
    write_halfway(kept, path)
    trained_on = tmp_path / "assets"
    for file in (ASSETS / "tabletop").rglob("*"):
        (target := trained_on / file.relative_to(ASSETS)).parent.mkdir(parents=True, exist_ok=True)
        if file.is_file():
            target.write_bytes(file.read_bytes())
    weights = next(trained_on.glob("tabletop/transformer/*-00001-*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(BadRequest, match="Tabletop has other weights now"):
        denoised(LocalBackend(Settings(home=tmp_path, assets=trained_on, device="cpu")), plan)


def test_a_plan_goes_on_over_the_wire_with_its_file(plan_for: MakePlan, backend: LocalBackend, tmp_path: Path) -> None:
    plan = begin(backend, plan_for(), 2, tmp_path)
    assert plan.files == (str(tmp_path / "2.safetensors"),)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    moved = plan.with_files(lambda file: file.replace("2.safetensors", "there"))
    assert moved.files == (str(tmp_path / "there"),)
