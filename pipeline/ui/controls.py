"""The controls that every tab shares, built once from the model's row."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from pipeline.errors import BadRequest
from pipeline.frames import frames_for
from pipeline.memory import POLICIES, SAYS
from pipeline.model_spec import ModelSpec
from pipeline.ui.lora_field import LoraField, build_lora_field
from pipeline.ui.rows import Rows, own_seconds, seconds_range
from pipeline.ui.slider import Range, build_slider, resized

Input = gr.Radio | gr.Slider | gr.Textbox | gr.Dropdown | gr.Image | gr.File
Values = Mapping[Component, Any]
# Seconds to begin with: the model's own, so many, or None where what is given decides.
Length = float | Literal["own"] | None

DICE = 1_000_000
LONGEST_NUMBER = 20
FOLLOWS = "follows"
AS_MADE = "as made"
AS_FITS = "as fits"
MEMORIES = [("What fits", AS_FITS), *((SAYS[policy].capitalize(), policy) for policy in POLICIES)]
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
    memory: gr.Dropdown
    loras: LoraField
    length: Length = "own"
    follows: str | None = None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Everything that decides what a take looks like."""
        sampling = (self.model, self.steps, self.guidance_scale)
        own = (self.shape, self.seconds, self.seed, self.deliver, self.memory)
        return (*own, *sampling, *self.exact, *self.loras.inputs)

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
            "memory": None if values[self.memory] == AS_FITS else values[self.memory],
            "seed": read_whole("seed", values[self.seed]),
            "loras": self.loras.read(values),
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
        return {} if self.length is None else {"seconds": values[self.seconds]}

    @property
    def by_row(self) -> list[Block]:
        """Return the controls that a model's row decides."""
        return [self.model, self.shape, self.seconds, self.steps, self.guidance_scale]

    def follow(self, spec: ModelSpec) -> dict[Block, Any]:
        """Return the controls with the ranges and defaults of a model's row."""
        return {
            self.model: spec.name,
            self.shape: gr.Radio(_shapes(spec, self.follows)),
            self.seconds: self.seconds_of(spec, own_seconds(spec) if self.length == "own" else None),
            self.steps: resized(_steps(spec), spec.steps),
            self.guidance_scale: resized(_guidance(spec), spec.guidance_scale),
        }

    def seconds_of(self, spec: ModelSpec, value: float | None = None) -> gr.Slider:
        """Return the slider of seconds in a model's range, with a value or the one that it has."""
        return resized(seconds_range(spec), value, visible=self.length is not None)

    def fill(self, fields: Mapping[str, Any], spec: ModelSpec) -> dict[Block, Any]:
        """Return the controls as fields of a request say; what these leave out is the model's own."""
        own = FOLLOWS if self.follows else spec.shape
        return self.follow(spec) | {
            self.shape: gr.Radio(_shapes(spec, self.follows), value=fields.get("shape", own)),
            self.width: str(fields.get("width", "")),
            self.height: str(fields.get("height", "")),
            self.steps: resized(_steps(spec), fields.get("steps", spec.steps)),
            self.guidance_scale: resized(_guidance(spec), fields.get("guidance_scale", spec.guidance_scale)),
            self.deliver: fields.get("deliver", AS_MADE),
            self.memory: fields.get("memory", AS_FITS),
            self.seed: str(fields.get("seed", "")),
            **self.loras.fill(fields.get("loras", ())),
            **self._fill_length(fields, spec),
        }

    def _fill_length(self, fields: Mapping[str, Any], spec: ModelSpec) -> dict[Block, Any]:
        own = own_seconds(spec) if self.length == "own" else self.length
        seconds, frames = fields.get("seconds"), fields.get("frames")
        if seconds is not None and self.length is None:
            # Where what is given decides, less of it is asked for in frames.
            frames = round(frames_for(seconds, spec.fps))
        shown = own if seconds is None else seconds
        return {self.seconds: self.seconds_of(spec, shown), self.frames: "" if frames is None else str(frames)}


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


def build_controls(task: str, rows: Rows, model: gr.Dropdown, follows: str | None, length: Length) -> Controls:
    """Build the row of shape, length and seed, and the folded advanced settings; ids begin with the task.

    `follows` is what the first choice of shape is called where the model's shapes may follow what is given.
    """
    spec = rows.start(task)
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
            deliver, memory = _deliver(task), _memory(task)
        loras = build_lora_field(task)
    dice.click(_roll, outputs=seed, queue=False, show_progress="hidden", api_visibility="private")
    return Controls(
        shape=shape, seconds=seconds, seed=seed, dice=dice, model=model, steps=steps,
        guidance_scale=guidance_scale, width=width, height=height, frames=frames, deliver=deliver, memory=memory,
        loras=loras, length=length, follows=follows,
    )  # fmt: skip


def _roll() -> str:
    return str(secrets.randbelow(DICE))


def _shapes(spec: ModelSpec, follows: str | None) -> list[tuple[str, str]]:
    named = [(name.capitalize(), name) for name in spec.shapes]
    return [(follows, FOLLOWS), *named] if follows else named


def _shape(task: str, spec: ModelSpec, follows: str | None) -> gr.Radio:
    start = FOLLOWS if follows else spec.shape
    return gr.Radio(
        _shapes(spec, follows), value=start, label="Shape", elem_id=f"{task}-shape", elem_classes="the-shape"
    )


def _seconds(task: str, spec: ModelSpec, length: Length) -> gr.Slider:
    value = length if isinstance(length, float) else own_seconds(spec)
    slider = build_slider("Seconds", f"{task}-seconds", seconds_range(spec), value)
    slider.visible = length is not None
    return slider


def _steps(spec: ModelSpec) -> Range:
    return spec.min_steps, spec.max_steps, 1


def _guidance(spec: ModelSpec) -> Range:
    return 1, spec.max_guidance_scale, 0.5


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


def build_model(task: str, rows: Rows) -> gr.Dropdown:
    """Build the choice of a model among those that can do the task."""
    choices = [(row.title, row.name) for row in rows.able(task)]
    return gr.Dropdown(
        choices,
        value=rows.start(task).name,
        label="Model",
        elem_id=f"{task}-model",
        elem_classes="the-model",
        filterable=False,
        show_label=False,
    )


def _deliver(task: str) -> gr.Dropdown:
    return gr.Dropdown(
        DELIVERIES, value=AS_MADE, label="Size of the file", elem_id=f"{task}-deliver", filterable=False,
        elem_classes="the-delivery",
    )  # fmt: skip


def _memory(task: str) -> gr.Dropdown:
    """Build the choice of where weights lie; the page shows it where there is a card to choose for."""
    return gr.Dropdown(
        MEMORIES, value=AS_FITS, label="Memory of the card", elem_id=f"{task}-memory", filterable=False, min_width=80,
        elem_classes="the-model", visible=False,
    )  # fmt: skip


def _sampling(task: str, spec: ModelSpec) -> tuple[gr.Slider, gr.Slider]:
    steps = build_slider("Steps", f"{task}-steps", _steps(spec), spec.steps)
    guidance = build_slider("Guidance", f"{task}-guidance", _guidance(spec), spec.guidance_scale)
    return steps, guidance


def _exact(task: str) -> tuple[gr.Textbox, gr.Textbox, gr.Textbox]:
    def number(label: str, elem_id: str) -> gr.Textbox:
        return gr.Textbox(label=label, elem_id=f"{task}-{elem_id}", placeholder="auto", max_lines=1, min_width=80)

    return number("Width", "width"), number("Height", "height"), number("Frames", "frames")
