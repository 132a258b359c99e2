"""Where takes come in from elsewhere: the field for a file that was made here, and what is told of what came in."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

import gradio as gr

from pipeline.errors import BadRequest, OnetakeError
from pipeline.recipes.links import run_in

LINK_GONE = "This link leads to a take that is private or deleted. Ask whoever sent it to publish it, or make your own."
# Emptied as the page knows it, for what is the same as before is not shown anew.
CLOSES = """
element.addEventListener('click', (click) => { if (click.target.closest('[data-close]')) props.value = ''; });
"""


@dataclass(frozen=True)
class Doors:
    """The line that tells what filled the page, and the button that opens a file; files can be dropped anywhere too."""

    opened: gr.HTML
    file: gr.UploadButton


def build_doors() -> Doors:
    """Build both; assets/links.js hands the button what is dropped onto the page."""
    opened = gr.HTML("", elem_id="opened", js_on_load=CLOSES)
    # Any kind of file: what is none of ours is refused in words, not by a dialogue that hides it.
    return Doors(opened, gr.UploadButton("Open a file made here", elem_id="open-file", elem_classes="action", scale=0))


def query_of(request: gr.Request) -> str:
    """Return the parameters of the page's address, which Gradio sends along with every event."""
    found = request.query_params
    return urlencode(found) if isinstance(found, dict) else str(found)


def run_asked(request: gr.Request) -> str | None:
    """Return the run that the page's address leads to, None where it leads to none."""
    try:
        return run_in(query_of(request))
    except BadRequest:
        # Whoever fills the page from its address says what is wrong with it.
        return None


def filled_from(what: str, notes: Iterable[str]) -> str:
    """Return the line that says what filled the page, and what is not as it was."""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    listed = f'<ul class="notes">{items}</ul>' if items else ""
    return f'<section class="opened" role="status"><p>{escape(what)}</p>{listed}{_CLOSE}</section>'


def refused(error: OnetakeError) -> str:
    """Return the line that says why nothing was filled in, and what to do."""
    return f'<section class="opened is-refused" role="alert"><p>{escape(str(error))}</p>{_CLOSE}</section>'


_CLOSE = '<button type="button" data-close aria-label="Close this note">×</button>'
