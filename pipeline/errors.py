"""Everything that can go wrong, as one tree. Each message ends in what to do next.

OnetakeError
├── BadRequest(field, message)   what was asked cannot be made; nothing was started
│   ├── UnknownModel             no such row in the registry
│   └── CannotDo                 the model exists but has no such task or condition
├── QueueFull                    too many jobs are waiting
├── StorageFull                  nothing more may be kept, and nothing may be removed
├── BadHome                      the folder of the runs is in use, or cannot be written
├── NoDevice                     nothing to run on: no GPU is lent, or a Space does not answer
│   ├── KeyRefused               a Space does not know this key
│   └── OutOfStep                the Onetake on a Space is of another version
├── NotFound                     no such run or job
├── LoadError                    the model's files are missing, corrupt or hold NaN
│   └── NotDownloaded            the model's files are not on this machine yet
├── DownloadFailed               the Hub, the way to it, or the disk gave up; what was fetched is kept
├── RunFailed                    the device, the encoder or the disk gave up
│   ├── BadClip                  what came out is no video: NaN, or black throughout
│   ├── OutOfMemory              the card is too small for it, whichever way it is tried
│   └── ConnectionLost           a Space was gone before the run had ended
├── PublishFailed                the Hub did not take what was sent
└── Cancelled                    stopped before there was anything to keep
    └── Interrupted              the app was stopped in the middle of it
"""

from collections.abc import Callable


class OnetakeError(Exception):
    """The root: whoever catches it may show its message to a user as it is."""


class BadRequest(OnetakeError):
    """What was asked is refused; `field` names the input to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[type["BadRequest"], tuple[str, str]]:
        """Cross into another process whole."""
        return type(self), (self.field, str(self))


class UnknownModel(BadRequest):
    """The registry has no model of that name."""


class CannotDo(BadRequest):
    """The model cannot honour this part of the plan."""


class QueueFull(OnetakeError):
    """The queue has no place left."""


class StorageFull(OnetakeError):
    """The quota is used up by what may not be removed."""


class BadHome(OnetakeError):
    """The folder of the runs is of no use to this app."""


class NoDevice(OnetakeError):
    """There is nothing to run on now."""


class KeyRefused(NoDevice):
    """The machine that was asked lends itself to others."""


class OutOfStep(NoDevice):
    """The two sides of a run do not understand each other."""


class NotFound(OnetakeError):
    """There is no run or job of that id."""


class LoadError(OnetakeError):
    """A model could not be loaded."""


class NotDownloaded(LoadError):
    """A hosted model has to be downloaded first."""


class DownloadFailed(OnetakeError):
    """A model could not be fetched from the Hub."""


class RunFailed(OnetakeError):
    """A run broke off."""


class BadClip(RunFailed):
    """A run came to its end, but what it made is not a video."""


class OutOfMemory(RunFailed):
    """The device has no room for what was asked."""


class PublishFailed(OnetakeError):
    """Nothing, or not all, was sent to the Hub."""


class ConnectionLost(RunFailed):
    """The machine that a run was on was gone before its end."""


class Cancelled(OnetakeError):
    """A run was stopped before its first step was done."""


class Interrupted(Cancelled):
    """A run was cut off because the app ended."""


def refuse_stopped(cancelled: Callable[[], bool]) -> None:
    """Raise Cancelled for a run that was stopped before its first step."""
    if cancelled():
        raise Cancelled("Stopped before the first step, so there is nothing to keep. Start it again when you like.")


# What every library says of a full disk, some of them in errors of their own.
FULL = "No space left on device"


def broke_off(error: Exception) -> OnetakeError:
    """Return an error as what a run ends with: what nobody foresaw becomes a RunFailed."""
    if isinstance(error, OnetakeError):
        return error
    if FULL in str(error):
        return RunFailed(f"The disk is full, so the take could not be kept: {error}. Free some space and try again.")
    return RunFailed(f"The run broke off: {error}. Try again, shorter or smaller.")
