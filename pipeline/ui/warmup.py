"""Loads the model after the page is up, and tells the page how far that is."""

import logging
from collections.abc import Callable
from threading import Thread
from typing import Literal

from pipeline.errors import OnetakeError
from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED

UNEXPECTED = "The model could not be loaded. The log says why; start Onetake again once that is mended."
State = Literal["loading", "ready", "failed"]


class WarmUp:
    """One load in the background, or two: `failed` names a hosted model that could not be loaded, `message` says why.

    The embedded one is loaded then in its place.
    """

    def __init__(self, load: Callable[[str], object], spec: ModelSpec) -> None:
        self.state: State = "loading"
        self.message = ""
        self.failed = ""
        self._load = load
        self._spec = spec

    def start(self) -> None:
        """Begin to load and return at once."""
        Thread(target=self.run, name="warm-up", daemon=True).start()

    def run(self) -> None:
        """Load now; whatever goes wrong is logged here, because nobody waits for this thread."""
        if not self._loads(self._spec) and not self._spec.embedded:
            self.message = f"{self.message} {EMBEDDED.title} is selected."
            self.failed = self._spec.name
            self._loads(EMBEDDED)

    def _loads(self, spec: ModelSpec) -> bool:
        try:
            self._load(spec.name)
        except Exception as error:
            logging.getLogger(__name__).exception("%s could not be loaded", spec.name)
            self.message = str(error) if isinstance(error, OnetakeError) else UNEXPECTED
            self.state = "failed" if spec.embedded else "loading"
            return False
        self.state = "ready"
        return True
