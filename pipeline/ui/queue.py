"""The strip of a visitor's jobs in front of the library, as HTML: what is made, what waits, and what broke off."""

import time
from collections.abc import Sequence
from html import escape

from pipeline.queue.job import JobView
from pipeline.ui.screen import going_on, spoken, time_left

# Clicks on the cards reach Python as events with the job's id.
QUEUE_CLICKS = """
const events = {follow: 'follow_job', cancel: 'cancel_job', retry: 'retry_job', dismiss: 'dismiss_job'};
element.addEventListener('click', (click) => {
  const button = click.target.closest('[data-follow], [data-cancel], [data-retry], [data-dismiss]');
  if (!button) return;
  const [[what, job]] = Object.entries(button.dataset);
  trigger(events[what], {job});
});
"""
# What broke off is listed until somebody looks after it; of much, the newest.
BROKEN_SHOWN = 6


def queue_cards(under_way: Sequence[JobView], broken: Sequence[JobView]) -> str:
    """Return a card for each job, one for all of a sheet, nothing where there are none."""
    cards = [_card(group) for group in _groups(under_way)] + [_broken(view) for view in broken[:BROKEN_SHOWN]]
    return f'<ul class="jobs" aria-label="Your takes under way">{"".join(cards)}</ul>' if cards else ""


def _groups(views: Sequence[JobView]) -> list[list[JobView]]:
    """Return jobs in their order, those of a sheet where its first one is."""
    groups = dict[str, list[JobView]]()
    for view in views:
        groups.setdefault(view.origin.cell.sheet if view.origin.cell else view.id, []).append(view)
    return list(groups.values())


def _card(group: Sequence[JobView]) -> str:
    view = group[0]
    words, running = f"{_several(group)}{_words(view)}", view.state == "running"
    watch = f'<button data-follow="{view.id}" title="{words}" aria-label="Watch: {words}">'
    when = _when(view) if len(group) == 1 or not running else time_left(max(each.seconds for each in group))
    told = f"<b>{'Being made' if running else 'Waiting'}</b><span>{words}</span><small>{escape(when)}</small>"
    stop = _small("cancel", view, f"{'Stop' if running else 'Take out of the queue'}: {words}")
    return f'<li class="job is-{view.state}">{watch}{told}</button>{stop}</li>'


def _several(group: Sequence[JobView]) -> str:
    """Say how many jobs of a sheet there are, nothing of one that stands alone."""
    if not group[0].origin.cell:
        return ""
    finals = sum(view.plan.resumes is not None for view in group)
    drafts = len(group) - finals
    counted = f"{drafts} draft{'' if drafts == 1 else 's'}" if drafts else ""
    return f"{', '.join(filter(None, (counted, f'{finals} to finish' if finals else '')))}: "


def _broken(view: JobView) -> str:
    words, why = _words(view), escape(view.error or "")
    what = "Interrupted" if view.state == "interrupted" else "Failed"
    told = f'<div title="{why}"><b>{what}</b><span>{words}</span><small>{why}</small></div>'
    again = f'<button class="again" data-retry="{view.id}" aria-label="Run again: {words}">Run again</button>'
    return f'<li class="job is-{view.state}">{told}{again}{_small("dismiss", view, f"Dismiss: {words}")}</li>'


def _small(what: str, view: JobView, label: str) -> str:
    return f'<button class="off" data-{what}="{view.id}" aria-label="{label}" title="{label}">✕</button>'


def _words(view: JobView) -> str:
    return escape(view.plan.title, quote=True)


def _when(view: JobView) -> str:
    if view.state == "queued" and view.begins:
        return f"{view.place} before yours, in {spoken(view.begins - time.time())}"
    return going_on(view)
