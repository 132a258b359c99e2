"""The Text tab: a sentence becomes a video."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipeline.models import ModelSpec
from pipeline.ui.controls import Controls, build_controls

EXAMPLES = (
    "a red ball bounces on snow",
    "a blue cube turns on grass",
    "a yellow cone falls onto sand",
    "a purple ball rolls on water",
)


@dataclass(frozen=True)
class TextTab:
    """The parts of the composer that the page wires up."""

    prompt: gr.Textbox
    examples: tuple[gr.Button, ...]
    controls: Controls
    make: gr.Button
    contract: gr.HTML

    @property
    def starters(self) -> tuple[gr.Button, ...]:
        """Return everything that starts a take."""
        return (self.make, *self.examples)

    def busy(self) -> dict[Block, Any]:
        """Return the composer while the stage follows a take."""
        waiting: dict[Block, Any] = {chip: gr.Button(interactive=False) for chip in self.examples}
        return {self.make: gr.Button("Making…", interactive=False), **waiting}

    def idle(self) -> dict[Block, Any]:
        """Return the composer when a take can be made."""
        open_again: dict[Block, Any] = {chip: gr.Button(interactive=True) for chip in self.examples}
        return {self.make: gr.Button("Make video", interactive=True), **open_again}


def build_text_tab(spec: ModelSpec) -> TextTab:
    """Build the composer from the model's row."""
    with gr.Tab("Text", id="text"), gr.Column(elem_id="composer", elem_classes="composer"):
        prompt = _prompt()
        examples = _examples()
        controls = build_controls(spec)
        make = gr.Button("Make video", variant="primary", elem_id="make")
        contract = gr.HTML(elem_id="contract")
    return TextTab(prompt, examples, controls, make, contract)


def _prompt() -> gr.Textbox:
    return gr.Textbox(
        label="What happens in this take?", placeholder="a green ball rolls right on sand at night",
        lines=2, max_lines=5, elem_id="prompt",
    )  # fmt: skip


def _examples() -> tuple[gr.Button, ...]:
    with gr.Row(elem_id="examples"):
        gr.HTML('<span id="examples-title">Or play an example</span>')
        return tuple(gr.Button(words, size="sm", elem_classes="chip") for words in EXAMPLES)
