"""Cards while they are being written: put in, moved, deleted and copied along a timeline, each at a time of its own."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from pipeline.asked import STRICT
from pipeline.errors import BadRequest
from pipeline.model_spec import MOST_SECONDS
from pipeline.request import MOST_CARDS

STEP = 0.25
"""How far cards move at a time, in seconds, and how close they may come by themselves."""

USUAL_SECONDS = 2.0
"""How far behind the last card another one is put: the model leads over that far."""


@dataclass(frozen=True)
class Slip:
    """A card that may still be empty."""

    __pydantic_config__ = STRICT

    seconds: float
    prompt: str = ""
    image: str | None = None
    video: str | None = None
    begins: str = "by spacing"

    @property
    def file(self) -> str | None:
        """The picture or clip that it shows."""
        return self.image or self.video

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see or to say."""
        return not (self.file or self.prompt.strip())

    @property
    def fields(self) -> dict[str, Any]:
        """Return what a request says of it."""
        usual = asdict(Slip(self.seconds))
        return {name: value for name, value in asdict(self).items() if name == "seconds" or value != usual[name]}


Slips = tuple[Slip, ...]
FIRST = (Slip(0.0),)
_SLIPS = TypeAdapter(Slips)


class Arranged(NamedTuple):
    """Cards in the order of their times, and the number of the one that is chosen, from 0 on."""

    cards: Slips
    chosen: int


def read_cards(text: str) -> Slips:
    """Return cards from JSON, in the order of their times, an empty one for none; raise BadRequest for broken ones."""
    try:
        slips = _SLIPS.validate_json(text or "[]")
    except ValidationError as error:
        raise BadRequest("cards", "These cards cannot be read. Import the storyboard anew.") from error
    return tuple(sorted(slips, key=lambda slip: slip.seconds)) or FIRST


def write_cards(cards: Slips) -> str:
    """Return cards as JSON."""
    return json.dumps([slip.fields for slip in cards])


def written(cards: Slips, number: int, slip: Slip) -> Arranged:
    """Return the cards with one of them as it is written now, wherever its time puts it; two may stand at one time."""
    others = cards[:number] + cards[number + 1 :]
    return _with(others, slip)


def insert_after(cards: Slips, number: int) -> Arranged:
    """Put an empty card between one and the next, or behind the last; raise BadRequest where there is no room."""
    return _with(cards, Slip(_room_after(cards, number)))


def duplicate(cards: Slips, number: int) -> Arranged:
    """Put a copy of a card between it and the next, or behind the last; raise BadRequest where there is no room."""
    return _with(cards, replace(cards[number], seconds=_room_after(cards, number)))


def move(cards: Slips, number: int, seconds: float) -> Arranged:
    """Move a card to a time, past others if need be; where one stands there, it goes on in its direction."""
    others = cards[:number] + cards[number + 1 :]
    way = STEP if seconds >= cards[number].seconds else -STEP
    place, taken = round(seconds, 3), {slip.seconds for slip in others}
    while place in taken:
        place += way
    if not 0 <= place <= MOST_SECONDS:
        raise BadRequest("cards", f"There is no free place from 0 to {MOST_SECONDS} s there. Move another card first.")
    return _with(others, replace(cards[number], seconds=place))


def delete(cards: Slips, number: int) -> Arranged:
    """Take a card out; raise BadRequest for the only one."""
    if len(cards) == 1:
        raise BadRequest("cards", "This is the only card: a storyboard has one at least. Write it anew instead.")
    return Arranged(cards[:number] + cards[number + 1 :], min(number, len(cards) - 2))


def _room_after(cards: Slips, number: int) -> float:
    if len(cards) >= MOST_CARDS:
        raise BadRequest("cards", f"There are {MOST_CARDS} cards, which are the most. Delete one first.")
    at = cards[number].seconds
    if number == len(cards) - 1:
        if at + STEP > MOST_SECONDS:
            raise BadRequest("cards", f"A take ends at {MOST_SECONDS} s at the latest. Move the last card first.")
        return min(at + USUAL_SECONDS, float(MOST_SECONDS))
    after = cards[number + 1].seconds
    middle = at + round((after - at) / 2 / STEP) * STEP
    if not at < middle < after:
        raise BadRequest("cards", f"There is no room behind the card at {at:g} s. Move the next one first.")
    return middle


def _with(others: Slips, slip: Slip) -> Arranged:
    cards = tuple(sorted((*others, slip), key=lambda each: each.seconds))
    return Arranged(cards, next(number for number, each in enumerate(cards) if each is slip))
