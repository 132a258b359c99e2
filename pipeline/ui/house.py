"""What the app owns, whoever looks at it: its jobs, runs, models, and what becomes of a request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from PIL import Image

from pipeline.backends.choice import Device
from pipeline.errors import NotDownloaded
from pipeline.fetches import Fetches
from pipeline.hub.downloads import commit_of, not_downloaded
from pipeline.hub.loras import fetch_lora, find_lora
from pipeline.jobs import Jobs
from pipeline.library.lineage import parents_in
from pipeline.memory import Machine
from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED, MODELS, default_model, get_model
from pipeline.plan import Plan, make_plan
from pipeline.planning.speed import Speed
from pipeline.planning.storyboard import Standing, standing
from pipeline.queue.job import Job
from pipeline.quota import gpu_seconds
from pipeline.request import Request, StoryboardRequest, parse_request, with_sources
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.ui.rows import Rows
from pipeline.ui.warmup import WarmUp
from pipeline.video import read_frames
from pipeline.visitors import Origin, Viewer, new_key, owner_of


@dataclass(frozen=True)
class House:
    """What the app owns, whoever looks at it."""

    jobs: Jobs
    store: Store
    settings: Settings
    warm_up: WarmUp
    backend: Device
    fetches: Fetches
    machine: Machine = field(default_factory=Machine)
    speeds: dict[str, Speed] = field(default_factory=dict)

    @property
    def spec(self) -> ModelSpec:
        """The model that a request without one gets: the embedded one where the default could not be loaded."""
        return EMBEDDED if self.warm_up.failed else default_model(self.machine, self.is_here, self.settings.model)

    @property
    def rows(self) -> Rows:
        """The models that the page offers; on a Space, those that its owner has placed there."""
        offered = [spec for spec in MODELS if self.downloads or self.is_here(spec)]
        return Rows(tuple(offered), self.spec)

    @property
    def downloads(self) -> bool:
        """Whether models can be downloaded: on a Space its owner places them, also on one that only runs the plans."""
        return not (self.settings.on_space or self.settings.space)

    def row(self, task: str, name: str | None) -> ModelSpec:
        """Return the row of a name where it is offered for a task, or else the one that the task begins with."""
        return (self.rows.find(task, name) if name else None) or self.rows.start(task)

    def weights(self, spec: ModelSpec) -> str:
        """Return a mark of the weights that a model has here, nothing where it is not here."""
        try:
            return commit_of(spec, self.settings)
        except NotDownloaded:
            return ""

    def is_here(self, spec: ModelSpec) -> bool:
        """Return whether a model's files are all where plans are run."""
        return self.backend.has(spec)

    def pulse(self) -> str:
        """Return a word that is another one whenever a download has gone on."""
        return " ".join(f"{fetch.model}:{fetch.state}:{fetch.done}" for fetch in self.fetches.views())

    def troubles(self) -> dict[str, str]:
        """Return why models that were asked for cannot be used, by their names."""
        failed = {fetch.model: fetch.message for fetch in self.fetches.views() if fetch.state == "failed"}
        return failed | ({self.warm_up.failed: self.warm_up.message} if self.warm_up.failed else {})

    def viewer(self, key: str | None) -> Viewer:
        """Return who has a visitor's key; without one, somebody who owns nothing."""
        return Viewer(owner_of(key or new_key()), self.settings.at_home)

    def plan(self, asked: dict[str, Any], viewer: Viewer) -> Plan:
        """Check a request and turn it into a plan, at the speed measured on this machine."""
        find = partial(find_lora, settings=self.settings)
        request = parse_request(asked)
        return self._plan(with_sources(request, self._found_by(request, viewer), find))

    def standing(self, asked: dict[str, Any], viewer: Viewer) -> tuple[Standing, ...]:
        """Return where the cards of a storyboard stand; raise BadRequest for what cannot be laid out."""
        request = parse_request(asked)
        request = with_sources(request, self._found_by(request, viewer))
        return standing(request, self._asked_spec(request)) if isinstance(request, StoryboardRequest) else ()

    def _found_by(self, request: Request, viewer: Viewer) -> Callable[[str], str]:
        """Return what finds the files of a request, for the model that it asks for."""
        return partial(self.store.find_source, viewer=viewer, model=self._asked_spec(request).name)

    def loras_to_fetch(self, asked: dict[str, Any], viewer: Viewer) -> str:
        """Return the names of a request's LoRAs that come from the Hub first, nothing where all are here."""
        return ", ".join(lora.name for lora in self.plan(asked, viewer).loras if not lora.file)

    def submit(self, asked: dict[str, Any], viewer: Viewer) -> Job:
        """Keep copies of what a request gives, and queue its plan; raise NotDownloaded without its model's files."""
        (plan,), origin = self.prepare([parse_request(asked)], viewer)
        return self.jobs.submit(plan, origin)

    def prepare(self, requests: Sequence[Request], viewer: Viewer) -> tuple[list[Plan], Origin]:
        """Keep copies of what requests give, the same ones all of them, and return their plans; raise as `submit`."""
        self.store.storage.refuse_when_full()
        self.speeds.clear()  # Programs see no outcome that would: runs may have ended since.
        keep = cache(partial(self.store.keep_source, viewer=viewer))
        fetch = cache(partial(fetch_lora, settings=self.settings))
        plans = [
            self._plan(with_sources(request, partial(keep, model=self._asked_spec(request).name), fetch))
            for request in requests
        ]
        self.check_model(plans[0])
        return plans, Origin(viewer.owner, parents_in(requests[0], partial(self.store.run_of, viewer=viewer)))

    def check_model(self, plan: Plan) -> None:
        """Raise NotDownloaded where the files of a plan's model are not where plans are run."""
        if not self.is_here(spec := get_model(plan.model)):
            raise self.absent(spec)

    def absent(self, spec: ModelSpec) -> NotDownloaded:
        """Return the error for a model that is not here."""
        if self.downloads:
            return not_downloaded(spec)
        return NotDownloaded(f"{spec.title} is not on {self.settings.space or 'this Space'}. Choose another model.")

    def _asked_spec(self, request: Request) -> ModelSpec:
        return get_model(request.model) if request.model else self.spec

    def _plan(self, request: Request) -> Plan:
        spec = self._asked_spec(request)
        plan = make_plan(request, spec, self.speed(spec), machine=self.backend.machine())
        if self.backend.on_zerogpu:
            gpu_seconds(plan)  # raises what no visitor could be lent
        return plan

    def speed(self, spec: ModelSpec) -> Speed:
        """Return what a model is measured to do where plans are run."""
        if spec.name not in self.speeds:
            self.speeds[spec.name] = self.store.speed(spec, self.settings.space)
        return self.speeds[spec.name]

    def contract(self, plan: Plan) -> str:
        """Say what comes out of a plan and what it costs, loading its model and a visitor's quota included."""
        if not self.backend.on_zerogpu:
            return plan.contract() + self._loading(plan)
        asked = f"{plan.contract()}; asks for {gpu_seconds(plan)} s of your ZeroGPU quota"
        # A visitor is known by the open page; where a Space of one's own is asked, it is this machine that asks.
        return asked if self.settings.space else f"{asked}. Keep this page open until it has a GPU."

    def _loading(self, plan: Plan) -> str:
        """Say that a plan's model is not in memory yet, and how long that took lately; loading is in no estimate."""
        if self.settings.space or self.warm_up.state == "loading" or self.backend.loaded == plan.model:
            return ""
        title, speed = get_model(plan.model).title, self.speeds.get(plan.model)
        seconds = speed.loading(plan.estimate.policy) if speed else None
        lately = "" if seconds is None else f", about {max(round(seconds), 1)} s"
        return f"; {title} is loaded first{lately}."

    def last_picture(self, run_id: str, viewer: Viewer) -> Image.Image:
        """Return a run's last frame as it was made, or spliced; raise an OnetakeError without the run."""
        *_, last = read_frames(self.store.last_frame(self.store.seen(run_id, viewer), viewer))
        return Image.fromarray(last)
