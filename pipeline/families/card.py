"""The card: what is free of it, what its errors mean, and how its memory is given back. All of CUDA's own calls."""

import gc
from importlib.util import find_spec
from typing import cast

import torch

from pipeline.memory import Machine, Policy, free_ram_mb
from pipeline.settings import Settings

# A process on ZeroGPU that has not been lent a card yet: half an RTX Pro 6000 Blackwell.
ZEROGPU_MB, ZEROGPU_CAPABILITY = 48_000, (12, 0)
# How libraries say it that raise no OutOfMemoryError of their own.
RAN_OUT = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "can't allocate memory")


def look_at_card(settings: Settings) -> Machine:
    """Return what is free of the card, what this process holds of it counted as free, and of memory."""
    wanted, torchao = cast(Policy | None, settings.memory), find_spec("torchao") is not None
    if settings.on_zerogpu:
        return Machine(ZEROGPU_MB, free_ram_mb(), ZEROGPU_CAPABILITY, torchao, wanted)
    if not torch.cuda.is_available():
        return Machine(ram_mb=free_ram_mb())
    free = (torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()) // 10**6
    return Machine(free, free_ram_mb(), torch.cuda.get_device_capability(), torchao, wanted)


def free_card_mb() -> int:
    """Return what this process can still have of the card, in MB."""
    return (torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()) // 10**6


def ran_out(error: BaseException) -> bool:
    """Return whether an error means that there was no memory left, by its type or by CUDA's own words."""
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in RAN_OUT)
    return told or isinstance(error, torch.OutOfMemoryError | MemoryError)


def give_back() -> None:
    """Free what nothing refers to any more; let go of the model and of the error's traceback first."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
