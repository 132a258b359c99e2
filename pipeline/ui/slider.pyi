"""A slider whose value is judged by the plan, and its new range where another model is chosen."""

from typing import Any

import gradio as gr

Range = tuple[float, float, float]
"""The least, the most, and the step."""

from gradio.events import Dependency

class JudgedSlider(gr.Slider):
    """A slider that passes on what was typed: the plan judges ranges and says so under the button.

    A slider of Gradio's own answers with a toast and a traceback. The method stands in a class, because Gradio makes
    a new object whenever a range changes.
    """

    # The browser draws it as the slider that it is.
    is_template = True

    def preprocess(self, payload: float) -> float:
        """Return the value as it is."""
        return payload
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component


def build_slider(label: str, elem_id: str, ends_and_step: Range, value: float) -> gr.Slider:
    """Build a slider whose value is judged by the plan."""
    least, most, step = ends_and_step
    return JudgedSlider(
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