"""LTX-Video with random weights at tiny sizes, laid out like its repositories: what the hosted rows load."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXLatentUpsamplePipeline,
    LTXVideoTransformer3DModel,
)
from diffusers.pipelines.ltx.modeling_latent_upsampler import LTXLatentUpsamplerModel
from hub_cache import place, snapshot
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer, T5Config, T5EncoderModel

from pipeline.families import ltx
from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.settings import ASSETS, Settings

if TYPE_CHECKING:
    from pipeline.families.family import Family

# diffusers takes an encoder for that of release 0.9.5 or later by its 2,048 last channels. It is nothing but a shape
# here: a block halves no more than eight channels into one, and no layers follow.
ENCODER = (8, 16, 32, 256, 2048)


def autoencoder() -> AutoencoderKLLTXVideo:
    """Strides 8 × 32 × 32, blocks of release 0.9.5, a decoder that denoises; statistics unlike 0 and 1."""
    vae = AutoencoderKLLTXVideo(
        block_out_channels=ENCODER,
        down_block_types=("LTXVideo095DownBlock3D",) * 4,
        decoder_block_out_channels=(16, 32, 64),
        layers_per_block=(1, 1, 1, 1, 0),
        decoder_layers_per_block=(1, 1, 1, 1),
        spatio_temporal_scaling=(True,) * 4,
        decoder_spatio_temporal_scaling=(True,) * 3,
        decoder_inject_noise=(False,) * 4,
        downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
        upsample_residual=(True,) * 3,
        upsample_factor=(2,) * 3,
        timestep_conditioning=True,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )
    vae.latents_mean.uniform_(-0.2, 0.2)
    vae.latents_std.uniform_(0.5, 1.5)
    return vae


def pipeline() -> LTXConditionPipeline:
    """The pipeline in bfloat16, with the tokenizer of the embedded model, and a scheduler that shifts and stretches.

    So do the first releases' in diffusers' script of conversion; levels that were taught must survive it.
    """
    torch.manual_seed(0)
    transformer = LTXVideoTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, cross_attention_dim=32, num_layers=2, caption_channels=16
    )
    text = T5EncoderModel(T5Config(vocab_size=155, d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1))
    tokenizer = AutoTokenizer.from_pretrained(ASSETS / "tabletop" / "tokenizer", local_files_only=True)
    scheduler = FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True,
        base_shift=0.95,
        max_shift=2.05,
        base_image_seq_len=1024,
        max_image_seq_len=4096,
        shift_terminal=0.1,
    )
    pipe = LTXConditionPipeline(scheduler, autoencoder(), text, tokenizer, transformer)
    return pipe.to(torch.bfloat16)


def family_of(name: str, hub: Path) -> "Family":
    """Place a row and load it."""
    spec = get_model(name)
    place_row(spec, hub)
    return ltx.load(spec, Settings(hub=hub, device="cpu"))


def upsampler(vae: AutoencoderKLLTXVideo) -> LTXLatentUpsamplePipeline:
    torch.manual_seed(1)
    model = LTXLatentUpsamplerModel(mid_channels=32, num_blocks_per_stage=1)
    return LTXLatentUpsamplePipeline(vae, model.to(torch.bfloat16))


def place_row(spec: ModelSpec, hub: Path, pipe: LTXConditionPipeline | None = None) -> Path:
    """Lay everything that a row needs out in a Hub cache, and return the folder of its repository."""
    pipe = pipe or pipeline()
    folder = place(pipe, spec.repo, hub)
    if spec.upsampler:
        # Its repository has an autoencoder too, which is that of the row and is not fetched again.
        shutil.rmtree(place(upsampler(pipe.vae), spec.upsampler.repo, hub) / "vae")
    if spec.weights:
        repo, name = spec.weights
        save_file(single_file(pipe), snapshot(repo, hub) / name)
        # The folder's own weights are another release's, and need not be there.
        for part in ("transformer", "vae"):
            for weights in (folder / part).glob("*.safetensors*"):
                weights.unlink()
    return folder


def single_file(pipe: Any) -> dict[str, Tensor]:
    """Name weights as the authors' single files do, the reverse of what diffusers reads."""
    named = {f"model.diffusion_model.{_theirs(name)}": each for name, each in pipe.transformer.state_dict().items()}
    named |= {f"vae.{_theirs_of_vae(name)}": each for name, each in pipe.vae.state_dict().items()}
    return {name: each.contiguous() for name, each in named.items()}


def _theirs(name: str) -> str:
    name = name.replace("norm_q", "q_norm").replace("norm_k", "k_norm")
    return name.replace("proj_in", "patchify_proj").replace("time_embed.", "adaln_single.")


def _theirs_of_vae(name: str) -> str:
    """Number blocks and what scales between them in one row, as they do."""
    part, *path = name.split(".")
    statistics = {"latents_mean": "mean-of-means", "latents_std": "std-of-means"}
    if not path:
        return f"per_channel_statistics.{statistics[part]}"
    if path[0] in ("time_embedder", "scale_shift_table"):
        return ".".join((part, f"last_{path[0]}", *path[1:]))
    if path[0] == "mid_block":
        path = ["up_blocks" if part == "decoder" else "down_blocks", "0" if part == "decoder" else "8", *path[1:]]
    elif path[0] in ("up_blocks", "down_blocks"):
        scales = path[2] in ("upsamplers", "downsamplers")
        first = 2 * int(path[1])
        number = first + (1 if scales else 2) if path[0] == "up_blocks" else first + scales
        path = [path[0], str(number), *path[4 if scales else 2 :]]
    return ".".join((part, *("res_blocks" if each == "resnets" else each for each in path)))
