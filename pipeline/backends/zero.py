"""A GPU that ZeroGPU lends for a run: the plan goes into a fork of this process, and what happens there comes back."""

import secrets
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import spaces

from pipeline.backends.crossing import Crossing, crossings, take_from
from pipeline.backends.local import LocalBackend
from pipeline.backends.take import Take
from pipeline.errors import NoDevice, OnetakeError, refuse_stopped
from pipeline.events import IsCancelled, Listener, Waiting
from pipeline.memory import Machine
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan
from pipeline.quota import gpu_seconds
from pipeline.settings import Settings


class ZeroBackend:
    """Runs plans in forks that are lent a card; what is loaded in this process before the launch is there in each."""

    on_zerogpu = True

    def __init__(self, settings: Settings) -> None:
        self._here = LocalBackend(settings)
        self._forked: LocalBackend | None = None
        # Outside of ZeroGPU the decorator gives the same function back, and all happens in this process.
        self.ask: Callable[[Plan, str], Generator[Crossing, None, None]] = spaces.GPU(
            self.in_fork, duration=lambda plan, *_: gpu_seconds(plan)
        )

    @property
    def loaded(self) -> str | None:
        """The name of the model that every fork begins with, if any."""
        return self._here.loaded

    def has(self, spec: ModelSpec) -> bool:
        """Return whether a model's files are all on this machine."""
        return self._here.has(spec)

    def machine(self) -> Machine:
        """Return what a fork is going to be lent."""
        return self._here.machine()

    def warm(self, model: str) -> None:
        """Load a model where ZeroGPU can move it to the card of each fork: in the main thread, before the launch."""
        self._here.load_here(model)

    def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        """Denoise a plan on a lent card, telling each step; frames come from the fork as they are decoded."""
        refuse_stopped(cancelled)
        on_event(Waiting("a GPU"))
        # A fork does not see this process's events, but its files; closing the generator would leave nothing to keep.
        stop = Path(tempfile.gettempdir()) / f"onetake-stop-{secrets.token_hex(8)}"
        return take_from(self._asked(plan, stop), on_event, cancelled, stop.touch)

    def in_fork(self, plan: Plan, stop: str) -> Generator[Crossing, None, None]:
        """Run a plan in the process that has the card, until it is done, or there is a file at `stop`."""
        # A fork that is used again keeps what was loaded in it.
        self._forked = self._forked or self._here.forked()
        yield from crossings(self._forked, plan, Path(stop).exists)

    def _asked(self, plan: Plan, stop: Path) -> Generator[Crossing, None, None]:
        """Pass on what comes; what ZeroGPU itself says, of a quota or a card that was taken back, becomes NoDevice."""
        try:
            yield from self.ask(plan, str(stop))
        except OnetakeError:
            raise
        except Exception as error:
            said = str(getattr(error, "message", error)).rstrip(". ")
            raise NoDevice(f"ZeroGPU: {said}. Try again later, or make it shorter.") from error
        finally:
            stop.unlink(missing_ok=True)
