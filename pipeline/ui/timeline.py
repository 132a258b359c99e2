"""A storyboard's timeline as HTML: cards at their seconds, and between them a cut or a lead-over. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil
from pathlib import Path
from urllib.parse import quote

from pipeline.planning.storyboard import CUT_SECONDS, Standing
from pipeline.recipes.cards import Arranged, Slip
from pipeline.ui.clip_field import PICTURES

# So many pixels a second at least: what is longer than the page is scrolled.
LEAST_PER_SECOND = 56
# Room behind the last card where nobody knows yet when all ends.
BEHIND = 2.0


@dataclass(frozen=True)
class Sight:
    """What a timeline shows: cards, where they come to stand as far as that is known, and the answer to a hand."""

    arranged: Arranged
    standing: Sequence[Standing] = ()
    answer: str = ""

    @property
    def ends(self) -> float:
        """When all ends, in seconds."""
        last = self.arranged.cards[-1].seconds
        return max(self.standing[-1].end, last + 0.25) if self.standing else last + BEHIND


def timeline(sight: Sight) -> str:
    """Return the timeline with its buttons, and what there is to know of the chosen card."""
    each = "".join(_card(sight, number) for number in range(len(sight.arranged.cards)))
    style = f"--seconds:{sight.ends:g};--least:{LEAST_PER_SECOND * sight.ends:.0f}px"
    strip = f'<ol class="strip" aria-label="Cards">{_lead_in(sight)}{each}</ol>'
    end = (
        f'<button type="button" class="the-end" data-card="end" data-at="{sight.ends:g}" '
        f'aria-label="The take ends at {sight.ends:g} s. Arrow keys move it."></button>'
    )
    return (
        f'<section class="board" data-seconds="{sight.ends:g}" data-answer="{escape(sight.answer, quote=True)}" '
        f'aria-label="Timeline"><div class="reel" tabindex="-1"><div class="track" style="{style}">{_ruler(sight.ends)}'
        f'{strip}{end}</div></div><p class="board-card">{_caption(sight)}</p>'
        f'<div class="board-buttons">{_buttons(len(sight.arranged.cards))}</div></section>'
    )


def how(sight: Sight, number: int) -> str:
    """Say how a card comes out of what is before it, and why."""
    cards = sight.arranged.cards
    if not sight.standing:
        return ""
    by_spacing = cards[number].begins == "by spacing"
    if sight.standing[number].led:
        return f"led over to, for it is {CUT_SECONDS:g} s away or more" if by_spacing else "led over to"
    if number == 0:
        return "the take begins with it"
    close = by_spacing and _is_close(sight, number)
    return f"a cut, for it is closer than {CUT_SECONDS:g} s" if close else "a cut"


def _is_close(sight: Sight, number: int) -> bool:
    before, card = sight.arranged.cards[number - 1 : number + 1]
    return card.seconds - before.seconds < CUT_SECONDS


def _card(sight: Sight, number: int) -> str:
    cards, chosen = sight.arranged
    card = cards[number]
    after = cards[number + 1].seconds if number + 1 < len(cards) else sight.ends
    is_chosen = " is-chosen" if number == chosen else ""
    is_empty = " is-empty" if card.is_empty else ""
    words = escape(card.prompt.strip() or (Path(card.file).name if card.file else "empty"))
    told = ", ".join(filter(None, (card.prompt.strip() or ("" if card.file else "empty"), how(sight, number))))
    label = escape(f"Card {number + 1} at {card.seconds:g} s: {told}. Arrow keys move it.", quote=True)
    return (
        f'<li class="on-strip{is_chosen}{is_empty}" style="--at:{card.seconds:g};--long:{after - card.seconds:g}">'
        f"{_joint(sight, number)}"
        f'<button type="button" data-card="{number}" data-at="{card.seconds:.10g}" aria-label="{label}" '
        f'aria-pressed="{str(number == chosen).lower()}" title="{words}">{_thumb(card)}'
        f"<b>{number + 1}</b><span>{words}</span></button></li>"
    )


def _joint(sight: Sight, number: int) -> str:
    """Return the mark between a card and what is before it."""
    if not sight.standing or (number == 0 and not sight.standing[0].led):
        return ""
    led = sight.standing[number].led
    return f'<i class="joint {"is-led" if led else "is-cut"}" aria-hidden="true">{"→" if led else "cut"}</i>'


def _lead_in(sight: Sight) -> str:
    first = sight.arranged.cards[0].seconds
    words = "leads in" if sight.standing and sight.standing[0].led else "left out"
    return f'<li class="lead-in" style="--at:0;--long:{first:g}">{words}</li>' if first else ""


def _thumb(card: Slip) -> str:
    if not card.file:
        return ""
    source = escape(f"gradio_api/file={quote(card.file)}", quote=True)
    if Path(card.file).suffix.lower() in PICTURES:
        return f'<img src="{source}" alt="" draggable="false">'
    return f'<video src="{source}" preload="metadata" muted playsinline aria-hidden="true"></video>'


def _ruler(ends: float) -> str:
    every = next(step for step in (1, 2, 5, 10) if ends / step <= 31 or step == 10)
    ticks = "".join(f'<span style="--at:{at}">{at}</span>' for at in range(0, ceil(ends), every) if at < 0.86 * ends)
    last = f'<span class="last" style="--at:{ends:g}">{ends:g} s</span>'
    return f'<div class="ruler" aria-hidden="true">{ticks}{last}</div>'


def _caption(sight: Sight) -> str:
    cards, chosen = sight.arranged
    told = [f"<b>Card {chosen + 1}</b> of {len(cards)}"]
    if sight.standing:
        at = sight.standing[chosen]
        told.append(f"{at.start:g} – {at.end:g} s")
        told.append(how(sight, chosen))
    return " · ".join(filter(None, told))


def _buttons(count: int) -> str:
    only = "" if count > 1 else " disabled"
    ops = (("add", "Add", ""), ("duplicate", "Duplicate", ""), ("delete", "Delete", only))
    return "".join(
        f'<button type="button" class="board-op" data-op="{op}"{off}>{words}</button>'
        for op, words, off in (*ops, ("export", "Export", ""), ("import", "Import", ""))
    )


TOUCHES = """
const STEP = 0.25, SLACK = 4, PAUSE = 300, PATIENCE = 8000;
const waiting = [];
let busy = '', count = 0, patience, drag, pushed, held, scrolled = 0;
const find = (what) => element.querySelector(what);
const round = (seconds) => Math.max(Math.round(seconds / STEP) * STEP, 0);
const isEnd = (button) => button.dataset.card === 'end';

// One at a time: the next is asked for what came of the one before, and nothing is written on a card meanwhile.
const rest = (resting) => {
  for (const row of document.querySelectorAll('#storyboard .card-shows, #storyboard .card-stands')) row.inert = resting;
};
const next = () => {
  clearTimeout(patience);
  if (!waiting.length) return rest(false);
  busy = String(++count);
  rest(true);
  trigger('edit_board', {...waiting.shift(), answer: busy});
  patience = setTimeout(() => { busy = ''; next(); }, PATIENCE);
};
const send = (asked) => { waiting.push(asked); if (!busy) next(); };

const show = (button, seconds) => {
  const place = button.closest('li') ?? button;
  place.style.setProperty('--at', seconds);
  place.classList.add('is-moving');
};
const move = ({button, from, seconds, again}) => {
  // One that is on its way may come to stand beside where it was sent to: it is the one that is chosen by then.
  if (isEnd(button)) send({op: 'end', seconds});
  else send(again ? {op: 'move', seconds} : {op: 'move', at: from, seconds});
};
const sendPushed = () => {
  clearTimeout(pushed?.timer);
  if (pushed) { move(pushed); pushed.button.dataset.sent = pushed.seconds; }
  pushed = undefined;
};

element.addEventListener('click', (click) => {
  const op = click.target.closest('[data-op]')?.dataset.op, card = click.target.closest('[data-card]');
  sendPushed();
  if (op === 'import') document.querySelector('#storyboard [data-testid$="upload-button"]')?.click();
  else if (op === 'export') trigger('export_board', {});
  else if (op) send({op});
  else if (card && !isEnd(card) && !card.dataset.sent) send({op: 'choose', at: card.dataset.at});
});
element.addEventListener('keydown', (key) => {
  const button = key.target.closest('[data-card]');
  const way = {ArrowLeft: -1, ArrowRight: 1}[key.key];
  if (!button) return;
  if (key.key === 'Delete' && !isEnd(button) && !button.dataset.sent) {
    key.preventDefault();
    sendPushed();
    send({op: 'delete', at: button.dataset.at});
  }
  if (!way) return;
  key.preventDefault();
  const {at, sent} = button.dataset;
  const from = pushed?.seconds ?? Number(sent ?? at);
  clearTimeout(pushed?.timer);
  pushed = {button, from: at, again: sent !== undefined, seconds: round(from + way * (key.shiftKey ? 1 : STEP))};
  pushed.timer = setTimeout(sendPushed, PAUSE);
  show(button, pushed.seconds);
});
element.addEventListener('focusout', sendPushed);

element.addEventListener('pointerdown', (down) => {
  const button = down.target.closest('[data-card]');
  if (!button || down.button || busy) return;
  const perSecond = find('.track').getBoundingClientRect().width / Number(find('.board').dataset.seconds);
  drag = {at: button.dataset.at, card: button.dataset.card, x: down.clientX, perSecond};
});
element.addEventListener('pointermove', (hand) => {
  if (!drag) return;
  const far = hand.clientX - drag.x, button = find(`[data-card="${drag.card}"]`);
  if ((drag.seconds === undefined && Math.abs(far) < SLACK) || !button) return;
  if (drag.seconds === undefined) element.setPointerCapture(hand.pointerId);
  drag.seconds = round(Number(drag.at) + far / drag.perSecond);
  show(button, drag.seconds);
});
const drop = (hand) => {
  const button = drag?.seconds !== undefined && find(`[data-card="${drag.card}"]`);
  if (button && hand.type === 'pointerup') move({button, from: drag.at, seconds: drag.seconds});
  else if (button) show(button, drag.at);
  drag = undefined;
};
element.addEventListener('pointerup', drop);
element.addEventListener('pointercancel', drop);

// What is drawn anew keeps the focus and how far it was scrolled.
element.addEventListener('focusin', ({target}) => {
  const {op, card} = target.dataset;
  held = op ? `[data-op="${op}"]` : card === 'end' ? '[data-card="end"]' : card ? '.is-chosen [data-card]' : undefined;
});
document.addEventListener('pointerdown', ({target}) => { if (!element.contains(target)) held = undefined; });
element.addEventListener('focusout', ({relatedTarget}) => { if (relatedTarget) held = undefined; });
element.addEventListener('scroll', ({target}) => { scrolled = target.scrollLeft; }, true);
const drawn = () => {
  const reel = find('.reel');
  if (!reel) return;
  if (reel.scrollLeft !== scrolled) reel.scrollLeft = scrolled;
  if (held && document.activeElement === document.body) find(held)?.focus({preventScroll: true});
  if (!busy || find('.board').dataset.answer !== busy) return;
  busy = '';
  const place = find('.is-chosen')?.getBoundingClientRect(), room = reel.getBoundingClientRect();
  if (place && (place.left < room.left || place.left > room.right - 40)) {
    reel.scrollLeft += place.left - room.left - room.width / 3;
  }
  next();
};
new MutationObserver(drawn).observe(element, {childList: true, subtree: true});
"""
