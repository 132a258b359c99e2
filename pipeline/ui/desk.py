"""What the page does when somebody touches it: every handler of the tabs, the stage and the library."""

import time
from dataclasses import dataclass, field
from html import escape
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from pipeline.errors import NotFound, OnetakeError
from pipeline.fields import replace_files
from pipeline.hub.remembered import licence_accepted
from pipeline.library.marks import UNMARKED
from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED, get_model
from pipeline.queue.job import JobView
from pipeline.recipes.recipe import open_recipe, recipe_of
from pipeline.sheet import Sheet, sheet_of
from pipeline.ui import clips, details, prints
from pipeline.ui.boards import shipped
from pipeline.ui.clip_field import offered
from pipeline.ui.composer import Composer, Example
from pipeline.ui.doors import Doors
from pipeline.ui.drafting import seconds_to_finish
from pipeline.ui.header import header
from pipeline.ui.house import House
from pipeline.ui.offer import licence, offer
from pipeline.ui.pages import ON_SHEET, Pages, Refused, Seen, called, named
from pipeline.ui.queue import queue_cards
from pipeline.ui.stage import Stage, Updates
from pipeline.visitors import Viewer

# An unwritten prompt has a contract too: it stands there before the first word.
PLACEHOLDER = "a ball"
GONE = "This take is no longer there. Choose another one from the library."
RUN_GONE = "This run is no longer there. Choose another one from the library."
# What a take that is carried into another tab keeps of its recipe.
CARRIED = ("model", "shape", "width", "height", "steps", "guidance_scale", "deliver", "memory", "loras")
# A page that is open looks around now and then also where nothing goes on: another tab may have begun something.
TICK_S, IDLE_TICK_S = 1.5, 15.0


@dataclass(frozen=True)
class Desk:
    """The page's parts and the house behind them; methods are event handlers.

    `visitor` is the key by which somebody's jobs and runs are theirs, `seen` what the page shows of which job (see
    pages.py), `call` names a job to be followed; `look` is a button that a script presses to have the page looked
    after at once. `listing` changes with the library (see shelf.py), `pulse` as downloads of models go on,
    `troubles` when a model turns out to be of no use.
    """

    house: House
    tabs: gr.Tabs
    composers: tuple[Composer, ...]
    stage: Stage
    header: gr.HTML
    queue_told: gr.HTML
    queue: gr.HTML
    listing: gr.Textbox
    visitor: gr.BrowserState
    ticker: gr.Timer
    look: gr.Button
    call: gr.Textbox
    seen: gr.Textbox
    pulse: gr.Textbox
    troubles: gr.Textbox
    doors: Doors
    pages: Pages = field(default_factory=Pages)

    @property
    def outputs(self) -> list[Block]:
        """Return what changes when a take is followed or opened."""
        return [*self.stage.outputs, self.seen, *self.by_row, self.header, self.listing]

    @property
    def surroundings(self) -> list[Block]:
        """Return what changes by itself, besides the header and the library."""
        buttons = [composer.make for composer in self.composers]
        return [*buttons, self.queue, self.call, self.ticker, self.pulse, self.troubles]

    @property
    def by_row(self) -> list[Block]:
        """Return what changes where another model is chosen."""
        return [part for composer in self.composers for part in composer.by_row]

    @property
    def restored(self) -> list[Block]:
        """Return what changes when a clip's recipe is set again."""
        inner = {composer.inner for composer in self.composers if composer.inner}
        told = [composer.told for composer in self.composers]
        return [
            self.tabs,
            self.doors.opened,
            *inner,
            *told,
            *(part for composer in self.composers for part in composer.inputs),
        ]

    def contract(self, composer: Composer, values: dict[Component, Any]) -> str:
        """Say what would come out of the controls as they stand."""
        return self._contract(composer, values, composer.words(values))

    def promised(self, composer: Composer, typing: Component, values: dict[Component, Any]) -> str:
        """Say the same, but do not judge a word that is being typed, and say again what was refused to the button."""
        words, refused = composer.words(values), Refused.read(values[composer.refused])
        if refused.still(composer.asked(values)):
            return refusal(refused.why)
        return self._contract(composer, values, words.rpartition(" ")[0] if values[typing] else words)

    def _contract(self, composer: Composer, values: dict[Component, Any], prompt: str) -> str:
        spec = self.chosen(composer, values)
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

    def chosen(self, composer: Composer, values: dict[Component, Any]) -> ModelSpec:
        """Return the model of a tab, which in one that was never opened may say nothing."""
        name = values[composer.controls.model]
        return get_model(name) if name else self.house.rows.start(composer.task)

    def on_stage(self, view: JobView, viewer: Viewer, at: float) -> Updates:
        """Show how a job stands, from a moment on (see Seen); one of a sheet is shown among the others there."""
        cell = view.origin.cell
        shown = self.spread(cell.sheet, viewer) if cell else self.stage.follow(view)
        return {**shown, self.seen: str(Seen(view.id, view.version, at))}

    def goes_on(self, view: JobView, viewer: Viewer) -> Updates:
        """Show how long a job takes that is on the stage already."""
        return self.spread(cell.sheet, viewer) if (cell := view.origin.cell) else self.stage.goes_on(view)

    def sheet(self, sheet: str, viewer: Viewer) -> Sheet:
        """Return a visitor's sheet as it stands now."""
        return sheet_of(sheet, self.house.store, self.house.jobs, viewer)

    def spread(self, sheet: str, viewer: Viewer) -> Updates:
        """Lay a sheet out on the stage."""
        found, store = self.sheet(sheet, viewer), self.house.store
        seconds = next((seconds_to_finish(self.house, each.plan) for each in found.prints if each.waits), 0.0)
        runs = (each.run for each in found.prints)
        made = [clips.clip_of(run, store, viewer, UNMARKED) if run else None for run in runs]
        shown = [prints.Shown(each, clip, seconds) for each, clip in zip(found.prints, made, strict=True)]
        return self.stage.lay_out(prints.spread(shown), prints.progress(found))

    def rest(self, sheet: str, viewer: Viewer) -> Updates:
        """Lay a sheet out of which nothing is made; it stays there whatever else begins."""
        return {**self.spread(sheet, viewer), self.seen: f"{ON_SHEET} {sheet}"}

    def follow_new(self, job_id: str, viewer: Viewer, seen: Seen | None, session: str | None) -> Updates:
        """Put a new job onto the stage, unless another one of the same visitor is there, which goes on before it."""
        there = {view.id for view in self.house.jobs.under_way(viewer)} - {job_id}
        if {named(self.pages.wanted(session) or ""), seen.job if seen else ""} & there:
            return {}
        return self.call_job(job_id, viewer, session)

    def call_job(self, job_id: str, viewer: Viewer, session: str | None) -> Updates:
        """Put a job onto the stage, and have it followed."""
        word = called(job_id)
        self.pages.call(session, word)
        view = self.house.jobs.look(job_id, viewer)
        return {**({} if view.final else self.on_stage(view, viewer, time.time())), self.call: word}

    def unloaded(self, view: JobView) -> Updates:
        """Select the embedded model in place of one that could not be loaded."""
        if not view.unloadable or view.plan.model == EMBEDDED.name:
            return {}
        message = OnetakeError(f"{view.error} {EMBEDDED.title} is selected.")
        return self.composer(view.plan.task).follow(EMBEDDED, refusal(message))

    def open_run(self, key: str | None, event: gr.EventData, request: gr.Request) -> Updates:
        """Put a run of the library on the stage; a running take goes on, and its card leads back to it."""
        return self.put_on_stage(event.run, key, request.session_hash, RUN_GONE)

    def put_on_stage(self, run_id: str, key: str | None, session: str | None, gone: str) -> Updates:
        """Show a run in place of whatever a page has on its stage, or say that it is gone."""
        viewer = self.house.viewer(key)
        return self._open(clips.find_clip(self.house.store, run_id, viewer), viewer, session, gone)

    def show_example(self, name: str, key: str | None, session: str | None) -> Updates:
        """Show a take that ships with the app in place of whatever a page has on its stage."""
        clip = clips.example_clip(self.house.settings, name)
        return self._open(clip, self.house.viewer(key), session, "This example did not come with the app.")

    def _open(self, clip: clips.Clip | None, viewer: Viewer, session: str | None, gone: str) -> Updates:
        self.pages.open(session)
        shown = self.stage.say(gone) if clip is None else self.stage.play(clip)
        return {**shown, self.seen: "", **self.around(viewer, clip.run_id if clip else None)}

    def carry(self, task: str, clip: clips.Clip, key: str | None) -> Updates:
        """Carry the clip on the stage into another tab, ready to run; it is edited from its unmarked latents.

        Where a tab takes pictures, that is its last frame.
        """
        composer, viewer = self.composer(task), self.house.viewer(key)
        try:
            own: Updates = {composer.own[composer.carries]: self._given_on(composer, clip, viewer)}
        except OnetakeError as error:
            return {**composer.choose(self.tabs), composer.contract: refusal(error)}
        # The other clip of a transition waits for this one.
        kept: Updates = {composer.own["second"]: gr.skip()} if "second" in composer.own else {}
        return self._carried(composer, clip, own | kept)

    def _given_on(self, composer: Composer, clip: clips.Clip, viewer: Viewer) -> Any:
        if composer.carries == "image":
            return self.house.last_picture(clip.run_id or "", viewer)
        run = clips.find_run(self.house.store, clip.run_id, viewer)
        if run is None:
            raise NotFound(GONE)
        return offered(run.file)

    def _carried(self, composer: Composer, clip: clips.Clip, own: Updates) -> Updates:
        """Set the shared controls to what made a clip, with its model where that is offered for the task."""
        shared = {name: value for name, value in recipe_of(clip.plan).items() if name in CARRIED}
        if composer.controls.length == "own" and not clip.is_picture:
            shared["seconds"] = (clip.plan.num_frames - 1) / clip.plan.fps
        opened = open_recipe({"task": composer.task, "prompt": clip.prompt, **shared}, self.house.row)
        spec, why = get_model(opened.fields["model"]), refusal(OnetakeError(" ".join(opened.notes)))
        fresh: Updates = {
            **composer.controls.fill(replace_files(opened.fields, offered), spec),
            composer.prompt: clip.prompt,
            composer.told: gr.HTML(why if opened.notes else "", visible=bool(opened.notes)),
        }
        return {**composer.choose(self.tabs), **composer.emptied(), **fresh, **own}

    def play_example(self, composer: Composer, example: Example) -> Updates:
        """Fill in an example's words and files; what else can be filled in is emptied."""
        folder = self.house.settings.assets / "examples"
        if board := example.files.get("board"):
            return composer.emptied() | composer.shows(shipped(folder / board))
        files: Updates = {composer.own[name]: offered(folder / file) for name, file in example.files.items()}
        return composer.emptied() | files | {composer.prompt: example.words}

    def composer(self, task: str) -> Composer:
        """Return the composer of a task."""
        return next(composer for composer in self.composers if composer.task == task)

    def around(self, viewer: Viewer, shown: str | None = None) -> Updates:
        """Return everything besides the stage and the controls, with the run on the stage marked in the library."""
        return {**self.jobs_of(viewer), self.listing: self.listed(shown)}

    def listed(self, shown: str | None) -> str:
        """Return a word that is another one whenever the library, or the run on the stage, is."""
        return f"{shown or ''} {self.house.store.version}"

    def jobs_of(self, viewer: Viewer) -> Updates:
        """Return what shows a visitor's jobs besides the stage, and what goes on by itself."""
        under_way = self.house.jobs.under_way(viewer)
        buttons = {part: new for each in self.composers for part, new in each.offers(bool(under_way)).items()}
        return {**self.stir(viewer), **buttons, self.queue: queue_cards(under_way, self.house.jobs.left_over(viewer))}

    def stir(self, viewer: Viewer) -> Updates:
        """Return what goes on by itself: the model's loading, downloads, and the clock that looks after them."""
        fetching = any(fetch.busy for fetch in self.house.fetches.views())
        moving = self.house.warm_up.state == "loading" or fetching or bool(self.house.jobs.under_way(viewer))
        return {
            self.header: header(self.house),
            self.ticker: gr.Timer(TICK_S if moving else IDLE_TICK_S),
            self.pulse: self.house.pulse(),
            self.troubles: " ".join(self.house.troubles()),
        }


def refusal(error: OnetakeError | str) -> str:
    """Return the line that says why nothing is made and what to do."""
    return f'<p class="refusal" role="alert">{escape(str(error))}</p>'
