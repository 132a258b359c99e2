"""LoRAs on real networks: they change what is made, by their weight, and leave nothing behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lora_files
import numpy as np
import pytest
import torch
from conftest import MakePlan
from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from torch import Tensor

from pipeline.adapters import Adapter
from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest, Cancelled, CannotDo
from pipeline.events import Latents
from pipeline.families.lora import loras
from pipeline.families.placing import place
from pipeline.memory import Policy

LAYER = "transformer.transformer_blocks.0.attn1.to_q"
Made = Callable[..., Latents]


@pytest.fixture
def made(backend: LocalBackend, plan_for: MakePlan) -> Made:
    """Return the latents of a small take with LoRAs, each a path with its weight."""

    def make(*given: tuple[str, float], stopped: bool = False) -> Latents:
        asked = [{"source": path, "weight": weight} for path, weight in given]
        plan = plan_for(loras=asked, steps=2, guidance_scale=1.0)
        return backend.run(plan, lambda _: None, lambda: stopped).latents

    return make


def test_a_lora_changes_the_take_by_its_weight_and_leaves_nothing_behind(made: Made, tmp_path: Path) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors")
    bare = made()
    whole, none = made((path, 1.0)), made((path, 0.0))
    assert np.array_equal(none, bare)
    assert np.abs(whole - bare).mean() > 0.01
    assert np.allclose(made((path, 0.5), (path, 0.5)), whole, atol=1e-3)
    assert not np.allclose(made((path, -1.0)), whole, atol=0.01)
    with pytest.raises(Cancelled):
        made((path, 1.0), stopped=True)
    assert np.array_equal(made(), bare)


@pytest.mark.parametrize(
    ("tensors", "error", "says"),
    [
        (lora_files.low_rank("transformer.transformer_blocks.0.attn3.to_q"), CannotDo, "2 of its 2 weights have no"),
        (lora_files.low_rank(LAYER, outwards=128), CannotDo, "1 of its 2 weights have no place"),
        (dict(list(lora_files.low_rank(LAYER).items())[:1]), CannotDo, "1 of its 1 weights have no place"),
        (lora_files.low_rank(LAYER) | lora_files.low_rank("vae.conv"), CannotDo, "2 of its 4 weights"),
        (lora_files.low_rank("lora_unet_transformer_blocks_0_attn1_to_q"), CannotDo, "does not fit LTXVideo"),
        (lora_files.low_rank(LAYER) | {f"{LAYER}.alpha": torch.tensor(4.0)}, CannotDo, "such as .*alpha"),
        ({name: value * torch.nan for name, value in lora_files.low_rank(LAYER).items()}, BadRequest, "not numbers"),
    ],
)
def test_what_has_no_place_is_refused_and_the_model_stays_as_it_was(
    made: Made, tmp_path: Path, tensors: dict[str, Tensor], error: type[BadRequest], says: str
) -> None:
    bare = made()
    good, bad = (lora_files.write(tmp_path / f"{name}.safetensors", given) for name, given in
                 (("good", None), ("bad", tensors)))  # fmt: skip
    with pytest.raises(error, match=says):
        made((good, 1.0), (bad, 1.0))
    assert np.array_equal(made(), bare)


def test_a_file_that_went_away_is_told(backend: LocalBackend, plan_for: MakePlan, tmp_path: Path) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors")
    plan = plan_for(loras=[{"source": path}])
    Path(path).unlink()
    with pytest.raises(BadRequest, match="no longer there"):
        backend.run(plan, lambda _: None, lambda: False)


def test_the_names_of_the_original_ltx_are_converted(made: Made, tmp_path: Path) -> None:
    diffusers = lora_files.write(tmp_path / "one.safetensors")
    renamed = {
        f"diffusion_model.{name.removeprefix('transformer.')}": value for name, value in lora_files.weights().items()
    }
    assert np.array_equal(made((diffusers, 1.0)), made((lora_files.write(tmp_path / "two.safetensors", renamed), 1.0)))


@pytest.fixture
def wan() -> Any:
    torch.manual_seed(0)
    transformer = WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=16, freq_dim=16,
        ffn_dim=32, num_layers=2, rope_max_seq_len=32,
    )  # fmt: skip
    parts: dict[str, Any] = {"vae": None, "text_encoder": None, "tokenizer": None}
    return WanPipeline(transformer=transformer.eval(), scheduler=UniPCMultistepScheduler(), **parts)


def wan_lora(naming: str) -> dict[str, Tensor]:
    """Return the same change of every attention and feed-forward layer under the names of another tool."""
    found: dict[str, Tensor] = {}
    sides = {name: (24, 24) for a in ("self_attn", "cross_attn") for name in (f"{a}.{p}" for p in "qkvo")}
    for block in range(2):
        for layer, (inwards, outwards) in (sides | {"ffn.0": (24, 32), "ffn.2": (32, 24)}).items():
            down, up = lora_files.low_rank(layer, inwards, outwards).values()
            name = f"blocks.{block}.{layer}"
            name = f"lora_unet_{name.replace('.', '_')}" if naming == "musubi" else f"diffusion_model.{name}"
            found |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
            found[f"{name}.alpha"] = torch.tensor(2.0)
    return found


@torch.no_grad()
def predicted(pipe: Any) -> Tensor:
    noise = torch.Generator().manual_seed(1)
    latents, text = torch.randn(1, 4, 2, 4, 4, generator=noise), torch.randn(1, 5, 16, generator=noise)
    output: Tensor = pipe.transformer(latents, torch.tensor([500]), text, return_dict=False)[0]
    return output


@pytest.mark.parametrize("naming", ["comfy", "musubi"])
def test_wan_takes_the_names_of_other_tools_with_their_alphas(wan: Any, tmp_path: Path, naming: str) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors", wan_lora(naming))
    bare = predicted(wan)
    with loras(wan, [Adapter("ink", 1.0, path)]):
        whole = predicted(wan)
        layer = wan.transformer.blocks[1].attn2.to_q
        change = layer.lora_B["lora0"].weight @ layer.lora_A["lora0"].weight
    down, up = lora_files.low_rank("any", 24, 24).values()
    assert torch.allclose(change, up @ down * 2 / lora_files.RANK)
    assert not torch.allclose(whole, bare, atol=1e-3)
    assert torch.equal(predicted(wan), bare)


def test_beside_weights_in_fp8_a_lora_keeps_its_own_numbers(wan: Any, tmp_path: Path) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors", wan_lora("comfy"))

    def change() -> Tensor:
        bare = predicted(wan)
        with loras(wan, [Adapter("ink", 1.0, path)]):
            return predicted(wan) - bare

    whole = change()
    wan.transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    assert (change() - whole).abs().mean() < 0.1 * whole.abs().mean()


@pytest.mark.parametrize("policy", ["group", "sequential"])
def test_weights_that_are_brought_as_they_compute_are_brought_afterwards_too(
    wan: Any, tmp_path: Path, policy: Policy
) -> None:
    path = lora_files.write(tmp_path / "ink.safetensors", wan_lora("comfy"))
    bare = predicted(wan)
    with loras(wan, [Adapter("ink", 1.0, path)]):
        whole = predicted(wan)
    place(wan, policy, "cpu")
    layer = wan.transformer.blocks[0].attn1.to_q
    for _ in range(2):
        with loras(wan, [Adapter("ink", 1.0, path)]):
            assert torch.equal(predicted(wan), whole)
        assert torch.equal(predicted(wan), bare)
        assert hasattr(wan.transformer.blocks[0], "_diffusers_hook")
        assert hasattr(layer, "_diffusers_hook") == (policy == "sequential")


@pytest.mark.parametrize("naming", ["comfy", "musubi"])
def test_wan_refuses_what_it_cannot_convert(wan: Any, tmp_path: Path, naming: str) -> None:
    tensors = wan_lora(naming)
    del tensors[next(name for name in tensors if "lora_up" in name)]
    path = lora_files.write(tmp_path / "ink.safetensors", tensors)
    bare = predicted(wan)
    with pytest.raises(CannotDo, match="Give a LoRA of this model"), loras(wan, [Adapter("ink", 1.0, path)]):
        pass
    assert torch.equal(predicted(wan), bare)
