"""The Text tab: a sentence becomes a video."""

import gradio as gr

from pipeline.ui.composer import SHOWN, Composer, build_examples, build_prompt, build_rest
from pipeline.ui.rows import Rows

TASK = "text"
EXAMPLES = (
    "a red ball bounces on snow",
    "a blue cube turns on grass",
    "a yellow cone falls onto sand",
    "a red ball and a blue cube",
)
MINUTE = ("watch a whole minute", {SHOWN: "minute"})


def build_text_tab(rows: Rows) -> Composer:
    """Build the composer from the models' rows."""
    with gr.Tab("Text", id=TASK), gr.Column(elem_classes="composer"):
        prompt, model = build_prompt(
            TASK, "What happens in this take?", "a green ball rolls right on sand at night", rows
        )
        examples = build_examples(*((words, {}) for words in EXAMPLES), MINUTE)
        controls, making = build_rest(TASK, rows, model)
    return Composer(TASK, prompt, examples, controls, making)
