"""What happens on a storyboard's timeline: cards are chosen, put in, moved and deleted; one is made again; files."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from pipeline.errors import BadRequest, NotFound, OnetakeError
from pipeline.planning.storyboard import Standing
from pipeline.recipes.boards import board_of
from pipeline.recipes.cards import Arranged, delete, duplicate, insert_after, move
from pipeline.request import parse_request
from pipeline.store import RUN
from pipeline.ui import clips
from pipeline.ui.arrival import Arrival
from pipeline.ui.clip_field import offered
from pipeline.ui.composer import Composer
from pipeline.ui.controls import Values
from pipeline.ui.desk import GONE, PLACEHOLDER, Desk, refusal
from pipeline.ui.making import Maker, fetching, wire_maker
from pipeline.ui.pages import AT_ONCE
from pipeline.ui.stage import Updates
from pipeline.ui.storyboard_tab import Board, arranged, editing, read_seconds
from pipeline.ui.timeline import Sight, timeline

NO_TAKE = "First put a take of this storyboard on the stage: make it, or open it."
CHANGED = "Its cards were moved or changed in kind since the take on the stage was made. Make it whole, or undo that."
SAVES = "() => document.querySelector('#board-exported a')?.click()"


def wire_board(page: gr.Blocks, desk: Desk, board: Board) -> None:
    """Connect the timeline, the fields of its chosen card, the making of one card, export and import."""
    composer = desk.composer("storyboard")
    boarder, own = Boarder(desk, composer, board), [*composer.own.values()]
    asked: set[Block] = {*composer.inputs, desk.visitor, desk.stage.shown}
    board.timeline.edit_board(boarder.edit, asked, [board.timeline, board.said, *own], **AT_ONCE)
    seen: dict[str, Any] = {
        "inputs": asked,
        "outputs": [board.timeline, board.remake, board.why_not],
        "trigger_mode": "always_last",
    }
    changes: list[Any] = [part.change for part in composer.inputs]
    gr.on([page.load, desk.listing.change, desk.seen.change, *changes], boarder.draw, **seen, **AT_ONCE)
    board.from_stage.click(boarder.take_from_stage, asked, [composer.own["given"], board.said], **AT_ONCE)
    wire_maker(Remaker(desk, composer, fetching()), board.remake)
    saved = board.timeline.export_board(boarder.export, asked, [board.exported, board.said], **AT_ONCE)
    saved.then(None, None, None, js=SAVES, **AT_ONCE)
    everything = dict.fromkeys([*desk.restored, *desk.outputs, *desk.surroundings])
    board.file.upload(Arrival(desk).open_file, [board.file, desk.visitor], list(everything), **AT_ONCE)


@dataclass(frozen=True)
class Boarder:
    """What answers the board; methods are event handlers, for Gradio tells a hand's details to no partials."""

    desk: Desk
    composer: Composer
    board: Board

    def edit(self, values: dict[Component, Any], event: gr.EventData) -> Updates:
        """Do what a hand did to the timeline, on top of what stands in the fields of the chosen card."""
        asked = {name: getattr(event, name, None) for name in ("op", "at", "seconds", "answer")}
        answer = str(asked["answer"] or "")[:9]
        try:
            now = arranged(self.composer.own_values(values))
            ends = self.composer.own_values(values).get("ends")
            if asked["op"] == "end":
                ends = f"{read_seconds(str(asked['seconds']), 'The end'):.10g}"
            else:
                now = _done(now, asked)
        except BadRequest as error:
            shown = self._seen(values, answer)
            return {self.board.said: refusal(error), self.board.timeline: shown}
        fields = editing(now) | ({"ends": ends} if ends else {})
        own: Updates = {self.composer.own[name]: value for name, value in fields.items()}
        after: dict[Any, Any] = {**values, **own}
        return {**own, self.board.said: "", self.board.timeline: self._seen(after, answer)}

    def draw(self, values: dict[Component, Any]) -> Updates:
        """Show the board as it stands, and whether its chosen card can be made again."""
        try:
            remade(self.desk, self.composer, values)
            why = ""
        except OnetakeError as error:
            why = str(error)
        return {
            self.board.timeline: self._seen(values),
            self.board.remake: gr.Button(interactive=not why),
            self.board.why_not: f'<p class="promise">{escape(why)}</p>' if why else "",
        }

    def take_from_stage(self, values: dict[Component, Any]) -> Updates:
        """Give the chosen card the take that is on the stage."""
        clip, viewer = values[self.desk.stage.shown], self.desk.house.viewer(values[self.desk.visitor])
        run = clips.find_run(self.desk.house.store, clip.run_id if clip else None, viewer)
        if run is None:
            error = (
                NotFound(GONE) if clip and clip.run_id else BadRequest("cards", "There is no take on the stage yet.")
            )
            return {self.board.said: refusal(error)}
        return {self.composer.own["given"]: offered(run.file), self.board.said: ""}

    def export(self, values: dict[Component, Any]) -> Updates:
        """Write the board as one file, and offer it."""
        try:
            asked = self.composer.read(values, self.composer.words(values))
            parse_request(asked)
            text = board_of(asked)
        except OnetakeError as error:
            return {self.board.exported: "", self.board.said: refusal(error)}
        words = re.sub(r"\W+", "-", asked["cards"][0].get("prompt") or asked["prompt"])[:40].strip("-").lower()
        name = f"storyboard{words and f'-{words}'}.json"
        path = save_bytes_to_cache(text.encode(), name, get_upload_folder())
        link = f'<a href="gradio_api/file={quote(path)}" download="{escape(name, quote=True)}">{escape(name)}</a>'
        return {self.board.exported: link, self.board.said: ""}

    def _seen(self, values: Values, answer: str = "") -> str:
        try:
            now = arranged(self.composer.own_values(values))
        except BadRequest:
            # While a time is being typed, the card stands where it stood.
            own = self.composer.own_values(values)
            now = arranged({name: value for name, value in own.items() if name != "at"})
        return timeline(Sight(now, self._standing(values, now), answer))

    def _standing(self, values: Values, now: Arranged) -> tuple[Standing, ...]:
        """Return where cards stand, those that are still empty too, or nothing where that cannot be told."""
        try:
            asked = self.composer.read(values, self.composer.words(values))
            filled = [card.fields | ({"prompt": PLACEHOLDER} if card.is_empty else {}) for card in now.cards]
            viewer = self.desk.house.viewer(values[self.desk.visitor])
            return self.desk.house.standing(asked | {"cards": filled, "loras": []}, viewer)
        except OnetakeError:
            return ()


@dataclass(frozen=True)
class Remaker(Maker):
    """What the button does that makes one card of the take on the stage again."""

    @property
    def inputs(self) -> list[Component]:
        """Return what decides what is made."""
        return [*self.composer.inputs, self.desk.stage.shown]

    def _asked(self, values: dict[Component, Any]) -> dict[str, Any]:
        return remade(self.desk, self.composer, values)


def remade(desk: Desk, composer: Composer, values: Values) -> dict[str, Any]:
    """Return what is asked to make the chosen card of the take on the stage again; raise where that cannot be."""
    clip = values[desk.stage.shown]
    if clip is None or clip.run_id is None or clip.plan.task != composer.task:
        raise BadRequest("video", NO_TAKE)
    asked = composer.read(values, composer.words(values))
    if _kinds(clip.plan.said.get("cards", ())) != _kinds(asked["cards"]):
        raise BadRequest("video", CHANGED)
    again = asked | {"video": RUN + clip.run_id, "remake": arranged(composer.own_values(values)).chosen + 1}
    desk.house.plan(again, desk.house.viewer(values[desk.visitor]))
    return again


def _kinds(cards: Any) -> list[tuple[Any, ...]]:
    """Return what of cards decides where each of them stands."""
    kinds = [(card["seconds"], card.get("begins"), "image" in card, "video" in card) for card in cards]
    return sorted(kinds, key=lambda kind: kind[0])


def _done(now: Arranged, asked: Mapping[str, Any]) -> Arranged:
    """Return the cards after what a hand did to them."""
    number = _number(asked["at"], now)
    deeds: dict[str, Callable[[], Arranged]] = {
        "choose": lambda: Arranged(now.cards, number),
        "add": lambda: insert_after(*now),
        "duplicate": lambda: duplicate(*now),
        "delete": lambda: delete(now.cards, number),
        "move": lambda: move(now.cards, number, read_seconds(str(asked["seconds"]), "The card's time")),
    }
    deed = deeds.get(str(asked["op"]))
    return deed() if deed else now


def _number(at: Any, now: Arranged) -> int:
    """Return the number of the card at a time, or of the chosen one where nobody named one that is there."""
    try:
        seconds = float(at)
    except (TypeError, ValueError):
        return now.chosen
    return next((n for n, card in enumerate(now.cards) if abs(card.seconds - seconds) < 1e-6), now.chosen)
