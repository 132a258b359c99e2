"""A tiny random pipeline of Helios' own classes, as its authors' repository would lie in a Hub cache."""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, HeliosDMDScheduler, HeliosPyramidPipeline, HeliosTransformer3DModel
from hub_cache import place
from tiny_wan import TEXT_DIM, WORDS, awake, tokenizer
from transformers import UMT5Config, UMT5EncoderModel

from pipeline.model_spec import ModelSpec

# Three axes of rotary positions share a head of 12 numbers.
BLOCKS = {"num_attention_heads": 2, "attention_head_dim": 12, "rope_dim": (4, 4, 4), "ffn_dim": 48, "num_layers": 2}


def place_helios(spec: ModelSpec, hub: Path) -> Path:
    """Put a tiny pipeline of a row into a Hub cache."""
    return place(tiny_helios(), spec.repo, hub)


def tiny_helios() -> Any:
    """Build a pipeline of the distilled model's classes with random weights, always the same."""
    torch.manual_seed(0)
    encoder = UMT5EncoderModel(UMT5Config(vocab_size=len(WORDS), d_model=TEXT_DIM, d_kv=16, d_ff=48, num_layers=1))
    return HeliosPyramidPipeline(
        tokenizer=tokenizer(),
        text_encoder=encoder.bfloat16(),
        vae=AutoencoderKLWan(base_dim=2, dim_mult=[1, 1, 1, 1], num_res_blocks=0),
        scheduler=HeliosDMDScheduler(),
        transformer=awake(HeliosTransformer3DModel(text_dim=TEXT_DIM, freq_dim=16, **BLOCKS)),
        is_distilled=True,
    )
