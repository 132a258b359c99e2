"""About the model inside: the report of what was measured of it, at the foot of the page, fetched once it is opened."""

import re
from functools import partial
from pathlib import Path

import gradio as gr

from pipeline.ui.pages import AT_ONCE

# Where the report's pictures are had; `media.py` answers there.
ADDRESS = "about"


def build_about(assets: Path) -> None:
    """Add the folded report."""
    with gr.Accordion("About the model inside", open=False, elem_id="about") as about:
        text = gr.Markdown(elem_id="about-report")
    about.expand(partial(report, assets / "tabletop"), None, text, **AT_ONCE)


def report(model: Path) -> str:
    """Return the report with its pictures at the addresses where this app has them, and other files by their names."""
    path = model / "REPORT.md"
    if not path.is_file():
        return "This model has no report yet. `make eval` writes one."
    text = re.sub(r"\]\(([\w-]+\.webp)\)", rf"]({ADDRESS}/\1)", path.read_text("utf-8"))
    return re.sub(r"\[([\w.-]+)\]\(\1\)", r"`\1`", text)
