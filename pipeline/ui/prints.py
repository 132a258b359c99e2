"""A sheet of drafts as HTML: each as it is made, then looping; they are chosen, and the chosen ones finished."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import takewhile
from math import ceil

from pipeline.plan import Plan
from pipeline.queue.job import JobView
from pipeline.sheet import Print, Sheet
from pipeline.ui.clips import Clip
from pipeline.ui.screen import animated, bar, going_on, spoken, time_left

# The stage of a desktop in pixels, and what stands between pictures and under each.
ROOM, GAP, UNDER = (740, 390), 10, 40
# Pictures may be so much smaller where a row, or a column, then has the same words, and where all rows are full.
ALIGNED, FULL = 1.3, 1.15
ENDS = {"failed": "Failed", "interrupted": "Interrupted", "cancelled": "Stopped before it began"}
EMPTY = (
    '<figure class="screen is-trouble"><div class="mat" role="alert"><h2>These drafts are gone</h2>'
    "<p>They were deleted, or made room for others. Choose a take from the library.</p></div></figure>"
)


@dataclass(frozen=True)
class Shown:
    """A place of a sheet with the clip that it has come to, and the seconds that finishing it takes."""

    print: Print
    clip: Clip | None
    seconds: float

    @property
    def words(self) -> str:
        """What it shows, for those who hear the page."""
        return escape(f"{self.print.plan.title}, seed {self.print.plan.seed}", quote=True)


def spread(shown: Sequence[Shown]) -> str:
    """Return a sheet as it is laid out on the stage."""
    if not shown:
        return EMPTY
    plan, seeds = shown[0].print.plan, list(dict.fromkeys(each.print.plan.seed for each in shown))
    across, by_seed = arranged(len(shown), plan.width / plan.height, len(seeds))
    if by_seed:
        shown = sorted(shown, key=lambda each: seeds.index(each.print.plan.seed))
    plans = [each.print.plan for each in shown]
    cells = "".join(_cell(each, name) for each, name in zip(shown, _differences(plans), strict=True))
    style = f"--columns:{across};--w:{plan.width};--h:{plan.height}"
    grid = f'<ul class="prints" style="{style}" aria-label="Drafts side by side">{cells}</ul>'
    return f'<figure class="screen is-sheet"><div class="mat">{grid}</div>{_under(shown, plans)}</figure>'


def progress(sheet: Sheet) -> str:
    """Show how far a sheet is, and how long it goes on; nothing where nothing goes on."""
    if not sheet.under_way:
        return ""
    first, total = sheet.under_way[0], len(sheet.prints)
    finals = sum(view.plan.resumes is not None for view in sheet.under_way)
    ready = sum(not each.under_way for each in sheet.prints)
    what = f"{finals} to finish" if finals == len(sheet.under_way) else f"{ready} of {total} are ready"
    on_its_way = first.phase in ("denoising", "decoding") and not (first.place or first.stopping)
    return bar(f"{what} · {time_left(sheet.seconds_left) if on_its_way else going_on(first)}", _share(sheet))


def arranged(count: int, ratio: float, seeds: int) -> tuple[int, bool]:
    """Return how many pictures of a ratio of width to height stand beside each other, so that they are large.

    Drafts come prompt by prompt; True where they are better shown seed by seed.
    """

    def worth(arrangement: tuple[int, bool]) -> float:
        across, by_seed = arrangement
        down = ceil(count / across)
        width = (ROOM[0] - (across - 1) * GAP) / across
        height = (ROOM[1] - (down - 1) * GAP) / down - UNDER
        aligned = by_seed or across % seeds == 0 or seeds % across == 0
        full = count % across == 0
        return max(min(width, height * ratio), 0) ** 2 * (ALIGNED if aligned else 1) * (FULL if full else 1)

    one_way = [(across, False) for across in range(1, count + 1)]
    return max(one_way + [(count // seeds, True)] * (count % seeds == 0), key=worth)


def _share(sheet: Sheet) -> float:
    """Return how much of a sheet is done."""
    done = (each.job.step / max(each.job.steps, 1) if each.job and each.under_way else 1 for each in sheet.prints)
    return sum(done) / len(sheet.prints)


def _differences(plans: Sequence[Plan]) -> list[str]:
    """Return the words of each prompt that the others do not begin or end with, nothing where all are the same."""
    told = [plan.title.split() for plan in plans]
    if all(words == told[0] for words in told):
        return [""] * len(plans)
    left = [words[_in_common(told) :] for words in told]
    end = _in_common([words[::-1] for words in left])
    own = [" ".join(words[: len(words) - end]) for words in left]
    return own if all(own) else [plan.title for plan in plans]


def _in_common(told: Sequence[Sequence[str]]) -> int:
    """Return with how many words all of some sentences begin."""
    return len(list(takewhile(lambda words: len(set(words)) == 1, zip(*told, strict=False))))


def _cell(shown: Shown, name: str) -> str:
    view = shown.print.job
    if view and not view.final:
        state, picture, does = _under_way(shown, view)
    elif shown.clip:
        state, picture, does = _ready(shown, shown.clip)
    else:
        state, picture, does = _broken(shown)
    label = f'<q title="{shown.words}">{escape(name)}</q>' if name else ""
    seed = f'<small title="seed {shown.print.plan.seed}">seed {shown.print.plan.seed}</small>'
    named = f'<div class="named">{label}<p>{seed}{does}</p></div>'
    return f'<li class="print is-{state}" data-place="{shown.print.cell.place}">{picture}{named}</li>'


def _under_way(shown: Shown, view: JobView) -> tuple[str, str, str]:
    if view.preview is not None:
        picture = f'<img class="still" decoding="sync" src="{animated(view.preview, view.plan)}" alt="{shown.words}">'
    elif shown.clip:
        picture = f'<img class="still" src="{shown.clip.poster}" alt="{shown.words}">'
    else:
        picture = f'<div class="still undeveloped" role="img" aria-label="{shown.words}"></div>'
    state = "making" if view.state == "running" else "waiting"
    return state, f'<div class="frame">{picture}</div>', f'<span class="told">{_going_on(view)}</span>'


def _going_on(view: JobView) -> str:
    if view.state == "queued":
        return "to be finished" if view.plan.resumes else "waits"
    step = f" {view.step}/{view.steps}" if view.phase == "denoising" else ""
    return "stopping" if view.stopping else f"{'finishing' if view.plan.resumes else 'draft'}{step}"


def _ready(shown: Shown, clip: Clip) -> tuple[str, str, str]:
    picture = f'<img class="still" src="{clip.url}" alt="">'
    if not clip.is_picture:
        loops = 'autoplay loop muted playsinline aria-hidden="true" tabindex="-1"'
        picture = f'<video class="still" src="{clip.url}" poster="{clip.poster}" {loops}></video>'
    if not shown.print.waits:
        opens = f'data-open="{clip.run_id}" aria-label="Open: {shown.words}" title="Open"'
        return "finished", _button("frame", opens, picture), '<span class="told">finished</span>'
    costs = f'data-choose="{clip.run_id}" data-seconds="{shown.seconds:.1f}"'
    chooses = _button("frame", f'{costs} aria-pressed="false" aria-label="Choose: {shown.words}"', picture)
    title = f"Finish it from where it stopped, in about {spoken(shown.seconds)}"
    does = f'data-finish="{clip.run_id}" data-on-sheet title="{title}" aria-label="Finish: {shown.words}"'
    return "draft", chooses, f"{_failed(shown.print.job)}{_button('quiet', does, 'Finish')}"


def _failed(view: JobView | None) -> str:
    """Say of a draft that it could not be finished, nothing where nobody tried."""
    if view is None or view.state not in ("failed", "interrupted"):
        return ""
    return f'<span class="told is-failed" title="{escape(view.error or "", quote=True)}">{view.state}</span>'


def _broken(shown: Shown) -> tuple[str, str, str]:
    view = shown.print.job
    state, why = (view.state, escape(view.error or "", quote=True)) if view else ("failed", "")
    told = f'<div class="still why"><b>{ENDS.get(state, state)}</b><span>{why}</span></div>'
    again = f'data-again="{view.id if view else ""}" aria-label="Run again: {shown.words}"'
    return "broken", f'<div class="frame" title="{why}">{told}</div>', _button("quiet", again, "Run again")


def _button(kind: str, attributes: str, inside: str) -> str:
    return f'<button type="button" class="{kind}" {attributes}>{inside}</button>'


def _under(shown: Iterable[Shown], plans: Sequence[Plan]) -> str:
    """Return what stands under a sheet: what all show, and what becomes of those that are chosen."""
    prompts = len({plan.title for plan in plans})
    each = ceil(len(plans) / prompts)
    words = plans[0].title if prompts == 1 else f"{prompts} prompts{f' × {each} seeds' if each > 1 else ''}"
    choosing = ""
    if any(each.print.waits for each in shown):
        hint = '<span data-hint aria-live="polite">Choose those that are to be finished</span>'
        choosing = f"{hint}{_button('action', 'data-finish-chosen disabled', 'Finish chosen')}"
    return f'<figcaption><q>{escape(words)}</q><div class="choosing">{choosing}</div></figcaption>'
