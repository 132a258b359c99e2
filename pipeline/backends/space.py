"""A Onetake somewhere else that runs the plans, on a Space of one's own or at any address, through Gradio's client."""

import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.client import Job  # type: ignore[import-untyped]

from pipeline.backends.crossing import Crossing, take_from
from pipeline.backends.reach import plainly_lost, reached
from pipeline.backends.take import Take
from pipeline.backends.wire import VERSION, Message, out_of_step, pack_plan, unpack, unpack_machine
from pipeline.errors import Cancelled, ConnectionLost, NoDevice, NotDownloaded, OnetakeError, refuse_stopped
from pipeline.events import IsCancelled, Listener, Waiting
from pipeline.memory import Machine
from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.plan import Plan
from pipeline.settings import Settings

# A Space that sleeps is started by the first who asks, and loads for minutes.
WAKING_S = 600.0
LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Host:
    """What the other side says of itself: whether it asks for ZeroGPU's quota, its models, and what they run on."""

    zerogpu: bool
    models: frozenset[str]
    machine: Machine


class SpaceBackend:
    """Runs plans on another Onetake, which was given the same key; what is made is kept here and not there."""

    def __init__(self, settings: Settings, patience_s: float = WAKING_S) -> None:
        self._settings = settings
        self._patience_s = patience_s
        self._host: Host | None = None

    @property
    def loaded(self) -> str | None:
        """Nothing: what is loaded over there is not known here."""
        return None

    @property
    def on_zerogpu(self) -> bool:
        """Whether a run takes of one's quota of ZeroGPU, as far as that is known."""
        return self._host is not None and self._host.zerogpu

    def has(self, spec: ModelSpec) -> bool:
        """Return whether a model is over there; until that is known, it may be."""
        return self._host is None or spec.name in self._host.models

    def machine(self) -> Machine:
        """Return what there is to compute with over there, as it was told last; nothing until then."""
        return self._host.machine if self._host else Machine()

    def warm(self, model: str) -> None:
        """Wait until the other side is awake and ask who it is; raise NoDevice, or NotDownloaded for the model."""
        self.meet()
        self._refuse_absent(model)

    def meet(self, on_event: Listener = lambda _: None, cancelled: IsCancelled = lambda: False) -> None:
        """Ask the other side who it is, ahead of a plan for it; raise NoDevice."""
        with reached(self._settings, self._patience_s, on_event, cancelled) as client:
            self._greet(client)

    def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        """Denoise a plan over there, telling each step; frames come without loss as they are decoded."""
        refuse_stopped(cancelled)
        on_event(Waiting(self._settings.space))
        run = _Run(self._settings.space)
        take = take_from(self._crossings(run, plan, on_event, cancelled), on_event, cancelled, run.stop)
        return replace(take, where=self._settings.space)

    def _crossings(
        self, run: "_Run", plan: Plan, on_event: Listener, cancelled: IsCancelled
    ) -> Generator[Crossing | None, None, None]:
        with reached(self._settings, self._patience_s, on_event, cancelled) as client:
            self._greet(client)
            self._refuse_absent(plan.model)
            yield from run.crossings(client, plan)

    def _greet(self, client: Client) -> None:
        space = self._settings.space
        if "/about_lending" not in [endpoint.api_name for endpoint in client.endpoints.values()]:
            raise NoDevice(f"{space} is no Onetake that runs plans of others. Bring it to the version that is here.")
        said: Message = client.predict(api_name="/about_lending")
        if "error" in said and isinstance(error := unpack(said, space), OnetakeError):
            raise error
        if said.get("version") != VERSION:
            raise out_of_step("two versions of Onetake")
        self._host = Host(bool(said["zerogpu"]), frozenset(said["models"]), unpack_machine(said["machine"]))

    def _refuse_absent(self, model: str) -> None:
        if not self.has(spec := get_model(model)):
            what = f"{spec.title} is not on {self._settings.space}"
            raise NotDownloaded(f"{what}. Choose another model, or name it in ONETAKE_MODELS there.")


class _Run:
    """One plan on its way: it is stopped by its name, and given up by leaving."""

    def __init__(self, space: str) -> None:
        self._space = space
        self._id = secrets.token_hex(16)
        self._client: Client | None = None
        self._stopped = False

    def crossings(self, client: Client, plan: Plan) -> Generator[Crossing | None, None, None]:
        """Yield what comes, and None every while nothing does; closing it ends the run over there after its step."""
        message, files = pack_plan(plan)
        self._client = client
        job = client.submit(
            message | {"id": self._id, "files": [handle_file(file) for file in files]}, api_name="/lend"
        )
        try:
            for said in _outputs(job):
                yield None if said is None else unpack(said, self._space)
        finally:
            if not job.done():
                with suppress(httpx.HTTPError):
                    job.cancel()
        raise ConnectionLost(f"{self._space} was gone before the run had ended. See whether it runs, and try again.")

    def stop(self) -> None:
        """Ask the other side for what it has by now; raise Cancelled where it has not begun."""
        if self._stopped or self._client is None:
            return
        self._stopped = True
        with plainly_lost(self._space):
            if not self._client.predict(self._id, api_name="/stop_lent"):
                raise Cancelled(
                    "Stopped before it had begun, so there is nothing to keep. Start it again when you like."
                )


def _outputs(job: Job) -> Iterator[Any]:
    """Yield what a job has told, and None every while it tells nothing; raise what it raised."""
    seen = 0
    while True:
        done = job.done()
        told = job.outputs()
        while seen < len(told):
            # The client keeps what it has passed on; frames are large.
            message, told[seen] = told[seen], None
            yield message
            seen += 1
        if done:
            job.result()
            return
        yield None
        time.sleep(LOOK_EVERY_S)
