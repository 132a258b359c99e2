"""While it learns, the transformer's middle is asked where each token is and what it shows."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from toy_clips import resting, three_clips

from pipeline.tabletop.alignment import (
    COLOURED,
    LIT,
    MAPS,
    MIRRORED,
    Alignment,
    camera_views,
    map_weights,
    solid_angles,
    solid_maps,
    token_places,
)
from pipeline.tabletop.attention import PlainAttention
from pipeline.tabletop.denoiser import Shape, build_denoiser
from pipeline.tabletop.emphasis import solid_tokens
from pipeline.tabletop.latent_library import LatentLibrary
from pipeline.tabletop.network import SPATIAL, make_autoencoder, make_transformer
from pipeline.tabletop.scenes import draw_kind
from pipeline.tabletop.train_transformer import Pupil, draw_batch, prepare

SHAPE = Shape(width=64, layers=1)


def test_maps_show_each_colour_and_shape_where_its_solid_is() -> None:
    program = replace(draw_kind(Random(2), "pushes"), fog=False)
    maps = dict(zip(MAPS, solid_maps(program), strict=True))
    shown = {name for name, where in maps.items() if where.any()}
    own_names = {name for solid in program.solids for name in (solid.colour, solid.shape)}
    assert shown == own_names | {"cast", LIT[program.sun > 0]}
    first, second = (maps[solid.colour][0].float().sum(0) for solid in program.solids)
    columns = torch.arange(8.0)
    left, right = ((where * columns).sum() / where.sum() for where in (first, second))
    assert (left < right) == (program.solids[0].x < program.solids[1].x)
    own = torch.stack([maps[solid.colour] for solid in program.solids]).any(0)
    assert bool((solid_tokens(program) | ~own).all()), "what weighs more holds all of it"


def test_what_hides_behind_a_wall_is_not_shown_there() -> None:
    program = replace(draw_kind(Random(4), "behind"), fog=False)
    seen = solid_maps(program)[MAPS.index(program.solids[0].colour)].any(-1).any(-1)
    assert seen[0]
    assert not seen.all()


@pytest.mark.parametrize("sun", [-0.9, 0.9])
def test_a_shadow_lies_away_from_the_light_that_its_solid_is_under(sun: float) -> None:
    program = resting("grass", sun)
    maps = dict(zip(MAPS, solid_maps(program), strict=True))
    columns = torch.arange(8.0)
    own, cast = ((maps[name][0].sum(0) * columns).sum() / maps[name][0].sum() for name in ("ball", "cast"))
    assert (cast < own) == (sun > 0)
    lit, unlit = (maps[LIT[side]] for side in (sun > 0, sun < 0))
    assert torch.equal(lit, maps["ball"] | maps["cast"])
    assert not unlit.any()
    assert not any(maps[name].any() for name in MIRRORED)


def test_water_shows_a_colour_below_its_solid() -> None:
    program = resting("water", 0.9)
    maps = dict(zip(MAPS, solid_maps(program), strict=True))
    image = maps[f"mirrored {program.solids[0].colour}"]
    assert torch.equal(image, maps["cast"])
    assert sum(bool(maps[name].any()) for name in MIRRORED) == 1
    rows = torch.arange(8.0)
    own, below = ((where[0].sum(1) * rows).sum() / where[0].sum() for where in (maps["ball"], image))
    assert below > own + 1
    assert bool((solid_tokens(program) | ~image).all()), "what weighs more holds all of it"


def test_colours_weigh_nothing_in_a_clip_that_has_others() -> None:
    weights = dict(zip(MAPS, map_weights(coloured=False).tolist(), strict=True))
    assert {name for name, weight in weights.items() if not weight} == set(COLOURED)
    assert map_weights(coloured=True).min() > 0


def test_maps_fit_clips_at_half_their_size() -> None:
    program = draw_kind(Random(2), "pushes")
    assert solid_maps(program, 2 * SPATIAL).shape == (len(MAPS), 5, 4, 4)


def test_a_camera_that_stands_is_told_as_nothing_and_one_that_moves_alike_all_over_each_frame() -> None:
    for camera in ("stands", "orbits", "pans", "zooms"):
        program = replace(draw_kind(Random(5), "plain"), camera=camera, camera_speed=0.5)
        views = camera_views(program, SPATIAL)
        assert views.shape == (3, *solid_maps(program).shape[1:])
        assert torch.equal(views, views[:, :, :1, :1].expand_as(views))
        moved = [bool(view.any()) for view in views]
        assert moved == [camera == name for name in ("orbits", "pans", "zooms")]


def test_an_orbit_is_told_as_far_as_it_has_gone_and_which_way() -> None:
    drawn = replace(draw_kind(Random(5), "orbits"), camera="orbits", pace="quickly")
    left, right = (camera_views(replace(drawn, camera_speed=way), SPATIAL)[0, :, 0, 0] for way in (-0.5, 0.5))
    assert left.tolist() == pytest.approx((-right).tolist())
    assert right[0] == 0
    assert bool((right[1:] > right[:-1]).all())
    slower = camera_views(replace(drawn, camera_speed=0.5, pace="slowly"), SPATIAL)[0, :, 0, 0]
    assert right[-1] > 1.5 * slower[-1] > 0


def test_the_last_place_has_the_sign_of_a_direction() -> None:
    time, row, column, both = token_places(torch.Size((1, 64, 3, 2, 4))).T
    assert [value.aminmax() for value in (time, row, column)] == [(-1, 1)] * 3
    assert torch.equal(both, time * column)
    assert both.view(3, 2, 4)[0, 0].tolist() == pytest.approx([1, 1 / 3, -1 / 3, -1])


def test_heads_learn_what_blocks_know_and_blocks_learn_what_heads_ask() -> None:
    torch.manual_seed(0)
    transformer = make_transformer(64, 2)
    transformer.set_attn_processor(PlainAttention())
    alignment, program = Alignment(transformer), draw_kind(Random(2), "pushes")
    optimizer = torch.optim.AdamW([*transformer.parameters(), *alignment.parameters()], lr=1e-2)
    latents, losses = torch.randn(1, 64, 5, 8, 8), []
    for _ in range(120):
        transformer(
            hidden_states=latents.flatten(2).transpose(1, 2),
            encoder_hidden_states=torch.ones(1, 2, 64),
            timestep=torch.full((1, 1), 900.0),
            encoder_attention_mask=torch.ones(1, 2, dtype=torch.bool),
            num_frames=5,
            height=8,
            width=8,
        )
        loss = alignment.loss([program], latents.shape)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert alignment.loss([program], latents.shape, coloured=False) < losses[-1]


@pytest.mark.parametrize("shape", ["ball", "cylinder", "cone", "cube"])
@pytest.mark.parametrize("motion", ["turns", "stays", "left", "closer"])
def test_how_far_a_solid_is_turned_goes_on_with_its_motion(shape: str, motion: str) -> None:
    drawn = draw_kind(Random(5), "plain")
    solid = replace(drawn.solids[0], shape=shape, motion=motion, z=0.0)
    program = replace(drawn, solids=(solid,), camera="stands", fog=False)
    cosine, sine, there = solid_angles(program)
    assert bool((there[solid_maps(program)[MAPS.index(shape)]] == 1).all())
    sums = torch.stack([cosine * there, sine * there], -1).sum((1, 2))
    by_frame = sums / there.sum((1, 2))[:, None]
    moved = (by_frame[1:] - by_frame[:-1]).norm(dim=1)
    if motion == "turns" or (motion != "stays" and shape == "ball"):
        assert float(moved.max()) > 0.3
    else:
        assert float(moved.max()) < 1e-5
        assert by_frame.norm(dim=1).tolist() == pytest.approx([1.0] * 5)


@pytest.mark.filterwarnings("ignore:Mismatch dtype")
def test_a_step_learns_from_all_that_is_asked_and_the_model_keeps_none_of_the_heads(tmp_path: Path) -> None:
    pupil = prepare(SHAPE, "cpu", tmp_path)
    assert isinstance(pupil, Pupil)
    library = LatentLibrary(make_autoencoder().requires_grad_(False), three_clips(tmp_path), half=False)
    library.refresh()
    flow, whole = pupil.loss(*draw_batch(library, library, 0.0, 1), progress=0.0)
    assert whole > flow
    whole.backward()  # type: ignore[no-untyped-call]
    asked = [pupil.alignment.places.weight, pupil.reader.scene.weight, pupil.model.text_encoder.shared.weight]
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in asked)
    built = build_denoiser(SHAPE, "cpu")
    assert pupil.model.transformer.state_dict().keys() == built.transformer.state_dict().keys()


@pytest.mark.filterwarnings("ignore:Mismatch dtype")
def test_tokens_are_asked_ever_less_until_only_the_velocity_and_the_words_are_left(tmp_path: Path) -> None:
    pupil = prepare(SHAPE, "cpu", tmp_path)
    library = LatentLibrary(make_autoencoder().requires_grad_(False), three_clips(tmp_path), half=False)
    library.refresh()
    batch = draw_batch(library, library, 0.0, 1)
    more = []
    for progress in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        flow, whole = pupil.loss(*batch, progress=progress)
        more.append(float((whole - flow).detach()))
    assert more[0] > more[1] > more[2] > 0
    assert more[0] - more[1] == pytest.approx(more[1] - more[2], rel=1e-3)
    pupil.loss(*batch, progress=1.0)[1].backward()  # type: ignore[no-untyped-call]
    asked, read = pupil.alignment.places.weight.grad, pupil.reader.scene.weight.grad
    assert asked is not None
    assert read is not None
    assert not asked.any()
    assert read.any()
