"""Puts a program into plain English, in many ways: synonyms, orders, and things left out.

The tokenizer's vocabulary is every word that these tables can say, so a word outside of it is unknown to the model.
"""

import re
from collections.abc import Iterable
from random import Random
from typing import Final

from pipeline.tabletop.world import Program, Solid

SHAPE_WORDS: Final = {
    "ball": ("ball", "ball", "ball", "sphere"),
    "cube": ("cube", "cube", "box", "block"),
    "cylinder": ("cylinder", "cylinder", "drum", "can"),
    "cone": ("cone", "cone", "cone", "pyramid"),
}
COLOUR_WORDS: Final = {
    "red": ("red", "red", "crimson", "scarlet"),
    "orange": ("orange",),
    "yellow": ("yellow", "yellow", "golden"),
    "green": ("green", "green", "emerald"),
    "cyan": ("cyan", "turquoise", "teal"),
    "blue": ("blue", "blue", "dark blue"),
    "purple": ("purple", "purple", "violet"),
    "white": ("white", "white", "pale"),
}
FINISH_WORDS: Final = {True: ("shiny", "glossy", "polished"), False: ("matte", "dull")}
MOTION_WORDS: Final = {
    "stays": ("stays still", "rests", "stands still", "does not move", "sits", "stands", "lies", "is resting"),
    "left": ("{roll} left", "{roll} to the left", "{roll} from right to left", "moves left", "is moving to the left"),
    "right": (
        "{roll} right",
        "{roll} to the right",
        "{roll} from left to right",
        "moves right",
        "is moving to the right",
    ),
    "bounces": ("bounces", "bounces up and down", "jumps", "hops", "is bouncing", "jumps up and down"),
    "falls": ("falls", "drops", "falls down", "falls from the sky", "is falling", "is dropped"),
    "closer": (
        "comes closer",
        "approaches",
        "comes towards the camera",
        "{roll} closer",
        "{roll} towards us",
        "moves closer",
    ),
    "away": ("goes away", "moves away", "{roll} away", "goes into the distance", "moves away from the camera"),
    "turns": ("turns", "spins", "rotates", "turns on the spot", "spins around", "is spinning", "turns around"),
}
ROLL_WORDS: Final = {True: ("rolls", "rolls", "rolls", "is rolling"), False: ("slides", "slides", "glides", "rolls")}
FLOOR_WORDS: Final = {
    "grass": ("grass", "the grass", "a lawn", "a meadow", "green grass", "a field"),
    "sand": ("sand", "the sand", "a beach", "desert sand", "a sandy beach", "the desert"),
    "snow": ("snow", "the snow", "fresh snow", "a snowy field", "ice"),
    "water": ("water", "the water", "the sea", "a lake", "calm water"),
    "checkered": (
        "a checkered floor",
        "the checkered floor",
        "a chessboard",
        "tiles",
        "a checkerboard",
        "checkered tiles",
    ),
}
SKY_WORDS: Final = {
    "day": ("by day", "on a sunny day", "during the day", "under a blue sky", "at noon", "in daylight", "in the sun"),
    "sunset": ("at sunset", "at dusk", "in the evening", "under an orange sky", "at dawn", "as the sun sets"),
    "night": ("at night", "by night", "in the dark", "under the moon", "in the moonlight", "during the night"),
}
CAMERA_WORDS: Final = {
    "orbits": ("the camera orbits", "the camera circles around it", "orbiting camera", "the camera moves around it"),
    "pans left": ("the camera pans left", "the camera turns left", "the camera pans to the left"),
    "pans right": ("the camera pans right", "the camera turns right", "the camera pans to the right"),
    "zooms in": ("the camera zooms in", "zoom in", "zooming in"),
    "zooms out": ("the camera zooms out", "zoom out", "zooming out"),
    "stands": ("the camera stands still", "still camera", "static camera"),
}
SECOND_WORDS: Final = (
    "next to {it}",
    "beside {it}",
    "and {it} stands nearby",
    "and {it}",
    "near {it}",
    "with {it} beside it",
)
OPENINGS: Final = ("a video of", "a clip of", "there is", "a scene with", "we see", "a shot of")

SAID: Final = {
    "finish": 0.3,
    "motion": 0.93,
    "floor": 0.9,
    "sky": 0.85,
    "second": 0.92,
    "opening": 0.06,
    "still camera": 0.06,
}
"""How often each part is put into words."""

WORD: Final = re.compile(r"[a-z]+|,|\.")


def camera_move(program: Program) -> str:
    """The camera's move with its direction, as CAMERA_WORDS names it."""
    forward = program.camera_speed > 0
    directed = {"pans": ("pans left", "pans right"), "zooms": ("zooms in", "zooms out")}
    if program.camera in directed:
        return directed[program.camera][0 if forward else 1]
    return program.camera


def name_solid(solid: Solid, rng: Random, coloured: bool) -> str:
    """A noun phrase such as "a shiny red ball"."""
    words = [rng.choice(COLOUR_WORDS[solid.colour])] if coloured else []
    if rng.random() < SAID["finish"]:
        words.insert(0, rng.choice(FINISH_WORDS[solid.shiny]))
    words.append(rng.choice(SHAPE_WORDS[solid.shape]))
    article = "the" if rng.random() < 0.1 else ("an" if words[0][0] in "aeiou" else "a")
    return " ".join([article, *words])


def say_motion(solid: Solid, rng: Random) -> str:
    """A verb phrase for the solid's motion."""
    roll = rng.choice(ROLL_WORDS[solid.shape == "ball"])
    return rng.choice(MOTION_WORDS[solid.motion]).format(roll=roll)


def caption(program: Program, rng: Random, coloured: bool = True, complete: bool = False) -> str:
    """Put a program into words.

    `coloured=False` says neither colours, floor nor sky, for clips whose colours were changed; `complete` leaves out
    neither motion, floor nor sky, for judging.
    """

    def said(part: str) -> bool:
        return complete or rng.random() < SAID[part]

    first = program.solids[0]
    subject = name_solid(first, rng, coloured)
    if said("motion"):
        subject += " " + say_motion(first, rng)
    falls = first.motion == "falls" and rng.random() < 0.5
    floor = f"{'onto' if falls else rng.choice(('on', 'on', 'over'))} {rng.choice(FLOOR_WORDS[program.floor])}"
    places = [floor] if coloured and said("floor") else []
    places += [rng.choice(SKY_WORDS[program.sky])] if coloured and said("sky") else []
    return join_parts(program, subject, places, rng, coloured)


def join_parts(program: Program, subject: str, places: list[str], rng: Random, coloured: bool) -> str:
    """Put the parts of a caption in one of several orders."""
    if len(program.solids) > 1 and rng.random() < SAID["second"]:
        other = name_solid(program.solids[1], rng, coloured)
        subject += " " + rng.choice(SECOND_WORDS).format(it=other)
    if rng.random() < SAID["opening"]:
        subject = f"{rng.choice(OPENINGS)} {subject}"
    camera = []
    if program.camera != "stands" or rng.random() < SAID["still camera"]:
        camera = [rng.choice(CAMERA_WORDS[camera_move(program)])]
    rng.shuffle(places)
    if places and rng.random() < 0.2:
        return ", ".join([places[0], " ".join([subject, *places[1:]]), *camera])
    return ", ".join([" ".join([subject, *places]), *camera])


def words_of(text: str) -> list[str]:
    """The tokens of a text, as the tokenizer splits it."""
    return WORD.findall(text.lower())


def vocabulary() -> list[str]:
    """Every word that a caption can hold, sorted."""
    tables: list[Iterable[tuple[str, ...]]] = [
        SHAPE_WORDS.values(),
        COLOUR_WORDS.values(),
        FINISH_WORDS.values(),
        MOTION_WORDS.values(),
        ROLL_WORDS.values(),
        FLOOR_WORDS.values(),
        SKY_WORDS.values(),
        CAMERA_WORDS.values(),
        (SECOND_WORDS, OPENINGS, ("a an the on over onto , .",)),
    ]
    phrases = [phrase for table in tables for group in table for phrase in group]
    return sorted({word for phrase in phrases for word in words_of(phrase.replace("{roll}", "").replace("{it}", ""))})
