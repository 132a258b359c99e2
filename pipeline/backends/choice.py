"""Which machine runs the plans: a Space of the user's own, a GPU that ZeroGPU lends, or this one."""

from typing import TYPE_CHECKING, Union

from pipeline.backends.local import LocalBackend
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.backends.space import SpaceBackend
    from pipeline.backends.zero import ZeroBackend

Device = Union[LocalBackend, "SpaceBackend", "ZeroBackend"]


def open_backend(settings: Settings) -> Device:
    """Return the backend that the settings name; nothing is loaded or asked for yet."""
    # Each of the two brings a library of its own, which nobody else should wait for.
    if settings.space:
        from pipeline.backends.space import SpaceBackend

        return SpaceBackend(settings)
    if settings.on_zerogpu:
        from pipeline.backends.zero import ZeroBackend

        return ZeroBackend(settings)
    return LocalBackend(settings)
