"""The Extend tab: a clip goes on after its end, or begins earlier; all of its own frames stay."""

from collections.abc import Mapping

import gradio as gr

from pipeline.ui.clip_field import build_clip
from pipeline.ui.composer import Composer, build_examples, build_prompt, build_rest
from pipeline.ui.controls import Input
from pipeline.ui.rows import Rows

TASK = "extend"
DIRECTIONS = [("After its end", "forward"), ("Before it begins", "backward"), ("Both", "both")]
EXAMPLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("a red ball bounces on snow by day", {"video": "ball.mp4"}),
    ("a yellow cone turns over water at sunset", {"video": "cone.mp4"}),
)


def build_extend_tab(rows: Rows) -> Composer:
    """Build the composer from the models' rows."""
    with gr.Tab("Extend", id=TASK), gr.Column(elem_classes="composer"):
        video = build_clip("Your clip", "extend-video")
        prompt, model = build_prompt(TASK, "What happens? (optional)", "the ball rolls on", rows)
        examples = build_examples(*EXAMPLES)
        direction = gr.Radio(
            DIRECTIONS, value="forward", label="Where it goes on", elem_id="direction", elem_classes="the-fit"
        )
        controls, making = build_rest(TASK, rows, model, "As given", seconds=2.0)
    own: dict[str, Input] = {"video": video, "direction": direction}
    return Composer(
        TASK, prompt, examples, controls, making, own, needed=("video",), carries="video", asks="Give a clip.",
        words_needed=False,
    )  # fmt: skip
