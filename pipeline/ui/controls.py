"""The controls that every tab shares, built once from the model's row."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from pipeline.errors import BadRequest
from pipeline.model_spec import ModelSpec
from pipeline.models import MODELS
from pipeline.plan import Plan

Input = gr.Radio | gr.Slider | gr.Textbox | gr.Dropdown | gr.Image | gr.File
Values = Mapping[Component, Any]

# The slider offers the lengths that people ask for; the exact field reaches the model's limit.
SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 6.0
DICE = 1_000_000
LONGEST_NUMBER = 20
FOLLOWS = "follows"
AS_MADE = "as made"
DELIVERIES = (("As made", AS_MADE), "480p", "720p", "1080p")


@dataclass(frozen=True)
class Controls:
    """The shared inputs of a composer, and how their values become fields of a request."""

    shape: gr.Radio
    seconds: gr.Slider
    seed: gr.Textbox
    dice: gr.Button
    model: gr.Dropdown
    steps: gr.Slider
    guidance_scale: gr.Slider
    width: gr.Textbox
    height: gr.Textbox
    frames: gr.Textbox
    deliver: gr.Dropdown
    timed: bool = True

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Everything that decides what a take looks like."""
        sampling = (self.model, self.steps, self.guidance_scale)
        return (self.shape, self.seconds, self.seed, self.deliver, *sampling, *self.exact)

    @property
    def exact(self) -> tuple[Input, ...]:
        """The numbers that win over shape and length where they are filled in."""
        return (self.width, self.height, self.frames)

    def read(self, values: Values) -> dict[str, Any]:
        """Return the fields of a request; raise BadRequest where a number is none."""
        return {
            "model": values[self.model],
            "steps": values[self.steps],
            "guidance_scale": values[self.guidance_scale],
            "deliver": None if values[self.deliver] == AS_MADE else values[self.deliver],
            "seed": read_whole("seed", values[self.seed]),
            **self._size(values),
            **self._length(values),
        }

    def _size(self, values: Values) -> dict[str, Any]:
        width = read_whole("width", values[self.width])
        height = read_whole("height", values[self.height])
        if width is None and height is None:
            return {} if values[self.shape] == FOLLOWS else {"shape": values[self.shape]}
        return {"width": width, "height": height}

    def _length(self, values: Values) -> dict[str, Any]:
        frames = read_whole("frames", values[self.frames])
        if frames is not None:
            return {"frames": frames}
        return {"seconds": values[self.seconds]} if self.timed else {}

    def restore(self, plan: Plan, spec: ModelSpec) -> dict[Block, Any]:
        """Return the values that make this plan again."""
        return {
            self.model: plan.model,
            self.steps: plan.steps,
            self.guidance_scale: plan.guidance_scale,
            self.deliver: f"{min(plan.delivered)}p" if plan.delivered else AS_MADE,
            self.seed: str(plan.seed),
            **self._restore_size(plan, spec),
            **self._restore_length(plan),
        }

    def _restore_size(self, plan: Plan, spec: ModelSpec) -> dict[Block, Any]:
        named = [n for n, size in spec.shapes.items() if size == (plan.width, plan.height)]
        if named:
            return {self.shape: named[0], self.width: "", self.height: ""}
        return {self.shape: gr.skip(), self.width: str(plan.width), self.height: str(plan.height)}

    def _restore_length(self, plan: Plan) -> dict[Block, Any]:
        seconds = (plan.num_frames - 1) / plan.fps
        if SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
            return {self.seconds: seconds, self.frames: ""}
        return {self.seconds: gr.skip(), self.frames: str(plan.num_frames)}


def read_whole(field: str, text: str | None) -> int | None:
    """Return the whole number that was typed, None for an empty field.

    Such fields are texts: browsers round numbers over 2⁵³, and send an empty number as 0.
    """
    text = (text or "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise BadRequest(field, f"The {field} is no whole number. Type digits, or leave it empty.")
    return int(text)


def build_controls(task: str, spec: ModelSpec, follows: str | None, length: float | None) -> Controls:
    """Build the row of shape, length and seed, and the folded advanced settings; ids begin with the task.

    `follows` is what the first choice of shape is called where the model's shapes may follow what is given; `length`
    are the seconds to begin with, None where what is given decides.
    """
    shape = _shape(task, spec, follows)
    with gr.Row(elem_classes="length-and-seed"):
        seconds = _seconds(task, spec, length)
        seed, dice = _seed(task)
    with gr.Accordion("Advanced", open=False, elem_id=f"{task}-advanced", elem_classes="the-advanced"):
        with gr.Row():
            steps, guidance_scale = _sampling(task, spec)
        with gr.Row():
            width, height, frames = _exact(task)
        with gr.Row():
            model, deliver = _model(task, spec), _deliver(task)
    dice.click(_roll, outputs=seed, queue=False, show_progress="hidden", api_visibility="private")
    return Controls(
        shape=shape, seconds=seconds, seed=seed, dice=dice, model=model, steps=steps,
        guidance_scale=guidance_scale, width=width, height=height, frames=frames, deliver=deliver,
        timed=length is not None,
    )  # fmt: skip


def _roll() -> str:
    return str(secrets.randbelow(DICE))


def _shape(task: str, spec: ModelSpec, follows: str | None) -> gr.Radio:
    named = [(name.capitalize(), name) for name in spec.shapes]
    choices = [(follows, FOLLOWS), *named] if follows else named
    start = FOLLOWS if follows else spec.shape
    return gr.Radio(choices, value=start, label="Shape", elem_id=f"{task}-shape", elem_classes="the-shape")


def _seconds(task: str, spec: ModelSpec, length: float | None) -> gr.Slider:
    step = spec.frame_grid / spec.fps
    slider = build_slider("Seconds", f"{task}-seconds", (SHORTEST_SECONDS, LONGEST_SECONDS, step), length or step)
    slider.visible = length is not None
    return slider


def build_slider(label: str, elem_id: str, ends_and_step: tuple[float, float, float], value: float) -> gr.Slider:
    """Build a slider whose value is judged by the plan."""
    least, most, step = ends_and_step
    slider = gr.Slider(
        least,
        most,
        value=value,
        step=step,
        label=label,
        elem_id=elem_id,
        elem_classes="the-slider",
        buttons=[],
        min_width=140,
        scale=3,
    )
    # The plan judges ranges and says so under the button; a slider of its own answers with a toast and a traceback.
    slider.preprocess = _as_it_is  # type: ignore[method-assign]
    return slider


def _as_it_is(payload: Any) -> Any:
    return payload


def _seed(task: str) -> tuple[gr.Textbox, gr.Button]:
    with gr.Row(elem_classes="seed-row", scale=2):
        seed = gr.Textbox(
            label="Seed",
            placeholder="random",
            max_lines=1,
            elem_id=f"{task}-seed",
            elem_classes="the-seed",
            min_width=90,
        )
        dice = gr.Button("Roll a seed", elem_id=f"{task}-dice", elem_classes="the-dice", min_width=36, scale=0)
    return seed, dice


def _model(task: str, spec: ModelSpec) -> gr.Dropdown:
    choices = [(row.title, row.name) for row in MODELS]
    return gr.Dropdown(
        choices,
        value=spec.name,
        label="Model",
        elem_id=f"{task}-model",
        elem_classes="the-model",
        filterable=False,
        min_width=80,
    )


def _deliver(task: str) -> gr.Dropdown:
    return gr.Dropdown(
        DELIVERIES, value=AS_MADE, label="Size of the file", elem_id=f"{task}-deliver", filterable=False, min_width=80,
        elem_classes="the-model",
    )  # fmt: skip


def _sampling(task: str, spec: ModelSpec) -> tuple[gr.Slider, gr.Slider]:
    steps = build_slider("Steps", f"{task}-steps", (1, spec.max_steps, 1), spec.steps)
    guidance = build_slider("Guidance", f"{task}-guidance", (1, spec.max_guidance_scale, 0.5), spec.guidance_scale)
    return steps, guidance


def _exact(task: str) -> tuple[gr.Textbox, gr.Textbox, gr.Textbox]:
    def number(label: str, elem_id: str) -> gr.Textbox:
        return gr.Textbox(label=label, elem_id=f"{task}-{elem_id}", placeholder="auto", max_lines=1, min_width=80)

    return number("Width", "width"), number("Height", "height"), number("Frames", "frames")
