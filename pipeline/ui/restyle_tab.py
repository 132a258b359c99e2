"""The Video tab: a clip is made anew, more or less, all of it or a part, in other words or in a style."""

import re
from collections.abc import Mapping
from typing import Any

import gradio as gr

from pipeline.errors import BadRequest
from pipeline.ui import styles
from pipeline.ui.clip_field import build_clip
from pipeline.ui.composer import Composer, build_examples, build_prompt, build_rest
from pipeline.ui.controls import Input
from pipeline.ui.rows import Rows
from pipeline.ui.slider import build_slider

TASK = "restyle"
CUSTOM = "custom"
STRENGTHS = [("Subtle", "subtle"), ("Mild", "mild"), ("Strong", "strong"), ("Custom", CUSTOM)]
AT_ONCE: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
EXAMPLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("a blue ball rolls right on snow at night", {"video": "ball.mp4"}),
    ("a green cone turns on grass by day", {"video": "cone.mp4"}),
)


def build_restyle_tab(rows: Rows) -> Composer:
    """Build the composer from the models' rows."""
    with gr.Tab("Video", id=TASK), gr.Column(elem_classes="composer"):
        video = build_clip("Your clip", "restyle-video")
        prompt, model = build_prompt(TASK, "What does it become?", "a blue ball bounces on snow at night", rows)
        examples = build_examples(*EXAMPLES)
        strength, level = _strength()
        words, part = _styles()
        controls, making = build_rest(TASK, rows, model, "As given", seconds=None)
    own: dict[str, Input] = {"video": video, "strength": strength, "level": level, "range": part, **words}
    return Composer(
        TASK, prompt, examples, controls, making, own, needed=("video",), carries="video", asks="Give a clip.",
        reshape=reshape, unshape=unshape,
    )  # fmt: skip


def reshape(asked: dict[str, Any]) -> dict[str, Any]:
    """Make the fields' values what the request wants; raise BadRequest for a range that is none."""
    level = asked.pop("level", None)
    custom = {"strength": float(level or 0)} if asked.get("strength") == CUSTOM else {}
    return with_range(asked | custom)


def with_range(asked: dict[str, Any]) -> dict[str, Any]:
    """Read a typed range, where there is one; raise BadRequest for one that is none."""
    return asked | ({"range": read_range(asked["range"])} if "range" in asked else {})


def read_range(text: str) -> tuple[float, float]:
    """Return two times in seconds that were typed; raise BadRequest."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:\.\.|–|-|to)\s*(\d+(?:\.\d+)?)\s*s?\s*", text, re.ASCII)
    if match is None:
        raise BadRequest("range", f"{text!r} is no range. Write two times in seconds, such as 0.5..1.5.")
    return float(match[1]), float(match[2])


def unshape(asked: dict[str, Any]) -> dict[str, Any]:
    """Make of a strength and a range what the fields show."""
    strength = asked.get("strength", "mild")
    named = {"strength": strength} if isinstance(strength, str) else {"strength": CUSTOM, "level": strength}
    return typed_range(asked | named)


def typed_range(asked: dict[str, Any]) -> dict[str, Any]:
    """Write a range, where there is one, as it is typed."""
    return asked | ({"range": "..".join(f"{second:.10g}" for second in asked["range"])} if asked.get("range") else {})


def _strength() -> tuple[gr.Radio, gr.Slider]:
    with gr.Row(elem_classes="the-strength"):
        strength = gr.Radio(STRENGTHS, value="mild", label="Change", elem_id="strength", elem_classes="the-fit")
        level = build_slider("Noise level", "level", (0.05, 1, 0.01), 0.8)
        level.visible = False
    strength.change(lambda chosen: gr.Slider(visible=chosen == CUSTOM), strength, level, **AT_ONCE)
    return strength, level


def _styles() -> tuple[dict[str, Input], gr.Textbox]:
    """Build the style's fields with what fills and keeps them, and the part; own styles stay in the browser."""
    own = gr.BrowserState({}, storage_key="onetake-styles", secret="onetake")  # noqa: S106, it guards nothing
    with gr.Accordion("Style, or only a part", open=False, elem_id="styles", elem_classes="the-advanced"):
        with gr.Row(elem_classes="style-row"):
            chosen = gr.Dropdown(styles.names({}), value=None, label="Style", elem_id="style", allow_custom_value=True)
            save = gr.Button("Keep as mine", elem_id="keep-style", elem_classes="action", min_width=110, scale=0)
        with gr.Row():
            fields = [_words(field) for field in styles.FIELDS]
        part = gr.Textbox(
            label="Only a part, in seconds", placeholder="all of it, or 0.5..1.5", max_lines=1, elem_id="restyle-range"
        )
    chosen.input(_filled, [chosen, own], fields, **AT_ONCE)
    kept = save.click(_kept, [chosen, own, *fields], own, **AT_ONCE)
    offer = {"fn": lambda mine: gr.Dropdown(choices=styles.names(mine)), "inputs": own, "outputs": chosen, **AT_ONCE}
    kept.then(**offer)
    chosen.focus(**offer)
    return dict(zip(styles.FIELDS, fields, strict=True)), part


def _filled(name: str | None, mine: dict[str, Any] | None) -> list[Any]:
    # A name that is being typed for a new style leaves its words alone.
    words = styles.words_of(name, mine)
    return [gr.skip()] * len(styles.FIELDS) if words is None else list(words)


def _kept(name: str | None, mine: dict[str, Any] | None, *words: str) -> dict[str, Any]:
    return styles.keep(name or "", words, mine)


def _words(field: str) -> gr.Textbox:
    return gr.Textbox(label=field.capitalize(), max_lines=1, min_width=80, elem_id=f"style-{field}")
