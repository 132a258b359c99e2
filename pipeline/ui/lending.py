"""The endpoints by which a Onetake that was given the same key has its plans run here; nothing of them is kept."""

from collections.abc import Iterator
from dataclasses import asdict
from hmac import compare_digest
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
from gradio.events import api
from gradio.utils import get_upload_folder

from pipeline.backends.crossing import crossings
from pipeline.backends.reach import KEY_HEADER
from pipeline.backends.wire import VERSION, Message, pack, unpack_plan
from pipeline.errors import BadRequest, KeyRefused, OnetakeError
from pipeline.models import MODELS, get_model
from pipeline.plan import place_again
from pipeline.ui.house import House

# Not for programs that people write: what crosses here is unmarked, and changes from version to version.
UNTOLD: dict[str, Any] = {"api_visibility": "undocumented"}


def add_lending(house: House) -> None:
    """Add the endpoints; without a key in the settings they refuse everybody."""
    lender = Lender(house)
    # Elsewhere than on ZeroGPU there is one device, and Gradio's queue stands in front of it.
    at_once = None if house.settings.on_zerogpu else 1
    api(lender.about, api_name="about_lending", concurrency_limit=None, **UNTOLD)
    api(lender.lend, api_name="lend", concurrency_limit=at_once, **UNTOLD)
    api(lender.stop, api_name="stop_lent", concurrency_limit=None, **UNTOLD)


class Lender:
    """Runs the plans of whoever has the key."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stops: dict[str, Event] = {}

    def about(self, request: gr.Request) -> dict[str, Any]:
        """Say what is here."""
        try:
            self._check_key(request)
        except KeyRefused as error:
            return next(pack(error))
        backend = self._house.backend
        models = [spec.name for spec in MODELS if backend.has(spec)]
        told = {"zerogpu": backend.on_zerogpu, "models": models, "machine": asdict(backend.machine())}
        return {"version": VERSION} | told

    def lend(self, order: dict[str, Any], request: gr.Request) -> Iterator[dict[str, Any]]:
        """Run a plan, and yield what its owner needs to keep it."""
        try:
            self._check_key(request)
            yield from self._run(order)
        except OnetakeError as error:
            yield from pack(error)

    def stop(self, run: str, request: gr.Request) -> bool:
        """Stop a run, which gives what it has by then; return whether it had begun."""
        self._check_key(request)
        if run in self._stops:
            self._stops[run].set()
        return run in self._stops

    def _run(self, order: Message) -> Iterator[Message]:
        files = [_uploaded(file) for file in order.get("files", ())]
        name, stop = str(order.get("id")), Event()
        self._stops[name] = stop
        try:
            # Its weights were placed for what was free here when somebody asked last, or for nothing that is known.
            sent = unpack_plan(order, files)
            plan = place_again(sent, get_model(sent.model), self._house.backend.machine())
            for crossing in crossings(self._house.backend, plan, stop.is_set):
                yield from pack(crossing)
        finally:
            del self._stops[name]
            for file in files:
                Path(file).unlink(missing_ok=True)

    def _check_key(self, request: gr.Request) -> None:
        key, shown = self._house.settings.key, request.headers.get(KEY_HEADER, "")
        if not key:
            raise KeyRefused("It runs plans of nobody. Give it a secret named ONETAKE_KEY, the same as here.")
        if not compare_digest(key.encode(), shown.encode()):
            raise KeyRefused("It has another key. Set ONETAKE_KEY to the same secret on both sides.")


def _uploaded(file: Any) -> str:
    path = file.get("path") if isinstance(file, dict) else None
    if isinstance(path, str) and Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        return path
    raise BadRequest("files", "A file of the plan was not uploaded. Send it again.")
