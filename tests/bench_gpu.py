"""Hosted sizes with random weights on a card: milliseconds of a forward over its floor, decode time, peak memory.

Time does not depend on the values. What was not measured says so; nothing here is an estimate.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from pipeline.settings import prepare_environment

prepare_environment()

import torch  # noqa: E402
from diffusers import (  # noqa: E402
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    LTXVideoTransformer3DModel,
    WanTransformer3DModel,
)

from pipeline.families.attention import CANDIDATES, attention_backend, runs, set_kernel  # noqa: E402
from pipeline.families.card import give_back, ran_out  # noqa: E402
from pipeline.families.placing import place  # noqa: E402
from pipeline.frames import forward_flops, latent_shape  # noqa: E402
from pipeline.memory import POLICIES, Policy  # noqa: E402
from pipeline.model_spec import ModelSpec  # noqa: E402
from pipeline.models import get_model  # noqa: E402

NOT_MEASURED, NO_ROOM = "not measured", "does not fit"
# What matrix products reach on an H200, in operations a second, and how far from it the largest row may be there.
FLOOR_FLOPS, FLOOR_CARD, BAR = 790e12, "H200", ("ltx-13b", 1.6)
REPEATS = 5
HEAD = """\
| model, size | weights | attention | ms a forward | ÷ H200 floor | decode, s | peak without text encoder, MB |
|---|---|---|---|---|---|---|"""

LTX_VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 1024, 2048),
    "down_block_types": ("LTXVideo095DownBlock3D",) * 4,
    "layers_per_block": (4, 6, 6, 2, 2),
    "decoder_block_out_channels": (256, 512, 1024),
    "decoder_layers_per_block": (5, 5, 5, 5),
    "spatio_temporal_scaling": (True,) * 4,
    "decoder_spatio_temporal_scaling": (True,) * 3,
    "decoder_inject_noise": (False,) * 4,
    "downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
    "upsample_residual": (True,) * 3,
    "upsample_factor": (2,) * 3,
    "timestep_conditioning": True,
    "spatial_compression_ratio": 32,
    "temporal_compression_ratio": 8,
}


@dataclass(frozen=True)
class Case:
    """One model at one size (frames, height, width): its networks' classes and configurations."""

    spec: ModelSpec
    clip: tuple[int, int, int]
    transformer: tuple[Any, dict[str, Any]]
    vae: tuple[Any, dict[str, Any]]

    @property
    def tokens(self) -> int:
        """The latent tokens of the clip."""
        frames, rows, columns = latent_shape(*self.clip, self.spec.frame_grid, self.spec.side_stride * self.spec.patch)
        return frames * rows * columns

    @property
    def floor_ms(self) -> float:
        """The milliseconds that one forward takes at the floor."""
        return 1000 * forward_flops(self.spec.network, self.tokens) / FLOOR_FLOPS

    @property
    def said(self) -> str:
        """The model and the size, for people."""
        frames, height, width = self.clip
        return f"{self.spec.title}, {height}×{width}×{frames}"


CASES = (
    Case(
        get_model("ltx-2b"),
        (121, 512, 768),
        (LTXVideoTransformer3DModel, {}),
        (AutoencoderKLLTXVideo, LTX_VAE),
    ),
    Case(
        get_model("ltx-13b"),
        (121, 704, 1280),
        (LTXVideoTransformer3DModel, {"num_layers": 48, "attention_head_dim": 128, "cross_attention_dim": 4096}),
        (AutoencoderKLLTXVideo, LTX_VAE),
    ),
    Case(
        get_model("wan-1.3b"),
        (81, 480, 832),
        (
            WanTransformer3DModel,
            {"num_attention_heads": 12, "attention_head_dim": 128, "ffn_dim": 8960, "num_layers": 30},
        ),
        (AutoencoderKLWan, {}),
    ),
)


@dataclass(frozen=True)
class Measured:
    """One line of the table: how the model lay, and what it took; `why` says why there is nothing to tell."""

    weights: str
    attention: str
    forward_ms: float | None = None
    decode_s: float | None = None
    peak_mb: float | None = None
    why: str = NOT_MEASURED


def line(case: Case, found: Measured) -> str:
    """Return a row of the table."""
    ratio = found.forward_ms and found.forward_ms / case.floor_ms
    cells = ((found.forward_ms, ".1f"), (ratio, ".2f"), (found.decode_s, ".2f"), (found.peak_mb, ",.0f"))
    told = (found.why if value is None else format(value, kind) for value, kind in cells)
    return f"| {case.said} | {found.weights} | {found.attention} | {' | '.join(told)} |"


def unmeasured(case: Case) -> Iterator[Measured]:  # noqa: ARG001, every case has the same lines
    """Yield all that would be measured on a card."""
    yield from (Measured("whole", name) for name in CANDIDATES["cuda"])
    yield from (Measured(policy, "the fastest") for policy in POLICIES)
    yield Measured("whole, compiled", "the fastest")


def measure(case: Case, device: str) -> Iterator[Measured]:
    """Yield what was measured on a device: each kernel, then each policy with the fastest, then compiled blocks."""
    times: dict[str, float] = {}
    try:
        yield from _kernels(case, device, times)
    except Exception as error:
        if not ran_out(error):
            raise
        yield Measured("whole", "each", why=NO_ROOM)
    head_dim = case.transformer[1].get("attention_head_dim", 64)
    fastest = min(times, key=times.__getitem__) if times else attention_backend(device, torch.bfloat16, head_dim)
    for policy in POLICIES:
        yield _tried(Measured(policy, fastest), partial(_placed, case, device, policy, fastest))
    compiled = partial(_placed, case, device, "whole", fastest, compiled=True)
    yield _tried(Measured("whole, compiled", fastest), compiled)


def _kernels(case: Case, device: str, times: dict[str, float]) -> Iterator[Measured]:
    """Yield a forward with each kernel, and note their milliseconds."""
    pipe = networks(case, device)
    place(pipe, "whole", device)
    for name in CANDIDATES[device]:
        if not runs(name, device, torch.bfloat16, pipe.transformer.config.attention_head_dim):
            yield Measured("whole", name, why="does not run here")
            continue
        set_kernel(pipe.transformer, name, ("attn1",))
        times[name] = forward_ms(case, pipe, device)
        yield Measured("whole", name, times[name], why="–")


def _tried(asked: Measured, work: Callable[[], Measured]) -> Measured:
    """Measure, or say why that could not be done here."""
    give_back()
    if asked.weights == "int8" and find_spec("torchao") is None:
        return replace(asked, why="torchao is not here")
    try:
        return replace(work(), weights=asked.weights)
    except Exception as error:
        if not ran_out(error):
            raise
        return replace(asked, why=NO_ROOM)


def _placed(case: Case, device: str, policy: Policy, kernel: str, compiled: bool = False) -> Measured:
    pipe = networks(case, device)
    place(pipe, policy, device, compiled)
    set_kernel(pipe.transformer, kernel, ("attn1",))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    forward, decode = forward_ms(case, pipe, device), decode_s(case, pipe, device)
    peak = torch.cuda.max_memory_allocated() / 10**6 if device == "cuda" else None
    return Measured(policy, kernel, forward, decode, peak)


def networks(case: Case, device: str) -> Any:
    """Return a pipeline's two networks with random weights, in memory, as a loaded pipeline has them."""
    transformer = _filled(*case.transformer, torch.bfloat16, device)
    vae = _filled(*case.vae, torch.float32 if case.spec.parts.vae_bytes == 4 else torch.bfloat16, device)
    return SimpleNamespace(transformer=transformer, vae=vae, components={"transformer": transformer, "vae": vae})


def _filled(kind: Any, config: dict[str, Any], dtype: torch.dtype, device: str) -> Any:
    with torch.device("meta"):
        network = kind(**config)
    wide = network._keep_in_fp32_modules or ()
    kinds = {
        name: torch.float32 if any(part in name for part in wide) else dtype for name, _ in network.named_parameters()
    }
    # A card is faster at drawing billions of numbers. Zeros would spare it power, and so be too fast.
    drawn = ((name, torch.randn(each.shape, device=device) * 0.02) for name, each in network.named_parameters())
    network.load_state_dict({name: each.to("cpu", kinds[name]) for name, each in drawn}, strict=False, assign=True)
    for name, buffer in list(network.named_buffers()):
        owner, _, own = name.rpartition(".")
        network.get_submodule(owner).register_buffer(own, torch.ones(buffer.shape, dtype=buffer.dtype))
    return network.eval()


@torch.no_grad()
def forward_ms(case: Case, pipe: Any, device: str) -> float:
    """Return the median milliseconds of a forward of one clip, without guidance; the first two do not count."""
    asked = inputs(case, pipe.transformer, device)
    return 1000 * median(list(_timed(lambda: pipe.transformer(**asked, return_dict=False), device))[2:])


@torch.no_grad()
def decode_s(case: Case, pipe: Any, device: str) -> float:
    """Return the median seconds of a decoding of the clip; the first does not count."""
    shape = latent_shape(*case.clip, case.spec.frame_grid, case.spec.side_stride)
    channels = pipe.vae.config.get("latent_channels") or pipe.vae.config.z_dim
    latents = torch.randn(1, channels, *shape, device=device, dtype=pipe.vae.dtype)
    timestep = [torch.tensor([0.05], device=device, dtype=pipe.vae.dtype)] if case.spec.decode_timestep else []
    return median(list(_timed(lambda: pipe.vae.decode(latents, *timestep, return_dict=False), device, 3))[1:])


def inputs(case: Case, transformer: Any, device: str) -> dict[str, Any]:
    """Return what a transformer is asked for a clip: latents, text, and a timestep."""
    config = transformer.config
    kind: dict[str, Any] = {"device": device, "dtype": torch.bfloat16}
    frames, height, width = latent_shape(*case.clip, case.spec.frame_grid, case.spec.side_stride)
    words = case.spec.network.text_tokens
    timestep = torch.full((1,), 500.0, device=device)
    if case.spec.family == "wan":
        latents = torch.randn(1, config.in_channels, frames, height, width, **kind)
        text = torch.randn(1, words, config.text_dim, **kind)
        return {"hidden_states": latents, "encoder_hidden_states": text, "timestep": timestep}
    return {
        "hidden_states": torch.randn(1, frames * height * width, config.in_channels, **kind),
        "encoder_hidden_states": torch.randn(1, words, config.caption_channels, **kind),
        "encoder_attention_mask": torch.ones(1, words, **kind),
        "timestep": timestep,
        "num_frames": frames,
        "height": height,
        "width": width,
    }


def _timed(work: Callable[[], Any], device: str, repeats: int = REPEATS + 2) -> Iterator[float]:
    for _ in range(repeats):
        if device == "cuda":
            torch.cuda.synchronize()
        started = perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        yield perf_counter() - started


def main() -> int:
    """Print the table, and return 1 where the bar was missed on the card that it is for."""
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    print(f"{card or 'no card'}, torch {torch.__version__}\n\n{HEAD}")
    best: dict[str, float] = {}
    for case in CASES:
        for found in measure(case, "cuda") if card else unmeasured(case):
            print(line(case, found), flush=True)
            if found.forward_ms:
                name, ratio = case.spec.name, found.forward_ms / case.floor_ms
                best[name] = min(ratio, best.get(name, ratio))
    name, most = BAR
    missed = card is not None and FLOOR_CARD in card and best.get(name, most + 1) > most
    print(f"\n{name}: {best[name]:.2f} (at most {most} on an {FLOOR_CARD})" if name in best else f"\n{NOT_MEASURED}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
