"""Tokens that show a solid, its shadow or its mirror image weigh more where the noise still lets them be seen."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from torch.nn.functional import max_pool2d
from toy_clips import three_clips

from pipeline.tabletop.emphasis import SHOWN, WEIGHT, solid_tokens, token_weights
from pipeline.tabletop.latents import draw_sample, encode_chunk
from pipeline.tabletop.network import SPATIAL, make_autoencoder
from pipeline.tabletop.render import render, render_empty
from pipeline.tabletop.scenes import draw_kind
from pipeline.tabletop.world import Program


def differs(program: Program, clip: torch.Tensor) -> torch.Tensor:
    """How much a clip's first frame differs from the empty scene, by the latent."""
    off = (clip[0].float() - render_empty(replace(program, frames=1))[0].float()).abs().mean(-1)
    height, width = (side // SPATIAL for side in off.shape)
    return off.view(height, SPATIAL, width, SPATIAL).mean((1, 3))


@pytest.mark.parametrize("kind", ["plain", "pushes", "passes"])
def test_what_a_solid_changes_in_the_picture_is_marked(kind: str) -> None:
    inside, shares = 0.0, []
    for seed in range(12):
        program = replace(draw_kind(Random(seed), kind), camera="stands", fog=False)
        marks, off = solid_tokens(program), differs(program, render(program))
        assert marks.shape == (5, 8, 8)
        inside += float(off[marks[0]].sum() / off.sum()) / 12
        shares.append(float(marks[0].float().mean()))
    assert inside > 0.85
    assert sum(shares) / 12 < 0.3


def test_marks_follow_what_moves_and_are_of_the_clip_s_size() -> None:
    program = replace(draw_kind(Random(1), "before", (160, 96), 25), fog=False)
    marks = solid_tokens(program)
    assert marks.shape == (7, 6, 10)
    columns = torch.arange(10.0)
    middles = [(frame.any(0) * columns).sum() / frame.any(0).sum() for frame in (marks[0], marks[-1])]
    assert abs(middles[0] - middles[1]) > 3


@pytest.mark.parametrize("half", [False, True])
def test_each_latent_of_a_batch_has_its_mark_at_half_the_side_too(half: bool, tmp_path: Path) -> None:
    path = three_clips(tmp_path) / "chunks" / "chunk-00000.pt"
    for chunk in encode_chunk(make_autoencoder().requires_grad_(False), path, half):
        sample = draw_sample([chunk], chunk.tokens, {"first": 1.0})
        assert sample.shown is not None
        assert sample.shown.shape == (1, *sample.latents.shape[2:])
        assert sample.shown.any()


def test_at_half_the_side_a_latent_shows_what_its_four_show() -> None:
    for seed in range(6):
        program = draw_kind(Random(seed), "pushes")
        four = max_pool2d(solid_tokens(program).float(), 2) > 0
        assert torch.equal(solid_tokens(program, 2 * SPATIAL), four)
        assert not four.all()


def test_only_tokens_whose_noise_lets_them_be_seen_weigh_more_and_given_ones_in_front_do_not() -> None:
    shown = torch.tensor([[[[True, False]]], [[[True, True]]]])
    sigma = torch.tensor([[0.0, SHOWN, SHOWN], [0.5, 0.5, 0.99]])
    assert token_weights(shown, sigma).tolist() == [[1, WEIGHT, 1], [1, WEIGHT, 1]]
    assert token_weights(None, sigma).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert token_weights(shown, sigma, follows=True).tolist() == [[1, WEIGHT, 1], [1, WEIGHT, WEIGHT]]
