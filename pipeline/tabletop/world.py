"""The world that Tabletop is trained on: a scene is a small frozen program, drawn at random or written down by hand.

Units: a solid is about one unit in radius, speeds are units (or radians) per second, y points up and the camera looks
from +z towards the origin. `render.py` turns a program into frames, `captions.py` and `telling.py` turn it into words.

There are two draws. The plain world, drawn here, has scenes of one solid that moves, or of a second that rests beside
it. The whole world, drawn by `scenes.py`, has also walls, fog, cameras at a named pace, and stories, in which what
happens depends on the other solid, on the wall or on the camera. A plain program has none of these fields set, and the
same seed gives the same one in the same words as ever: weights that were trained on them stay judged by them.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

FPS: Final = 8

SHAPES: Final = ("ball", "cube", "cylinder", "cone")
COLOURS: Final = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "white")
FLOORS: Final = ("grass", "sand", "snow", "water", "checkered")
SKIES: Final = ("day", "sunset", "night")
MOTIONS: Final = ("stays", "left", "right", "bounces", "falls", "closer", "away", "turns")
CAMERAS: Final = ("stands", "orbits", "pans", "zooms")
ALL_CAMERAS: Final = (*CAMERAS, "returns", "follows")
"""Those of the whole world: an orbit that comes back to where it began, and one that turns after the first solid."""

STORIES: Final = ("behind", "before", "pushes", "passes", "follows")
"""What the first solid does on its way: it passes behind the wall, or before it; it bumps into the second, which rolls
off; it passes in front of the second, which rests; it leaves the picture, and the camera follows."""

PACES: Final = {"slowly": 0.35, "quickly": 0.75}
"""Radians a second of an orbit at a named pace, so that where everything must appear can be said beforehand."""

WALLS: Final = ("grey", "wooden", "dark")

SIZES: Final = ((128, 128), (160, 96), (96, 160))
"""Native (width, height) pairs in pixels; training never crops one into another."""

STILL_CAMERA: Final = 0.8
SECOND_SOLID: Final = 0.25
CALM_MOTIONS: Final = ("stays", "turns", "bounces")
HELD_OUT_SHARE: Final = 8


@dataclass(frozen=True)
class Solid:
    """One solid: what it is, what it does, and where it is (x, z and size in world units).

    What crosses the picture is at x halfway through the clip; in a story x is where it starts, and its speed is in
    units a second.
    """

    shape: str
    colour: str
    shiny: bool
    motion: str
    x: float
    z: float
    size: float
    speed: float
    phase: float


@dataclass(frozen=True)
class Wall:
    """A wall on the floor, its face towards the camera's first place: its middle and half its width, and its height."""

    material: str
    x: float
    z: float
    half_width: float
    height: float


@dataclass(frozen=True)
class Program:
    """A whole scene: solids, floor, sky, camera, and its native size in pixels and length in frames at 8 fps.

    The sign of `camera_speed` is the direction of the camera's move; where the camera follows, it is the second at
    which it begins to.
    """

    solids: tuple[Solid, ...]
    floor: str
    sky: str
    camera: str
    camera_speed: float
    sun: float
    width: int
    height: int
    frames: int
    story: str = ""
    wall: Wall | None = None
    pace: str = ""
    fog: bool = False

    @property
    def seconds(self) -> float:
        """Time between the first and the last frame."""
        return max(self.frames - 1, 1) / FPS


def draw_solid(rng: Random, motion: str, colour: str, place: tuple[float, float]) -> Solid:
    """Draw a solid with a given motion and colour at about a given place; place is (x, largest size)."""
    return Solid(
        shape=rng.choice(SHAPES),
        colour=colour,
        shiny=rng.random() < 0.4,
        motion=motion,
        x=place[0] + rng.uniform(-0.25, 0.25),
        z=rng.uniform(-0.4, 0.4),
        size=rng.uniform(0.8, 1.0) * place[1],
        speed=rng.uniform(0.85, 1.25),
        phase=rng.random(),
    )


def draw_solids(rng: Random, motions: tuple[str, ...]) -> tuple[Solid, ...]:
    """Draw one solid, or now and then a moving one beside a resting one of another colour."""
    colours = rng.sample(COLOURS, 2)
    if rng.random() >= SECOND_SOLID:
        return (draw_solid(rng, rng.choice(motions), colours[0], (0.0, 1.0)),)
    side = rng.choice((-1.0, 1.0))
    calm = tuple(motion for motion in motions if motion not in ("left", "right"))
    first = draw_solid(rng, rng.choice(calm), colours[0], (-1.15 * side, 0.75))
    return (first, draw_solid(rng, "stays", colours[1], (1.15 * side, 0.75)))


def draw_program(rng: Random, size: tuple[int, int] = (128, 128), frames: int = 17) -> Program:
    """Draw a program at random; `size` is (width, height) in pixels."""
    still = rng.random() < STILL_CAMERA
    return Program(
        solids=draw_solids(rng, MOTIONS if still else CALM_MOTIONS),
        floor=rng.choice(FLOORS),
        sky=rng.choice(SKIES),
        camera="stands" if still else rng.choice(CAMERAS[1:]),
        camera_speed=rng.choice((-1.0, 1.0)) * rng.uniform(0.25, 0.4),
        sun=rng.uniform(0.5, 1.1) * rng.choice((-1.0, 1.0)),
        width=size[0],
        height=size[1],
        frames=frames,
    )


def held_out(program: Program) -> bool:
    """Whether this combination is kept from training: one in eight of shape, colour, floor, sky, motion and story."""
    first = program.solids[0]
    words = (first.shape, first.colour, program.floor, program.sky, first.motion, program.story)
    return zlib.crc32(" ".join(filter(None, words)).encode()) % HELD_OUT_SHARE == 0


def draw_judged(rng: Random, size: tuple[int, int], frames: int) -> Program:
    """Draw a plain scene of one solid, in which the camera moves as often as it stands."""
    stands = rng.random() < 0.5
    while True:
        program = draw_program(rng, size, frames)
        if len(program.solids) == 1 and (program.camera == "stands") == stands:
            return program


Draw = Callable[[Random, tuple[int, int], int], Program]


def draw_split(rng: Random, size: tuple[int, int], frames: int, kept_out: bool, draw: Draw = draw_program) -> Program:
    """Draw until the program is on the wanted side of the split between training and held-out combinations."""
    while True:
        program = draw(rng, size, frames)
        if held_out(program) == kept_out:
            return program
