"""The whole world's draw: plain scenes, and those with a wall, fog, a camera at a named pace, or a story.

Every story begins with what matters in full view, so that given first frames can show what the words leave out. Places
and sizes are drawn for the picture's shape: an upright one has less room from left to right.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from pipeline.tabletop.camera import CAMERA_DISTANCE, CAMERA_HEIGHT, half_view
from pipeline.tabletop.solids import HEIGHT
from pipeline.tabletop.stories import heading, touching_distance
from pipeline.tabletop.world import (
    CALM_MOTIONS,
    COLOURS,
    PACES,
    WALLS,
    Program,
    Solid,
    Wall,
    draw_program,
    draw_solid,
)

KINDS: Final = {
    "plain": 0.50,
    "orbits": 0.09,
    "returns": 0.04,
    "behind": 0.13,
    "before": 0.05,
    "pushes": 0.09,
    "passes": 0.07,
    "follows": 0.03,
}
"""What is drawn, and how often: half of it plain, so that what was learned of plain scenes is kept."""

HARD_KINDS: Final = {
    "pairs": 0.24,
    "turns": 0.10,
    "mirrors": 0.11,
    "rests": 0.08,
    "behind": 0.18,
    "passes": 0.10,
    "pushes": 0.10,
    "orbits": 0.09,
}
"""The same of scenes that are hard to learn: two solids of which each must get its own looks, round ones that turn,
light on water and on the floor, what one thing does to another, and most of all what is hidden for a while. The whole
world has few of each."""

FOGGY: Final = 0.12
SQUARE_ROOM: Final = 2.7
"""Half the width of a square picture at the middle of the scene; what follows is in units of such a picture."""

GAP: Final = 0.12
WALL_Z: Final = 0.9
PATH_Z: Final = -0.9
FURTHEST: Final = 7.5


def draw_scene(rng: Random, size: tuple[int, int] = (128, 128), frames: int = 17) -> Program:
    """Draw a program of the whole world at random; `size` is (width, height) in pixels."""
    return draw_kind(rng, rng.choices(list(KINDS), list(KINDS.values()))[0], size, frames)


def draw_kind(rng: Random, kind: str, size: tuple[int, int] = (128, 128), frames: int = 17) -> Program:
    """Draw a program of one of the KINDS."""
    base = draw_program(rng, size, frames)
    fog = rng.random() < FOGGY
    if kind == "plain":
        return replace(base, fog=fog)
    if kind in ("orbits", "returns"):
        return replace(draw_orbit(rng, base, kind), fog=fog)
    standing = replace(base, camera="stands", story=kind, fog=fog)
    return DRAWS[kind](rng, standing)


def draw_hard(rng: Random, size: tuple[int, int] = (128, 128), frames: int = 17) -> Program:
    """Draw a program of one of the HARD_KINDS: a story or an orbit of the whole world, or such a plain scene."""
    kind = rng.choices(list(HARD_KINDS), list(HARD_KINDS.values()))[0]
    if kind in KINDS:
        return draw_kind(rng, kind, size, frames)
    while True:
        program = draw_program(rng, size, frames)
        if program.camera == "stands" and PLAIN_KINDS[kind](program):
            return program


def is_alone(program: Program, motion: str) -> bool:
    """Whether one solid is there, with a motion."""
    return len(program.solids) == 1 and program.solids[0].motion == motion


PLAIN_KINDS: Final[dict[str, Callable[[Program], bool]]] = {
    "pairs": lambda program: len(program.solids) == 2,
    "turns": lambda program: is_alone(program, "turns") and program.solids[0].shape != "cube",
    "mirrors": lambda program: is_alone(program, "stays") and program.floor == "water",
    "rests": lambda program: is_alone(program, "stays") and program.floor != "water",
}


def scale(program: Program) -> float:
    """How much smaller things are in a narrow picture."""
    return min(half_view((program.width, program.height), 0.0) / SQUARE_ROOM, 1.0)


def edge(program: Program, solid: Solid) -> float:
    """How far from the middle a solid can be at its depth and still be seen whole."""
    return half_view((program.width, program.height), solid.z) - 1.15 * solid.size - GAP


def draw_orbit(rng: Random, base: Program, camera: str) -> Program:
    """An orbit at a named pace, mostly around two solids that rest: how they move past each other shows the space."""
    colours = rng.sample(COLOURS, 2)
    pace = rng.choice(list(PACES))
    side, shrink = rng.choice((-1.0, 1.0)), scale(base)
    if rng.random() < 0.3:
        solids: tuple[Solid, ...] = (draw_solid(rng, rng.choice(CALM_MOTIONS), colours[0], (0.0, 1.0)),)
    else:
        first = draw_solid(
            rng, rng.choice(("stays", "stays", "turns")), colours[0], (-1.15 * side * shrink, 0.75 * shrink)
        )
        solids = (first, draw_solid(rng, "stays", colours[1], (1.15 * side * shrink, 0.75 * shrink)))
    return replace(base, solids=solids, camera=camera, pace=pace)


def draw_mover(rng: Random, program: Program, colour: str, z: float, size: float) -> Solid:
    """A solid that is going to cross the picture; where it starts and its speed are left to the story."""
    drawn = draw_solid(rng, rng.choice(("left", "right")), colour, (0.0, size * scale(program)))
    return replace(drawn, z=z + rng.uniform(-0.15, 0.15))


def across(rng: Random, program: Program, solid: Solid, beyond: float = 0.0) -> Solid:
    """The same, from about one edge of the picture to the other within the clip, or so far beyond them."""
    start, stop = (edge(program, solid) * rng.uniform(0.92, 1.0) + beyond for _ in range(2))
    return replace(solid, x=-heading(solid) * start, speed=(start + stop) / program.seconds)


def draw_behind(rng: Random, program: Program) -> Program:
    """A solid passes behind a wall that hides it whole."""
    mover = draw_mover(rng, program, rng.choice(COLOURS), PATH_Z, rng.uniform(0.5, 0.72))
    mover = across(rng, program, mover)
    near = (CAMERA_DISTANCE - WALL_Z) / (CAMERA_DISTANCE - mover.z)
    clear = min(abs(mover.x), mover.speed * program.seconds - abs(mover.x)) - 1.15 * mover.size - GAP
    hiding = (1.15 * mover.size + 0.1) * near
    half_width = max(clear * near * rng.uniform(0.7, 1.0), hiding)
    wall = Wall(rng.choice(WALLS), 0.0, WALL_Z, half_width, hiding_height(mover, WALL_Z))
    return replace(program, solids=(mover,), wall=wall)


def hiding_height(solid: Solid, z: float) -> float:
    """How high something must be at a depth to hide a solid behind it from the camera."""
    top = HEIGHT[solid.shape] * solid.size - CAMERA_HEIGHT
    far = CAMERA_DISTANCE - solid.z + solid.size
    return CAMERA_HEIGHT + top * (CAMERA_DISTANCE - z) / far + GAP


def draw_before(rng: Random, program: Program) -> Program:
    """A solid passes before a wall: so a wall does not mean that something is going to be hidden."""
    mover = across(rng, program, draw_mover(rng, program, rng.choice(COLOURS), 0.5, rng.uniform(0.5, 0.8)))
    shrink = scale(program)
    place = Wall(
        rng.choice(WALLS), rng.uniform(-0.4, 0.4), -1.2, rng.uniform(0.9, 1.6) * shrink, rng.uniform(1.3, 1.9) * shrink
    )
    return replace(program, solids=(mover,), wall=place)


def draw_pushes(rng: Random, program: Program) -> Program:
    """A solid bumps into one that rests, which goes on in its stead."""
    colours = rng.sample(COLOURS, 2)
    mover = draw_mover(rng, program, colours[0], 0.0, rng.uniform(0.5, 0.72))
    other = draw_mover(rng, program, colours[1], 0.0, rng.uniform(0.5, 0.72))
    sign = heading(mover)
    mover = replace(mover, x=-sign * edge(program, mover) * rng.uniform(0.92, 1.0), phase=straight(mover))
    other = replace(
        other, motion="stays", z=mover.z, phase=straight(other), x=sign * rng.uniform(-0.2, 0.5) * scale(program)
    )
    gap = max(abs(other.x - mover.x) - touching_distance(mover, other), 0.3)
    mover = replace(mover, speed=gap / (program.seconds * rng.uniform(0.25, 0.55)))
    return replace(program, solids=(mover, other))


def straight(solid: Solid) -> float:
    """The phase of what meets another: its face is turned to it, so that where they touch can be said."""
    return solid.phase if solid.shape == "ball" else 0.0


def draw_passes(rng: Random, program: Program) -> Program:
    """A solid passes in front of a smaller one that rests."""
    colours = rng.sample(COLOURS, 2)
    mover = draw_mover(rng, program, colours[0], 0.9, rng.uniform(0.7, 0.85))
    mover = across(rng, program, mover, 0.7 * mover.size)
    resting = draw_solid(rng, "stays", colours[1], (rng.uniform(-0.2, 0.2), 0.6 * scale(program)))
    return replace(program, solids=(mover, replace(resting, z=rng.uniform(-1.1, -0.7))))


def draw_follows(rng: Random, program: Program) -> Program:
    """A solid leaves the picture, wholly or in part, and the camera turns after it."""
    mover = draw_mover(rng, program, rng.choice(COLOURS), 0.0, rng.uniform(0.55, 0.85))
    start = rng.uniform(-0.3, 0.7) * scale(program)
    way = edge(program, mover) + mover.size * rng.uniform(1.4, 3.6) - start
    speed = min(way / rng.uniform(0.4, 0.6), FURTHEST * scale(program) - start) / program.seconds
    mover = replace(mover, x=heading(mover) * start, speed=speed)
    return replace(program, solids=(mover,), camera="follows", camera_speed=way / speed)


DRAWS: Final[dict[str, Callable[[Random, Program], Program]]] = {
    "behind": draw_behind,
    "before": draw_before,
    "pushes": draw_pushes,
    "passes": draw_passes,
    "follows": draw_follows,
}
