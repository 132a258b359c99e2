"""Tiny random pipelines of Wan's own classes and scheduler settings, one for each row, and their bare calls."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from hub_cache import place
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel
from with_words import with_words

from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan

if TYPE_CHECKING:
    from pipeline.families.family import Family

WORDS = ("<pad>", "</s>", "<unk>", "a", "red", "ball", "blue", "cone", "on", "snow", "static", "overexposed")
TEXT_DIM = 32
# Three axes of rotary positions share a head: of 12 numbers, 4 each.
BLOCKS = {"num_attention_heads": 2, "attention_head_dim": 12, "text_dim": TEXT_DIM, "freq_dim": 16, "ffn_dim": 48}
# As the repositories have it (scheduler_config.json), but for the shift, which the row sets.
SCHEDULER = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "num_train_timesteps": 1000}


def place_wan(spec: ModelSpec, hub: Path) -> Path:
    """Put a tiny pipeline of a row into a Hub cache, as its authors' repository would lie there."""
    return place(tiny_wan(spec), spec.repo, hub)


def tiny_wan(spec: ModelSpec) -> Any:
    """Build a pipeline of a row's classes with random weights, always the same, in the kinds that are uploaded."""
    torch.manual_seed(0)
    encoder = UMT5EncoderModel(UMT5Config(vocab_size=len(WORDS), d_model=TEXT_DIM, d_kv=16, d_ff=48, num_layers=1))
    vae, scheduler = _autoencoder(spec), UniPCMultistepScheduler(**SCHEDULER)
    parts = {"tokenizer": tokenizer(), "text_encoder": encoder.bfloat16(), "vae": vae, "scheduler": scheduler}
    channels = {"in_channels": vae.config.z_dim, "out_channels": vae.config.z_dim}
    if spec.pipeline == "WanVACEPipeline":
        # The masked video twice, what is given and what is made, and the mask of 8×8 pixels.
        vace = {"vace_layers": [0], "vace_in_channels": 2 * vae.config.z_dim + 64}
        transformer = awake(WanVACETransformer3DModel(num_layers=2, **BLOCKS, **channels, **vace))
        return WanVACEPipeline(**parts, transformer=transformer)
    transformer = awake(WanTransformer3DModel(num_layers=2, **BLOCKS, **channels))
    return WanPipeline(**parts, transformer=transformer, expand_timesteps=spec.side_stride == 16)


def _autoencoder(spec: ModelSpec) -> AutoencoderKLWan:
    if spec.side_stride == 8:
        return AutoencoderKLWan(base_dim=2, dim_mult=[1, 1, 1, 1], num_res_blocks=0)
    # Wan 2.2's: patches of 2×2 pixels, shortcuts, 48 channels.
    statistics = {"latents_mean": [0.02 * index - 0.5 for index in range(48)], "latents_std": [0.7] * 48}
    patched = {"in_channels": 12, "out_channels": 12, "patch_size": 2, "scale_factor_spatial": 16}
    return AutoencoderKLWan(
        base_dim=2, decoder_base_dim=2, z_dim=48, num_res_blocks=1, is_residual=True, **patched, **statistics
    )


def awake(transformer: Any) -> Any:
    """Make a random transformer answer to its conditions: what starts at zero would not."""
    for parameter in transformer.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return transformer.bfloat16()


def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


class Heard:
    """What a transformer is told, call by call, while it is listened to."""

    def __init__(self, family: "Family") -> None:
        self.calls: list[dict[str, Any]] = []
        self.answers: list[Tensor] = []
        transformer = family.pipe.transformer
        self._hooks = (
            transformer.register_forward_pre_hook(lambda _m, _args, told: self.calls.append(told), with_kwargs=True),
            transformer.register_forward_hook(lambda _m, _args, out: self.answers.append(out[0])),
        )

    def __enter__(self) -> "Heard":
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()


def bare(family: "Family", plan: Plan, pipe: Any = None, **told: Any) -> Tensor:
    """Call a pipeline as its documentation does."""
    with with_words(family, pipe) as worded:
        made: Tensor = worded(
            prompt=plan.prompt,
            negative_prompt=family.spec.negative_prompt,
            width=plan.width,
            height=plan.height,
            num_inference_steps=plan.steps,
            guidance_scale=plan.guidance_scale,
            generator=torch.Generator().manual_seed(plan.seed),
            output_type="latent",
            **told,
        ).frames
    return made
