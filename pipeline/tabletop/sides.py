"""Says on which side things are: which of two solids stands on the left, and from where the light comes.

Who is named first stands on the left, unless the words say otherwise. Without such a rule a prompt with two solids has
two answers, and a model that knows of no reason to choose one paints both solids in both places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from pipeline.tabletop.captions import SECOND_WORDS
from pipeline.tabletop.world import Program

SIDED: Final = 0.5
"""How often the words say who stands on which side; else the order tells."""

LIT: Final = 0.3
"""How often they say where the light comes from."""

# {a} is the first solid with what it does, {name} without; {that} is "a ball that bounces"; {b} rests.
SIDED_WORDS: Final = (
    "{a} to the {side} of {b}",
    "{a} to the {side} of {b}",
    "{a} on the {side} and {b} on the {other}",
    "{a} on the {side}, {b} on the {other}",
    "{a} with {b} on its {other} side",
    "{b} on the {other} and {that} on the {side}",
    "{b} to the {other} of {that}",
    "on the {side} {a}, on the {other} {b}",
    "{name} on the {side}{does} next to {b}",
)
SECOND_FIRST: Final = (
    "{b} and {that}",
    "{b} next to {that}",
    "{b} beside {that}",
    "{b} stands near {that}",
    "{b} rests next to {that}",
    "next to {b}, {a}",
)
LIGHT_WORDS: Final = (
    "with light from the {side}",
    "lit from the {side}",
    "the light comes from the {side}",
    "with the light on the {side}",
)
SUN_WORDS: Final = ("with the sun on the {side}", "the sun is on the {side}", "with sun from the {side}")
"""Not at night."""

LIGHTS: Final = frozenset({"light", "lit", "sun"})

LEFT_RIGHT: Final = ("left", "right")


@dataclass(frozen=True)
class Pair:
    """The names of two solids, and what the first one does: "" where that is unsaid."""

    name: str
    does: str
    other: str

    def words(self) -> dict[str, str]:
        """What the phrases are filled with."""
        does = f" {self.does}" if self.does else ""
        that = f" that{does}" if does else ""
        return {"a": self.name + does, "name": self.name, "does": does, "that": self.name + that, "b": self.other}


def first_is_left(program: Program) -> bool:
    """Whether the first of two solids stands on the left as the clip begins."""
    first, second = program.solids
    return first.x < second.x


def tell_pair(program: Program, pair: Pair, rng: Random) -> str:
    """Two solids of which one rests, so that it is told who stands where."""
    left = first_is_left(program)
    side, other = LEFT_RIGHT if left else LEFT_RIGHT[::-1]
    if rng.random() < SIDED:
        return rng.choice(SIDED_WORDS).format(side=side, other=other, **pair.words())
    if left:
        return f"{pair.words()['a']} {rng.choice(SECOND_WORDS).format(it=pair.other)}"
    return rng.choice(SECOND_FIRST).format(**pair.words())


def tell_light(program: Program, rng: Random) -> str:
    """From which side the light comes."""
    words = LIGHT_WORDS if program.sky == "night" else (*LIGHT_WORDS, *SUN_WORDS)
    return rng.choice(words).format(side=LEFT_RIGHT[program.sun > 0])


def says_light(words: Sequence[str]) -> bool:
    """Whether a caption, in words, says whence the light comes: its last clause does, or none."""
    start = max((at + 1 for at, word in enumerate(words) if word == ","), default=len(words))
    return words[-1:] in (["left"], ["right"]) and not LIGHTS.isdisjoint(words[start:])


def side_phrases() -> list[str]:
    """Everything that is said of sides, without what is filled in."""
    fields = dict.fromkeys(("a", "b", "name", "does", "that", "side", "other"), "")
    phrases = (*SIDED_WORDS, *SECOND_FIRST, *LIGHT_WORDS, *SUN_WORDS, *LEFT_RIGHT, "that")
    return [phrase.format(**fields) for phrase in phrases]
