"""What the page does when somebody touches it: every handler of the tabs, the stage and the library."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from pipeline.errors import NotFound, OnetakeError
from pipeline.job import Job, JobView
from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED, get_model
from pipeline.remembered import licence_accepted
from pipeline.ui import clips, details, library
from pipeline.ui.clip_field import offered
from pipeline.ui.composer import Composer, Example
from pipeline.ui.header import header
from pipeline.ui.house import House
from pipeline.ui.offer import licence, offer
from pipeline.ui.stage import Stage, Updates
from pipeline.visitors import Viewer, new_key

# An unwritten prompt has a contract too: it stands there before the first word.
PLACEHOLDER = "a ball"
GONE = "This take is no longer there. Choose another one from the library."
NOTHING_KEPT = "It was stopped before its first step was done, so there is nothing to keep. Make it again."


@dataclass(frozen=True)
class Desk:
    """The page's parts and the house behind them; methods are event handlers.

    `visitor` is the key by which somebody's jobs and runs are theirs, `pulse` changes as downloads of models go on,
    `troubles` when a model turns out to be of no use.
    """

    house: House
    tabs: gr.Tabs
    composers: tuple[Composer, ...]
    stage: Stage
    header: gr.HTML
    library: gr.HTML
    visitor: gr.BrowserState
    ticker: gr.Timer
    pulse: gr.Textbox
    troubles: gr.Textbox

    @property
    def outputs(self) -> list[Block]:
        """Return what changes when a take is followed or opened."""
        starters = [starter for composer in self.composers for starter in composer.starters]
        return [*self.stage.outputs, *starters, *self.by_row, self.header, self.library]

    @property
    def surroundings(self) -> list[Block]:
        """Return what changes by itself, besides the header and the library."""
        return [self.ticker, self.pulse, self.troubles]

    @property
    def by_row(self) -> list[Block]:
        """Return what changes where another model is chosen."""
        return [part for composer in self.composers for part in composer.by_row]

    @property
    def restored(self) -> list[Block]:
        """Return what changes when a clip's recipe is set again."""
        inner = {composer.inner for composer in self.composers if composer.inner}
        told = [composer.told for composer in self.composers]
        return [self.tabs, *inner, *told, *(part for composer in self.composers for part in composer.inputs)]

    def contract(self, composer: Composer, values: dict[Component, Any]) -> str:
        """Say what would come out of the controls as they stand."""
        return self._contract(composer, values, composer.words(values))

    def contract_while_typing(self, composer: Composer, values: dict[Component, Any]) -> str:
        """Say the same, but do not judge the word that is being typed."""
        head, _, _ = composer.words(values).rpartition(" ")
        return self._contract(composer, values, head)

    def _contract(self, composer: Composer, values: dict[Component, Any], prompt: str) -> str:
        spec = self._chosen(composer, values)
        if not self.house.is_here(spec):
            if not self.house.downloads:
                return refusal(self.house.absent(spec))
            accepted = licence_accepted(spec, self.house.settings)
            return offer(spec, self.house.fetches.view(spec.name), accepted)
        if missing := composer.missing(values):
            return f'<p class="promise">{escape(missing)}</p>'
        try:
            unwritten = PLACEHOLDER if composer.words_needed else ""
            plan = self.house.plan(
                composer.read(values, prompt if prompt.strip() else unwritten), self.house.viewer(values[self.visitor])
            )
        except OnetakeError as error:
            return refusal(error)
        return (
            f'<p class="promise">{escape(self.house.contract(plan))}</p>{licence(spec)}{details.notes_list(plan.notes)}'
        )

    def _chosen(self, composer: Composer, values: dict[Component, Any]) -> ModelSpec:
        """Return the model of a tab, which in one that was never opened may say nothing."""
        name = values[composer.controls.model]
        return get_model(name) if name else self.house.rows.start(composer.task)

    def make(self, composer: Composer, values: dict[Component, Any]) -> Iterator[Updates]:
        """Submit a take and follow it; what is refused is said under the button."""
        key = values[self.visitor] or new_key()
        viewer = self.house.viewer(key)
        try:
            asked = composer.read(values, composer.words(values))
            if fetched := self.house.loras_to_fetch(asked, viewer):
                yield {composer.contract: f'<p class="promise">Fetching {escape(fetched)} from the Hub…</p>'}
            job = self.house.submit(asked, viewer)
        except OnetakeError as error:
            yield {composer.contract: refusal(error)}
            return
        yield {self.visitor: key, composer.contract: self.contract(composer, values)}
        yield from self._follow(job, viewer)

    def arrive(self, key: str | None) -> Iterator[Updates]:
        """Fill the page for who opens it: their running take first, then their newest, then the example."""
        key = key or new_key()
        viewer = self.house.viewer(key)
        yield {self.visitor: key, **self._surroundings(viewer), **self._first_sight(viewer)}
        yield from self.rejoin(key)

    def rejoin(self, key: str | None) -> Iterator[Updates]:
        """Follow a job that is still under way."""
        viewer = self.house.viewer(key)
        if (job := self.house.current(viewer)) is not None:
            yield from self._follow(job, viewer)

    def _first_sight(self, viewer: Viewer) -> Updates:
        runs = self.house.store.owned_by(viewer)
        clip = clips.clip_of(runs[0]) if runs else clips.example_clip(self.house.settings)
        return self.stage.play(clip) if clip else self.stage.clear()

    def _follow(self, job: Job, viewer: Viewer) -> Iterator[Updates]:
        yield {**self._busy(), **self._strip(viewer)}
        view = job.snapshot()
        for view in job.watch():
            if not view.final:
                yield self.stage.follow(view)
        self.house.speeds.clear()
        shown = view.run.id if view.run else None
        unloaded = self._unloaded(view) if view.unloadable else {}
        yield {**self._outcome(view), **self._idle(), **self._strip(viewer, shown), **self._top(), **unloaded}

    def _unloaded(self, view: JobView) -> Updates:
        """Select the embedded model in place of one that could not be loaded."""
        if view.plan.model == EMBEDDED.name:
            return {}
        message = OnetakeError(f"{view.error} {EMBEDDED.title} is selected.")
        return self._composer(view.plan.task).follow(EMBEDDED, refusal(message))

    def _outcome(self, view: JobView) -> Updates:
        if view.run is not None:
            return self.stage.play(clips.clip_of(view.run))
        return self.stage.say(view.error or NOTHING_KEPT)

    def stop(self, key: str | None) -> None:
        """Ask the running take to stop; whoever follows it shows what is kept."""
        if (job := self.house.current(self.house.viewer(key))) is not None:
            job.cancel()

    def open_run(self, key: str | None, event: gr.EventData) -> Updates:
        """Put a run of the library on the stage; a running take goes on, and the strip leads back to it."""
        viewer = self.house.viewer(key)
        clip = clips.find_clip(self.house.store, event.run, viewer)
        if clip is None:
            shown = self.stage.say("This run is no longer there. Choose another one from the library.")
        else:
            shown = self.stage.play(clip)
        return {**shown, **self._idle(), **self._surroundings(viewer, event.run)}

    def use_again(self, clip: clips.Clip) -> Updates:
        """Set every control to what made the clip on the stage, in the tab that made it."""
        composer = self._composer(clip.plan.task)
        own = {composer.prompt: clip.plan.segments[0].prompt, **composer.restore_own(clip.plan)}
        return {**composer.choose(self.tabs), **self._restored(composer, clip), **own}

    def go_on(self, clip: clips.Clip, key: str | None) -> Updates:
        """Carry the end of the clip on the stage into the Animate tab, ready to run."""
        composer = self._composer("animate")
        try:
            picture = self.house.last_picture(clip.run_id or "", self.house.viewer(key))
        except OnetakeError as error:
            return {**composer.choose(self.tabs), composer.contract: refusal(error)}
        return self._carried(composer, clip, {composer.own["image"]: picture})

    def carry(self, task: str, clip: clips.Clip, key: str | None) -> Updates:
        """Carry the clip on the stage into another tab, ready to run; it is edited from its unmarked latents."""
        composer = self._composer(task)
        run = clips.find_run(self.house.store, clip.run_id, self.house.viewer(key))
        if run is None:
            return {**composer.choose(self.tabs), composer.contract: refusal(NotFound(GONE))}
        own: Updates = {composer.own[composer.carries]: offered(run.file)}
        # The other clip of a transition waits for this one.
        kept: Updates = {composer.own["second"]: gr.skip()} if "second" in composer.own else {}
        return self._carried(composer, clip, own | kept)

    def _carried(self, composer: Composer, clip: clips.Clip, own: Updates) -> Updates:
        fresh: Updates = {composer.prompt: clip.prompt, composer.controls.seed: "", composer.controls.frames: ""}
        return {**composer.choose(self.tabs), **composer.emptied(), **self._restored(composer, clip), **fresh, **own}

    def _restored(self, composer: Composer, clip: clips.Clip) -> Updates:
        """Set the shared controls to what made a clip, with its model where that is offered for the task."""
        rows = self.house.rows
        spec = rows.find(composer.task, clip.plan.model)
        if spec is not None:
            return {**composer.controls.restore(clip.plan, spec), composer.told: gr.HTML("", visible=False)}
        start = rows.start(composer.task)
        why = f"{get_model(clip.plan.model).title} is not offered for this. {start.title} is selected."
        return composer.follow(start, refusal(OnetakeError(why)))

    def play_example(self, composer: Composer, example: Example) -> Updates:
        """Fill in an example's words and files; what else can be filled in is emptied."""
        folder = self.house.settings.assets / "examples"
        files: Updates = {composer.own[name]: offered(folder / file) for name, file in example.files.items()}
        return composer.emptied() | files | {composer.prompt: example.words}

    def tick(self, key: str | None, shown: clips.Clip | None) -> Updates:
        """Look after what nobody follows: the model's loading, downloads, and the running take in the strip."""
        return self._surroundings(self.house.viewer(key), shown.run_id if shown else None)

    def _composer(self, task: str) -> Composer:
        return next(composer for composer in self.composers if composer.task == task)

    def _busy(self) -> Updates:
        return {part: update for composer in self.composers for part, update in composer.busy().items()}

    def _idle(self) -> Updates:
        return {part: update for composer in self.composers for part, update in composer.idle().items()}

    def _surroundings(self, viewer: Viewer, shown: str | None = None) -> Updates:
        return {**self.stir(viewer), **self._strip(viewer, shown)}

    def stir(self, viewer: Viewer) -> Updates:
        """Return what goes on by itself: the model's loading, downloads, and the clock that looks after them."""
        busy = [fetch for fetch in self.house.fetches.views() if fetch.busy]
        loading = self.house.warm_up.state == "loading"
        return {
            **self._top(),
            self.ticker: gr.Timer(active=loading or bool(busy) or self.house.current(viewer) is not None),
            self.pulse: self.house.pulse(),
            self.troubles: " ".join(self.house.troubles()),
        }

    def _top(self) -> Updates:
        return {self.header: header(self.house)}

    def _strip(self, viewer: Viewer, shown: str | None = None) -> Updates:
        job = self.house.current(viewer)
        running = job.snapshot() if job else None
        return {self.library: library.strip(self.house.store.owned_by(viewer), running, shown)}


def refusal(error: OnetakeError) -> str:
    """Return the line that says why nothing is made and what to do."""
    return f'<p class="refusal" role="alert">{escape(str(error))}</p>'
