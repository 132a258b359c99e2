"""The library strip: every run of this machine as a poster, the running take first."""

from collections.abc import Sequence
from html import escape

from pipeline.job import JobView
from pipeline.store import Run
from pipeline.ui.clips import Clip, clip_of

NOTHING = '<p class="nothing">Every take you make is kept here.</p>'
SHOWN = 60


def strip(runs: Sequence[Run], running: JobView | None, shown: str | None) -> str:
    """Return the strip: newest first, the clip on the stage marked."""
    clips = [clip_of(run) for run in runs[:SHOWN]]
    cards = [] if running is None else [_running(running)]
    cards += [_card(clip, clip.run_id == shown) for clip in clips]
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


def _running(view: JobView) -> str:
    words = escape(view.plan.title, quote=True)
    return (
        f'<button class="card is-running" data-follow="{view.id}" title="{words}" '
        f'aria-label="Back to the running take: {words}"><i aria-hidden="true"></i>'
        f"<span>Being made</span></button>"
    )
