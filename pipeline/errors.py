"""Everything that can go wrong, as one tree. Each message ends in what to do next.

OnetakeError
├── BadRequest(field, message)   what was asked cannot be made; nothing was started
│   ├── UnknownModel             no such row in the registry
│   └── CannotDo                 the model exists but has no such task or condition
├── QueueFull                    too many jobs are waiting
├── NotFound                     no such run or job
├── LoadError                    the model's files are missing, corrupt or hold NaN
│   └── NotDownloaded            the model's files are not on this machine yet
├── DownloadFailed               the Hub, the way to it, or the disk gave up; what was fetched is kept
├── RunFailed                    the device, the encoder or the disk gave up
│   ├── BadClip                  what came out is no video: NaN, or black throughout
│   └── OutOfMemory              the card is too small for it, whichever way it is tried
├── PublishFailed                the Hub did not take what was sent
└── Cancelled                    stopped before there was anything to keep
"""


class OnetakeError(Exception):
    """The root: whoever catches it may show its message to a user as it is."""


class BadRequest(OnetakeError):
    """What was asked is refused; `field` names the input to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownModel(BadRequest):
    """The registry has no model of that name."""


class CannotDo(BadRequest):
    """The model cannot honour this part of the plan."""


class QueueFull(OnetakeError):
    """The queue has no place left."""


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


class Cancelled(OnetakeError):
    """A run was stopped before its first step was done."""
