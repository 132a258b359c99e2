"""The Animate tab: pictures begin, end, or stand in a video."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.blocks import Block
from PIL import Image

from pipeline.models import ModelSpec
from pipeline.plan import Plan
from pipeline.ui.composer import Composer, build_prompt, build_rest
from pipeline.ui.controls import Input

TASK = "animate"
FITS = [("Crop", "crop"), ("Pad", "pad")]


def build_animate_tab(spec: ModelSpec) -> Composer:
    """Build the composer from the model's row."""
    with gr.Tab("Animate", id=TASK), gr.Column(elem_classes="composer"):
        prompt = build_prompt(TASK, "What happens to the picture?", "the red ball rolls right")
        with gr.Row(elem_classes="the-pictures"):
            first, last = _picture("First frame", "first"), _picture("Last frame", "last")
        fit = gr.Radio(FITS, value="crop", label="Another shape", elem_id="fit", elem_classes="the-fit")
        controls, make, contract = build_rest(TASK, spec, "As given")
    own: dict[str, Input] = {"image": first, "last": last, "fit": fit}
    return Composer(
        TASK, prompt, (), controls, make, contract, own,
        needed=("image", "last"), asks="Give a first frame, a last frame, or both.",
        restore_own=lambda plan: restore_pictures(own, plan),
    )  # fmt: skip


def restore_pictures(own: Mapping[str, Input], plan: Plan) -> dict[Block, Any]:
    """Return the task's own fields as they made this plan; a picture that is gone is left empty."""
    pins = {pin.frame: pin for pin in plan.segments[0].pins}
    shown = {"image": pins.get(0), "last": pins.get(plan.num_frames - 1)}
    pictures: dict[Block, Any] = {own[name]: pin and _open(pin.picture) for name, pin in shown.items()}
    return pictures | {own["fit"]: next(iter(pins.values())).fit}


def _open(path: str) -> Image.Image | None:
    try:
        return Image.open(path)
    except OSError:
        return None


def _picture(label: str, elem_id: str) -> gr.Image:
    # PNG, because a lossy copy would be what the model sees.
    return gr.Image(
        label=label, type="filepath", format="png", sources=["upload"], height=96, buttons=[],
        elem_id=elem_id,
    )  # fmt: skip
