"""The library as HTML: a card for each take, what is done with those selected, and what was deleted just now."""

from collections.abc import Iterable, Sequence
from html import escape

from pipeline.ui.clips import Clip

NOTHING = {
    "takes": "Every take you make is kept here.",
    "drafts": "No drafts. Make some with the button beside Make video, and finish those that you like.",
    "starred": "No take has a star yet. The star on a card keeps a take from being removed for room.",
    "published": "Nobody has published a take here yet. Publish one of yours under the stage.",
    "all": "Every take you make is kept here.",
}
NOT_FOUND = "No take has all of these words. Prompts, models, seeds and tasks are searched."
# Where a script sends what was clicked, so that it reaches Python as an event with its details.
CLICKS = """
const known = ['open_run', 'star_run', 'publish_run', 'delete_runs', 'restore_runs', 'compare_runs'];
element.addEventListener('ask', ({detail}) => { if (known.includes(detail.what)) trigger(detail.what, detail); });
"""


def heading(total: int, quota: str = "") -> str:
    """Return the title with how many takes are listed, and what is kept here where there is a limit."""
    told = f"<small>{escape(quota)}</small>" if quota else ""
    return f'<h2 id="library-title">Library <span>{total or ""}</span></h2>{told}'


def grid(clips: Sequence[Clip], only: str, searched: str, shown: str | None) -> str:
    """Return a card for each clip, the one on the stage marked, and what can be done with those selected."""
    if not clips:
        return f'<p class="nothing">{NOT_FOUND if searched.strip() else NOTHING[only]}</p>'
    cards = "".join(_card(clip, clip.run_id == shown) for clip in clips)
    return f'<ul class="shots" aria-labelledby="library-title">{cards}</ul>{_SELECTION}'


def deleted(ids: Iterable[str]) -> str:
    """Return the bar that says what was deleted and brings it back."""
    ids = tuple(ids)
    what = "The take was deleted." if len(ids) == 1 else f"{len(ids)} takes were deleted."
    undo = f'<button type="button" class="quiet" data-restore="{" ".join(ids)}">Undo</button>'
    return f'<div class="undo" role="status"><span>{what}</span>{undo}</div>'


def told(message: str) -> str:
    """Return a bar that says why something could not be done."""
    return f'<div class="undo" role="alert"><span>{escape(message)}</span></div>'


def keeping(clip: Clip) -> str:
    """Return what its owner can decide about the take on the stage; an example has no owner."""
    if clip.run_id is None:
        return ""
    if not clip.mine:
        return '<p class="keeping"><span>Published by somebody else.</span></p>'
    starred, published = clip.marks.starred, clip.marks.published
    star = _switch("star", clip, starred, "★ Starred" if starred else "☆ Star")
    publish = _switch("publish", clip, published, "Take back" if published else "Publish")
    says = "Published: all who open this page see it." if published else "Only you see this take."
    delete = f'<button type="button" class="quiet" data-delete="{clip.run_id}">Delete</button>'
    sheet = f'<button type="button" class="quiet" data-sheet="{clip.sheet}">Its drafts</button>' if clip.sheet else ""
    return f'<div class="keeping">{_finish(clip)}{sheet}{star}{publish}<span>{says}</span>{delete}</div>'


_SELECTION = (
    '<div class="selection" role="region" aria-label="Selected takes" hidden><b aria-live="polite"></b>'
    '<button type="button" class="quiet" data-do="download">Download zip</button>'
    '<button type="button" class="quiet" data-do="compare">Compare</button>'
    '<button type="button" class="quiet" data-do="delete">Delete</button>'
    '<button type="button" class="quiet" data-do="clear">Clear</button></div>'
)


def _finish(clip: Clip) -> str:
    """Return the button that has a take go on from where it stopped, nothing where it has all of its steps."""
    if not (clip.unfinished and clip.mine):
        return ""
    words = escape(clip.plan.title, quote=True)
    return (
        f'<button type="button" class="quiet" data-finish="{clip.run_id}" aria-label="Finish: {words}">Finish</button>'
    )


def _badge(clip: Clip) -> str:
    if not clip.draft:
        return ""
    return "<em>Draft</em>" if clip.unfinished else "<em>Draft, finished</em>"


def _card(clip: Clip, on_stage: bool) -> str:
    words, run = escape(clip.plan.title, quote=True), clip.run_id
    plays = "" if clip.is_picture else f'data-clip="{clip.url}"'
    opens = (
        f'<button type="button" class="card" data-open="{run}" {plays} title="{words}" aria-label="Open: {words}" '
        f'aria-pressed="{str(on_stage).lower()}"><img src="{clip.poster}" alt="" loading="lazy">'
        f"{_badge(clip)}<span>{words}</span><small>{_told(clip)}</small></button>"
    )
    _, _, key = clip.url.partition("?key=")
    picks = (
        f'<label class="pick" title="Select"><input type="checkbox" data-pick="{run}" data-key="{key}" '
        f'data-mine="{str(clip.mine).lower()}" aria-label="Select: {words}"></label>'
    )
    star, finish = (_star(clip, words) if clip.mine else ""), _finish(clip) if clip.draft else ""
    return f'<li class="shot">{opens}{picks}{star}{finish}</li>'


def _star(clip: Clip, words: str) -> str:
    starred = clip.marks.starred
    label = f"{'Take the star off' if starred else 'Star'}: {words}"
    return (
        f'<button type="button" class="star" data-star="{clip.run_id}" aria-pressed="{str(starred).lower()}" '
        f'aria-label="{label}" title="{"Starred" if starred else "Star"}">{"★" if starred else "☆"}</button>'
    )


def _told(clip: Clip) -> str:
    length = "picture" if clip.is_picture else f"{clip.plan.seconds:.1f} s"
    whose = " · published" if clip.marks.published and clip.mine else "" if clip.mine else " · by somebody else"
    return f"{length} · {clip.plan.width}×{clip.plan.height}{whose}"


def _switch(what: str, clip: Clip, on: bool, words: str) -> str:
    return (
        f'<button type="button" class="quiet" data-{what}="{clip.run_id}" aria-pressed="{str(on).lower()}">'
        f"{words}</button>"
    )
