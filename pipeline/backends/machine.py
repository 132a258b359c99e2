"""What there is to compute with, looked at only as far as the settings use it."""

from typing import cast

from pipeline.memory import Machine, Policy, free_ram_mb
from pipeline.settings import Settings


def look_at_machine(settings: Settings) -> Machine:
    """Return what is free of the card and of memory; without a card, torch is not even imported."""
    if settings.device != "cuda":
        return Machine(ram_mb=free_ram_mb(), wanted=cast(Policy | None, settings.memory))
    from pipeline.families.card import look_at_card

    return look_at_card(settings)
