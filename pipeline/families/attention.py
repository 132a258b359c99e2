"""Which attention kernel a model runs with: the first that a small run of it succeeds with."""

import logging
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from diffusers.models.attention_dispatch import (
    AttentionBackendName,
    _check_attention_backend_requirements,
    _maybe_download_kernel_for_backend,
    dispatch_attention_fn,
)

# The fastest first, as published; `make bench-gpu` times them. Sage computes in int8, so that it comes after all that
# are exact. Those of a hub are compiled code: they come from it only where somebody has installed `kernels`.
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "cuda": ("_flash_3_hub", "_native_cudnn", "flash_hub", "xformers", "sage_hub", "native"),
    "cpu": ("xformers", "native"),
}
# How far a kernel may be from PyTorch's own, in values about 1: rounding of bfloat16, and of Sage's int8.
MOST_OFF = 0.1

log = logging.getLogger(__name__)


@cache
def attention_backend(device: str, dtype: torch.dtype, head_dim: int = 64) -> str:
    """Return the first kernel that really runs on heads of this size.

    Beside a torch that it was not built for, xformers is importable without kernels, and diffusers offers it all the
    same.
    """
    chosen = next(name for name in CANDIDATES[device] if name == "native" or runs(name, device, dtype, head_dim))
    log.info("attention runs with %s on %s, %s, heads of %d", chosen, device, dtype, head_dim)
    return chosen


def runs(name: str, device: str, dtype: torch.dtype, head_dim: int) -> bool:
    """Return whether a kernel runs here, and computes what PyTorch's own does."""
    if name.endswith("_hub") and find_spec("kernels") is None:
        return False
    try:
        backend = AttentionBackendName(name)
        _check_attention_backend_requirements(backend)
        _maybe_download_kernel_for_backend(backend)
        query, key, value = torch.randn(3, 1, 128, 2, head_dim, device=device).to(dtype)
        found, known = (dispatch_attention_fn(query, key, value, backend=b) for b in (backend, _NATIVE))
    except Exception as error:  # a kernel that is not for this card fails in any way it likes
        log.info("attention does not run with %s: %s", name, str(error).split("\n", 1)[0])
        return False
    return bool((found.float() - known.float()).abs().max() < MOST_OFF)


def set_attention(transformer: Any, device: str, attentions: tuple[str, ...]) -> str:
    """Let the attentions of these names in all blocks run with the fastest kernel, and return its name.

    Only those without a mask: not every kernel has one.
    """
    head_dim = transformer.config.attention_head_dim
    backend = attention_backend(device, transformer.dtype, head_dim)
    set_kernel(transformer, backend, attentions)
    return backend


def set_kernel(transformer: Any, backend: str, attentions: tuple[str, ...]) -> None:
    """Let the attentions of these names in all blocks run with a kernel."""
    for name, module in transformer.named_modules():
        if name.rpartition(".")[2] in attentions:
            module.set_attention_backend(backend)


_NATIVE = AttentionBackendName.NATIVE
