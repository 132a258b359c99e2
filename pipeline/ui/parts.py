"""The parts of a long take that are done already, to be watched while the next one is made."""

from html import escape
from urllib.parse import quote

from pipeline.queue.job import JobView
from pipeline.ui.clip_field import offered


def parts(view: JobView) -> str:
    """Return the parts of a job as small clips in a row, nothing where there are none."""
    shown = [_part(number, path) for number, file in enumerate(view.parts_done, 1) if (path := offered(file))]
    if not shown:
        return ""
    heading = f"{len(view.parts_done)} of {view.parts} parts are done"
    return f'<section class="parts" aria-label="{heading}"><h3>{heading}</h3><ol>{"".join(shown)}</ol></section>'


def _part(number: int, path: str) -> str:
    source = escape(f"gradio_api/file={quote(path)}", quote=True)
    return f'<li><video src="{source}" aria-label="Part {number}" loop muted playsinline controls></video></li>'
