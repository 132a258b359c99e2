"""The tab for loops and transitions: a clip that ends where it begins, and two clips made into one."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from pipeline.ui.clip_field import build_clip
from pipeline.ui.composer import Composer, build_examples, build_prompt, build_rest
from pipeline.ui.controls import Input
from pipeline.ui.restyle_tab import typed_range, with_range
from pipeline.ui.rows import Rows

TAB = "join"
SEAMS = [("Short", "short"), ("Normal", "normal"), ("Long", "long")]
CURVES = [("Evenly", "linear"), ("Early", "early"), ("Late", "late"), ("Hold", "hold")]
LOOP_EXAMPLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("a yellow cube turns on grass", {}),
    ("a yellow cone turns over water at sunset", {"video": "cone.mp4"}),
)
TRANSITION_EXAMPLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("a ball becomes a cone", {"first": "ball.mp4", "second": "cone.mp4"}),
)


def build_join_tab(rows: Rows) -> tuple[Composer, Composer]:
    """Build both composers from the models' rows."""
    with gr.Tab("Loop & transition", id=TAB), gr.Tabs(elem_classes="inner-tabs") as inner:
        return _loop(rows, inner), _transition(rows, inner)


def _loop(rows: Rows, inner: gr.Tabs) -> Composer:
    with gr.Tab("Loop", id="loop"), gr.Column(elem_classes="composer"):
        video = build_clip("A clip, or none to loop the words alone", "loop-video")
        prompt, model = build_prompt("loop", "What does it show?", "a yellow cube turns on grass", rows)
        examples = build_examples(*LOOP_EXAMPLES)
        with gr.Row():
            seam = gr.Radio(SEAMS, value="normal", label="Seam of a clip", elem_id="seam", elem_classes="the-fit")
            part = gr.Textbox(
                label="Only a part, in seconds", placeholder="all of it, or 0..1.5", max_lines=1, elem_id="loop-range"
            )
        controls, making = build_rest("loop", rows, model, "As given")
    own: dict[str, Input] = {"video": video, "seam": seam, "range": part}
    return Composer(
        "loop", prompt, examples, controls, making, own, reshape=_reshape_loop, carries="video", tab=TAB,
        needed=("video",), words_needed=False, words_suffice=True, asks="Give a clip, or say what the loop shows.",
        inner=inner, unshape=typed_range,
    )  # fmt: skip


def _transition(rows: Rows, inner: gr.Tabs) -> Composer:
    with gr.Tab("Transition", id="transition"), gr.Column(elem_classes="composer"):
        with gr.Row(elem_classes="two-clips"):
            first, second = build_clip("From", "first-clip"), build_clip("To", "second-clip")
        prompt, model = build_prompt("transition", "What is in between? (optional)", "a ball becomes a cone", rows)
        examples = build_examples(*TRANSITION_EXAMPLES)
        curve = gr.Radio(CURVES, value="linear", label="Takes over", elem_id="curve", elem_classes="the-fit")
        controls, making = build_rest("transition", rows, model, "As given", seconds=1.0)
    own: dict[str, Input] = {"first": first, "second": second, "curve": curve}
    return Composer(
        "transition", prompt, examples, controls, making, own, needed=("first", "second"), carries="first",
        asks="Give two clips, or pictures.", all_needed=True, words_needed=False, tab=TAB, inner=inner,
    )  # fmt: skip


def _reshape_loop(asked: dict[str, Any]) -> dict[str, Any]:
    """Read the range; a clip has a length of its own, words have the slider's and no seam."""
    left_out = ("seconds",) if "video" in asked else ("seam",)
    return with_range({name: value for name, value in asked.items() if name not in left_out})
