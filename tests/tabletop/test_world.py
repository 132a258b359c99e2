"""Programs and renders: the picture shows what the program says."""

from random import Random

import pytest
import torch
from torch import Tensor

from pipeline.tabletop.data import chunk_programs, program_from_dict
from pipeline.tabletop.latents import mirror
from pipeline.tabletop.render import render
from pipeline.tabletop.surfaces import COLOUR_RGB
from pipeline.tabletop.world import COLOURS, FLOORS, SHAPES, SIZES, SKIES, Program, Solid, draw_program, held_out


def scene(
    shape: str = "ball", colour: str = "red", motion: str = "stays", floor: str = "snow", **changes: object
) -> Program:
    solid = Solid(shape, colour, shiny=False, motion=motion, x=0.0, z=0.0, size=0.9, speed=1.0, phase=0.3)
    fields: dict[str, object] = {
        "solids": (solid,),
        "floor": floor,
        "sky": "day",
        "camera": "stands",
        "camera_speed": 0.3,
        "sun": 0.8,
        "width": 96,
        "height": 96,
        "frames": 9,
    }
    return Program(**{**fields, **changes})  # type: ignore[arg-type]


def column_of_red(frame: Tensor) -> float:
    """Mean column of the pixels that are clearly red."""
    pixels = frame.float()
    red = (pixels[..., 0] - pixels[..., 1:].amax(-1)) > 60
    assert red.any()
    return float(red.nonzero()[:, 1].float().mean())


@pytest.mark.parametrize("size", SIZES)
def test_a_render_has_the_programs_native_size_and_length(size: tuple[int, int]) -> None:
    frames = render(draw_program(Random(1), size, 5))
    assert frames.shape == (5, size[1], size[0], 3)
    assert frames.dtype == torch.uint8


def test_left_and_right_go_where_they_say() -> None:
    left, right = render(scene(motion="left")), render(scene(motion="right"))
    assert column_of_red(left[0]) - column_of_red(left[-1]) > 10
    assert column_of_red(right[-1]) - column_of_red(right[0]) > 10


def test_a_resting_scene_is_still_and_a_turning_one_is_not() -> None:
    still, turning = render(scene("cube")), render(scene("cube", motion="turns"))
    assert torch.equal(still[0], still[-1])
    assert not torch.equal(turning[0], turning[-1])


def test_what_falls_ends_on_the_floor_and_casts_its_shadow_away_from_the_sun() -> None:
    falling = render(scene(motion="falls", frames=17))
    resting = render(scene())
    assert (falling[-1].float() - resting[-1].float()).abs().mean() < 6
    floor = resting[0, 66:70].float().mean((0, 2))
    assert floor[:34].min() < floor[62:].min()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", COLOURS)
def test_the_middle_of_a_solid_has_its_colour(shape: str, colour: str) -> None:
    frame = render(scene(shape, colour, frames=1))[0, 44:56, 40:60].reshape(-1, 3).float() / 255
    distance = {name: float((frame - torch.tensor(rgb)).norm(dim=1).amin()) for name, rgb in COLOUR_RGB.items()}
    assert distance[colour] < 0.35


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("sky", SKIES)
def test_floors_and_skies_differ_from_each_other(floor: str, sky: str) -> None:
    mine = render(scene(floor=floor, sky=sky, frames=1))[0, 80:].float().mean((0, 1))
    others = [
        render(scene(floor=other, sky=sky, frames=1))[0, 80:].float().mean((0, 1)) for other in FLOORS if other != floor
    ]
    assert all((mine - other).abs().max() > 4 for other in others)


@pytest.mark.parametrize(("floor", "mirrors"), [("water", True), ("sand", False)])
def test_water_mirrors_the_solid(floor: str, mirrors: bool) -> None:
    frame = render(scene(floor=floor, frames=1))[0].float()
    redness = frame[..., 0] - frame[..., 2]
    before_the_solid, beside_it = redness[80:90, 40:60], redness[80:90, :16]
    assert (before_the_solid.max() - beside_it.mean() > 60) == mirrors


def test_the_mirrored_program_renders_the_mirrored_motion() -> None:
    program = scene(motion="left")
    swapped = render(mirror(program))
    assert column_of_red(swapped[-1]) > column_of_red(swapped[0])


def test_chunks_are_made_from_their_number_and_keep_to_their_side_of_the_split() -> None:
    assert chunk_programs(3) == chunk_programs(3)
    assert chunk_programs(3) != chunk_programs(13)
    assert not any(held_out(program) for program in chunk_programs(2))
    assert all(held_out(program) for program in chunk_programs(2, kept_out=True, count=8))


def test_a_program_survives_its_dictionary() -> None:
    from dataclasses import asdict

    program = draw_program(Random(4))
    assert program_from_dict(asdict(program)) == program
