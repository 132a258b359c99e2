"""Two to four takes side by side, as HTML: a script plays them in step; what differs in their recipes is bold."""

import time
from collections.abc import Sequence
from html import escape

from pipeline.ui.clips import Clip
from pipeline.ui.details import recipe_rows

FEWEST, MOST = 2, 4


def comparison(clips: Sequence[Clip]) -> str:
    """Return the view of some clips, which opens as soon as it is on the page."""
    recipes = [dict(recipe_rows(clip)) for clip in clips]
    names = tuple(dict.fromkeys(name for recipe in recipes for name in recipe))
    figures = "".join(_figure(clip, _rows(recipe, names, recipes)) for clip, recipe in zip(clips, recipes, strict=True))
    # Another one each time, or a view that was closed would not come again.
    return (
        f'<dialog class="compare" data-at="{time.time_ns()}" aria-label="Compare {len(clips)} takes"><header>'
        f"<h2>Compare</h2><p>What differs is bold.</p>"
        f'<button type="button" class="quiet" data-shut>Close</button></header>'
        f'<div class="side-by-side" data-count="{len(clips)}">{figures}</div>{_transport(clips)}</dialog>'
    )


def _figure(clip: Clip, rows: str) -> str:
    words = escape(clip.plan.title, quote=True)
    if clip.is_picture:
        inside = f'<img src="{clip.url}" alt="{words}">'
    else:
        inside = (
            f'<video src="{clip.url}" poster="{clip.poster}" data-seconds="{clip.plan.seconds:.3f}" '
            f'aria-label="{words}" muted playsinline preload="auto"></video>'
        )
    return (
        f'<figure><div class="room">{inside}</div><figcaption><dl class="differences">{rows}</dl></figcaption></figure>'
    )


def _rows(recipe: dict[str, str], names: Sequence[str], recipes: Sequence[dict[str, str]]) -> str:
    def row(name: str) -> str:
        value = escape(recipe.get(name, "none"))
        differs = len({each.get(name) for each in recipes}) > 1
        return f"<dt>{escape(name)}</dt><dd>{f'<b>{value}</b>' if differs else value}</dd>"

    return "".join(row(name) for name in names)


def _transport(clips: Sequence[Clip]) -> str:
    seconds = max(clip.plan.seconds for clip in clips)
    if all(clip.is_picture for clip in clips):
        return ""
    return (
        f'<div class="transport"><button type="button" class="quiet" data-play aria-label="Pause">❚❚</button>'
        f'<input type="range" min="0" max="{seconds:.3f}" step="0.01" value="0" aria-label="Time in seconds">'
        f"<output>0.0 of {seconds:.1f} s</output></div>"
    )
