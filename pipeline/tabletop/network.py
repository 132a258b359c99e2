"""Tabletop's networks: the classes of the hosted default (LTX-Video), small enough for a laptop's processor."""

from typing import Final

import torch
from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel

SPATIAL: Final = 16
"""Pixels per latent, along both sides."""
TEMPORAL: Final = 4
"""Frames per latent frame, after the first frame, which has a latent frame of its own."""
CHANNELS: Final = 64
TEXT_LENGTH: Final = 48
"""Longest prompt in tokens."""
TEXT_LAYERS: Final = 3
"""Of the text encoder: two tell apart whose colour a word is, a third whose side."""


def make_autoencoder() -> AutoencoderKLLTXVideo:
    """A causal video autoencoder, 16×16×4 pixels to one latent of 64 channels; pixels are in -1..1."""
    return AutoencoderKLLTXVideo(
        latent_channels=CHANNELS,
        block_out_channels=(48, 96, 128),
        down_block_types=("LTXVideo095DownBlock3D",) * 3,
        decoder_block_out_channels=(64, 128),
        layers_per_block=(2, 2, 2),
        decoder_layers_per_block=(2, 2, 2),
        spatio_temporal_scaling=(True, True),
        decoder_spatio_temporal_scaling=(True, True),
        decoder_inject_noise=(False, False, False),
        downsample_type=("spatiotemporal", "spatiotemporal"),
        upsample_residual=(True, True),
        upsample_factor=(2, 2),
        patch_size=4,
    )


def make_transformer(width: int = 256, layers: int = 8) -> LTXVideoTransformer3DModel:
    """A diffusion transformer over latents, patch size 1, with attention to the prompt in each block."""
    return LTXVideoTransformer3DModel(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        num_attention_heads=width // 64,
        attention_head_dim=64,
        cross_attention_dim=width,
        num_layers=layers,
        caption_channels=width,
    )


def make_text_encoder(vocabulary: int, width: int = 256, layers: int = TEXT_LAYERS) -> T5EncoderModel:
    """A small T5 encoder, trained together with the transformer."""
    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary,
            d_model=width,
            d_kv=64,
            d_ff=2 * width,
            num_layers=layers,
            num_heads=width // 64,
            relative_attention_num_buckets=16,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            pad_token_id=0,
        )
    )


def make_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Plain rectified flow: the sigmas that the pipeline asks for are used as they are."""
    return FlowMatchEulerDiscreteScheduler()


def count_parameters(module: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in module.parameters())


def to_pixels(frames: Tensor) -> Tensor:
    """uint8 frames (..., frames, height, width, 3) to the autoencoder's (..., 3, frames, height, width) in -1..1."""
    return frames.movedim(-1, -4).float() / 127.5 - 1


def to_frames(pixels: Tensor) -> Tensor:
    """The autoencoder's pixels (..., 3, frames, height, width) back to uint8 (..., frames, height, width, 3)."""
    return ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).movedim(-4, -1)
