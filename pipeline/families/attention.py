"""Which attention kernel a model runs with: the first one that a small run of it succeeds with."""

import torch


def attention_backend(device: str, dtype: torch.dtype) -> str:
    """Return xformers where a small run of it succeeds, else native.

    Beside a torch that it was not built for, it is importable without kernels, and diffusers offers it all the same.
    """
    try:
        from xformers.ops import memory_efficient_attention

        probe = torch.zeros(1, 16, 2, 64, device=device, dtype=dtype)
        memory_efficient_attention(probe, probe, probe)
    except (ImportError, NotImplementedError, RuntimeError):
        return "native"
    return "xformers"
