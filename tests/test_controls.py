"""What the page puts back into its controls makes the same take again."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr
import pytest
from asked import ASKED, Find, made, unpriced, write_files
from gradio.components.base import Component

from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED, MODELS, get_model
from pipeline.plan import Plan, make_plan
from pipeline.recipes.recipe import open_recipe, recipe_of
from pipeline.request import parse_request
from pipeline.ui.animate_tab import build_animate_tab
from pipeline.ui.composer import Composer
from pipeline.ui.controls import Controls, build_controls, build_model
from pipeline.ui.join_tab import build_join_tab
from pipeline.ui.restyle_tab import build_restyle_tab
from pipeline.ui.rows import Rows
from pipeline.ui.text_tab import build_text_tab

SENTENCE: dict[str, Any] = {"task": "text", "prompt": "a red ball"}


@pytest.fixture(scope="module", params=["tabletop", "ltx-2b", "wan-5b"])
def controls(request: pytest.FixtureRequest) -> Controls:
    """The controls of a page that begins with a row."""
    rows = Rows(MODELS, get_model(request.param))

    # Where no loop runs Gradio makes one for everything it builds, and leaves it open.
    async def build() -> Controls:
        with gr.Blocks():
            return build_controls("text", rows, build_model("text", rows), None, "own")

    # In a thread of its own: the browser's loop may be running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(build())).result()


def plan(**asked: Any) -> Plan:
    return make_plan(parse_request(SENTENCE | asked), get_model(asked.get("model", EMBEDDED.name)))


def value(update: Any) -> Any:
    return update.value if isinstance(update, Component) else update


@pytest.mark.parametrize(
    "asked",
    [
        {"shape": "ultrawide", "seconds": 3.0},
        {"deliver": "480p", "seed": 5},
        {"model": "ltx-2b", "shape": "portrait", "seconds": 2.0},
        {"model": "ltx-13b", "deliver": "720p"},
        {"model": "ltx-13b", "width": 1024, "height": 576, "frames": 33, "deliver": "1080p"},
    ],
)
def test_a_take_is_made_again_from_its_controls(controls: Controls, asked: dict[str, Any]) -> None:
    made = plan(**asked)
    values: dict[Component, Any] = {part: value(part) for part in controls.inputs}
    restored = controls.fill(open_recipe(recipe_of(made)).fields, get_model(made.model))
    values |= {part: value(restored[part]) for part in controls.inputs if part in restored}
    assert plan(**controls.read(values)) == made


def build_tabs() -> tuple[Composer, ...]:
    async def build() -> tuple[Composer, ...]:
        rows = Rows(MODELS, EMBEDDED)
        with gr.Blocks(), gr.Tabs():
            return build_text_tab(rows), build_animate_tab(rows), build_restyle_tab(rows), *build_join_tab(rows)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(build())).result()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Find:
    return write_files(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def tabs() -> dict[str, Composer]:
    """Every tab of the page."""
    return {composer.task: composer for composer in build_tabs()}


# What the page has no field for.
LEFT_OUT = {"animate everything": ("at",), "restyle a part": ("focus",)}


@pytest.mark.parametrize("name", ASKED)
def test_a_tab_that_was_filled_in_makes_the_same_plan(
    tabs: dict[str, Composer],
    files: Find,
    name: str,
) -> None:
    made_before = made(ASKED[name], files)
    fields = open_recipe(recipe_of(made_before)).fields
    composer = tabs[made_before.task]
    shown = composer.fill(fields, get_model(made_before.model))
    assert composer.lost(fields, shown) == LEFT_OUT.get(name, ())
    values: dict[Component, Any] = {part: value(shown[part]) for part in composer.inputs}
    again = make_plan(parse_request(composer.read(values, values[composer.prompt])), get_model(made_before.model))
    if name not in LEFT_OUT:
        assert unpriced(again) == unpriced(made_before)


def test_a_tab_that_is_filled_in_keeps_nothing_of_what_was_there(tabs: dict[str, Composer]) -> None:
    for composer in tabs.values():
        shown = composer.fill({"model": EMBEDDED.name, "prompt": "a ball"}, EMBEDDED)
        kept = {composer.controls.seconds} if composer.controls.length is None else set()
        plain = [part for part in composer.inputs if not isinstance(part, gr.File | gr.Image) and part not in kept]
        begun = {part: part.value or "" for part in plain}
        assert {part: value(shown[part]) or "" for part in begun} == begun | {composer.prompt: "a ball"}
        assert all(shown[part] is None for part in composer.inputs if isinstance(part, gr.File | gr.Image))


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: str(spec.name))
def test_a_slider_without_a_choice_is_not_shown(controls: Controls, spec: ModelSpec) -> None:
    followed = controls.follow(spec)
    assert followed[controls.steps].visible == (spec.min_steps < spec.max_steps)
    assert followed[controls.guidance_scale].visible == (spec.max_guidance_scale > 1)
    assert (followed[controls.steps].value, followed[controls.guidance_scale].value) == (
        spec.steps,
        spec.guidance_scale,
    )
