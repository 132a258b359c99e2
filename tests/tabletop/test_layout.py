"""Training lays given frames out exactly as `LTXConditionPipeline.prepare_latents` does."""

import pytest
import torch
from diffusers import LTXConditionPipeline
from torch import Tensor

from pipeline.tabletop.layout import Given, lay_out
from pipeline.tabletop.network import (
    CHANNELS,
    SPATIAL,
    TEMPORAL,
    make_autoencoder,
    make_scheduler,
    make_text_encoder,
    make_transformer,
)
from pipeline.tabletop.tokens import make_tokenizer
from pipeline.tabletop.world import FPS

FRAMES, HEIGHT, WIDTH = 25, 64, 96


@pytest.fixture(scope="module")
def pipe() -> LTXConditionPipeline:
    """The pipeline class with untrained weights: the layout does not depend on them."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    return LTXConditionPipeline(
        scheduler=make_scheduler(),
        vae=make_autoencoder(),
        text_encoder=make_text_encoder(len(tokenizer)),
        tokenizer=tokenizer,
        transformer=make_transformer(64, 1),
    )


def clip(frames: int) -> Tensor:
    return torch.rand(1, 3, frames, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(frames)) * 2 - 1


def latent_shape(frames: int) -> tuple[int, ...]:
    return (1, CHANNELS, (frames - 1) // TEMPORAL + 1, HEIGHT // SPATIAL, WIDTH // SPATIAL)


def encode_like_pipeline(pipe: LTXConditionPipeline, conditions: list[tuple[int, int, float]]) -> list[Given]:
    """Encode the conditions with the random numbers that the pipeline draws, in its order."""
    generator = torch.Generator().manual_seed(1)
    torch.randn(latent_shape(FRAMES), generator=generator)
    given = []
    for frame, length, strength in conditions:
        latents = pipe.vae.encode(clip(length)).latent_dist.sample(generator)
        given.append(Given(latents, frame, strength))
        if frame > 0:
            torch.randn(latents[:, :, :2].shape, generator=generator)
    return given


CASES = {
    "first image": [(0, 1, 1.0)],
    "first clip": [(0, 9, 1.0)],
    "last image": [(24, 1, 1.0)],
    "both ends": [(0, 1, 1.0), (24, 1, 1.0)],
    "tail of two latents": [(20, 5, 1.0)],
    "long tail": [(12, 13, 1.0)],
    "head and tail": [(0, 9, 1.0), (16, 9, 1.0)],
    "image in the middle, weaker": [(11, 1, 0.6)],
    "first image, weaker": [(0, 1, 0.7)],
}


@pytest.mark.parametrize("conditions", CASES.values(), ids=CASES.keys())
@torch.no_grad()
def test_training_and_pipeline_lay_conditions_out_alike(
    pipe: LTXConditionPipeline, conditions: list[tuple[int, int, float]]
) -> None:
    theirs, mask, ids, extra = pipe.prepare_latents(
        [clip(length) for _, length, _ in conditions],
        [strength for _, _, strength in conditions],
        [frame for frame, _, _ in conditions],
        num_channels_latents=CHANNELS,
        height=HEIGHT,
        width=WIDTH,
        num_frames=FRAMES,
        generator=torch.Generator().manual_seed(1),
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    sigma = 0.9
    ours = lay_out(torch.zeros(latent_shape(FRAMES)), torch.tensor([sigma]), encode_like_pipeline(pipe, conditions))

    coords = ids.float()
    coords[:, 0] /= FPS
    torch.testing.assert_close(ours.coords, coords)
    torch.testing.assert_close(ours.sigma, torch.minimum(torch.tensor(sigma), 1 - mask))
    assert ours.inputs.shape == theirs.shape
    assert extra == theirs.shape[1] - torch.Size(latent_shape(FRAMES))[2:].numel()
    whole = mask[0] == 1.0
    torch.testing.assert_close(ours.inputs[0, whole], theirs[0, whole])
    assert whole.any() or all(strength < 1 for _, _, strength in conditions)


def test_target_is_noise_minus_clean() -> None:
    """x = (1-σ)·clean + σ·noise, and the target is the derivative by σ."""
    clean = torch.randn(2, CHANNELS, 3, 2, 2)
    tokens = lay_out(clean, torch.tensor([0.25, 0.75]), [])
    packed = clean.flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens.inputs - tokens.sigma[..., None] * tokens.target, packed)
