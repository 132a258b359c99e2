"""Downloads of models that belong to the app: they go on in the background, whoever watches may come and go."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from pipeline.errors import Cancelled, OnetakeError
from pipeline.hub.survey import Survey, download, survey
from pipeline.model_spec import ModelSpec
from pipeline.settings import Settings

State = Literal["asking", "offered", "running", "done", "failed"]
UNEXPECTED = "The log says why; try again once that is mended."


@dataclass(frozen=True)
class Fetch:
    """A model on its way, at one moment: what the Hub said of it, the bytes, and why it broke off."""

    model: str
    state: State = "asking"
    found: Survey | None = None
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str = ""

    @property
    def busy(self) -> bool:
        """True while a thread works on it."""
        return self.state in ("asking", "running")


class Fetches:
    """The downloads of one app, at most one for each model."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, Fetch] = {}
        self._stops: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def view(self, model: str) -> Fetch | None:
        """Return how a model's download stands, None where nobody has asked for it."""
        return self._known.get(model)

    def views(self) -> tuple[Fetch, ...]:
        """Return all that have been asked for."""
        return tuple(self._known.values())

    def ask(self, spec: ModelSpec) -> None:
        """Ask the Hub for a model's size in the background, unless it is being asked or fetched."""
        self._begin(spec, "asking", lambda: self._offer(spec))

    def start(self, spec: ModelSpec) -> None:
        """Download a model in the background, unless it is being asked or fetched."""
        self._begin(spec, "running", lambda: self._download(spec))

    def stop(self, model: str) -> None:
        """Ask a download to stop; what it has fetched is kept."""
        if model in self._stops:
            self._stops[model].set()

    def close(self) -> None:
        """Ask all downloads to stop."""
        for stop in self._stops.values():
            stop.set()

    def _begin(self, spec: ModelSpec, state: State, work: Callable[[], None]) -> None:
        with self._lock:
            before = self._known.get(spec.name)
            if before and before.busy:
                return
            found = before.found if before and state == "running" else None
            self._known[spec.name] = Fetch(spec.name, state, found)
            self._stops[spec.name] = threading.Event()
        threading.Thread(target=self._work, args=(spec, work), name=f"fetch-{spec.name}", daemon=True).start()

    def _work(self, spec: ModelSpec, work: Callable[[], None]) -> None:
        try:
            work()
        except Cancelled:
            self._offer_again(spec)
        except OnetakeError as error:
            self._change(spec, state="failed", message=str(error))
        except Exception:
            # Nobody waits for this thread.
            logging.getLogger(__name__).exception("%s could not be downloaded", spec.name)
            self._change(spec, state="failed", message=f"{spec.title} could not be downloaded. {UNEXPECTED}")

    def _offer(self, spec: ModelSpec) -> None:
        self._change(spec, state="offered", found=survey(spec, self._settings))

    def _offer_again(self, spec: ModelSpec) -> None:
        fetch = self._known[spec.name]
        found = fetch.found and replace(fetch.found, here=fetch.done)
        self._change(spec, state="offered", found=found)

    def _download(self, spec: ModelSpec) -> None:
        began: tuple[float, int] | None = None

        def on_progress(done: int, total: int) -> None:
            nonlocal began
            began = began or (time.monotonic(), done)
            rate = (done - began[1]) / max(time.monotonic() - began[0], 1e-3)
            left = (total - done) / rate if rate else None
            self._change(spec, done=done, total=total, seconds_left=left)

        download(spec, self._settings, on_progress, self._stops[spec.name].is_set)
        self._change(spec, state="done")

    def _change(self, spec: ModelSpec, **fields: Any) -> None:
        self._known[spec.name] = replace(self._known[spec.name], **fields)
