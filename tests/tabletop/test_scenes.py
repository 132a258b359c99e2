"""The whole world's scenes show what they are named after, told from the pixels; the plain draw is as ever."""

import zlib
from dataclasses import asdict, replace
from random import Random

import pytest
import torch

from pipeline.tabletop.captions import caption
from pipeline.tabletop.data import WHOLE_MIX, chunk_programs, program_from_dict
from pipeline.tabletop.latents import mirror
from pipeline.tabletop.render import FLOOR_ID, WALL_ID, render, render_empty, render_ids
from pipeline.tabletop.scenes import KINDS, draw_kind, draw_scene
from pipeline.tabletop.surfaces import SKY_LIGHT
from pipeline.tabletop.truth import orbit_angle
from pipeline.tabletop.world import SIZES, Program, draw_program, held_out

SMALL = (64, 64)
PLAIN_FIELDS = ("solids", "floor", "sky", "camera", "camera_speed", "sun", "width", "height", "frames")


def programs_of(kind: str, count: int = 6, frames: int = 17) -> list[Program]:
    """Programs of a kind in small pictures: what is seen where does not depend on the number of pixels."""
    return [draw_kind(Random(f"{kind} {seed}"), kind, SMALL, frames) for seed in range(count)]


def seen(program: Program, index: int) -> torch.Tensor:
    """How many pixels each frame shows of a solid."""
    return (render_ids(program) == index).flatten(1).sum(1)


def test_the_plain_draw_and_its_words_are_as_the_shipped_weights_know_them() -> None:
    told = []
    for seed in range(300):
        program = draw_program(Random(seed), SIZES[seed % 3], 17 if seed % 2 else 33)
        fields = {name: value for name, value in asdict(program).items() if name in PLAIN_FIELDS}
        words = [caption(program, Random(seed), **how) for how in ({}, {"complete": True}, {"coloured": False})]
        told.append(f"{sorted(fields.items())}{words}{held_out(program)}")
    assert zlib.crc32("".join(told).encode()) == 3943390204


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_of_its_kind_in_every_native_shape(kind: str) -> None:
    for size in SIZES:
        program = draw_kind(Random(3), kind, size, 21)
        assert (program.width, program.height, program.frames) == (*size, 21)
        assert program.story == (kind if kind in ("behind", "before", "pushes", "passes", "follows") else "")
        assert program_from_dict(asdict(program)) == program


def test_what_passes_behind_a_wall_is_seen_hidden_and_seen_again() -> None:
    for program in programs_of("behind"):
        shown = seen(program, 0)
        gone = (shown == 0).nonzero()
        assert shown[0] > 0
        assert shown[-1] > 0
        assert len(gone) > 0
        # It is hidden once, in one piece of time.
        assert int(gone[-1] - gone[0]) == len(gone) - 1


def test_a_longer_clip_hides_for_longer() -> None:
    hidden = {
        frames: sum(int((seen(p, 0) == 0).sum()) for p in programs_of("behind", 4, frames)) for frames in (17, 33)
    }
    assert hidden[33] > 1.5 * hidden[17]


def test_what_passes_before_a_wall_hides_it() -> None:
    for program in programs_of("before"):
        wall = (render_ids(program) == WALL_ID).flatten(1).sum(1)
        assert seen(program, 0).min() > 0
        assert wall.min() < 0.9 * wall.max()


def test_the_passer_by_hides_what_rests_and_leaves_it_as_it_was() -> None:
    for program in programs_of("passes"):
        shown = seen(program, 1)
        assert shown.min() < 0.8 * shown[0]
        assert abs(int(shown[-1] - shown[0])) <= 2


def test_the_pushed_solid_rests_and_then_goes_while_the_other_stops() -> None:
    for program in programs_of("pushes"):
        ids = render_ids(program)
        still = [torch.equal(ids[0] == 1, ids[1] == 1), torch.equal(ids[-1] == 0, ids[-2] == 0)]
        assert all(still)
        assert not torch.equal(ids[0] == 0, ids[2] == 0)
        assert not torch.equal(ids[-1] == 1, ids[-3] == 1)


def test_the_camera_waits_and_then_finds_what_left_the_picture() -> None:
    for program in programs_of("follows"):
        ids = render_ids(program)
        middle = (ids[-1] == 0).nonzero()[:, 1].float().mean()
        farthest = max(abs(float((one == 0).nonzero()[:, 1].float().mean().nan_to_num(99)) - 31.5) for one in ids)
        assert abs(float(middle) - 31.5) < 4
        assert farthest > 20


@pytest.mark.parametrize("camera", ["orbits", "returns"])
def test_a_named_pace_is_one_angle_a_frame_whatever_the_length(camera: str) -> None:
    for pace, rate in (("slowly", 0.35), ("quickly", 0.75)):
        for frames in (17, 49):
            program = replace(programs_of("orbits", 1, frames)[0], camera=camera, pace=pace, camera_speed=0.3)
            angle = orbit_angle(program)
            assert angle[0] == 0
            assert float(angle[1]) == pytest.approx(rate / 8)
            assert float(angle[-1]) == pytest.approx(rate * program.seconds if camera == "orbits" else 0, abs=1e-5)


def test_the_wall_casts_a_shadow_and_water_mirrors_it() -> None:
    base = programs_of("behind", 1)[0]
    assert base.wall is not None
    for floor in ("snow", "water"):
        program = replace(base, floor=floor, sky="day", fog=False, frames=1)
        with_wall, without = render_empty(program)[0].float(), render_empty(replace(program, wall=None))[0].float()
        floor_pixels = render_ids(program)[0] == FLOOR_ID
        changed = (with_wall - without).abs().amax(-1)[floor_pixels] > 12
        assert changed.float().mean() > 0.01


def test_fog_pales_what_is_there() -> None:
    program = replace(programs_of("before", 1)[0], sky="day", fog=False, frames=1)
    horizon = torch.tensor(SKY_LIGHT["day"][1]) * 255
    clear, foggy = ((render(one)[0] - horizon).abs().mean(-1) for one in (program, replace(program, fog=True)))
    assert (foggy <= clear + 2).float().mean() > 0.99
    assert foggy.mean() < 0.8 * clear.mean()


def test_a_mirrored_story_is_rendered_mirrored() -> None:
    for kind in ("behind", "pushes", "follows"):
        program = programs_of(kind, 1)[0]
        # Turned solids and the floor's texture have no mirror image; where things are seen has.
        ids, swapped = render_ids(program), render_ids(mirror(program)).flip(-1)
        assert (ids == swapped).float().mean() > 0.97


def test_chunks_of_the_whole_world_keep_to_their_side_of_the_split() -> None:
    trained = chunk_programs(2, count=30, world="whole")
    kept = chunk_programs(2, kept_out=True, count=30, world="whole")
    assert trained == chunk_programs(2, count=30, world="whole")
    assert not any(held_out(program) for program in trained)
    assert all(held_out(program) for program in kept)
    assert {frames for _, frames in WHOLE_MIX} == {17, 25, 33, 41, 49}
    assert {size for size, _ in WHOLE_MIX} == set(SIZES)


def test_every_kind_is_drawn() -> None:
    drawn = [draw_scene(Random(seed)) for seed in range(300)]
    assert {program.story for program in drawn} == {"", "behind", "before", "pushes", "passes", "follows"}
    assert {program.camera for program in drawn} == {"stands", "orbits", "pans", "zooms", "returns", "follows"}
    assert any(program.fog for program in drawn)


def test_hard_scenes_are_mostly_of_two_solids_or_a_story_and_keep_to_the_same_split() -> None:
    drawn = chunk_programs(0, count=120, world="hard")
    assert not any(held_out(program) for program in drawn)
    assert {program.story for program in drawn} == {"", "behind", "passes", "pushes"}
    assert sum(len(program.solids) == 2 for program in drawn) > 50
    alone = [program for program in drawn if len(program.solids) == 1 and not program.story and not program.pace]
    assert {program.solids[0].motion for program in alone} == {"stays", "turns"}
    assert all(program.solids[0].shape != "cube" for program in alone if program.solids[0].motion == "turns")
    assert any(program.floor == "water" for program in alone)
    assert all(program.camera == "stands" for program in drawn if not program.pace)
