"""Drafts on the page: what is promised of them, the sheet that they are chosen from, and their finishing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from pipeline.errors import CannotDo, OnetakeError
from pipeline.queue.job import Job
from pipeline.ui.composer import Composer
from pipeline.ui.desk import PLACEHOLDER, Desk, refusal
from pipeline.ui.drafting import begin, finish, promise
from pipeline.ui.pages import AT_ONCE, ON_SHEET, ON_ZEROGPU, Refused, Seen
from pipeline.ui.stage import Updates
from pipeline.visitors import Viewer, new_key

HINT = "Several prompts: one a line, or {red|blue}."
# A script sends here what was clicked, so that it reaches Python as an event with its details.
ASKS = """
const known = ['finish_runs', 'run_again', 'open_sheet'];
element.addEventListener('ask', ({detail}) => { if (known.includes(detail.what)) trigger(detail.what, detail); });
"""


def wire_sheets(page: gr.Blocks, desk: Desk) -> None:
    """Connect every tab's drafts, and what is asked of a sheet."""
    for composer in desk.composers:
        _wire_tab(page, desk, composer)
    asks, keeper = gr.HTML(elem_id="sheet-asks", visible="hidden", js_on_load=ASKS), Sheets(desk)
    everything, on_page = [*desk.outputs, *desk.surroundings], [desk.visitor, desk.seen]
    lent, told = desk.house.settings.on_zerogpu, [*everything, desk.queue_told]
    way = ON_ZEROGPU if lent else AT_ONCE
    asks.finish_runs(keeper.finish_and_stay if lent else keeper.finish, on_page, told, **way)
    asks.run_again(keeper.again_and_stay if lent else keeper.again, on_page, told, **way)
    asks.open_sheet(keeper.open, desk.visitor, everything, **AT_ONCE)
    shown = {"outputs": [*desk.stage.outputs, desk.seen], "trigger_mode": "always_last", **AT_ONCE}
    desk.listing.change(keeper.look_again, on_page, **shown)


def _wire_tab(page: gr.Blocks, desk: Desk, composer: Composer) -> None:
    drafter, making, lent = Drafter(desk, composer), composer.making, desk.house.settings.on_zerogpu
    inputs: set[Block] = {*composer.inputs, making.seeds, making.drafts_refused, desk.visitor}
    promised: dict[str, Any] = {"inputs": inputs, "outputs": making.promise, "trigger_mode": "always_last", **AT_ONCE}
    composer.prompt.change(drafter.promise_while_typing, **promised)
    changes: list[Any] = [part.change for part in (*composer.inputs, making.seeds) if part is not composer.prompt]
    gr.on([page.load, composer.prompt.blur, desk.pulse.change, *changes], drafter.promise, **promised)
    outputs = [*desk.outputs, *desk.surroundings, making.promise, making.drafts_refused, desk.visitor]
    fetched = making.drafts.click(drafter.say_what_is_fetched, inputs, making.promise, **AT_ONCE)
    make, way = (drafter.make_and_stay, ON_ZEROGPU) if lent else (drafter.make, AT_ONCE)
    fetched.then(make, {*inputs, desk.seen}, outputs, **way)


@dataclass(frozen=True)
class Drafter:
    """What a tab's button for drafts does."""

    desk: Desk
    composer: Composer

    def promise(self, values: dict[Component, Any]) -> str:
        """Say what drafts would come out of the controls as they stand, or again what was refused of the same."""
        return self._refused(values) or self._promise(values, self.composer.words(values))

    def promise_while_typing(self, values: dict[Component, Any]) -> str:
        """Say the same, but do not judge alternatives that are being typed."""
        words = self.composer.words(values)
        head, brace, tail = words.rpartition("{")
        return self._refused(values) or self._promise(values, head if brace and "}" not in tail else words)

    def say_what_is_fetched(self, values: dict[Component, Any]) -> Any:
        """Say which LoRAs are fetched before anything is made."""
        try:
            asked = self._asked(values, self.composer.words(values))
            fetched = self.desk.house.loras_to_fetch(asked, self._viewer(values))
        except OnetakeError:
            return gr.skip()
        return f'<p class="promise">Fetching {escape(fetched)} from the Hub…</p>' if fetched else gr.skip()

    def make(self, values: dict[Component, Any], request: gr.Request) -> Updates:
        """Submit the drafts and have them followed; what is refused is said under the button."""
        return next(self.make_and_stay(values, request))

    def make_and_stay(self, values: dict[Component, Any], request: gr.Request) -> Iterator[Updates]:
        """Submit the drafts, and stay until all have begun."""
        key, house, making = values[self.desk.visitor] or new_key(), self.desk.house, self.composer.making
        viewer = house.viewer(key)
        try:
            asked = self._asked(values, self.composer.words(values))
            jobs = begin(house, asked, values[making.seeds], viewer)
        except OnetakeError as error:
            refused = str(Refused.of(self._all(values), error))
            yield {making.promise: refusal(error), making.drafts_refused: refused}
            return
        promise = self._promise(values, self.composer.words(values))
        said: Updates = {self.desk.visitor: key, making.promise: promise, making.drafts_refused: ""}
        seen = Seen.read(values[self.desk.seen])
        followed = self.desk.follow_new(jobs[0].id, viewer, seen, request.session_hash)
        yield {**said, **self.desk.jobs_of(viewer), **followed}
        for job in jobs:
            job.wait_until_begun()

    def _promise(self, values: dict[Component, Any], words: str) -> str:
        composer, house = self.composer, self.desk.house
        if composer.missing(values) or not house.is_here(self.desk.chosen(composer, values)):
            return ""
        if not words.strip() and composer.words_needed:
            words = PLACEHOLDER
        try:
            told = promise(house, self._asked(values, words), values[composer.making.seeds], self._viewer(values))
        except CannotDo as error:
            return _soft(str(error))
        except OnetakeError as error:
            return "" if self._said_above(values, words, error) else refusal(error)
        several = "{" in words or "\n" in words.strip()
        return _soft(f"{told}{'.' if several else f'. {HINT}'}")

    def _said_above(self, values: dict[Component, Any], words: str, error: OnetakeError) -> bool:
        """Return whether the contract of a single take says the same."""
        try:
            self.desk.house.plan(self._asked(values, words), self._viewer(values))
        except OnetakeError as other:
            return str(other) == str(error)
        return False

    def _refused(self, values: dict[Component, Any]) -> str:
        """Return why the button was refused, for as long as the same is asked for."""
        refused = Refused.read(values[self.composer.making.drafts_refused])
        return refusal(refused.why) if refused.still(self._all(values)) else ""

    def _all(self, values: dict[Component, Any]) -> list[Any]:
        """Return everything that decides the drafts."""
        return [*self.composer.asked(values), values[self.composer.making.seeds]]

    def _asked(self, values: dict[Component, Any], words: str) -> dict[str, Any]:
        return self.composer.read(values, words)

    def _viewer(self, values: dict[Component, Any]) -> Viewer:
        return self.desk.house.viewer(values[self.desk.visitor])


@dataclass(frozen=True)
class Sheets:
    """What answers a sheet. Gradio gives a click's details to functions and methods only, not to partials."""

    desk: Desk

    def finish(self, key: str | None, seen: str, event: gr.EventData, request: gr.Request) -> Updates:
        """Finish drafts from where they stopped, and say why where that is refused."""
        return next(self.finish_and_stay(key, seen, event, request))

    def finish_and_stay(
        self, key: str | None, seen: str, event: gr.EventData, request: gr.Request
    ) -> Iterator[Updates]:
        """Finish drafts, and stay until all have begun to be finished."""
        viewer = self.desk.house.viewer(key)
        ask = partial(finish, self.desk.house, _ids(event.runs), viewer, event.alone is True)
        yield from self._submitted(ask, viewer, seen, request)

    def again(self, key: str | None, seen: str, event: gr.EventData, request: gr.Request) -> Updates:
        """Begin a draft again that came to nothing."""
        return next(self.again_and_stay(key, seen, event, request))

    def again_and_stay(self, key: str | None, seen: str, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Begin a draft again, and stay until it has begun."""
        viewer = self.desk.house.viewer(key)
        yield from self._submitted(lambda: (self.desk.house.jobs.retry(str(event.job), viewer),), viewer, seen, request)

    def open(self, key: str | None, event: gr.EventData, request: gr.Request) -> Updates:
        """Put a sheet on the stage again, and have it followed where it goes on."""
        viewer, sheet = self.desk.house.viewer(key), str(event.sheet)
        if under_way := self.desk.sheet(sheet, viewer).under_way:
            return self.desk.call_job(under_way[0].id, viewer, request.session_hash)
        self.desk.pages.call(request.session_hash, "")
        return {**self.desk.rest(sheet, viewer), **self.desk.around(viewer)}

    def look_again(self, key: str | None, seen: str, request: gr.Request) -> Updates:
        """Lay the sheet on the stage out anew where runs came or went: deleted, or finished from elsewhere."""
        word, _, sheet = (seen or "").partition(" ")
        if word != ON_SHEET:
            return {self.desk.seen: gr.skip()}
        viewer = self.desk.house.viewer(key)
        under_way = self.desk.sheet(sheet, viewer).under_way
        shown = self.desk.on_stage(under_way[0], viewer, 0) if under_way else self.desk.rest(sheet, viewer)
        # A run may have been opened meanwhile.
        return {self.desk.seen: gr.skip()} if self.desk.pages.opened(request.session_hash) else shown

    def _submitted(
        self, ask: Callable[[], Sequence[Job]], viewer: Viewer, seen: str, request: gr.Request
    ) -> Iterator[Updates]:
        try:
            jobs = ask()
        except OnetakeError as error:
            yield {**self.desk.jobs_of(viewer), self.desk.queue_told: gr.HTML(refusal(error), visible=True)}
            return
        told: Updates = {self.desk.queue_told: gr.HTML("", visible=False), **self.desk.jobs_of(viewer)}
        yield told | self.desk.follow_new(jobs[0].id, viewer, Seen.read(seen), request.session_hash)
        for job in jobs:
            job.wait_until_begun()


def _soft(words: str) -> str:
    return f'<p class="promise">{escape(words)}</p>'


def _ids(given: Any) -> Sequence[str]:
    """Return the ids that a page sent, whatever else it may have sent."""
    return [str(run_id) for run_id in given] if isinstance(given, list) else []
