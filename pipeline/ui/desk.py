"""What the page does when somebody touches it: every handler of the tabs, the stage and the library."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component
from PIL import Image

from pipeline.backends.local import LocalBackend
from pipeline.errors import NotFound, OnetakeError
from pipeline.jobs import Job, Jobs, JobView
from pipeline.latents import is_latents
from pipeline.model_spec import ModelSpec
from pipeline.models import default_model, get_model
from pipeline.plan import Plan, Speed, make_plan
from pipeline.request import Request, parse_request, with_sources
from pipeline.settings import Settings
from pipeline.store import RUN, Store
from pipeline.ui import clips, details, library
from pipeline.ui.clip_field import offered
from pipeline.ui.composer import Composer, Example
from pipeline.ui.header import header
from pipeline.ui.stage import Stage, Updates
from pipeline.ui.warmup import WarmUp
from pipeline.video import read_frames

# An unwritten prompt has a contract too: it stands there before the first word.
PLACEHOLDER = "a ball"
GONE = "This take is no longer there. Choose another one from the library."
NOTHING_KEPT = "It was stopped before its first step was done, so there is nothing to keep. Make it again."


@dataclass(frozen=True)
class House:
    """What the app owns, whoever looks at it."""

    jobs: Jobs
    store: Store
    settings: Settings
    warm_up: WarmUp
    backend: LocalBackend
    speeds: dict[str, Speed] = field(default_factory=dict)

    @property
    def spec(self) -> ModelSpec:
        """The model that the page starts with."""
        return default_model(self.settings)

    def plan(self, asked: dict[str, Any]) -> Plan:
        """Check a request and turn it into a plan, at the speed measured on this machine."""
        return self._plan(with_sources(parse_request(asked), self.store.find_source))

    def submit(self, asked: dict[str, Any]) -> Job:
        """Keep copies of what a request gives, and queue its plan."""
        return self.jobs.submit(self._plan(with_sources(parse_request(asked), self.store.keep_source)))

    def _plan(self, request: Request) -> Plan:
        spec = get_model(request.model) if request.model else self.spec
        if spec.name not in self.speeds:
            self.speeds[spec.name] = self.store.speed(spec)
        return make_plan(request, spec, self.speeds[spec.name])

    def last_picture(self, run_id: str) -> Image.Image:
        """Return a run's last frame as it was made, or spliced; raise an OnetakeError without the run."""
        run = self.store.get(run_id)
        source = self.store.find_source(RUN + run_id)
        if not is_latents(source):
            *_, last = read_frames(Path(source))
            return Image.fromarray(last)
        return Image.fromarray(self.backend.last_frame(run.plan.model, self.store.latents(run)))

    def find_job(self, job_id: str | None) -> Job | None:
        """Return a job that this process knows, None otherwise."""
        try:
            return self.jobs.get(job_id) if job_id else None
        except NotFound:
            return None

    def running(self, job_id: str | None) -> JobView | None:
        """Return a job as it stands, None once it has ended."""
        job = self.find_job(job_id)
        return None if job is None or job.snapshot().final else job.snapshot()


@dataclass(frozen=True)
class Desk:
    """The page's parts and the house behind them; methods are event handlers."""

    house: House
    tabs: gr.Tabs
    composers: tuple[Composer, ...]
    stage: Stage
    header: gr.HTML
    library: gr.HTML
    job: gr.BrowserState
    ticker: gr.Timer

    @property
    def outputs(self) -> list[Block]:
        """Return what changes when a take is followed or opened."""
        starters = [starter for composer in self.composers for starter in composer.starters]
        return [*self.stage.outputs, *starters, self.library]

    @property
    def surroundings(self) -> list[Block]:
        """Return what changes by itself, besides the library."""
        return [self.header, self.ticker]

    @property
    def restored(self) -> list[Block]:
        """Return what changes when a clip's recipe is set again."""
        inner = {composer.inner for composer in self.composers if composer.inner}
        return [self.tabs, *inner, *(part for composer in self.composers for part in composer.inputs)]

    def contract(self, composer: Composer, values: dict[Component, Any]) -> str:
        """Say what would come out of the controls as they stand."""
        return self._contract(composer, values, composer.words(values))

    def contract_while_typing(self, composer: Composer, values: dict[Component, Any]) -> str:
        """Say the same, but do not judge the word that is being typed."""
        head, _, _ = composer.words(values).rpartition(" ")
        return self._contract(composer, values, head)

    def _contract(self, composer: Composer, values: dict[Component, Any], prompt: str) -> str:
        if missing := composer.missing(values):
            return f'<p class="promise">{escape(missing)}</p>'
        try:
            unwritten = PLACEHOLDER if composer.words_needed else ""
            plan = self.house.plan(composer.read(values, prompt if prompt.strip() else unwritten))
        except OnetakeError as error:
            return refusal(error)
        return f'<p class="promise">{escape(plan.contract())}</p>{details.notes_list(plan.notes)}'

    def make(self, composer: Composer, values: dict[Component, Any]) -> Iterator[Updates]:
        """Submit a take and follow it; what is refused is said under the button."""
        try:
            job = self.house.submit(composer.read(values, composer.words(values)))
        except OnetakeError as error:
            yield {composer.contract: refusal(error)}
            return
        yield {self.job: job.id}
        yield from self._follow(job)

    def arrive(self, job_id: str | None) -> Iterator[Updates]:
        """Fill the page for who opens it: their running take first, then their last, then the example."""
        yield {**self._surroundings(job_id), **self._first_sight(job_id)}
        yield from self.rejoin(job_id)

    def rejoin(self, job_id: str | None) -> Iterator[Updates]:
        """Follow a job that is still under way."""
        job = self.house.find_job(job_id)
        if job is not None and not job.snapshot().final:
            yield from self._follow(job)

    def _first_sight(self, job_id: str | None) -> Updates:
        job = self.house.find_job(job_id)
        if job is not None and job.snapshot().run is not None:
            return self._outcome(job.snapshot())
        example = clips.example_clip(self.house.settings)
        return self.stage.play(example) if example else self.stage.clear()

    def _follow(self, job: Job) -> Iterator[Updates]:
        yield {**self._busy(), **self._strip(job.id)}
        view = job.snapshot()
        for view in job.watch():
            if not view.final:
                yield self.stage.follow(view)
        self.house.speeds.clear()
        shown = view.run.id if view.run else None
        yield {**self._outcome(view), **self._idle(), **self._strip(None, shown)}

    def _outcome(self, view: JobView) -> Updates:
        if view.run is not None:
            return self.stage.play(clips.clip_of(view.run))
        return self.stage.say(view.error or NOTHING_KEPT)

    def stop(self, job_id: str | None) -> None:
        """Ask the running take to stop; whoever follows it shows what is kept."""
        job = self.house.find_job(job_id)
        if job is not None:
            job.cancel()

    def open_run(self, job_id: str | None, event: gr.EventData) -> Updates:
        """Put a run of the library on the stage; a running take goes on, and the strip leads back to it."""
        clip = clips.find_clip(self.house.store, event.run)
        if clip is None:
            shown = self.stage.say("This run is no longer there. Choose another one from the library.")
        else:
            shown = self.stage.play(clip)
        return {**shown, **self._idle(), **self._surroundings(job_id, event.run)}

    def use_again(self, clip: clips.Clip) -> Updates:
        """Set every control to what made the clip on the stage, in the tab that made it."""
        composer = self._composer(clip.plan.task)
        controls = composer.controls.restore(clip.plan, get_model(clip.plan.model))
        own = {composer.prompt: clip.plan.segments[0].prompt, **composer.restore_own(clip.plan)}
        return {**composer.choose(self.tabs), **controls, **own}

    def go_on(self, clip: clips.Clip) -> Updates:
        """Carry the end of the clip on the stage into the Animate tab, ready to run."""
        composer = self._composer("animate")
        try:
            picture = self.house.last_picture(clip.run_id or "")
        except OnetakeError as error:
            return {**composer.choose(self.tabs), composer.contract: refusal(error)}
        return self._carried(composer, clip, {composer.own["image"]: picture})

    def carry(self, task: str, clip: clips.Clip) -> Updates:
        """Carry the clip on the stage into another tab, ready to run; it is edited from its unmarked latents."""
        composer = self._composer(task)
        run = clips.find_run(self.house.store, clip.run_id)
        if run is None:
            return {**composer.choose(self.tabs), composer.contract: refusal(NotFound(GONE))}
        own: Updates = {composer.own[composer.carries]: offered(run.file), composer.controls.seconds: gr.skip()}
        # The other clip of a transition waits for this one.
        kept: Updates = {composer.own["second"]: gr.skip()} if "second" in composer.own else {}
        return self._carried(composer, clip, own | kept)

    def _carried(self, composer: Composer, clip: clips.Clip, own: Updates) -> Updates:
        controls = composer.controls.restore(clip.plan, get_model(clip.plan.model))
        fresh: Updates = {composer.prompt: clip.prompt, composer.controls.seed: "", composer.controls.frames: ""}
        return {**composer.choose(self.tabs), **composer.emptied(), **controls, **fresh, **own}

    def play_example(self, composer: Composer, example: Example) -> Updates:
        """Fill in an example's words and files; what else can be filled in is emptied."""
        folder = self.house.settings.assets / "examples"
        files: Updates = {composer.own[name]: offered(folder / file) for name, file in example.files.items()}
        return composer.emptied() | files | {composer.prompt: example.words}

    def tick(self, job_id: str | None, shown: clips.Clip | None) -> Updates:
        """Look after what nobody follows: the model's loading, and a take that left the stage.

        A browser that turns from one stream to another can lose the new one; a take that has ended since then, with
        no clip on the stage, is put there.
        """
        around = self._surroundings(job_id, shown.run_id if shown else None)
        job = self.house.find_job(job_id)
        if shown is None and job is not None and job.snapshot().run is not None:
            return {**around, **self._outcome(job.snapshot()), **self._idle()}
        return around

    def _composer(self, task: str) -> Composer:
        return next(composer for composer in self.composers if composer.task == task)

    def _busy(self) -> Updates:
        return {part: update for composer in self.composers for part, update in composer.busy().items()}

    def _idle(self) -> Updates:
        return {part: update for composer in self.composers for part, update in composer.idle().items()}

    def _surroundings(self, job_id: str | None, shown: str | None = None) -> Updates:
        loading = self.house.warm_up.state == "loading"
        return {
            self.header: header(self.house.spec, self.house.settings, self.house.warm_up),
            self.ticker: gr.Timer(active=loading or self.house.running(job_id) is not None),
            **self._strip(job_id, shown),
        }

    def _strip(self, job_id: str | None, shown: str | None = None) -> Updates:
        running = self.house.running(job_id)
        return {self.library: library.strip(self.house.store.list(), running, shown)}


def refusal(error: OnetakeError) -> str:
    """Return the line that says why nothing is made and what to do."""
    return f'<p class="refusal" role="alert">{escape(str(error))}</p>'
