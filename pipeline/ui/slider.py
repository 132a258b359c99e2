"""A slider whose value is judged by the plan, and its new range where another model is chosen."""

from typing import Any

import gradio as gr

Range = tuple[float, float, float]
"""The least, the most, and the step."""


def _as_it_is(slider: gr.Slider, payload: float) -> float:  # noqa: ARG001, Gradio's signature
    return payload


# The plan judges ranges and says so under the button; a slider of its own answers with a toast and a traceback. On the
# class, because Gradio makes a new object whenever a range changes; a class of ours would get a file written beside it.
gr.Slider.preprocess = _as_it_is  # type: ignore[method-assign, assignment]


def build_slider(label: str, elem_id: str, ends_and_step: Range, value: float) -> gr.Slider:
    """Build a slider whose value is judged by the plan; one without a choice is not shown."""
    return gr.Slider(
        value=value,
        label=label,
        elem_id=elem_id,
        elem_classes="the-slider",
        buttons=[],
        min_width=140,
        scale=3,
        **_ends(ends_and_step),
    )


def resized(ends_and_step: Range, value: float | None = None, visible: bool = True) -> gr.Slider:
    """Return a slider's new range, with a value or the one that it has; one without a choice is not shown."""
    changed: dict[str, Any] = {} if value is None else {"value": value}
    ends = _ends(ends_and_step)
    return gr.Slider(**changed | ends | {"visible": visible and ends["visible"]})


def _ends(ends_and_step: Range) -> dict[str, Any]:
    least, most, step = ends_and_step
    # Gradio refuses to make a slider without a choice, also one that is not shown.
    return {"minimum": least, "maximum": max(most, least + step), "step": step, "visible": least < most}
