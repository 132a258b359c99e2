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
    """Build a slider whose value is judged by the plan."""
    least, most, step = ends_and_step
    return gr.Slider(
        least,
        most,
        value=value,
        step=step,
        label=label,
        elem_id=elem_id,
        elem_classes="the-slider",
        buttons=[],
        min_width=140,
        scale=3,
    )


def resized(ends_and_step: Range, value: float | None = None, visible: bool = True) -> gr.Slider:
    """Return a slider's new range, with a value or the one that it has; one without a choice is not shown."""
    least, most, step = ends_and_step
    changed: dict[str, Any] = {} if value is None else {"value": value}
    return gr.Slider(least, most, step=step, visible=visible and least < most, **changed)
