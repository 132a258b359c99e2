"""The Storyboard tab: cards along a timeline, each with words, a picture or a clip, become one take."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.errors import BadRequest
from pipeline.recipes.cards import FIRST, Arranged, Slip, read_cards, write_cards, written
from pipeline.ui.clip_field import build_clip
from pipeline.ui.composer import Composer, build_examples, build_prompt, build_rest
from pipeline.ui.controls import Input
from pipeline.ui.received import refuse_foreign
from pipeline.ui.rows import Rows
from pipeline.ui.timeline import TOUCHES, Sight, timeline

TASK = "storyboard"
BEGINS = [("By spacing", "by spacing"), ("Cut", "with a cut"), ("Led over", "led over")]
EXAMPLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("a ball, then a cube", {"board": "story.json"}),
    ("a picture meets a clip", {"board": "meeting.json"}),
)
FILMS = (".mp4", ".webm", ".mov", ".mkv")
# The fields that are about the chosen card alone.
EDITOR = ("at", "words", "given", "begins")


@dataclass(frozen=True)
class Board:
    """What the tab has beside its composer: the timeline, its buttons, and what is said under them."""

    timeline: gr.HTML
    said: gr.HTML
    from_stage: gr.Button
    remake: gr.Button
    why_not: gr.HTML
    exported: gr.HTML
    file: gr.UploadButton


def build_storyboard_tab(rows: Rows) -> tuple[Composer, Board]:
    """Build the composer from the models' rows, and the board."""
    with gr.Tab("Storyboard", id=TASK), gr.Column(elem_classes="composer", elem_id="storyboard"):
        line = gr.HTML(timeline(Sight(Arranged(FIRST, 0))), elem_id="board", js_on_load=TOUCHES)
        said = gr.HTML(elem_id="board-said")
        own, from_stage = _card()
        with gr.Row(elem_classes="board-row"):
            remake = _action("Make this card again", "remake", interactive=False)
            why_not = gr.HTML(elem_id="remake-why", elem_classes="the-contract")
        prompt, model = build_prompt(TASK, "With every card (optional)", "on snow by day", rows)
        examples = build_examples(*EXAMPLES)
        # The timeline has the buttons for both.
        file = gr.UploadButton("Import a storyboard", elem_id="board-import", visible="hidden")
        exported = gr.HTML(elem_id="board-exported", visible="hidden")
        controls, making = build_rest(TASK, rows, model, "As given", seconds=None)
    composer = Composer(
        TASK, prompt, examples, controls, making, own, reshape=reshape, unshape=unshape, lacks=lacks,
        words_needed=False, carries="given",
    )  # fmt: skip
    return composer, Board(line, said, from_stage, remake, why_not, exported, file)


def arranged(asked: Mapping[str, Any]) -> Arranged:
    """Return the cards with the chosen one as it is written now; raise BadRequest for a time that is none."""
    cards = read_cards(asked.get("cards", ""))
    number = asked.get("chosen", "")
    chosen = min(int(number), len(cards) - 1) if number.isascii() and number.isdigit() else 0
    if "begins" not in asked:
        # The fields of a tab that was never opened.
        return Arranged(cards, chosen)
    seconds = cards[chosen].seconds if "at" not in asked else read_seconds(asked["at"], "The card's time")
    shown = {_kind(given): given} if (given := asked.get("given")) else {}
    return written(cards, chosen, Slip(seconds, asked.get("words", ""), begins=asked["begins"], **shown))


def editing(now: Arranged) -> dict[str, Any]:
    """Return the tab's own fields for cards, of which one is chosen."""
    card = now.cards[now.chosen]
    editor = {"at": f"{card.seconds:.10g}", "words": card.prompt, "given": card.file, "begins": card.begins}
    return {"cards": write_cards(now.cards), "chosen": str(now.chosen), **editor}


def reshape(asked: dict[str, Any]) -> dict[str, Any]:
    """Make cards of what stands on the board; raise BadRequest for files that nobody uploaded."""
    cards = arranged(asked).cards
    for card in cards:
        refuse_foreign("cards", card.file)
    ends = {"seconds": read_seconds(asked["ends"], "The end")} if "ends" in asked else {}
    rest = {name: value for name, value in asked.items() if name not in (*EDITOR, "cards", "chosen", "ends")}
    return rest | {"cards": [card.fields for card in cards]} | ends


def unshape(asked: dict[str, Any]) -> dict[str, Any]:
    """Make of cards, and of when all ends, what stands on the board; the first card is chosen."""
    cards = tuple(sorted((Slip(**card) for card in asked.get("cards", ())), key=lambda card: card.seconds))
    seconds = asked.pop("seconds", None)
    ends = {} if seconds is None else {"ends": f"{seconds:.10g}"}
    return asked | (editing(Arranged(cards, 0)) if cards else {}) | ends


def lacks(asked: dict[str, Any]) -> str:
    """Return what to ask for first: something on every card."""
    try:
        cards = arranged(asked).cards
    except BadRequest:
        return ""
    empty = next((card for card in cards if card.is_empty), None)
    if empty is None:
        return ""
    return f"The card at {empty.seconds:g} s is empty: write what happens, or give it a picture or a clip."


def read_seconds(text: str, what: str) -> float:
    """Return a time that was typed; raise BadRequest for one that is none."""
    try:
        seconds = float(text.strip().removesuffix("s").replace(",", "."))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise BadRequest("cards", f"{what} is no time in seconds. Write it as 2 or 2.5.")
    return seconds


def _kind(path: str) -> str:
    # What a picture is that could move, the plan finds out.
    return "video" if Path(path).suffix.lower() in FILMS else "image"


def _card() -> tuple[dict[str, Input], gr.Button]:
    """Build the fields of the chosen card, and those that nobody sees."""
    cards = gr.Textbox(write_cards(FIRST), visible="hidden", elem_id="board-cards")
    chosen = gr.Textbox("0", visible="hidden")
    with gr.Row(elem_classes="board-row card-shows"):
        words = gr.Textbox(
            label="What happens on this card", placeholder="a red ball rolls right", lines=2, max_lines=4,
            elem_id="card-words",
        )  # fmt: skip
        with gr.Column(min_width=150, scale=0):
            given = build_clip("Picture or clip", "card-given")
            from_stage = _action("From the stage", "card-from-stage")
    with gr.Row(elem_classes="board-row card-stands"):
        at = _seconds("At second", "card-at", "0")
        begins = gr.Radio(BEGINS, value="by spacing", label="Begins", elem_id="card-begins", elem_classes="the-fit")
        ends = _seconds("Ends at", "board-ends", "")
    own: dict[str, Input] = {
        "cards": cards, "chosen": chosen, "words": words, "given": given, "at": at, "begins": begins, "ends": ends,
    }  # fmt: skip
    return own, from_stage


def _seconds(label: str, elem_id: str, value: str) -> gr.Textbox:
    return gr.Textbox(
        value, label=label, placeholder="by itself", max_lines=1, min_width=76, scale=0, elem_id=elem_id
    )  # fmt: skip


def _action(label: str, elem_id: str, interactive: bool = True) -> gr.Button:
    return gr.Button(
        label, elem_id=elem_id, elem_classes="action", min_width=60, scale=0, interactive=interactive
    )  # fmt: skip
