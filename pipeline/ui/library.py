"""The library strip: every run of this machine as a poster."""

from collections.abc import Sequence
from html import escape

from pipeline.library.runs import Run
from pipeline.ui.clips import Clip, clip_of

NOTHING = '<p class="nothing">Every take you make is kept here.</p>'
SHOWN = 60


def strip(runs: Sequence[Run], shown: str | None) -> str:
    """Return the strip: newest first, the clip on the stage marked."""
    clips = [clip_of(run) for run in runs[:SHOWN]]
    cards = [_card(clip, clip.run_id == shown) for clip in clips]
    inside = f'<div class="strip">{"".join(cards)}</div>' if cards else NOTHING
    return f'<h2 id="library-title">Library <span>{len(runs) or ""}</span></h2>{inside}'


def _card(clip: Clip, on_stage: bool) -> str:
    words = escape(clip.plan.title, quote=True)
    source = "" if clip.is_picture else f'data-clip="{clip.url}"'
    return (
        f'<button class="card" data-open="{clip.run_id}" {source} title="{words}" '
        f'aria-label="Open: {words}" aria-pressed="{str(on_stage).lower()}">'
        f'<img src="{clip.poster}" alt="" loading="lazy"><span>{words}</span></button>'
    )
