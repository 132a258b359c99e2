"""The library on the page: what is listed, opened, starred, published, deleted, brought back and compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from pipeline.errors import NotFound, OnetakeError
from pipeline.library.index import Only, Sort
from pipeline.ui import clips, details, library
from pipeline.ui.compare import FEWEST, MOST, comparison
from pipeline.ui.desk import Desk
from pipeline.ui.pages import AT_ONCE
from pipeline.ui.stage import Updates
from pipeline.visitors import Viewer

# Four rows on a desktop; as many again come with each click.
PAGE = 32
ONLY = [
    ("Mine", "takes"),
    ("Drafts", "drafts"),
    ("Starred", "starred"),
    ("Published here", "published"),
    ("All", "all"),
]
SORTS = [("Newest first", "newest"), ("Oldest first", "oldest"), ("Longest first", "longest"), ("By name", "name")]


@dataclass(frozen=True)
class Asked:
    """What is listed: words, which takes, in which order, and how many at most."""

    choice: tuple[str, str, str] = ("", "takes", "newest")
    many: int = PAGE


@dataclass(frozen=True)
class Shelf:
    """The library's parts; `asked` is what is listed."""

    heading: gr.HTML
    search: gr.Textbox
    only: gr.Radio
    sort: gr.Dropdown
    told: gr.HTML
    grid: gr.HTML
    more: gr.Button
    comparison: gr.HTML
    asked: gr.State

    @property
    def listed(self) -> list[Block]:
        """Return what changes with the listing."""
        return [self.heading, self.grid, self.more]


def build_shelf() -> Shelf:
    """Build the library below the stage."""
    with gr.Column(elem_id="library"):
        with gr.Row(elem_id="library-bar"):
            heading = gr.HTML(library.heading(0), elem_id="library-heading")
            hint = "Search prompts, models, seeds"
            search = gr.Textbox(label="Search the library", placeholder=hint, elem_id="search")
            only = gr.Radio(ONLY, value="takes", label="Which takes", elem_id="only")
            sort = gr.Dropdown(SORTS, value="newest", label="Order", elem_id="sort", filterable=False)
        told = gr.HTML(elem_id="library-told")
        grid = gr.HTML(elem_id="grid", js_on_load=library.CLICKS)
        more = gr.Button("Load more", elem_id="more", elem_classes="action", visible=False)
        comparison = gr.HTML(elem_id="comparison")
    return Shelf(heading, search, only, sort, told, grid, more, comparison, gr.State(Asked()))


def wire_shelf(desk: Desk, shelf: Shelf) -> None:
    """Connect the library; opening something ends the following of what is made, not the making."""
    keeper = Keeper(desk, shelf)
    # One handler, of which one runs at a time: an older answer must not come after a newer one.
    gr.on(
        [desk.listing.change, shelf.search.change, shelf.only.change, shelf.sort.change, shelf.more.click],
        keeper.refresh,
        {shelf.search, shelf.only, shelf.sort, shelf.asked, desk.listing, desk.visitor},
        [*shelf.listed, shelf.asked],
        trigger_mode="always_last",
        **AT_ONCE,
    )
    outputs = [*desk.outputs, *desk.surroundings]
    shelf.grid.open_run(desk.open_run, desk.visitor, outputs, **AT_ONCE)
    decided = [desk.stage.links, desk.stage.keeping, desk.stage.shown, desk.listing, shelf.told]
    shelf.grid.star_run(keeper.star, [desk.visitor, desk.stage.shown], decided, **AT_ONCE)
    shelf.grid.publish_run(keeper.publish, [desk.visitor, desk.stage.shown], decided, **AT_ONCE)
    cleared = [*desk.stage.outputs, desk.listing, shelf.told]
    shelf.grid.delete_runs(keeper.delete, [desk.visitor, desk.stage.shown], cleared, **AT_ONCE)
    shelf.grid.restore_runs(keeper.restore, [desk.visitor, desk.stage.shown], [desk.listing, shelf.told], **AT_ONCE)
    shelf.grid.compare_runs(keeper.compare, desk.visitor, [shelf.comparison, shelf.told], **AT_ONCE)


@dataclass(frozen=True)
class Keeper:
    """What answers the page. Gradio gives a click's details to functions and methods only, not to partials."""

    desk: Desk
    shelf: Shelf

    def refresh(self, values: dict[Component, Any], event: gr.EventData) -> Updates:
        """List the takes as they are searched, chosen and sorted: the first of another choice, or some more."""
        desk, shelf = self.desk, self.shelf
        store, viewer, asked = desk.house.store, desk.house.viewer(values[desk.visitor]), values[shelf.asked]
        choice = (values[shelf.search] or "", values[shelf.only], values[shelf.sort])
        # By its name: what was updated is another object to Gradio.
        more = getattr(event.target, "elem_id", None) == shelf.more.elem_id
        many = (asked.many if asked.choice == choice else PAGE) + (PAGE if more else 0)
        search, only, sort = choice
        found = store.find(viewer, search, cast("Sort", sort), cast("Only", only), limit=many)
        finished = store.index.finished(run.id for run in found.runs if run.state == "draft")
        cards = [clips.once(clips.clip_of(run, store, viewer, found.marks[run.id]), finished) for run in found.runs]
        shown, _, _ = (values[desk.listing] or "").partition(" ")
        return {
            shelf.heading: library.heading(found.total, self._kept(only, viewer)),
            shelf.grid: library.grid(cards, only, search, shown),
            shelf.more: gr.Button(f"Load more ({found.total - len(cards)})", visible=found.total > len(cards)),
            shelf.asked: Asked(choice, many),
        }

    def star(self, key: str | None, shown: clips.Clip | None, event: gr.EventData) -> Updates:
        """Give a take a star, or take it off."""
        return self._mark(key, shown, event.run, starred=event.on)

    def publish(self, key: str | None, shown: clips.Clip | None, event: gr.EventData) -> Updates:
        """Let everybody see a take, or nobody any more."""
        return self._mark(key, shown, event.run, published=event.on)

    def _mark(self, key: str | None, shown: clips.Clip | None, run_id: Any, **decided: Any) -> Updates:
        wanted = {name: value is True for name, value in decided.items()}
        try:
            marks = self.desk.house.store.mark(str(run_id), self.desk.house.viewer(key), **wanted)
        except NotFound as error:
            return {**self._around(shown), self.shelf.told: library.told(str(error))}
        if shown and shown.run_id == run_id:
            shown = clips.marked(shown, marks)
        return {**self._around(shown), self.shelf.told: ""}

    def delete(self, key: str | None, shown: clips.Clip | None, event: gr.EventData) -> Updates:
        """Take away what was chosen, and offer to bring it back."""
        viewer, ids = self.desk.house.viewer(key), _ids(event.runs)
        try:
            self.desk.house.store.delete(ids, viewer)
        except OnetakeError as error:
            return {self.desk.listing: self._listed(shown), self.shelf.told: library.told(str(error))}
        told: Updates = {self.shelf.told: library.deleted(ids)}
        if shown is None or shown.run_id not in ids:
            return {self.desk.listing: self._listed(shown), **told}
        return {**self.desk.stage.clear(), self.desk.listing: self._listed(None), **told}

    def restore(self, key: str | None, shown: clips.Clip | None, event: gr.EventData) -> Updates:
        """Bring back what was deleted."""
        try:
            self.desk.house.store.restore(_ids(event.runs), self.desk.house.viewer(key))
        except OnetakeError as error:
            return {self.desk.listing: self._listed(shown), self.shelf.told: library.told(str(error))}
        return {self.desk.listing: self._listed(shown), self.shelf.told: ""}

    def compare(self, key: str | None, event: gr.EventData) -> Updates:
        """Show some takes side by side."""
        store, viewer = self.desk.house.store, self.desk.house.viewer(key)
        found = [clips.find_run(store, run_id, viewer) for run_id in _ids(event.runs)]
        shown = [clips.clip_of(run, store, viewer) for run in found if run]
        if not FEWEST <= len(shown) <= MOST:
            why = f"Some of these takes are no longer there. Select {FEWEST} to {MOST} of those that are."
            return {self.shelf.told: library.told(why), self.shelf.comparison: ""}
        return {self.shelf.comparison: comparison(shown), self.shelf.told: ""}

    def _around(self, shown: clips.Clip | None) -> Updates:
        stage, listed = self.desk.stage, self._listed(shown)
        told: Updates = {stage.links: details.links(shown), stage.keeping: library.keeping(shown)} if shown else {}
        return {stage.links: "", stage.keeping: "", **told, stage.shown: shown, self.desk.listing: listed}

    def _listed(self, shown: clips.Clip | None) -> str:
        return self.desk.listed(shown.run_id if shown else None)

    def _kept(self, only: str, viewer: Viewer) -> str:
        """Say where drafts are, and what goes first where only so much is kept."""
        house = self.desk.house
        drafts = house.store.find(viewer, only="drafts", limit=0).total if only == "takes" else 0
        kept = [f"{drafts} draft{'' if drafts == 1 else 's'} under Drafts."] if drafts else []
        if quota := house.settings.quota:
            kept.append(f"{quota / 10**9:g} GB are kept: drafts go first, then the oldest takes without a star.")
        return " ".join(kept)


def _ids(given: Any) -> Sequence[str]:
    """Return the ids that a page sent, whatever else it may have sent."""
    return [str(run_id) for run_id in given] if isinstance(given, list) else []
