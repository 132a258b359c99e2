"""While it learns, the transformer's middle is asked where each token is and what it shows."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from toy_clips import three_clips

from pipeline.tabletop.alignment import MAPS, Alignment, solid_angles, solid_maps, token_places
from pipeline.tabletop.attention import PlainAttention
from pipeline.tabletop.denoiser import Shape, build_denoiser
from pipeline.tabletop.emphasis import solid_tokens
from pipeline.tabletop.latent_library import LatentLibrary
from pipeline.tabletop.latents import draw_fitting, encode_chunk, is_seldom, is_sided
from pipeline.tabletop.network import SPATIAL, make_autoencoder, make_transformer
from pipeline.tabletop.scenes import draw_kind
from pipeline.tabletop.train_transformer import SIDED_EVERY, SIDED_FROM, Lessons, draw_batch, prepare

SHAPE = Shape(width=64, layers=1)


def test_maps_show_each_colour_and_shape_where_its_solid_is() -> None:
    program = replace(draw_kind(Random(2), "pushes"), fog=False)
    maps = dict(zip(MAPS, solid_maps(program), strict=True))
    shown = {name for name, where in maps.items() if where.any()}
    assert shown == {name for solid in program.solids for name in (solid.colour, solid.shape)} | {"cast"}
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


def test_maps_fit_clips_at_half_their_size() -> None:
    program = draw_kind(Random(2), "pushes")
    assert solid_maps(program, 2 * SPATIAL).shape == (len(MAPS), 5, 4, 4)


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
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert alignment.loss([program], latents.shape, coloured=False) < losses[-1]


def test_batches_in_which_only_words_tell_have_such_clips_at_high_noise(tmp_path: Path) -> None:
    library = LatentLibrary(make_autoencoder().requires_grad_(False), three_clips(tmp_path), half=False)
    library.refresh()
    (parts,) = library.parts.values()
    sample, sigma = draw_batch(library, library, 0.0, SIDED_EVERY)
    assert float(sigma.min()) >= SIDED_FROM
    some = any(is_sided(program) for part in parts if part.true_colours for program in part.programs)
    assert all(is_sided(program) for program in sample.programs) == some
    assert all(sample.captions) or not some
    assert len(draw_batch(library, library, 0.0, 1)[0].programs)


def test_what_few_clips_show_is_drawn_more_often(tmp_path: Path) -> None:
    solid = replace(draw_kind(Random(1), "plain").solids[0], motion="turns")
    turning = replace(draw_kind(Random(1), "plain"), solids=(solid,), camera="stands")
    assert is_seldom(turning)
    assert is_seldom(replace(turning, solids=(replace(solid, motion="stays"),), camera="pans"))
    assert not is_seldom(replace(turning, solids=(replace(solid, motion="stays"),)))
    assert not is_seldom(replace(turning, solids=(solid, solid)))
    library = LatentLibrary(make_autoencoder().requires_grad_(False), three_clips(tmp_path), half=False)
    library.refresh()
    (parts,) = library.parts.values()
    fits = [program for program in parts[0].programs if is_seldom(program)]
    drawn = draw_batch(library, library, 0.0, SIDED_EVERY // 2)[0].programs
    assert set(drawn) <= set(fits) or not fits


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


def test_where_no_clip_is_so_any_will_do(tmp_path: Path) -> None:
    path = three_clips(tmp_path) / "chunks" / "chunk-00000.pt"
    chunks = encode_chunk(make_autoencoder().requires_grad_(False), path, half=False)
    still = [part for part in chunks if not any(map(is_sided, part.programs))] or [
        replace(part, programs=tuple(replace(one, camera="zooms") for one in part.programs)) for part in chunks
    ]
    assert draw_fitting(still, is_sided).programs


@pytest.mark.filterwarnings("ignore:Mismatch dtype")
def test_a_step_learns_from_all_that_is_asked_and_the_model_keeps_none_of_the_heads(tmp_path: Path) -> None:
    lessons = prepare(SHAPE, "cpu", tmp_path)
    assert isinstance(lessons, Lessons)
    library = LatentLibrary(make_autoencoder().requires_grad_(False), three_clips(tmp_path), half=False)
    library.refresh()
    flow, whole = lessons.loss(*draw_batch(library, library, 0.0, 1))
    assert whole > flow
    whole.backward()
    asked = [lessons.alignment.places.weight, lessons.reader.scene.weight, lessons.model.text_encoder.shared.weight]
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in asked)
    built = build_denoiser(SHAPE, "cpu")
    assert lessons.model.transformer.state_dict().keys() == built.transformer.state_dict().keys()
