"""What every tab is made of: a prompt, fields of the task's own, examples, the shared controls, and the button."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipeline.models import ModelSpec
from pipeline.plan import Plan
from pipeline.ui.controls import Controls, Input, Values, build_controls


def nothing_own(plan: Plan) -> dict[Block, Any]:  # noqa: ARG001, other tasks need the plan
    """Restore the fields of a task that has none of its own."""
    return {}


@dataclass(frozen=True)
class Composer:
    """The parts of one tab.

    `own` are the fields that only its task has, by their names in the request; of `needed`, one must be filled in, or
    `asks` is said; `restore_own` sets the task's own fields to what made a plan.
    """

    task: str
    prompt: gr.Textbox
    examples: tuple[gr.Button, ...]
    controls: Controls
    make: gr.Button
    contract: gr.HTML
    own: Mapping[str, Input] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    asks: str = ""
    restore_own: Callable[[Plan], dict[Block, Any]] = nothing_own

    @property
    def inputs(self) -> list[Input]:
        """Return everything that decides a take."""
        return [self.prompt, *self.own.values(), *self.controls.inputs]

    @property
    def starters(self) -> tuple[gr.Button, ...]:
        """Return everything that starts a take."""
        return (self.make, *self.examples)

    def read(self, values: Values, prompt: str) -> dict[str, Any]:
        """Return the fields of a request; a field of the task's own that is empty is left out."""
        own = {name: values[part] for name, part in self.own.items() if values[part] not in (None, "")}
        return {"task": self.task, "prompt": prompt, **own, **self.controls.read(values)}

    def missing(self, values: Values) -> str:
        """Return what to ask for first, or nothing when a plan can be made."""
        filled = [name for name in self.needed if values[self.own[name]]]
        return "" if filled or not self.needed else self.asks

    def busy(self) -> dict[Block, Any]:
        """Return the composer while the stage follows a take."""
        waiting: dict[Block, Any] = {chip: gr.Button(interactive=False) for chip in self.examples}
        return {self.make: gr.Button("Making…", interactive=False), **waiting}

    def idle(self) -> dict[Block, Any]:
        """Return the composer when a take can be made."""
        open_again: dict[Block, Any] = {chip: gr.Button(interactive=True) for chip in self.examples}
        return {self.make: gr.Button("Make video", interactive=True), **open_again}


def build_prompt(task: str, label: str, placeholder: str) -> gr.Textbox:
    """Build the field for the sentence."""
    return gr.Textbox(
        label=label, placeholder=placeholder, lines=2, max_lines=5, elem_id=f"{task}-prompt",
        elem_classes="the-prompt",
    )  # fmt: skip


def build_rest(task: str, spec: ModelSpec, follows: str | None = None) -> tuple[Controls, gr.Button, gr.HTML]:
    """Build what stands under every task's own fields: the shared controls, the button and the contract."""
    controls = build_controls(task, spec, follows)
    make = gr.Button("Make video", variant="primary", elem_id=f"{task}-make", elem_classes="the-make")
    return controls, make, gr.HTML(elem_id=f"{task}-contract", elem_classes="the-contract")
