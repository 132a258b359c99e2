"""The claims about what a model holds of its world, each with the programs that test it and what its clip must show.

`ceilings.py` measures these judges themselves.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from torch import Tensor

from pipeline.tabletop.camera import CAMERA_DISTANCE
from pipeline.tabletop.crops import solid_in
from pipeline.tabletop.orbits import fit_orbit
from pipeline.tabletop.physics import fit_law, floats, lit_side, mirrored_colour, shadow_seen
from pipeline.tabletop.scenes import draw_kind
from pipeline.tabletop.stories import heading
from pipeline.tabletop.trackers import Reading, colour_at, first_move, first_touch, read
from pipeline.tabletop.truth import contact_frame, hidden, middles, visible_share
from pipeline.tabletop.world import FPS, Program, held_out

FEWEST: Final = 2
"""Frames in which something must be seen to be told."""

ORBIT_ERROR: Final = 2.0
LAW_ERROR: Final = {"bounces": 3.0, "falls": 2.0}
"""Pixels of 128: at half the speed it is more."""

ALIKE: Final = ({"red", "orange"}, {"orange", "yellow"}, {"blue", "purple"})
"""Colours that shade into each other in dim light."""

TURNED: Final = 0.25
"""By how much of the named orbit a camera may turn too much or too little."""

EARLY: Final = 1
"""Frames by which a solid may seem to move before it is touched: an outline's edge is told to a pixel."""

ENDS: Final = 5
"""Frames before and after something passed in which is told what it passed."""

STAYED: Final = 3.0
"""Pixels of 128 by which what stays may seem to have moved while something passed before it."""

SAME_SIZE: Final = 1.3
"""An area that grows or shrinks by more than this is not of the same solid."""


@dataclass(frozen=True)
class Claim:
    """What is claimed: the kind of scene and which of them, whether a clip's reading keeps to it, and how it is asked.

    `unsaid` is what the prompt leaves out, so that only given first frames can show it; `given` says how many are; with
    `lit` it says from where the light comes.
    """

    kind: str
    frames: int
    fits: Callable[[Program], bool]
    holds: Callable[[Reading], bool]
    unsaid: frozenset[str] = frozenset()
    given: int = 0
    change: Callable[[Program], Program] = lambda program: program
    lit: bool = False


def tells_itself_apart(program: Program) -> bool:
    """Whether its solids can be told by colour: nothing white, and nothing in the colour of its floor."""
    alike = {"grass": ("green",), "water": ("blue", "cyan"), "sand": ("yellow", "orange")}.get(program.floor, ())
    colours = {solid.colour for solid in program.solids}
    return not colours & {"white", *alike} and colours not in ALIKE and not program.fog


def hides_for(program: Program, frames: int) -> Program:
    """A solid that passes behind a wall, the wall as wide as it takes to hide it for about so many frames."""
    if not program.wall:
        return program
    solid = program.solids[0]
    near = (CAMERA_DISTANCE - program.wall.z) / (CAMERA_DISTANCE - solid.z)
    half_width = near * (solid.size + 0.5 * frames * solid.speed / FPS)
    return replace(program, wall=replace(program.wall, half_width=half_width))


def second_right(reading: Reading) -> bool:
    """Whether the second solid is there in half of the frames or more, in its colour and shape."""
    track, solid = reading.tracks[1], reading.program.solids[1]
    frames = track.whole.nonzero().flatten().tolist()
    if 2 * len(frames) < reading.program.frames:
        return False
    return look(reading, 1, frames) == (solid.colour, solid.shape)


def look(reading: Reading, index: int, frames: list[int]) -> tuple[str | None, str | None]:
    """Colour and solid of what is seen in frames where one of the program's solids is tracked."""
    return most([colour_at(reading, index, frame) for frame in frames]), solid_in(reading, index, frames)


def after_hiding(reading: Reading) -> list[int]:
    """Frames in which the first solid is seen whole on the far side of the wall, in the second half of its way."""
    program, track = reading.program, reading.tracks[0]
    gone = hidden(program, 0).nonzero().squeeze(1)
    middle = middles(program)[0, :, 0][gone].mean()
    beyond = (track.places[:, 0] - middle) * heading(program.solids[0]) > 0
    return [f for f in (track.whole & beyond).nonzero().flatten().tolist() if f > int(gone[len(gone) // 2])]


def most(values: list[str | None]) -> str | None:
    """The commonest value."""
    return Counter(values).most_common(1)[0][0] if values else None


def same_colour(reading: Reading) -> bool:
    """Whether the first solid comes out of hiding in its colour."""
    frames = after_hiding(reading)
    colours = [colour_at(reading, 0, frame) for frame in frames]
    return len(frames) >= FEWEST and most(colours) == reading.program.solids[0].colour


def same_solid(reading: Reading) -> bool:
    """Whether what comes out of hiding is the same solid, in about the same size."""
    track, frames = reading.tracks[0], after_hiding(reading)
    before = visible_share(reading.program)[0][: reading.program.frames // 2] > 0.99
    if len(frames) < FEWEST or solid_in(reading, 0, frames) != reading.program.solids[0].shape:
        return False
    usual = float(track.areas[: len(before)][before].float().median())
    size = float(track.areas[frames].float().median()) / max(usual, 1.0)
    return 1 / SAME_SIZE < size < SAME_SIZE


def unchanged(reading: Reading) -> bool:
    """Whether the second solid is, after the first passed before it, what and where it was."""
    track = reading.tracks[1]
    whole = track.whole.nonzero().flatten().tolist()
    middle = int(visible_share(reading.program)[1].argmin())
    ends = [frame for frame in whole if frame < middle][:ENDS], [frame for frame in whole if frame > middle][-ENDS:]
    if min(map(len, ends)) < FEWEST or not went_past(reading):
        return False
    before, after = (track.places[part].median(0).values for part in ends)
    solid = reading.program.solids[1]
    stayed = bool((after - before).norm() <= STAYED * reading.pixel)
    return stayed and all(look(reading, 1, part) == (solid.colour, solid.shape) for part in ends)


def went_past(reading: Reading) -> bool:
    """Whether the first solid goes from one side of the second to the other."""
    first, second = (track.places[:, 0][track.seen] for track in reading.tracks)
    way = (first - second.median()) * heading(reading.program.solids[0])
    return bool(len(way)) and bool((way[0] < 0) & (way[-1] > 0))


def pushed_on_contact(reading: Reading) -> bool:
    """Whether the second solid rests until it is touched, and then goes."""
    touched, moved = first_touch(reading), first_move(reading, 1)
    return touched is not None and moved is not None and moved >= touched - EARLY and moved > 1


def shadow_right(reading: Reading) -> bool:
    """Whether the shadow lies on the side away from the sun: which side that is, the lit one shows."""
    lit, shadow = lit_side(reading, 0), shadow_seen(reading, 0)
    return lit is not None and shadow == -lit


def mirror_right(reading: Reading) -> bool:
    """Whether the water below a solid shows its colour."""
    return mirrored_colour(reading, 0) == reading.program.solids[0].colour


def rests(reading: Reading) -> bool:
    """Whether what should rest on the floor does, and stays where it is."""
    seen = reading.tracks[0].seen
    return bool(seen.float().mean() > 0.8) and not floats(reading, 0) and first_move(reading, 0) is None


def lawful(reading: Reading) -> bool:
    """Whether a solid bounces or falls as gravity has it."""
    fit = fit_law(reading, 0)
    error = LAW_ERROR[reading.program.solids[0].motion]
    return fit is not None and fit.error < error and fit.travelled > 8


def orbit_holds(reading: Reading) -> bool:
    """Whether two solids go past each other as an orbit at the named pace has it."""
    fit = fit_orbit(reading)
    return fit is not None and fit.error <= ORBIT_ERROR and abs(fit.turned - 1) < TURNED


def stands_alone(program: Program, motion: str, water: bool) -> bool:
    """Whether a plain scene has one solid with a motion, the camera standing, on water or not."""
    solids = program.solids
    return (
        len(solids) == 1
        and solids[0].motion == motion
        and program.camera == "stands"
        and (program.floor == "water") == water
    )


def rests_round(program: Program) -> bool:
    """Whether a solid without faces rests alone: of a cube only the side that is towards the sun would tell."""
    return stands_alone(program, "stays", False) and program.solids[0].shape != "cube"


def pushes_within(program: Program) -> bool:
    """Whether the push happens early enough in the clip for what comes after it to be seen."""
    frame = contact_frame(program)
    return frame is not None and 3 < frame < program.frames - 4


HIDDEN: Final = (1, 2, 4, 8)
"""For how many frames, or a quarter more, what is claimed to be permanent is hidden."""

GIVEN: Final = 5
"""Frames that show what the words leave out."""


def permanence(frames: int, unsaid: str, keeps: Callable[[Reading], bool]) -> Claim:
    """That a solid hidden for so many frames comes out as it went in."""

    def fits(program: Program) -> bool:
        gone = hidden(program, 0)
        return frames <= int(gone.sum()) <= frames + frames // 4 and int(gone.nonzero()[0]) > GIVEN

    def change(program: Program) -> Program:
        return hides_for(program, frames)

    return Claim("behind", 33 if frames >= 8 else 17, fits, keeps, frozenset({unsaid}), GIVEN, change)


def clears_later(program: Program) -> bool:
    """Whether a solid passes well before another, which is in full view while the frames are given."""
    share = visible_share(program)[1]
    return bool(share.amin() < 0.7) and bool((share[:GIVEN] > 0.99).all())


CLAIMS: Final = {
    **{f"same colour after {k} hidden frames": permanence(k, "colour", same_colour) for k in HIDDEN},
    **{f"same solid after {k} hidden frames": permanence(k, "solid", same_solid) for k in HIDDEN},
    "second object": Claim("plain", 17, lambda p: len(p.solids) == 2 and p.camera == "stands", second_right),
    "resting solid unchanged after something passed": Claim(
        "passes", 17, clears_later, unchanged, frozenset({"colour"}), GIVEN
    ),
    "pushed solid moves only after contact": Claim("pushes", 17, pushes_within, pushed_on_contact),
    "mirrored colour": Claim("plain", 17, lambda p: stands_alone(p, "stays", True), mirror_right),
    "shadow away from the sun": Claim("plain", 17, rests_round, shadow_right, lit=True),
    "nothing floats": Claim("plain", 17, lambda p: stands_alone(p, "stays", False), rests),
    "bounces by its law": Claim("plain", 17, lambda p: stands_alone(p, "bounces", False), lawful),
    "falls by its law": Claim("plain", 17, lambda p: stands_alone(p, "falls", False), lawful),
    "orbit at the named pace": Claim(
        "orbits", 17, lambda p: len(p.solids) == 2 and p.solids[0].motion == "stays", orbit_holds
    ),
}


def draw_claim(name: str, count: int) -> list[Program]:
    """Held-out programs, square, that test a claim; the same count begins with the same programs."""
    claim, rng = CLAIMS[name], Random(f"claim {name}")
    programs: list[Program] = []
    while len(programs) < count:
        program = claim.change(draw_kind(rng, claim.kind, (128, 128), claim.frames))
        if held_out(program) and tells_itself_apart(program) and claim.fits(program):
            programs.append(program)
    return programs


def holds(name: str, frames: Tensor, program: Program) -> bool:
    """Whether a clip (uint8 frames) keeps to a claim about its program."""
    return CLAIMS[name].holds(read(frames, program))
