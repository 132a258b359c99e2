"""Puts programs of the whole world into words: what `captions.py` says of plain scenes, and walls, fog, paces, stories.

A plain program of one solid is told as `captions.caption` tells it, two with their sides (`sides.py`). Where the first
frames of a clip show what a solid is, its colour or its shape may be left unsaid, so that only those frames can tell:
"a ball rolls left behind a wall".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

from pipeline.tabletop.captions import (
    CAMERA_WORDS,
    COLOUR_WORDS,
    FINISH_WORDS,
    FLOOR_WORDS,
    OPENINGS,
    SAID,
    SHAPE_WORDS,
    SKY_WORDS,
    camera_move,
    caption,
    say_motion,
    vocabulary,
    words_of,
)
from pipeline.tabletop.sides import LIT, Pair, side_phrases, tell_light, tell_pair
from pipeline.tabletop.world import Program, Solid

WALL_WORDS: Final = {
    "grey": ("a grey wall", "a stone wall", "a concrete wall"),
    "wooden": ("a wooden wall", "a wooden fence", "a brown wall"),
    "dark": ("a dark wall", "a black wall"),
}
PLAIN_WALLS: Final = ("a wall", "a wall", "the wall")
FOG_WORDS: Final = ("in the fog", "in fog", "in the mist", "on a foggy day", "in a thick haze", "through the mist")
FOG_BUT_DAY: Final = tuple(words for words in FOG_WORDS if "day" not in words)
FOGGY_DAY: Final = ("by day", "during the day", "at noon", "in daylight")
"""In fog nobody sees a blue sky."""

THINGS: Final = ("thing", "thing", "object")
NAMELESS: Final = ("something", "something", "it")

# {a} is the first solid, {b} the second, {wall} the wall, {go} "rolls left" or what else the first does.
STORY_WORDS: Final = {
    "behind": (
        "{a} {go} behind {wall}",
        "{a} {go} behind {wall}",
        "{a} passes behind {wall}",
        "{a} goes behind {wall} and comes out on the other side",
        "{a} disappears behind {wall} and appears again",
        "{a} {go} and is hidden by {wall} for a while",
        "behind {wall}, {a} {go}",
    ),
    "before": (
        "{a} {go} in front of {wall}",
        "{a} {go} in front of {wall}",
        "{a} passes in front of {wall}",
        "{a} {go} before {wall}",
        "{a} {go} past {wall}",
    ),
    "pushes": (
        "{a} {go} and bumps into {b}, which {off}",
        "{a} {go} and hits {b}, which {off}",
        "{a} bumps into {b}, which {off}",
        "{a} {go} into {b} and stops, {b_again} {off}",
        "{a} {go} and pushes {b} away",
        "{b} stands still until {a} {go} into it",
        "{b} is hit by {a} and {off}",
    ),
    "passes": (
        "{a} {go} in front of {b}",
        "{a} {go} in front of {b}",
        "{a} passes in front of {b}",
        "{a} {go} past {b}",
        "{b} {rests} while {a} {go} in front of it",
        "{a} hides {b} for a moment",
    ),
    "follows": (
        "{a} {go} out of the picture and the camera follows",
        "{a} {go} and the camera follows it",
        "{a} leaves the picture and the camera follows it",
        "the camera follows {a} that {go}",
        "{a} {go}, followed by the camera",
    ),
}
OFF_WORDS: Final = {
    True: ("rolls off", "rolls off", "rolls away", "rolls on"),
    False: ("slides off", "rolls off", "slides away", "moves off"),
}
REST_WORDS: Final = ("rests", "stands still", "stays still")
GO_WORDS: Final = {
    "left": ("{roll} left", "{roll} to the left", "{roll} from right to left", "moves left", "goes left"),
    "right": ("{roll} right", "{roll} to the right", "{roll} from left to right", "moves right", "goes right"),
}
STORY_ROLLS: Final = {True: ("rolls", "rolls", "rolls", "is rolling"), False: ("slides", "slides", "glides", "moves")}
ORBIT_WORDS: Final = (
    "the camera orbits{way}{pace}",
    "the camera circles around it{way}{pace}",
    "the camera moves{pace} around it{way}",
)
RETURN_WORDS: Final = (
    "the camera orbits{way}{pace} and comes back",
    "the camera circles{way}{pace} and returns",
    "the camera moves{pace} around it{way} and back again",
)
PACE_WORDS: Final = {
    "slowly": ("slowly", "slowly", "at a slow pace"),
    "quickly": ("quickly", "quickly", "fast", "at a fast pace"),
}
WAYS: Final = (" to the left", " to the right")
"""Of an orbit: where the camera goes, with the sign of its speed below and above zero."""

MORE_SAID: Final = {"pace": 0.85, "way": 0.7, "fog": 0.85, "material": 0.45}
"""How often each further part is put into words."""

UNSAID: Final = {False: (0.06, 0.03, 0.01), True: (0.2, 0.25, 0.4)}
"""How often colour, solid, or both of what a story hides go unsaid, by whether the first frames are given.

While words tell the solid, frames need not: told in three of four clips, what hid came back as any solid.
"""

HIDEABLE: Final = (frozenset({"colour"}), frozenset({"solid"}), frozenset({"colour", "solid"}), frozenset[str]())


@dataclass(frozen=True)
class Telling:
    """How a program is told.

    `coloured` False says neither colours, floor nor sky, for clips whose colours were changed; `complete` leaves
    nothing out that is judged; `unsaid` names what is not said of the solid that a story hides: colour, solid, or both;
    `shown` is for clips whose first frames are given, where that goes unsaid more often; `lit` says in any case from
    which side the light comes.
    """

    coloured: bool = True
    complete: bool = False
    unsaid: frozenset[str] = frozenset()
    shown: bool = False
    lit: bool = False


OPEN: Final = Telling()


def is_plain(program: Program) -> bool:
    """Whether the plain world's words are enough."""
    return not (program.story or program.wall or program.pace or program.fog)


def hidden_solid(program: Program) -> int | None:
    """Which solid a story hides: the one behind the wall or out of the picture, or the one that rests behind."""
    return {"behind": 0, "follows": 0, "passes": 1}.get(program.story)


def tell(program: Program, rng: Random, how: Telling = OPEN) -> str:
    """Put a program of the whole world into words, one of many ways."""
    alone = is_plain(program) and len(program.solids) == 1
    text = caption(program, rng, how.coloured, how.complete) if alone else tell_whole(program, rng, how)
    lit = how.lit or (how.coloured and not how.complete and rng.random() < LIT)
    return f"{text}, {tell_light(program, rng)}" if lit else text


def tell_whole(program: Program, rng: Random, how: Telling) -> str:
    """The same of two solids, or with all that the plain world lacks."""
    said = Said(rng, how)
    scene = tell_story(program, said) if program.story else tell_scene(program, said)
    if rng.random() < SAID["opening"] and not scene.startswith(("behind", "the camera", "on the", "next to")):
        scene = f"{rng.choice(OPENINGS)} {scene}"
    places = tell_places(program, said)
    camera = tell_camera(program, said)
    if places and rng.random() < 0.2:
        return ", ".join([places[0], " ".join([scene, *places[1:]]), *camera])
    if camera and rng.random() < 0.15:
        return ", ".join([*camera, " ".join([scene, *places])])
    return ", ".join([" ".join([scene, *places]), *camera])


@dataclass(frozen=True)
class Said:
    """Draws words, and what of them is said."""

    rng: Random
    how: Telling

    def says(self, share: float) -> bool:
        """Whether a part is said."""
        return self.how.complete or self.rng.random() < share

    def name(self, solid: Solid, unsaid: frozenset[str] = frozenset()) -> str:
        """A noun phrase such as "a shiny red ball"; "a red thing" or "something" where that is unsaid."""
        rng = self.rng
        if not self.how.coloured:
            unsaid = unsaid | {"colour"}
        if {"colour", "solid"} <= unsaid and self.how.coloured:
            return NAMELESS[0] if self.how.complete else rng.choice(NAMELESS)
        words = [] if "colour" in unsaid else [rng.choice(COLOUR_WORDS[solid.colour])]
        if rng.random() < SAID["finish"] and "colour" not in unsaid:
            words.insert(0, rng.choice(FINISH_WORDS[solid.shiny]))
        words.append(rng.choice(THINGS if "solid" in unsaid else SHAPE_WORDS[solid.shape]))
        article = "the" if rng.random() < 0.1 else ("an" if words[0][0] in "aeiou" else "a")
        return " ".join([article, *words])

    def unsaid(self) -> frozenset[str]:
        """What is not said of the solid that is going to be hidden."""
        if self.how.unsaid or self.how.complete:
            return self.how.unsaid
        shares = UNSAID[self.how.shown]
        return self.rng.choices(HIDEABLE, [*shares, 1 - sum(shares)])[0]


def tell_story(program: Program, said: Said) -> str:
    """What happens in a story."""
    rng, hidden = said.rng, hidden_solid(program)
    unsaid = said.unsaid() if hidden is not None else frozenset()
    names = [said.name(solid, unsaid if index == hidden else frozenset()) for index, solid in enumerate(program.solids)]
    wall = ""
    if program.wall:
        known = said.how.coloured and said.says(MORE_SAID["material"])
        wall = rng.choice(WALL_WORDS[program.wall.material] if known else PLAIN_WALLS)
    first = program.solids[0]
    roll = rng.choice(STORY_ROLLS[first.shape == "ball" and not (hidden == 0 and "solid" in unsaid)])
    go = rng.choice(GO_WORDS[first.motion]).format(roll=roll)
    phrases = STORY_WORDS[program.story]
    if said.how.complete:
        phrases = tuple(phrase for phrase in phrases if "{go}" in phrase)
    last = program.solids[-1]
    again, off = f"the {SHAPE_WORDS[last.shape][0]}", rng.choice(OFF_WORDS[last.shape == "ball"])
    words = {"wall": wall, "go": go, "off": off, "b_again": again, "rests": rng.choice(REST_WORDS)}
    return rng.choice(phrases).format(a=names[0], b=names[-1], **words)


def tell_scene(program: Program, said: Said) -> str:
    """Who is there, in a scene without a story."""
    first, *others = program.solids
    name = said.name(first)
    does = say_motion(first, said.rng) if said.says(SAID["motion"]) else ""
    if others and said.says(SAID["second"]):
        return tell_pair(program, Pair(name, does, said.name(others[0])), said.rng)
    return f"{name} {does}" if does else name


def tell_places(program: Program, said: Said) -> list[str]:
    """Floor, sky and weather, in any order."""
    rng = said.rng
    places: list[str] = []
    if not said.how.coloured:
        return places
    if said.says(SAID["floor"]):
        places.append(f"{rng.choice(('on', 'on', 'over'))} {rng.choice(FLOOR_WORDS[program.floor])}")
    sky = said.says(SAID["sky"])
    if sky:
        places.append(rng.choice(FOGGY_DAY if program.fog and program.sky == "day" else SKY_WORDS[program.sky]))
    if program.fog and said.says(MORE_SAID["fog"]):
        places.append(rng.choice(FOG_WORDS if program.sky == "day" and not sky else FOG_BUT_DAY))
    rng.shuffle(places)
    return places


def tell_camera(program: Program, said: Said) -> list[str]:
    """The camera's move with its pace; a camera that follows is told with its story."""
    rng = said.rng
    if program.camera == "follows" or (program.camera == "stands" and rng.random() >= SAID["still camera"]):
        return []
    if not program.pace:
        return [rng.choice(CAMERA_WORDS[camera_move(program)])]
    way = WAYS[program.camera_speed > 0] if said.says(MORE_SAID["way"]) else ""
    pace = f" {rng.choice(PACE_WORDS[program.pace])}" if said.says(MORE_SAID["pace"]) else ""
    return [rng.choice(ORBIT_WORDS if program.camera == "orbits" else RETURN_WORDS).format(way=way, pace=pace)]


def known_words(world: str) -> list[str]:
    """The vocabulary of a world; the whole world's begins with the plain one's, so that those keep their places."""
    return [*vocabulary(), *((*more_words(), *words_of_sides()) if world == "whole" else ())]


def words_of_sides() -> list[str]:
    """Every word that only what is said of sides can hold, sorted: they were the last to come."""
    return sorted({word for phrase in side_phrases() for word in words_of(phrase)} - {*vocabulary(), *more_words()})


def more_words() -> list[str]:
    """Every word that only the whole world's stories can hold, sorted: they come after the plain world's."""
    tables: list[Iterable[tuple[str, ...]]] = [
        WALL_WORDS.values(),
        STORY_WORDS.values(),
        GO_WORDS.values(),
        STORY_ROLLS.values(),
        PACE_WORDS.values(),
        OFF_WORDS.values(),
        (PLAIN_WALLS, FOG_WORDS, FOGGY_DAY, THINGS, NAMELESS, REST_WORDS, ORBIT_WORDS, RETURN_WORDS, WAYS),
    ]
    fields = dict.fromkeys(("a", "b", "b_again", "wall", "go", "off", "rests", "roll", "way", "pace"), "")
    phrases = [phrase.format(**fields) for table in tables for group in table for phrase in group]
    return sorted({word for phrase in phrases for word in words_of(phrase)} - set(vocabulary()))
