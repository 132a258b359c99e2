"""Encoded clips are kept on disk, by the autoencoder that encoded them."""

import json
from dataclasses import asdict
from pathlib import Path
from random import Random

import pytest
import torch

from pipeline.tabletop.latents import cache_folder, cached_chunk, draw_sample, encode_clips
from pipeline.tabletop.network import make_autoencoder
from pipeline.tabletop.world import draw_program


@pytest.fixture
def chunk(tmp_path: Path) -> Path:
    programs = [draw_program(Random(seed), (64, 64), 9) for seed in range(3)]
    frames = torch.randint(256, (3, 9, 64, 64, 3), dtype=torch.uint8)
    path = tmp_path / "chunk-00000.pt"
    torch.save({"programs": json.dumps([asdict(program) for program in programs]), "frames": frames}, path)
    return path


def test_latents_come_back_from_the_cache_as_they_were(chunk: Path, tmp_path: Path) -> None:
    vae = make_autoencoder()
    first = cached_chunk(vae, chunk, cache_folder(vae, tmp_path, True), half=True)
    chunk.unlink()
    again = cached_chunk(vae, chunk, cache_folder(vae, tmp_path, True), half=True)
    assert [part.programs for part in first] == [part.programs for part in again]
    assert [part.true_colours for part in again] == [True, False, True]
    for before, after in zip(first, again, strict=True):
        assert torch.equal(before.whole, after.whole)
        assert torch.equal(before.last, after.last)
        assert torch.equal(before.tail, after.tail)


def test_another_autoencoder_or_size_does_not_get_these_latents(chunk: Path, tmp_path: Path) -> None:
    vae = make_autoencoder()
    (small, *_) = cached_chunk(vae, chunk, cache_folder(vae, tmp_path, True), half=True)
    (full, *_) = cached_chunk(vae, chunk, cache_folder(vae, tmp_path, False), half=False)
    with torch.no_grad():
        next(vae.parameters()).mul_(2)
    (other, *_) = cached_chunk(vae, chunk, cache_folder(vae, tmp_path, True), half=True)
    assert full.whole.shape != small.whole.shape
    assert not torch.equal(other.whole, small.whole)


@pytest.mark.parametrize(("kind", "follows"), [("text", False), ("first", False), ("tail", False), ("head", True)])
def test_a_clip_follows_from_more_than_a_first_picture(chunk: Path, tmp_path: Path, kind: str, follows: bool) -> None:
    vae = make_autoencoder()
    (whole, *_) = cached_chunk(vae, chunk, cache_folder(vae, tmp_path, False), half=False)
    assert draw_sample([whole], whole.tokens, {kind: 1.0}).follows == follows


def test_a_clip_goes_on_from_anything_between_two_latent_frames_and_all_but_its_last() -> None:
    program = draw_program(Random(1), (64, 64), 25)
    frames = torch.zeros(1, 3, 25, 64, 64)
    whole = encode_clips(make_autoencoder(), (program,), frames)
    drawn = [draw_sample([whole], whole.tokens, {"head": 1.0}).given[0].latents.shape[2] for _ in range(120)]
    assert set(drawn) == {2, 3, 4, 5, 6}
    assert drawn.count(2) > 120 / 3


def test_between_the_ends_of_a_clip_something_is_left_to_make() -> None:
    program = draw_program(Random(1), (64, 64), 17)
    whole = encode_clips(make_autoencoder(), (program,), torch.zeros(1, 3, 17, 64, 64))
    for _ in range(40):
        head, tail = draw_sample([whole], whole.tokens, {"bridge": 1.0}).given
        assert head.latents.shape[2] + tail.latents.shape[2] <= whole.whole.shape[2]
        assert 4 * head.latents.shape[2] - 3 <= tail.frame
