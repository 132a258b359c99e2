"""How the page looks, as options of `launch`: style sheets, scripts, the icon and a bare theme under them."""

from pathlib import Path
from typing import Any

import gradio as gr

# The same papers as in app.css, known before it is loaded, so that the page does not flash.
PAPER, DARK_PAPER = "#f4f1ea", "#151412"
INK, DARK_INK = "#221f1a", "#ede7db"


def look(assets: Path) -> dict[str, Any]:
    """Return the launch options; nothing of it comes from another host."""
    return {
        "theme": _theme(),
        "css_paths": sorted(assets.glob("*.css")),
        "js": _script(assets),
        "favicon_path": assets / "favicon.png",
        "footer_links": [],
    }


def _script(assets: Path) -> str:
    """Return all scripts as the one function that the page calls."""
    scripts = (path.read_text("utf-8") for path in sorted(assets.glob("*.js")))
    return f"() => {{\n{''.join(f'({script})();{chr(10)}' for script in scripts)}}}"


def _theme() -> gr.themes.Base:
    # Fonts of the system: a stock theme would ask Google for its own.
    return gr.themes.Base(font="system-ui", font_mono="ui-monospace").set(
        body_background_fill=PAPER,
        body_background_fill_dark=DARK_PAPER,
        body_text_color=INK,
        body_text_color_dark=DARK_INK,
    )
