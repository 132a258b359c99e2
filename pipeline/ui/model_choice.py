"""Choosing a model: the controls follow its row, one that is not here is offered, and what fails is deselected."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline.errors import OnetakeError
from pipeline.hub.remembered import accept_licence
from pipeline.models import EMBEDDED, get_model
from pipeline.ui.composer import Composer
from pipeline.ui.desk import Desk, refusal
from pipeline.ui.stage import Updates

AT_ONCE: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def wire_models(page: gr.Blocks, desk: Desk) -> None:
    """Connect every tab's choice of a model, the offers under the buttons, and what is found out later."""
    choice, around = ModelChoice(desk), [desk.header, *desk.surroundings]
    for composer in desk.composers:
        model = composer.controls.model
        model.input(partial(choice.choose, composer), [model, desk.visitor], [*composer.by_row, *around], **AT_ONCE)
        composer.contract.fetch_model(choice.fetch, desk.visitor, around, **AT_ONCE)
        composer.contract.stop_fetching(choice.stop_fetching, desk.visitor, around, **AT_ONCE)
    chosen = {composer.controls.model for composer in desk.composers}
    gr.on([page.load, desk.troubles.change], choice.deselect, chosen, desk.by_row, **AT_ONCE)


@dataclass(frozen=True)
class ModelChoice:
    """What answers the page. Gradio gives a click's details to functions and methods only, not to partials."""

    desk: Desk

    def choose(self, composer: Composer, name: str, key: str | None) -> Updates:
        """Set the controls to a model's row, and ask the Hub about one that is not here."""
        spec = get_model(name)
        if self.desk.house.downloads and not self.desk.house.is_here(spec):
            self.desk.house.fetches.ask(spec)
        return {**composer.follow(spec), **self.desk.stir(self.desk.house.viewer(key))}

    def fetch(self, key: str | None, event: gr.EventData) -> Updates:
        """Keep that the licence was accepted, and begin the download; on a Space there is none."""
        spec, house = get_model(event.model), self.desk.house
        if house.downloads and not spec.embedded:
            accept_licence(spec, house.settings)
            house.fetches.start(spec)
        return self.desk.stir(self.desk.house.viewer(key))

    def stop_fetching(self, key: str | None, event: gr.EventData) -> Updates:
        """Stop a download; what it has fetched is kept."""
        self.desk.house.fetches.stop(event.model)
        return self.desk.stir(self.desk.house.viewer(key))

    def deselect(self, values: dict[Component, Any]) -> Updates:
        """Select the embedded model in every tab whose model turned out to be of no use, and say why."""
        troubles = self.desk.house.troubles()
        updates: Updates = {composer.told: gr.skip() for composer in self.desk.composers}
        for composer in self.desk.composers:
            why = troubles.get(values[composer.controls.model] or "")
            if why:
                updates |= composer.follow(EMBEDDED, refusal(OnetakeError(f"{why} {EMBEDDED.title} is selected.")))
        return updates
