"""Recipes: a request becomes a plan, the plan a recipe, and that the same request and plan again, for every task."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asked import ASKED, Find, made, unpriced, write_files
from test_layouts import film

from pipeline.errors import BadRequest
from pipeline.fields import files_in
from pipeline.models import EMBEDDED
from pipeline.plan import Plan
from pipeline.recipes.recipe import open_recipe, recipe_in, recipe_of
from pipeline.settings import ROOT, VERSION
from pipeline.visitors import Parent


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Find:
    return write_files(tmp_path_factory.mktemp("given"))


@pytest.mark.parametrize("name", ASKED)
def test_a_recipe_makes_the_same_plan_and_says_the_same_again(name: str, files: Find) -> None:
    plan = made(ASKED[name], files)
    kept = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    opened = open_recipe(json.loads(json.dumps(recipe_of(kept))))
    again = made(opened.fields)
    assert opened.notes == ()
    assert unpriced(again) == unpriced(plan)
    assert {key: value for key, value in again.said.items() if key != "guidance_scale"} == {
        key: value for key, value in plan.said.items() if key != "guidance_scale"
    }


# Storyboards are younger than plans that keep what was asked.
@pytest.mark.parametrize("name", [name for name in ASKED if not name.startswith("storyboard")])
def test_a_plan_of_before_is_made_again_too(name: str, files: Find) -> None:
    plan = made(ASKED[name], files)
    opened = open_recipe(recipe_of(replace(plan, said={})))
    again = made(opened.fields)
    # Notes tell how it was asked for, which nobody kept.
    assert replace(unpriced(again), notes=()) == replace(unpriced(plan), notes=())


@pytest.mark.parametrize("name", ASKED)
def test_others_get_names_and_no_folders(name: str, files: Find) -> None:
    plan = made(ASKED[name], files)
    told = recipe_in(json.loads(json.dumps({"app": "Onetake", "version": VERSION, "plan": plan.to_recipe()})))
    assert all("/" not in file for file in files_in(told))
    opened = open_recipe(told)
    assert opened.notes == ()
    assert unpriced(made(opened.fields, lambda file: files(f"FILE {file}"))) == unpriced(plan)


def recipe(**asked: Any) -> dict[str, Any]:
    return recipe_of(made({"prompt": "a ball", "seconds": 2.0, "shape": "square"} | asked), weights="abcdef0123456789")


def older(told: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return told | {"meant": told["meant"] | changed}


def test_what_would_come_to_something_else_today_is_set_as_it_was_and_told(files: Find) -> None:
    opened = open_recipe(older(recipe(), width=96, height=96, frames=25))
    assert opened.notes == (
        "Square was 96×96, which is set: today it is 128×128.",
        "2 s came to 25 frames, which are set: today they come to others.",
    )
    plan = made(opened.fields)
    assert (plan.width, plan.height, plan.num_frames) == (96, 96, 25)
    # What nobody named came of defaults.
    bare = recipe_of(made({"prompt": "a ball"}))
    assert open_recipe(bare).fields.keys() & {"shape", "width", "seconds", "frames"} == set()
    plan = made((opened := open_recipe(older(bare, width=96, height=160, frames=9))).fields)
    assert (plan.width, plan.height, plan.num_frames, opened.notes) == (96, 160, 9, ())
    video = {"task": "restyle", "prompt": "a ball", "video": files("FILE clip.mp4"), "strength": "subtle"}
    (note,) = (opened := open_recipe(older(recipe_of(made(video)), level=0.31))).notes
    assert note.startswith("Subtle was noise level 0.31, which is set: today it is 0.")
    assert made(opened.fields).segments[0].strength == 0.31


def test_another_model_other_weights_and_limits_are_told() -> None:
    hosted = recipe(model="ltx-2b")
    opened = open_recipe(hosted, lambda *_: EMBEDDED)
    assert opened.notes == ("LTX-Video 2B is not offered for this here. Tabletop is selected, with its own settings.",)
    assert opened.fields["model"] == "tabletop"
    assert made(opened.fields).steps == EMBEDDED.steps
    assert open_recipe(hosted).fields["model"] == "ltx-2b"
    assert "'sora' is not offered" in open_recipe(recipe() | {"model": "sora"}).notes[0]
    changed = "Tabletop has other weights now than when this was made: expect another picture."
    assert open_recipe(recipe(), weights=lambda _: "abcdef012345ffff").notes == ()
    assert open_recipe(recipe(), weights=lambda _: "0123").notes == (changed,)
    assert open_recipe(recipe(), weights=lambda _: "").notes == ()
    assert "Onetake 0.0.9; this is" in open_recipe(recipe() | {"app": "0.0.9"}).notes[0]
    opened = open_recipe(recipe() | {"steps": 500, "guidance_scale": 0.5})
    assert opened.notes[0] == "steps 500 is left out: Tabletop takes 1 to 100."
    assert not {"steps", "guidance_scale"} & opened.fields.keys()
    opened = open_recipe(older(recipe(), width=4096, height=4096))
    assert "width 4096 is left out" in opened.notes[1]
    assert not {"shape", "width", "height"} & opened.fields.keys()


def test_runs_that_it_was_made_from_stay_runs(tmp_path: Path) -> None:
    kept = film(tmp_path / "take-abcdef.mp4", 17)
    plan = made({"task": "transition", "first": kept, "second": film(tmp_path / "b.mp4", 17)})
    parents = [Parent("abcdef0123", "blended from")]
    assert open_recipe(recipe_of(plan)).fields["first"] == kept
    fields = open_recipe(recipe_of(plan, parents)).fields
    assert (fields["first"], fields["second"]) == ("run:abcdef0123", str(tmp_path / "b.mp4"))
    told = recipe_in({"plan": plan.to_recipe()})
    assert (told["first"], told["second"]) == ("take-abcdef.mp4", "b.mp4")


def test_the_version_is_that_of_the_project() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text("utf-8")


# What a stranger could put where the recipe has a number, a word, a list or a file.
HOSTILE: tuple[Any, ...] = (
    None,
    -1,
    10**30,
    float("nan"),
    "",
    "x" * 10**5,
    "../../etc/passwd",
    "\x00",
    [],
    {},
    [[]] * 50,
    True,
)
WORTHWHILE = ("animate everything", "restyle a part", "transition", "loop", "loras")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inside for found in places(part, (*path, key)))]


@pytest.mark.parametrize("name", WORTHWHILE)
def test_a_strangers_recipe_opens_or_is_refused_in_one_line(name: str, files: Find) -> None:
    whole = {"plan": made(ASKED[name], files).to_recipe(), "revision": "b", "version": "0.1.0"}
    said: list[str] = []
    for place in places(json.loads(json.dumps(whole)))[1:]:
        for value in HOSTILE:
            data = json.loads(json.dumps(whole))
            inside = data
            for key in place[:-1]:
                inside = inside[key]
            inside[place[-1]] = value
            try:
                opened = open_recipe(recipe_in(data))
            except BadRequest as error:
                said.append(str(error))
            else:
                assert all("/" not in file for file in files_in(opened.fields))
                said += opened.notes
    assert len(said) > 100
    assert all("\n" not in line and len(line) < 400 for line in said)
