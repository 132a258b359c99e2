"""The Animate tab: pictures begin, end, or stand in a video."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from pipeline.given.media import MIDDLE
from pipeline.model_spec import ModelSpec
from pipeline.ui.composer import Composer, build_examples, build_prompt, build_rest
from pipeline.ui.controls import Input
from pipeline.ui.rows import LONGEST_SECONDS, Rows
from pipeline.ui.slider import build_slider

TASK = "animate"
EXAMPLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("the green cube turns", {"image": "cube.png"}),
    ("the red ball rolls right", {"image": "rolls-first.png", "last": "rolls-last.png"}),
)
FITS = [("Crop", "crop"), ("Pad", "pad")]


def build_animate_tab(rows: Rows) -> Composer:
    """Build the composer from the models' rows."""
    with gr.Tab("Animate", id=TASK), gr.Column(elem_classes="composer"):
        prompt, model = build_prompt(TASK, "What happens to the picture?", "the red ball rolls right", rows)
        examples = build_examples(*EXAMPLES)
        with gr.Row(elem_classes="the-pictures"):
            first, last = _picture("First frame", "first"), _picture("Last frame", "last")
        more = _more(rows.start(TASK))
        fit = gr.Radio(FITS, value="crop", label="Another shape", elem_id="fit", elem_classes="the-fit")
        controls, making = build_rest(TASK, rows, model, "As given")
    own: dict[str, Input] = {"image": first, "last": last, "fit": fit, **more}
    return Composer(
        TASK, prompt, examples, controls, making, own, reshape=reshape,
        needed=("image", "last", "between"), asks="Give a first frame, a last frame, or both.",
        unshape=unshape, carries="image",
    )  # fmt: skip


def reshape(asked: dict[str, Any]) -> dict[str, Any]:
    """Make a still of the picture in between, and a point of where to crop."""
    asked = dict(asked)
    second, picture, kept = (asked.pop(name, None) for name in ("second", "between", "kept"))
    across, down = (asked.pop(name, 0.5) for name in ("across", "down"))
    stills = {"at": [{"seconds": float(second), "image": picture, "strength": float(kept)}]} if picture else {}
    return asked | stills | {"focus": [float(across), float(down)], "strength": float(asked["strength"])}


def unshape(asked: dict[str, Any]) -> dict[str, Any]:
    """Make of pictures at any second the one in between, and of a point its two numbers."""
    still, (across, down) = next(iter(asked.get("at", ())), None), asked.get("focus", MIDDLE)
    point = {"across": across, "down": down}
    if still is None:
        return asked | point
    kept = still.get("strength") or asked.get("strength", 1.0)
    return asked | point | {"second": still["seconds"], "between": still["image"], "kept": kept}


def _more(spec: ModelSpec) -> dict[str, Input]:
    """Build what is folded away: a picture in between, how closely all are kept, and where to crop."""
    step = 1 / spec.fps
    with gr.Accordion("In between, strength, crop", open=False, elem_id="animate-more", elem_classes="the-advanced"):
        with gr.Row(elem_classes="the-pictures"):
            between = _picture("In between", "between")
            with gr.Column(min_width=140):
                second = build_slider("At second", "between-second", (step, LONGEST_SECONDS, step), 1.0)
                kept = build_slider("Its strength", "between-strength", (0.1, 1, 0.05), 1.0)
        strength = build_slider("Strength of the first and last frame", "animate-strength", (0.1, 1, 0.05), 1.0)
        with gr.Row():
            across = build_slider("Crop around: across", "across", (0, 1, 0.05), 0.5)
            down = build_slider("down", "down", (0, 1, 0.05), 0.5)
    return {
        "between": between, "second": second, "kept": kept, "strength": strength, "across": across, "down": down,
    }  # fmt: skip


def _picture(label: str, elem_id: str) -> gr.Image:
    # As it was given: Gradio would make what is transparent black.
    return gr.Image(
        label=label, type="filepath", image_mode=None, format="png", sources=["upload"], height=96, buttons=[],
        elem_id=elem_id,
    )  # fmt: skip
