"""The policies as they really lie: the same latents, weights where they should be, kernels that run."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from test_ltx import run
from tiny_ltx import place_row
from torch import Tensor

from pipeline.errors import CannotDo
from pipeline.families import ltx
from pipeline.families.attention import CANDIDATES, attention_backend, runs, set_kernel
from pipeline.families.placing import bring
from pipeline.halfway import Halfway, Stopped, write_halfway
from pipeline.memory import POLICIES, Policy
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.events import Latents
    from pipeline.families.family import Family

ROW = replace(get_model("ltx-2b"), weights=None, upsampler=None)
Load = Callable[..., "Family"]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    hub = tmp_path_factory.mktemp("hub")
    place_row(ROW, hub)
    return lambda policy, **settings: ltx.load(ROW, Settings(hub=hub, device="cpu", **settings), policy)


def plan(**asked: Any) -> Plan:
    small = {"prompt": "a red ball", "width": 256, "height": 256, "frames": 9, "seed": 7}
    return make_plan(parse_request(small | asked), ROW)


@pytest.fixture(scope="module")
def whole(load: Load) -> "Latents":
    latents: Latents = run(load("whole"), plan())[0].latents
    return latents


@pytest.mark.parametrize("policy", ["group", "sequential"])
def test_weights_that_are_brought_make_the_very_same_latents(
    load: Load, whole: "Latents", policy: Policy, tmp_path: Path
) -> None:
    family = load(policy)
    assert np.array_equal(run(family, plan())[0].latents, whole)
    # Also of a take that stops and goes on: no step brings weights that was done before.
    state = run(family, plan(), stop_after=3)[0].state
    assert state is not None
    write_halfway(Halfway(3, state), path := tmp_path / "halfway.safetensors")
    resumed, told = run(family, replace(plan(), resumes=Stopped(str(path), "draft", 3)))
    assert (len(told), resumed.steps_done) == (5, 8)
    assert np.array_equal(resumed.latents, whole)
    block = family.pipe.transformer.transformer_blocks[0]
    # A hook of its own brings a block's scales either way; one of its layers has one only where each comes alone.
    assert hasattr(block, "_diffusers_hook")
    assert hasattr(block.attn1.to_q, "_diffusers_hook") == (policy == "sequential")
    assert not any(hasattr(each, "_diffusers_hook") for each in family.pipe.vae.modules()), "decoding needs it whole"


def test_fp8_halves_the_weights_and_makes_nearly_the_same_latents(load: Load, whole: "Latents") -> None:
    family = load("fp8")
    block = family.pipe.transformer.transformer_blocks[0]
    assert block.attn1.to_q.weight.dtype == torch.float8_e4m3fn
    latents = run(family, plan())[0].latents
    assert block.attn1.to_q.weight.dtype == torch.float8_e4m3fn, "it is narrow again after it computed"
    difference = np.abs(latents - whole).mean() / np.abs(whole).mean()
    assert 0 < difference < 0.1


@pytest.mark.skipif(find_spec("torchao") is not None, reason="torchao is here")
def test_int8_without_its_package_is_refused(load: Load) -> None:
    with pytest.raises(CannotDo, match=r"torchao"):
        load("int8")


@pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not here")
def test_int8_halves_the_weights_and_makes_nearly_the_same_latents(load: Load, whole: "Latents") -> None:
    latents = run(load("int8"), plan())[0].latents
    assert 0 < np.abs(latents - whole).mean() / np.abs(whole).mean() < 0.1


@pytest.mark.parametrize("what", ["block", "leaf"])
def test_what_is_brought_computes_the_same(load: Load, what: str) -> None:
    encoder = load("whole", on_zerogpu=True).pipe.text_encoder
    words = torch.arange(1, 9)[None]
    with torch.no_grad():
        alone = encoder(words)[0]
        bring(encoder, torch.device("cpu"), what)
        assert torch.equal(encoder(words)[0], alone)


# What torch compiles with speaks of its own future.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("policy", POLICIES)
def test_only_what_can_be_compiled_is(load: Load, policy: Policy, caplog: pytest.LogCaptureFixture) -> None:
    if policy == "int8" and find_spec("torchao") is None:
        return
    blocks = load(policy, compile=True).pipe.transformer.transformer_blocks
    compiled = {block._compiled_call_impl is not None for block in blocks}
    assert compiled == {policy in ("whole", "fp8", "int8")}
    assert ("nothing is compiled" in caplog.text) != compiled.pop()
    assert all(block._compiled_call_impl is None for block in load(policy).pipe.transformer.transformer_blocks)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore::FutureWarning:torch")
def test_compiled_blocks_make_nearly_the_same_latents(load: Load, whole: "Latents") -> None:
    latents = run(load("whole", compile=True), plan())[0].latents
    assert np.abs(latents - whole).mean() < 0.05 * np.abs(whole).mean()


def test_tiles_cover_the_same_picture(load: Load) -> None:
    codec = load("whole").codec
    latents = torch.randn(1, 128, 2, 20, 20, generator=torch.Generator().manual_seed(1)).numpy()
    frames = {}
    for tiled in (False, True):
        heard: list[Tensor] = []
        hook = codec.vae.decoder.register_forward_pre_hook(lambda _module, args, heard=heard: heard.append(args[0]))
        codec.tile(tiled)
        frames[tiled] = np.concatenate(list(codec.decode(latents))).astype(float)
        hook.remove()
        assert max(each.shape[-1] for each in heard) == (16 if tiled else 20)
    assert frames[True].shape == frames[False].shape == (9, 640, 640, 3)
    # Away from where tiles meet nothing changes.
    assert np.abs(frames[True] - frames[False])[:, :200, :200].mean() < 2


def test_kernels_are_probed_by_running_them() -> None:
    for device, names in CANDIDATES.items():
        assert names[-1] == "native", device
    assert runs("native", "cpu", torch.bfloat16, 64)
    # Each of these imports, or can be named; none of them runs here.
    assert not any(runs(name, "cpu", torch.bfloat16, 64) for name in CANDIDATES["cuda"] if name != "native")
    assert attention_backend("cpu", torch.bfloat16) == "native"


def test_a_kernel_is_set_where_there_is_no_mask_only(load: Load) -> None:
    transformer = load("whole").pipe.transformer
    set_kernel(transformer, "_native_math", ("attn1",))
    for block in transformer.transformer_blocks:
        assert block.attn1.processor._attention_backend == "_native_math"
        assert block.attn2.processor._attention_backend is None


def test_another_kernel_makes_nearly_the_same_latents(load: Load, whole: "Latents", tmp_path: Path) -> None:
    family = load("whole", home=tmp_path)
    set_kernel(family.pipe.transformer, "_native_math", ("attn1",))
    difference = np.abs(run(family, plan())[0].latents - whole).mean()
    assert difference < 0.02 * np.abs(whole).mean()
