"""What is judged: suites of held-out programs with their prompts, and what is read off a clip of each."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log10
from random import Random
from typing import Final

from torch import Tensor

from pipeline.tabletop.captions import caption
from pipeline.tabletop.claims import CLAIMS, HIDDEN, draw_claim
from pipeline.tabletop.labels import truth
from pipeline.tabletop.network import to_frames, to_pixels
from pipeline.tabletop.orbits import fit_orbit
from pipeline.tabletop.probe import Judge, through
from pipeline.tabletop.render import render
from pipeline.tabletop.sampling import Case
from pipeline.tabletop.telling import Telling, tell
from pipeline.tabletop.trackers import read
from pipeline.tabletop.world import Program, draw_split

Verdicts = dict[str, float | None]
"""A figure by its row's name: 1 or 0 for what is so or not, or a measure; None where there is nothing to measure."""

ADHERENCE: Final = ("colour", "solid", "floor", "sky", "moving", "motion", "camera")
ORBIT: Final = "orbit at the named pace"
ORBIT_ERROR: Final = "orbit reprojection error (pixels of 128)"
GIVEN_LOSS: Final = "given first frame, loss against the autoencoder (dB)"

MADE: Final = "made"
RENDERS: Final = "renders through the autoencoder"
HALVED: Final = "half the steps"
OTHERS: Final = "clips of other prompts"


@dataclass(frozen=True)
class Suite:
    """Programs that are judged together: by claims about them, or, without, by what the probe reads.

    `share` is how many there are, to one of the plain ones.
    """

    name: str
    share: float
    claims: tuple[str, ...] = ()

    def count(self, programs: int) -> int:
        """How many clips there are where there are so many plain ones: an even number, since clips go in pairs."""
        return 2 * max(1, round(programs * self.share / 2))


SUITES: Final = (
    Suite("plain", 1.0),
    Suite("second object", 0.4, ("second object",)),
    *(
        Suite(
            f"hidden for {k}",
            0.4 if k == max(HIDDEN) else 0.2,
            (f"same colour after {k} hidden frames", f"same solid after {k} hidden frames"),
        )
        for k in HIDDEN
    ),
    Suite("passed", 0.4, ("resting solid unchanged after something passed",)),
    Suite("pushed", 0.4, ("pushed solid moves only after contact",)),
    Suite("mirrored", 0.4, ("mirrored colour",)),
    Suite("resting", 0.4, ("nothing floats", "shadow away from the sun")),
    Suite("bouncing", 0.2, ("bounces by its law",)),
    Suite("falling", 0.2, ("falls by its law",)),
    Suite("orbited", 0.4, (ORBIT,)),
)


def held_out_programs(count: int) -> list[Program]:
    """Held-out programs of one solid, square, 17 frames."""
    rng = Random("evaluation")
    programs: list[Program] = []
    while len(programs) < count:
        program = draw_split(rng, (128, 128), 17, kept_out=True)
        if len(program.solids) == 1:
            programs.append(program)
    return programs


def draw_cases(suite: Suite, count: int) -> list[Case]:
    """The cases of a suite; the same count begins with the same ones."""
    rng = Random(f"prompts {suite.name}")
    if not suite.claims:
        plain = held_out_programs(count)
        return [Case(suite.name, i, one, caption(one, rng, complete=True)) for i, one in enumerate(plain)]
    claims = [CLAIMS[name] for name in suite.claims]
    unsaid, lit = frozenset().union(*(claim.unsaid for claim in claims)), any(claim.lit for claim in claims)
    how = Telling(complete=True, unsaid=unsaid, lit=lit)
    given = claims[0].given
    return [
        Case(suite.name, number, program, tell(program, rng, how), render(program)[:given] if given else None)
        for number, program in enumerate(draw_claim(suite.claims[0], count))
    ]


def is_right(name: str, reading: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether an attribute was read as wanted; "moving" asks only whether the solid moves."""
    if name == "moving":
        return (reading["motion"] == "stays") == (wanted["motion"] == "stays")
    return reading[name] == wanted[name]


def verdicts(suite: Suite, judge: Judge, clip: Tensor, program: Program) -> Verdicts:
    """What a clip (uint8 frames) of a program shows of what its suite asks."""
    if not suite.claims:
        (found,) = judge.read(clip[None])
        return {name: float(is_right(name, found, truth(program))) for name in ADHERENCE}
    reading = read(clip, program)
    found_so: Verdicts = {
        name: float(CLAIMS[name].holds(reading)) if CLAIMS[name].fits(program) else None for name in suite.claims
    }
    if ORBIT in suite.claims:
        fit = fit_orbit(reading)
        found_so[ORBIT_ERROR] = fit.error if fit else None
    return found_so


def shuffled(clip: Tensor) -> Tensor:
    """The clip's frames in another order, the same for all clips of a length."""
    order = list(range(len(clip)))
    Random("shuffled").shuffle(order)
    return clip[order]


CONTROLS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "frozen first frame": lambda clip: clip[:1].expand_as(clip),
    "shuffled frames": shuffled,
}
"""What is done to a clip that was made, so that it should no longer pass where motion is judged."""


@dataclass(frozen=True)
class Clips:
    """What was made for a case and for another one of its suite (uint8 frames); of a plain one in half the steps."""

    made: Tensor
    other: Tensor
    halved: Tensor | None = None


def judge_case(suite: Suite, judge: Judge, case: Case, clips: Clips) -> dict[str, Verdicts]:
    """Verdicts on a clip and on its controls, by their kind."""
    picture = render(case.program)
    rebuilt = to_frames(through(judge.vae, to_pixels(picture)[None]))[0]
    sources = {
        MADE: clips.made,
        RENDERS: rebuilt,
        **{name: change(clips.made) for name, change in CONTROLS.items()},
        **({HALVED: clips.halved} if clips.halved is not None else {}),
        OTHERS: clips.other,
    }
    found = {kind: verdicts(suite, judge, frames, case.program) for kind, frames in sources.items()}
    if case.given is not None:
        for kind, frames in ((MADE, clips.made), (OTHERS, clips.other)):
            found[kind][GIVEN_LOSS] = psnr(rebuilt[0], picture[0]) - psnr(frames[0], picture[0])
    return found


def psnr(one: Tensor, other: Tensor) -> float:
    """Peak signal to noise between two uint8 pictures, in dB."""
    error = float((one.float() - other.float()).square().mean())
    return 10 * log10(255**2 / max(error, 1e-3))


def neighbour(number: int) -> int:
    """Whose clip is the control from another prompt."""
    return number ^ 1
