"""Builds the page: the parts from top to bottom, then what happens when one is touched."""

from functools import partial
from typing import Any

import gradio as gr

from pipeline.ui.about import build_about
from pipeline.ui.animate_tab import build_animate_tab
from pipeline.ui.api import add_endpoints
from pipeline.ui.arrival import wire_links
from pipeline.ui.boarding import wire_board
from pipeline.ui.composer import Composer
from pipeline.ui.desk import TICK_S, Desk
from pipeline.ui.doors import build_doors
from pipeline.ui.drafts_api import add_draft_endpoints
from pipeline.ui.extend_tab import build_extend_tab
from pipeline.ui.following import wire_following
from pipeline.ui.header import header
from pipeline.ui.house import House
from pipeline.ui.jobs_api import add_job_endpoints
from pipeline.ui.join_tab import build_join_tab
from pipeline.ui.lending import add_lending
from pipeline.ui.making import wire_making
from pipeline.ui.model_choice import wire_models
from pipeline.ui.pages import AT_ONCE
from pipeline.ui.queue import QUEUE_CLICKS
from pipeline.ui.restyle_tab import build_restyle_tab
from pipeline.ui.runs_api import add_run_endpoints
from pipeline.ui.sheets import wire_sheets
from pipeline.ui.shelf import Shelf, build_shelf, wire_shelf
from pipeline.ui.stage import build_stage
from pipeline.ui.storyboard_tab import Board, build_storyboard_tab
from pipeline.ui.text_tab import build_text_tab


def build_page(house: House) -> gr.Blocks:
    """Return the page over the app's jobs, store and settings."""
    page = gr.Blocks(title="Onetake", analytics_enabled=False, fill_width=True)
    with page:
        desk, shelf, board = _parts(house)
        build_about(house.settings.assets)
        wire_following(page, desk)
        for composer in desk.composers:
            _wire_contract(page, desk, composer)
            wire_making(desk, composer)
        wire_board(page, desk, board)
        _wire_going_on(desk)
        wire_shelf(desk, shelf)
        wire_sheets(page, desk)
        wire_models(page, desk)
        wire_links(page, desk)
        add_endpoints(house)
        add_run_endpoints(house)
        add_job_endpoints(house)
        add_draft_endpoints(house)
        add_lending(house)
    return page


def _parts(house: House) -> tuple[Desk, Shelf, Board]:
    top = gr.HTML(header(house), elem_id="top")
    with gr.Column(elem_id="desk"):
        doors = build_doors()
        with gr.Tabs(elem_id="tabs") as tabs:
            rows = house.rows
            given = (build_text_tab(rows), build_animate_tab(rows), build_restyle_tab(rows))
            joined, longer = build_join_tab(rows), build_extend_tab(rows)
            storyboard, board = build_storyboard_tab(rows)
            composers = (*given, *joined, longer, storyboard)
        for composer in composers:
            composer.controls.memory.visible = house.settings.device == "cuda" or bool(house.settings.space)
        stage = build_stage()
        with gr.Column(elem_id="queue"):
            queue_told = gr.HTML(visible=False)
            queue = gr.HTML(js_on_load=QUEUE_CLICKS)
        shelf = build_shelf()
    # The key cannot be guessed, so the fixed secret guards nothing: it only lets a page find its key after a restart.
    visitor = gr.BrowserState(None, storage_key="onetake-visitor", secret="onetake")  # noqa: S106
    ticker, look = gr.Timer(TICK_S), gr.Button(visible="hidden", elem_id="look")
    # Fields that nobody sees: a `gr.State` tells of its change only to events that wait in the queue.
    listing, call, seen, pulse, troubles = (gr.Textbox("", visible="hidden") for _ in range(5))
    strips, hidden = (queue_told, queue, listing), (call, seen, pulse, troubles)
    return Desk(house, tabs, composers, stage, top, *strips, visitor, ticker, look, *hidden, doors), shelf, board


def _wire_contract(page: gr.Blocks, desk: Desk, composer: Composer) -> None:
    # One event for all that changes it: of two, the one about a word that is being typed could answer last.
    typing = gr.Textbox("", visible="hidden")
    composer.prompt.focus(None, None, typing, js="() => 'yes'", **AT_ONCE)
    composer.prompt.blur(None, None, typing, js="() => ''", **AT_ONCE)
    inputs = {*composer.inputs, desk.visitor, typing, composer.refused}
    promise = {"inputs": inputs, "outputs": composer.contract, "trigger_mode": "always_last", **AT_ONCE}
    # `change` and not `input`, which a paste does not fire.
    changes: list[Any] = [part.change for part in (*composer.inputs, typing, composer.refused)]
    gr.on([page.load, desk.pulse.change, *changes], partial(desk.promised, composer, typing), **promise)


def _wire_going_on(desk: Desk) -> None:
    outputs = [*desk.restored, *(composer.contract for composer in desk.composers)]
    for task, button in desk.stage.carries.items():
        button.click(partial(desk.carry, task), [desk.stage.shown, desk.visitor], outputs, **AT_ONCE)
