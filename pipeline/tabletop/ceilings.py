"""Measures the judges: `python -m pipeline.tabletop.ceilings` reads each claim off clips of which the answer is known.

Held-out renders must pass; renders that went through the autoencoder say how much of what a model makes could pass at
best; a frozen first frame, and clips in which what is claimed is not so, must fail.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderKLLTXVideo
from torch import Tensor

from pipeline.tabletop.claims import CLAIMS, HIDDEN, draw_claim, holds
from pipeline.tabletop.network import to_frames, to_pixels
from pipeline.tabletop.physics import recoloured
from pipeline.tabletop.probe import load_autoencoder, through
from pipeline.tabletop.render import render, render_ids
from pipeline.tabletop.truth import foot_rows
from pipeline.tabletop.world import COLOURS, SHAPES, Program

OTHER_PACE: Final = {"slowly": "quickly", "quickly": "slowly"}


def other(value: str, values: tuple[str, ...]) -> str:
    """A value that is not the given one, and not much like it: halfway round."""
    return values[(values.index(value) + len(values) // 2) % len(values)]


def with_first(program: Program, **changes: object) -> Program:
    """The program with its first solid changed."""
    first, *others = program.solids
    return replace(program, solids=(replace(first, **changes), *others))  # type: ignore[arg-type]


def in_other_colour(program: Program, index: int) -> Program:
    """The program with one solid in quite another colour."""
    return recoloured(program, index, other(program.solids[index].colour, COLOURS))


def in_other_shape(program: Program, index: int) -> Program:
    """The program with one solid in another shape."""
    solids = list(program.solids)
    solids[index] = replace(solids[index], shape=other(solids[index].shape, SHAPES))
    return replace(program, solids=tuple(solids))


def then(program: Program, changed: Program) -> Tensor:
    """A clip that goes on, from its middle, as that of another program."""
    half = program.frames // 2
    return torch.cat([render(program)[:half], render(changed)[half:]])


def above(program: Program, changed: Program) -> Tensor:
    """A clip that shows, below where its first solid rests, another program's."""
    clip, below, row = render(program), render(changed), round(float(foot_rows(program)[0, 0])) + 2
    return torch.cat([clip[:, :row], below[:, row:]], 1)


def under_another_sun(program: Program) -> Tensor:
    """A clip whose solids are lit from the other side than its floor."""
    solids = render_ids(program) >= 0
    return torch.where(solids[..., None], render(replace(program, sun=-program.sun)), render(program))


def slowed(clip: Tensor) -> Tensor:
    """The first half of a clip at half its speed."""
    return clip.repeat_interleave(2, 0)[: len(clip)]


WRONG: Final[dict[str, Callable[[Program], Tensor]]] = {
    **{f"same colour after {k} hidden frames": lambda p: then(p, in_other_colour(p, 0)) for k in HIDDEN},
    **{f"same solid after {k} hidden frames": lambda p: then(p, in_other_shape(p, 0)) for k in HIDDEN},
    "second object": lambda p: render(in_other_colour(p, 1)),
    "resting solid unchanged after something passed": lambda p: then(p, in_other_colour(p, 1)),
    "pushed solid moves only after contact": lambda p: render(p).flip(0),
    "mirrored colour": lambda p: above(p, in_other_colour(p, 0)),
    "shadow away from the sun": under_another_sun,
    "nothing floats": lambda p: render(with_first(p, motion="bounces")),
    "bounces by its law": lambda p: slowed(render(p)),
    "falls by its law": lambda p: slowed(render(p)),
    "orbit at the named pace": lambda p: render(replace(p, pace=OTHER_PACE[p.pace])),
}
"""For each claim a clip in which it does not hold: colours, solids and mirror images that change, effects before their
cause, shadows towards the sun, half the gravity, the other pace."""


def measure(name: str, vae: AutoencoderKLLTXVideo, count: int) -> dict[str, float]:
    """The share of clips, by what was done to them, that a claim is found to hold for."""
    found: dict[str, list[bool]] = {}
    for program in draw_claim(name, count):
        clip = render(program)
        clips = {
            "renders": clip,
            "renders through the autoencoder": to_frames(through(vae, to_pixels(clip)[None]))[0],
            "frozen first frame": clip[:1].expand_as(clip),
            "not so": WRONG[name](program),
        }
        for kind, frames in clips.items():
            found.setdefault(kind, []).append(holds(name, frames, program))
    return {kind: sum(right) / len(right) for kind, right in found.items()}


def main() -> None:
    """Measure the claims and print a line of JSON for each."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.tabletop.ceilings", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("assets/tabletop"))
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--claim", choices=list(CLAIMS), action="append", help="only this one; may be given again")
    options = parser.parse_args()
    vae = load_autoencoder(options.model)
    for name in options.claim or CLAIMS:
        print(json.dumps({"claim": name, "n": options.count, **measure(name, vae, options.count)}), flush=True)


if __name__ == "__main__":
    main()
