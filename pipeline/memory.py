"""Where a model's weights lie while it runs: policies, the machine that they are chosen for, and the choice."""

from dataclasses import dataclass
from typing import Literal

Policy = Literal["whole", "fp8", "int8", "group", "sequential"]


@dataclass(frozen=True)
class Machine:
    """What there is to compute with, in MB; a machine without a card has no vram. `capability` is CUDA's (9, 0)."""

    vram_mb: int = 0
    ram_mb: int = 0
    capability: tuple[int, int] = (0, 0)
