"""From a press of the button, or of an example, to a job."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline.errors import OnetakeError
from pipeline.ui.composer import SHOWN, Composer
from pipeline.ui.desk import Desk, refusal
from pipeline.ui.pages import AT_ONCE, ON_ZEROGPU, Refused, Seen, called
from pipeline.ui.stage import Updates
from pipeline.visitors import new_key


def wire_making(desk: Desk, composer: Composer) -> None:
    """Connect a tab's button and its examples."""
    make, making = wire_maker(Maker(desk, composer, fetching()), composer.make)
    filled = list(dict.fromkeys([*composer.filled_in, *composer.own.values()]))
    for example in composer.examples:
        if name := example.files.get(SHOWN):
            _wire_shown(desk, example.chip, name)
            continue
        chosen = example.chip.click(partial(desk.play_example, composer, example), None, filled, **AT_ONCE)
        chosen.then(make, **making)


def _wire_shown(desk: Desk, chip: gr.Button, name: str) -> None:
    def show(key: str | None, request: gr.Request) -> Updates:
        return desk.show_example(name, key, request.session_hash)

    chip.click(show, desk.visitor, [*desk.outputs, *desk.surroundings], **AT_ONCE)


def wire_maker(maker: "Maker", button: gr.Button) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Connect a button that makes; return what it does, and how that is called."""
    desk, composer = maker.desk, maker.composer
    outputs = [*desk.outputs, *desk.surroundings, composer.contract, composer.refused, desk.visitor, maker.fetching]
    lent = desk.house.settings.on_zerogpu
    making: dict[str, Any] = {"inputs": {*maker.inputs, desk.visitor, desk.seen}, "outputs": outputs}
    making |= ON_ZEROGPU if lent else AT_ONCE
    make, fetch = (maker.make_and_stay, maker.fetch_and_stay) if lent else (maker.make, maker.fetch_and_make)
    button.click(make, **making)
    maker.fetching.change(fetch, **making)
    return make, making


def fetching() -> gr.Textbox:
    """Build the word that changes where something has to be fetched first, which is said before it is done."""
    return gr.Textbox("", visible="hidden")


@dataclass(frozen=True)
class Maker:
    """What a tab's button does."""

    desk: Desk
    composer: Composer
    fetching: gr.Textbox

    @property
    def inputs(self) -> list[Component]:
        """Return what decides what is made."""
        return [*self.composer.inputs]

    def make(self, values: dict[Component, Any], request: gr.Request) -> Updates:
        """Submit a take and have it followed; what is refused is said under the button."""
        return next(self.make_and_stay(values, request))

    def fetch_and_make(self, values: dict[Component, Any], request: gr.Request) -> Updates:
        """Fetch what a take needs, and submit it."""
        return next(self.fetch_and_stay(values, request))

    def make_and_stay(self, values: dict[Component, Any], request: gr.Request) -> Iterator[Updates]:
        """Submit a take, and stay until it has begun."""
        key = values[self.desk.visitor] or new_key()
        try:
            fetched = self.desk.house.loras_to_fetch(self._asked(values), self.desk.house.viewer(key))
        except OnetakeError as error:
            yield self._refused(values, error)
            return
        if fetched:
            said = f'<p class="promise">Fetching {escape(fetched)} from the Hub…</p>'
            yield {self.desk.visitor: key, self.composer.contract: said, self.fetching: called("")}
        else:
            yield from self._submit(values, key, request)

    def fetch_and_stay(self, values: dict[Component, Any], request: gr.Request) -> Iterator[Updates]:
        """Fetch what a take needs, submit it, and stay until it has begun."""
        yield from self._submit(values, values[self.desk.visitor] or new_key(), request)

    def _submit(self, values: dict[Component, Any], key: str, request: gr.Request) -> Iterator[Updates]:
        viewer = self.desk.house.viewer(key)
        try:
            job = self.desk.house.submit(self._asked(values), viewer)
        except OnetakeError as error:
            yield self._refused(values, error)
            return
        contract = self.desk.contract(self.composer, values)
        said: Updates = {self.desk.visitor: key, self.composer.contract: contract, self.composer.refused: ""}
        seen = Seen.read(values[self.desk.seen])
        yield said | self.desk.jobs_of(viewer) | self.desk.follow_new(job.id, viewer, seen, request.session_hash)
        job.wait_until_begun()

    def _asked(self, values: dict[Component, Any]) -> dict[str, Any]:
        return self.composer.read(values, self.composer.words(values))

    def _refused(self, values: dict[Component, Any], error: OnetakeError) -> Updates:
        refused = str(Refused.of(self.composer.asked(values), error))
        return {self.composer.contract: refusal(error), self.composer.refused: refused}
