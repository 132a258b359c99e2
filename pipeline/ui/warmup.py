"""Loads the model after the page is up, and tells the page how far that is."""

import logging
from collections.abc import Callable
from threading import Thread
from typing import Literal

from pipeline.errors import OnetakeError

UNEXPECTED = "The model could not be loaded. The log says why; start Onetake again once that is mended."
State = Literal["loading", "ready", "failed"]


class WarmUp:
    """One load in the background; `message` says why it failed."""

    def __init__(self, load: Callable[[], object]) -> None:
        self.state: State = "loading"
        self.message = ""
        self._load = load

    def start(self) -> None:
        """Begin to load and return at once."""
        Thread(target=self.run, name="warm-up", daemon=True).start()

    def run(self) -> None:
        """Load now; whatever goes wrong is logged here, because nobody waits for this thread."""
        try:
            self._load()
        except Exception as error:
            logging.getLogger(__name__).exception("the model could not be loaded")
            self.message = str(error) if isinstance(error, OnetakeError) else UNEXPECTED
            self.state = "failed"
        else:
            self.state = "ready"
