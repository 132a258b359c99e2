"""What fills the page at once: a link, a file that was made here, and a take that is used again. None runs anything."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import gradio as gr

from pipeline.adapters import SUFFIX
from pipeline.errors import BadRequest, NotFound, OnetakeError
from pipeline.fields import replace_files
from pipeline.library.runs import Run
from pipeline.models import get_model
from pipeline.recipes.boards import is_board
from pipeline.recipes.links import is_recipe, read_link
from pipeline.recipes.recipe import Opened, open_recipe, recipe_in, recipe_of, recipe_of_run, without_folders
from pipeline.store import RUN
from pipeline.ui.boards import dropped, is_served
from pipeline.ui.clip_field import offered
from pipeline.ui.clips import Clip
from pipeline.ui.desk import RUN_GONE, Desk
from pipeline.ui.doors import filled_from, query_of, refused
from pipeline.ui.pages import AT_ONCE
from pipeline.ui.stage import Updates
from pipeline.video import read_recipe
from pipeline.visitors import Viewer

Finder = Callable[[str], str | None]
WAITS = "Nothing runs until you press the button."
LISTED = 5
# What the page has no field for, in words.
WITHOUT_A_FIELD = {
    "at": "more than one picture in between",
    "fit": "how another shape fits in",
    "focus": "where it is cropped",
    "memory": "where weights lie on a card",
    "video": "the take before",
    "remake": "that one of its cards was made again",
}


def wire_links(page: gr.Blocks, desk: Desk) -> None:
    """Connect the address of the page, the button for files, and the one that uses a take again."""
    arrival, file = Arrival(desk), desk.doors.file
    page.load(arrival.open_link, desk.visitor, desk.restored, **AT_ONCE)
    everything = dict.fromkeys([*desk.restored, *desk.outputs, *desk.surroundings])
    file.upload(arrival.open_file, [file, desk.visitor], list(everything), **AT_ONCE)
    desk.stage.again.click(arrival.use_again, [desk.stage.shown, desk.visitor], desk.restored, **AT_ONCE)


@dataclass(frozen=True)
class Arrival:
    """What answers the page; methods are event handlers."""

    desk: Desk

    def open_link(self, key: str | None, request: gr.Request) -> Updates:
        """Fill a tab from the address of the page."""
        house, query = self.desk.house, query_of(request)
        try:
            if not is_recipe(query):
                return {self.desk.doors.opened: gr.skip()}
            opened = read_link(query, house.row, house.weights)
        except OnetakeError as error:
            return {self.desk.doors.opened: refused(error)}
        return self._fill(opened, f"This page is filled in from a link. {WAITS}", self._runs(house.viewer(key)))

    def open_file(self, path: str, key: str | None, request: gr.Request) -> Updates:
        """Fill a tab from the recipe in a file; a take that is known here by its bytes comes onto the stage too."""
        house, name = self.desk.house, Path(path).name
        viewer = house.viewer(key)
        try:
            if (run := house.store.run_of(path, viewer)) is not None:
                whose = "of yours" if viewer.owns(run.owner) else "that is published here"
                shown = self.desk.put_on_stage(run.id, key, request.session_hash, RUN_GONE)
                what = f"{name} is a take {whose}: the page is filled in from it."
                return shown | self._again(house.store.seen(run.id, viewer), viewer, what)
            asked = dropped(Path(path)) if is_board(Path(path)) else recipe_in(_read(Path(path)))
            opened = open_recipe(asked, house.row, house.weights)
        except OnetakeError as error:
            return {self.desk.doors.opened: refused(error)}
        return self._fill(opened, f"This page is filled in from {name}. {WAITS}", self._runs(viewer))

    def use_again(self, clip: Clip, key: str | None) -> Updates:
        """Set every control to what made the clip on the stage, in the tab that made it."""
        house = self.desk.house
        viewer = house.viewer(key)
        try:
            if clip.run_id is not None:
                return self._again(house.store.seen(clip.run_id, viewer), viewer, "")
            opened = open_recipe(without_folders(recipe_of(clip.plan)), house.row, house.weights)
        except OnetakeError as error:
            return {self.desk.doors.opened: refused(error)}
        return self._fill(opened, "", self._runs(viewer))

    def _again(self, run: Run, viewer: Viewer, what: str) -> Updates:
        """Fill a tab from a run; the files of one's own are offered again."""
        own, house = viewer.owns(run.owner), self.desk.house
        recipe = recipe_of(run.plan, weights=run.revision) if own else without_folders(recipe_of_run(run))
        return self._fill(open_recipe(recipe, house.row, house.weights), what, offered if own else self._runs(viewer))

    def _runs(self, viewer: Viewer) -> Finder:
        """Return what finds the files of other people's recipes: those of runs that a viewer may see, and no others."""

        def find(source: str) -> str | None:
            if is_served(source):
                # It was inside the file of a storyboard.
                return source
            with suppress(NotFound):
                if source.startswith(RUN):
                    return offered(self.desk.house.store.seen(source.removeprefix(RUN), viewer).file)
            return None

        return find

    def _fill(self, opened: Opened, what: str, find: Finder) -> Updates:
        """Fill a tab and bring it to the front; say what filled it, and what is not as it was."""
        missing: list[str] = []

        def found(source: str) -> str | None:
            if (path := find(source)) is None:
                missing.append(source)
            return path

        fields = replace_files(opened.fields, found)
        composer = self.desk.composer(fields.get("task", "text"))
        # Where there is no card to choose for, nobody could take that choice back.
        hidden = () if composer.controls.memory.visible else ("memory",)
        told = {name: value for name, value in fields.items() if name not in hidden}
        filled = composer.fill(told, get_model(fields["model"]))
        notes = [*opened.notes, *_missing(tuple(dict.fromkeys(missing))), *_lost(composer.lost(fields, filled))]
        line = filled_from(what or "This page is filled in from the take.", notes) if what or notes else ""
        return {**composer.choose(self.desk.tabs), **filled, self.desk.doors.opened: line}


def _read(path: Path) -> dict[str, Any]:
    with suppress(NotFound):
        if "plan" in (found := read_recipe(path)):
            return found
    what = f"{path.name} holds no recipe: Onetake did not make it, or somebody encoded it anew."
    raise BadRequest("file", f"{what} Drop it into a tab's field to work with it.")


def _missing(sources: tuple[str, ...]) -> Iterator[str]:
    for source in sources[:LISTED]:
        if source.startswith(RUN):
            taken = source.removeprefix(RUN)
            yield f"It was made from the take {taken}, which is private or deleted: give another clip."
        else:
            where = "under Advanced" if PurePath(source).suffix == SUFFIX else "into its field"
            yield f"{PurePath(source).name} was used too, and is not here: drop it {where}."
    if len(sources) > LISTED:
        yield f"{len(sources) - LISTED} more files were used, and are not here."


def _lost(names: tuple[str, ...]) -> Iterator[str]:
    if names:
        said = ", ".join(WITHOUT_A_FIELD.get(name, name) for name in names)
        yield f"This page has no field for it, so it is left out: {said}."
