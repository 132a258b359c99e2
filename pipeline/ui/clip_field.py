"""The field for a clip: drop a file, see it play. Takes of this app are known by their bytes."""

from html import escape
from pathlib import Path
from urllib.parse import quote

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from pipeline.latents import is_latents

KINDS = [".mp4", ".webm", ".mov", ".mkv", ".gif", ".webp", ".png", ".jpg", ".jpeg"]
# What is kept of a take beside its clip: latents, or frames without loss.
KEPT_WHOLE = (".safetensors", ".mkv")
PICTURES = (".gif", ".webp", ".png", ".jpg", ".jpeg")


def build_clip(label: str, elem_id: str) -> gr.File:
    """Build the field and what plays in it."""
    with gr.Column(elem_classes="the-clip", min_width=120):
        file = gr.File(
            label=label, file_types=KINDS, type="filepath", height=84, elem_id=elem_id, elem_classes="clip-file"
        )
        shown = gr.HTML(elem_classes="clip-shown")
    file.change(show, file, shown, queue=False, show_progress="hidden", api_visibility="private")
    return file


def show(path: str | None) -> str:
    """Return a clip or picture as it plays on the page, nothing where there is none."""
    if not path or is_latents(path):
        return ""
    address = f"gradio_api/file={quote(path)}"
    if Path(path).suffix.lower() in PICTURES:
        return f'<img src="{address}" alt="{escape(Path(path).name, quote=True)}">'
    return f'<video src="{address}" autoplay loop muted playsinline></video>'


def offered(path: str | Path) -> str | None:
    """Return a copy that the page may show, None where the file is gone.

    What was kept of a take before any loss is shown as the clip that it is, by whose bytes the take is known.
    """
    path = Path(path)
    clip = path.with_suffix(".mp4")
    shown = clip if path.suffix in KEPT_WHOLE and clip.is_file() else path
    # Only Gradio's own folder is served.
    return save_file_to_cache(shown, get_upload_folder()) if shown.is_file() else None
