"""Trackers read off renders what is true of them, and do not where it is not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.tabletop.ceilings import WRONG
from pipeline.tabletop.claims import CLAIMS, draw_claim, holds, tells_itself_apart
from pipeline.tabletop.crops import solid_in
from pipeline.tabletop.network import to_frames, to_pixels
from pipeline.tabletop.orbits import fit_orbit
from pipeline.tabletop.physics import lit_side, shadow_seen
from pipeline.tabletop.probe import load_autoencoder, through
from pipeline.tabletop.render import render, render_ids
from pipeline.tabletop.trackers import Track, colour_at, first_move, first_touch, largest_pieces, read
from pipeline.tabletop.truth import contact_frame, middles, shadow_side, visible_share
from pipeline.tabletop.world import SHAPES, held_out

MODEL = Path(__file__).parents[2] / "assets" / "tabletop"


def test_every_claim_has_a_clip_in_which_it_is_not_so() -> None:
    assert set(WRONG) == set(CLAIMS)


def test_claims_are_judged_on_held_out_programs_that_can_be_told_apart() -> None:
    programs = draw_claim("pushed solid moves only after contact", 5)
    assert all(held_out(program) and tells_itself_apart(program) for program in programs)
    assert programs[:3] == draw_claim("pushed solid moves only after contact", 3)


@pytest.mark.parametrize(
    "name", ["mirrored colour", "shadow away from the sun", "falls by its law", "bounces by its law"]
)
def test_a_render_keeps_to_a_claim_and_its_opposite_does_not(name: str) -> None:
    (program,) = draw_claim(name, 1)
    assert holds(name, render(program), program)
    assert not holds(name, WRONG[name](program), program)


def test_a_push_is_told_in_place_and_time() -> None:
    (program,) = draw_claim("pushed solid moves only after contact", 1)
    clip = render(program)
    reading, ids, share = read(clip, program), render_ids(program), visible_share(program)
    contact = contact_frame(program)
    assert contact is not None
    touched, moved = first_touch(reading), first_move(reading, 1)
    assert touched is not None
    assert moved is not None
    assert abs(touched - contact) < 1.5
    assert contact < moved < contact + 3
    for index, track in enumerate(reading.tracks):
        places = track.places[share[index] > 0.98]
        assert (places - middles(program)[index][share[index] > 0.98]).norm(dim=1).median() < 2.5
        both = (track.pieces & (ids == index)).sum() / (track.pieces | (ids == index)).sum()
        assert both > 0.75
        assert colour_at(reading, index, 0) == program.solids[index].colour
    assert not holds("pushed solid moves only after contact", clip.flip(0), program)


def test_an_orbit_is_told_from_one_at_the_other_pace_and_from_a_still() -> None:
    name = "orbit at the named pace"
    program = draw_claim(name, 1)[0]
    clip = render(program)
    fit = fit_orbit(read(clip, program))
    assert fit is not None
    assert fit.error < 1.2
    assert fit.turned == pytest.approx(1, abs=0.12)
    assert not holds(name, WRONG[name](program), program)
    frozen = fit_orbit(read(clip[:1].expand_as(clip), program))
    assert frozen is None or abs(frozen.turned) < 0.4


def test_a_solid_is_told_through_the_autoencoder_whatever_it_is() -> None:
    vae, found = load_autoencoder(MODEL), []
    for program in draw_claim("second object", 12):
        clip = to_frames(through(vae, to_pixels(render(program))[None]))[0]
        reading = read(clip, program)
        for index, solid in enumerate(program.solids):
            frames = reading.tracks[index].whole.nonzero().flatten().tolist()
            found.append((solid.shape, solid_in(reading, index, frames)))
    assert {wanted for wanted, _ in found} == set(SHAPES)
    assert sum(wanted == told for wanted, told in found) >= 0.95 * len(found)


def test_nothing_seen_is_no_solid() -> None:
    (program,) = draw_claim("second object", 1)
    assert solid_in(read(render(program), program), 0, []) is None


def test_a_shadow_is_laid_against_the_side_that_is_lit() -> None:
    for program in draw_claim("shadow away from the sun", 4):
        sun = -int(shadow_side(program)[0, 0])
        clips = render(program), render(replace(program, sun=-program.sun))
        sides = [(lit_side(one, 0), shadow_seen(one, 0)) for one in (read(clip, program) for clip in clips)]
        assert sides == [(sun, -sun), (-sun, sun)]


def test_what_is_too_narrow_to_have_sides_is_lit_on_neither() -> None:
    (program,) = draw_claim("shadow away from the sun", 1)
    reading = read(render(program), program)
    sliver = torch.zeros_like(reading.tracks[0].pieces)
    sliver[:, 40:80, 60:62] = True
    assert lit_side(replace(reading, tracks=(Track(sliver),)), 0) is None
    assert lit_side(replace(reading, tracks=(Track(sliver & False),)), 0) is None


def test_specks_and_bridges_are_no_part_of_a_solid() -> None:
    mask = torch.zeros(1, 40, 40, dtype=torch.bool)
    mask[0, 10:20, 10:20] = True
    mask[0, 15, 20:30] = True
    mask[0, 12:17, 30:35] = True
    mask[0, 35, 3] = True
    piece = largest_pieces(mask)[0]
    assert piece[10:20, 10:20].sum() >= 96
    assert piece[:, 25:].sum() == 0
    assert not piece[35, 3]
