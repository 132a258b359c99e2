"""Latents in time: a decoder that goes on from frame to frame, and loops of words, turned while they are made."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from test_ltx import run as run_segment
from tiny_wan import Heard, place_wan

from pipeline.families import wan
from pipeline.families.causal_codec import MEMORY
from pipeline.families.wan import WanFamily
from pipeline.families.wan_conditions import turned
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import Settings


@pytest.fixture(scope="module", params=["wan-1.3b", "wan-5b"])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WanFamily:
    spec, hub = get_model(request.param), tmp_path_factory.mktemp("hub")
    place_wan(spec, hub)
    return wan.load(spec, Settings(hub=hub, device="cpu"))


def plan(family: WanFamily, **asked: Any) -> Plan:
    small = {"prompt": "a red ball on snow", "width": 256, "height": 256, "steps": 3, "seed": 3}
    return make_plan(parse_request(small | asked), family.spec)


def random_latents(family: WanFamily, frames: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    shape = (1, family.pipe.vae.config.z_dim, frames, 4, 4)
    made: np.ndarray[Any, np.dtype[np.float32]] = torch.randn(shape, generator=torch.Generator().manual_seed(1)).numpy()
    return made


def test_pieces_are_exactly_the_whole(family: WanFamily) -> None:
    latents = random_latents(family, 9)
    pieces = list(family.codec.decode(latents))
    assert [len(piece) for piece in pieces] == [1, *[4] * 8]
    frames = np.concatenate(pieces)
    assert np.array_equal(frames, family.codec.decode_whole(torch.from_numpy(latents)))
    assert np.array_equal(family.codec.last_frame(latents), frames[-1])


def test_two_clips_are_decoded_side_by_side(family: WanFamily) -> None:
    latents = random_latents(family, 3)
    alone = np.concatenate(list(family.codec.decode(latents)))
    one, other = family.codec.decode(latents), family.codec.decode(latents[:, :, ::-1].copy())
    pieces = []
    for piece, _ in zip(one, other, strict=True):
        pieces.append(piece)
        family.codec.encode(np.zeros((5, 64, 64, 3), np.uint8))
    assert np.array_equal(np.concatenate(pieces), alone)


def test_tiles_are_left_to_the_autoencoder(family: WanFamily) -> None:
    latents = random_latents(family, 2)
    family.pipe.vae.enable_tiling()
    try:
        (whole,) = family.codec.decode(latents)
    finally:
        family.pipe.vae.disable_tiling()
    assert np.array_equal(whole, family.codec.decode_whole(torch.from_numpy(latents)))


def test_windows_would_show_where_they_begin() -> None:
    # The autoencoder at its full depth: even ten latent frames of what came before are too few.
    torch.manual_seed(0)
    vae = AutoencoderKLWan(base_dim=4)
    latents = torch.randn(1, 16, 13, 2, 2)
    with torch.no_grad():
        whole, window = vae.decode(latents).sample[:, :, -4:], vae.decode(latents[:, :, 2:]).sample[:, :, -4:]
    assert (whole - window).abs().max() * 127.5 > 2


def test_encoding_is_normalised_as_the_pipelines_do(family: WanFamily) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    config, vae = family.pipe.vae.config, family.pipe.vae
    with torch.no_grad():
        raw = vae.encode(torch.from_numpy(frames).permute(3, 0, 1, 2)[None] / 127.5 - 1).latent_dist.mode()
    mean, std = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (config.latents_mean, config.latents_std))
    assert torch.allclose(family.codec.encode(frames), (raw - mean) * (1 / std), atol=1e-5)


def test_a_transformer_sees_its_latents_turned_and_its_answer_is_turned_back(family: WanFamily) -> None:
    transformer, config = family.pipe.transformer, family.pipe.transformer.config
    latents = torch.randn(1, config.in_channels, 5, 8, 8).bfloat16()
    told = {"timestep": torch.tensor([500]), "encoder_hidden_states": torch.randn(1, 4, 32).bfloat16()}

    def answer(given: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            answered: torch.Tensor = transformer(hidden_states=given, return_dict=False, **told)[0]
        return answered

    plain, expected = answer(latents), answer(latents.roll(2, 2)).roll(-2, 2)
    assert not torch.equal(plain, expected), "positions count"
    with turned(transformer, lambda: 2):
        assert torch.equal(answer(latents), expected)
    assert torch.equal(answer(latents), plain)
    with pytest.raises(ZeroDivisionError), turned(transformer, lambda: 1 // 0):
        answer(latents)
    assert torch.equal(answer(latents), plain), "whatever happens"


def test_a_loop_of_words_is_turned_by_a_frame_at_each_step(family: WanFamily) -> None:
    made = plan(family, task="loop", frames=16)
    with Heard(family) as heard:
        sample, told = run_segment(family, made)
    assert sample.latents.shape[2] == 4
    assert len(heard.calls) == 6, "with guidance, two a step"
    # What was listened to came before the turn, and the answers before they were turned back.
    plain = run_segment(family, plan(family, frames=13))[0]
    assert not any(np.allclose(np.roll(sample.latents, turn, 2), plain.latents, atol=1e-3) for turn in range(4))
    last = told[-1][2].astype(int)
    foreseen = family.preview(torch.from_numpy(sample.latents)).astype(int)
    assert min(np.abs(np.roll(last, turn, 0) - foreseen).max() for turn in range(4)) <= 1


def test_no_frame_of_a_loop_is_the_first(family: WanFamily) -> None:
    latents = random_latents(family, 4)
    frames = family.codec.decode_loop(latents)
    assert len(frames) == 16
    for turn in (1, 3):
        begun_elsewhere = family.codec.decode_loop(np.roll(latents, -turn, axis=2))
        assert np.array_equal(begun_elsewhere, np.roll(frames, -4 * turn, axis=0))


@pytest.mark.parametrize("settings", [{}, {"z_dim": 48, "is_residual": True, "patch_size": 2, "out_channels": 12}])
def test_the_decoder_remembers_so_far_back_and_no_further(settings: dict[str, Any]) -> None:
    # As many layers as the real ones have.
    torch.manual_seed(0)
    vae = AutoencoderKLWan(base_dim=4, decoder_base_dim=4, **settings).double()
    latents = torch.randn(1, vae.config.z_dim, MEMORY + 3, 1, 1, dtype=torch.float64)
    other = latents.clone()
    other[:, :, 0] += 3
    with torch.no_grad():
        change = (vae.decode(latents).sample - vae.decode(other).sample).abs().amax(dim=(0, 1, 3, 4))
    last = (int(change.nonzero().max()) + 3) // 4
    assert MEMORY - 1 <= last <= MEMORY, "the furthest change may be lost in rounding"


def test_what_is_made_again_is_the_same(family: WanFamily) -> None:
    made = plan(family, task="loop", frames=8)
    assert np.array_equal(run_segment(family, made)[0].latents, run_segment(family, made)[0].latents)
