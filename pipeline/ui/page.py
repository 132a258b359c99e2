"""Builds the page: the parts from top to bottom, then what happens when one is touched."""

from functools import partial
from typing import Any

import gradio as gr
from gradio.events import Dependency

from pipeline.ui.animate_tab import build_animate_tab
from pipeline.ui.api import add_endpoints
from pipeline.ui.composer import Composer
from pipeline.ui.desk import Desk
from pipeline.ui.header import header
from pipeline.ui.house import House
from pipeline.ui.join_tab import build_join_tab
from pipeline.ui.lending import add_lending
from pipeline.ui.model_choice import wire_models
from pipeline.ui.restyle_tab import build_restyle_tab
from pipeline.ui.stage import build_stage
from pipeline.ui.text_tab import build_text_tab

# Clicks on cards reach Python as events with the run's id.
LIBRARY_CLICKS = """
element.addEventListener('click', (click) => {
  const card = click.target.closest('[data-open], [data-follow]');
  if (!card) return;
  if (card.dataset.open) trigger('open_run', {run: card.dataset.open});
  else trigger('follow_job', {job: card.dataset.follow});
});
"""
# Handlers answer the page only: programs use the named endpoint. Watching a job takes no place in a
# queue, because the jobs have their own.
PAGE_ONLY: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE = PAGE_ONLY | {"queue": False}
FOLLOWING = PAGE_ONLY | {"concurrency_limit": None}
TICK_SECONDS = 1.5


def build_page(house: House) -> gr.Blocks:
    """Return the page over the app's jobs, store and settings."""
    page = gr.Blocks(title="Onetake", analytics_enabled=False, fill_width=True)
    with page:
        desk = _parts(house)
        follows = [_wire_arrival(page, desk)]
        for composer in desk.composers:
            _wire_contract(page, desk, composer)
            follows += _wire_making(desk, composer)
        _wire_stage(desk)
        _wire_going_on(desk)
        _wire_library(desk, follows)
        wire_models(page, desk)
        add_endpoints(house)
        add_lending(house)
    return page


def _parts(house: House) -> Desk:
    top = gr.HTML(header(house), elem_id="top")
    with gr.Column(elem_id="desk"):
        with gr.Tabs(elem_id="tabs") as tabs:
            rows = house.rows
            given = (build_text_tab(rows), build_animate_tab(rows), build_restyle_tab(rows))
            composers = (*given, *build_join_tab(rows))
        for composer in composers:
            composer.controls.memory.visible = house.settings.device == "cuda" or bool(house.settings.space)
        stage = build_stage()
        strip = gr.HTML(elem_id="library", js_on_load=LIBRARY_CLICKS)
    # The key cannot be guessed, so the fixed secret guards nothing: it only lets a page find its key after a restart.
    visitor = gr.BrowserState(None, storage_key="onetake-visitor", secret="onetake")  # noqa: S106
    ticker = gr.Timer(TICK_SECONDS)
    # Fields that nobody sees: a `gr.State` tells of its change only to events that wait in the queue.
    pulse, troubles = gr.Textbox("", visible="hidden"), gr.Textbox("", visible="hidden")
    return Desk(house, tabs, composers, stage, top, strip, visitor, ticker, pulse, troubles)


def _wire_contract(page: gr.Blocks, desk: Desk, composer: Composer) -> None:
    inputs = {*composer.inputs, desk.visitor}
    promise = {"inputs": inputs, "outputs": composer.contract, "trigger_mode": "always_last", **AT_ONCE}
    # `change` and not `input`, which a paste does not fire.
    composer.prompt.change(partial(desk.contract_while_typing, composer), **promise)
    changes: list[Any] = [part.change for part in composer.inputs if part is not composer.prompt]
    gr.on([page.load, composer.prompt.blur, desk.pulse.change, *changes], partial(desk.contract, composer), **promise)


def _wire_making(desk: Desk, composer: Composer) -> list[Dependency]:
    outputs = [*desk.outputs, composer.contract, desk.visitor]
    inputs = {*composer.inputs, desk.visitor}
    making = {"fn": partial(desk.make, composer), "inputs": inputs, "outputs": outputs, **FOLLOWING}
    chosen = [
        example.chip.click(partial(desk.play_example, composer, example), None, composer.filled_in, **AT_ONCE)
        for example in composer.examples
    ]
    return [composer.make.click(**making), *(choice.then(**making) for choice in chosen)]


def _wire_arrival(page: gr.Blocks, desk: Desk) -> Dependency:
    desk.ticker.tick(desk.tick, [desk.visitor, desk.stage.shown], [*desk.outputs, *desk.surroundings], **AT_ONCE)
    arrival: Dependency = page.load(
        desk.arrive, desk.visitor, [*desk.outputs, *desk.surroundings, desk.visitor], **FOLLOWING
    )
    return arrival


def _wire_stage(desk: Desk) -> None:
    desk.stage.stop.click(desk.stop, desk.visitor, **AT_ONCE)
    desk.stage.again.click(desk.use_again, desk.stage.shown, desk.restored, **AT_ONCE)


def _wire_going_on(desk: Desk) -> None:
    outputs = [*desk.restored, *(composer.contract for composer in desk.composers)]
    desk.stage.go_on.click(desk.go_on, [desk.stage.shown, desk.visitor], outputs, **AT_ONCE)
    for task, button in desk.stage.carries.items():
        button.click(partial(desk.carry, task), [desk.stage.shown, desk.visitor], outputs, **AT_ONCE)


def _wire_library(desk: Desk, follows: list[Dependency]) -> None:
    # Looking at something else ends the watching, not the take.
    back = desk.library.follow_job(desk.rejoin, desk.visitor, desk.outputs, cancels=follows, **FOLLOWING)
    outputs = [*desk.outputs, *desk.surroundings]
    desk.library.open_run(desk.open_run, desk.visitor, outputs, cancels=[*follows, back], **AT_ONCE)
