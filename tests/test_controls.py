"""What the page puts back into its controls makes the same take again."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr
import pytest
from gradio.components.base import Component

from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED, MODELS, get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.ui.controls import Controls, build_controls, build_model
from pipeline.ui.rows import Rows

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
    restored = controls.restore(made, get_model(made.model))
    values |= {part: value(restored[part]) for part in controls.inputs if part in restored}
    assert plan(**controls.read(values)) == made


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: str(spec.name))
def test_a_slider_without_a_choice_is_not_shown(controls: Controls, spec: ModelSpec) -> None:
    followed = controls.follow(spec)
    assert followed[controls.steps].visible == (spec.min_steps < spec.max_steps)
    assert followed[controls.guidance_scale].visible == (spec.max_guidance_scale > 1)
    assert (followed[controls.steps].value, followed[controls.guidance_scale].value) == (
        spec.steps,
        spec.guidance_scale,
    )
