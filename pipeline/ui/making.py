"""From a press of the button, or of an example, to a job."""

from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline.errors import OnetakeError
from pipeline.ui.composer import Composer
from pipeline.ui.desk import Desk, refusal
from pipeline.ui.pages import AT_ONCE, FOLLOWING, Seen, called
from pipeline.ui.stage import Updates
from pipeline.visitors import new_key


def wire_making(desk: Desk, composer: Composer) -> None:
    """Connect a tab's button and its examples."""
    # It changes where something has to be fetched first, which is said before it is done.
    fetching = gr.Textbox("", visible="hidden")
    maker = Maker(desk, composer, fetching)
    outputs = [*desk.outputs, *desk.surroundings, composer.contract, desk.visitor, fetching]
    # On ZeroGPU a job runs on the quota of who asks for it, whom only Gradio's queue lets through.
    way = FOLLOWING if desk.house.settings.on_zerogpu else AT_ONCE
    making: dict[str, Any] = {"inputs": {*composer.inputs, desk.visitor, desk.seen}, "outputs": outputs, **way}
    composer.make.click(maker.make, **making)
    fetching.change(maker.fetch_and_make, **making)
    for example in composer.examples:
        chosen = example.chip.click(partial(desk.play_example, composer, example), None, composer.filled_in, **AT_ONCE)
        chosen.then(maker.make, **making)


@dataclass(frozen=True)
class Maker:
    """What a tab's button does."""

    desk: Desk
    composer: Composer
    fetching: gr.Textbox

    def make(self, values: dict[Component, Any], request: gr.Request) -> Updates:
        """Submit a take and have it followed; what is refused is said under the button."""
        asked, key = self._asked(values), values[self.desk.visitor] or new_key()
        try:
            fetched = self.desk.house.loras_to_fetch(asked, self.desk.house.viewer(key))
        except OnetakeError as error:
            return {self.composer.contract: refusal(error)}
        if not fetched:
            return self._submit(values, key, request)
        said = f'<p class="promise">Fetching {escape(fetched)} from the Hub…</p>'
        return {self.desk.visitor: key, self.composer.contract: said, self.fetching: called("")}

    def fetch_and_make(self, values: dict[Component, Any], request: gr.Request) -> Updates:
        """Fetch what a take needs, and submit it."""
        return self._submit(values, values[self.desk.visitor] or new_key(), request)

    def _submit(self, values: dict[Component, Any], key: str, request: gr.Request) -> Updates:
        viewer = self.desk.house.viewer(key)
        try:
            job = self.desk.house.submit(self._asked(values), viewer)
        except OnetakeError as error:
            return {self.composer.contract: refusal(error)}
        said: Updates = {self.desk.visitor: key, self.composer.contract: self.desk.contract(self.composer, values)}
        seen = Seen.read(values[self.desk.seen])
        return said | self.desk.jobs_of(viewer) | self.desk.follow_new(job.id, viewer, seen, request.session_hash)

    def _asked(self, values: dict[Component, Any]) -> dict[str, Any]:
        return self.composer.read(values, self.composer.words(values))
