"""What the page puts back into its controls makes the same take again."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import pytest
from asked import ASKED, Find, made, unpriced, write_files
from gradio.components.base import Component
from gradio.utils import get_upload_folder

from pipeline.errors import BadRequest
from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED, MODELS, get_model
from pipeline.plan import Plan, make_plan
from pipeline.recipes.recipe import open_recipe, recipe_of
from pipeline.request import parse_request
from pipeline.ui.animate_tab import build_animate_tab
from pipeline.ui.composer import Composer
from pipeline.ui.controls import Controls, build_controls, build_model
from pipeline.ui.extend_tab import build_extend_tab
from pipeline.ui.join_tab import build_join_tab
from pipeline.ui.restyle_tab import build_restyle_tab
from pipeline.ui.rows import Rows
from pipeline.ui.storyboard_tab import arranged, build_storyboard_tab
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
            begun = (build_text_tab(rows), build_animate_tab(rows), build_restyle_tab(rows))
            return *begun, *build_join_tab(rows), build_extend_tab(rows), build_storyboard_tab(rows)[0]

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(build())).result()


@pytest.fixture(scope="module")
def files() -> Iterator[Find]:
    """Files as a page has them: where Gradio took them in."""
    Path(get_upload_folder()).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=get_upload_folder()) as folder:
        yield write_files(Path(folder))


@pytest.fixture(scope="module")
def tabs() -> dict[str, Composer]:
    """Every tab of the page."""
    return {composer.task: composer for composer in build_tabs()}


# What the page has no field for.
LEFT_OUT = {
    "animate everything": ("at",),
    "restyle a part": ("focus",),
    "storyboard of everything": ("fit", "focus"),
}


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


def test_a_card_is_what_stands_in_its_fields(tabs: dict[str, Composer], files: Find, tmp_path: Path) -> None:
    composer = tabs["storyboard"]
    shown = composer.fill({"cards": [{"seconds": 0.0, "prompt": "a"}, {"seconds": 2.0, "prompt": "b"}]}, EMBEDDED)
    values: dict[Component, Any] = {part: value(shown[part]) for part in composer.inputs}

    def cards(**changed: Any) -> Any:
        changes: dict[Component, Any] = {composer.own[name]: given for name, given in changed.items()}
        return composer.read({**values, **changes}, "")["cards"]

    assert cards() == [{"seconds": 0.0, "prompt": "a"}, {"seconds": 2.0, "prompt": "b"}]
    assert cards(words="c", at="3,5", begins="led over") == [
        {"seconds": 2.0, "prompt": "b"},
        {"seconds": 3.5, "prompt": "c", "begins": "led over"},
    ]
    assert cards(chosen="1", words="") == [{"seconds": 0.0, "prompt": "a"}, {"seconds": 0.0}]
    clip = files("FILE clip.mp4")
    assert cards(chosen="1", at="2", words="b", given=clip)[1] == {"seconds": 2.0, "prompt": "b", "video": clip}
    assert composer.missing({**values, composer.own["words"]: ""}).startswith("The card at 0 s is empty")
    with pytest.raises(BadRequest, match="is no time in seconds"):
        cards(at="soon")
    # In a tab that was never opened the fields of a card say nothing, and those of a page are believed no path.
    assert arranged({"cards": values[composer.own["cards"]]}).cards[1].prompt == "b"
    (elsewhere := tmp_path / "clip.mp4").write_bytes(Path(clip).read_bytes())
    with pytest.raises(BadRequest, match=r"clip\.mp4 is no uploaded file"):
        cards(cards=f'[{{"seconds": 2, "video": "{elsewhere}"}}, {{"seconds": 0}}]')


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: str(spec.name))
def test_a_slider_without_a_choice_is_not_shown(controls: Controls, spec: ModelSpec) -> None:
    followed = controls.follow(spec)
    assert followed[controls.steps].visible == (spec.min_steps < spec.max_steps)
    assert followed[controls.guidance_scale].visible == (spec.max_guidance_scale > 1)
    assert (followed[controls.steps].value, followed[controls.guidance_scale].value) == (
        spec.steps,
        spec.guidance_scale,
    )
