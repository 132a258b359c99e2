"""What the page shows as a clip: a run of the store, or an example that ships with the app."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from pipeline.errors import NotFound
from pipeline.library.bundle import words_of
from pipeline.library.lineage import Branches, Kin, branches
from pipeline.library.marks import UNMARKED, Marks
from pipeline.library.runs import HALFWAY, Run
from pipeline.plan import Plan
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.visitors import Parent, Viewer


@dataclass(frozen=True)
class Clip:
    """A finished picture or video with its page addresses and the plan that made it.

    `mine` is whether it belongs to who looks at it; `before` and `after` are what it was made from, and what from it.
    `weights` is a mark of those of its model.
    `unfinished` is whether it can go on from where it stopped and no other did, `sheet` is where it is one of several.
    """

    url: str
    poster: str
    plan: Plan
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    run_id: str | None = None
    mine: bool = False
    marks: Marks = UNMARKED
    draft: bool = False
    unfinished: bool = False
    sheet: str = ""
    before: "Relatives | None" = None
    after: "Relatives | None" = None
    parents: tuple[Parent, ...] = ()
    weights: str = ""

    @property
    def prompt(self) -> str:
        """The words the clip was made from."""
        return self.plan.prompt

    @property
    def is_picture(self) -> bool:
        """True for a take of one frame."""
        return self.plan.num_frames == 1

    @property
    def download_name(self) -> str:
        """A file name that tells what is inside and with which seed it was made."""
        return f"onetake-{words_of(self.plan)}-{self.plan.seed}{Path(urlsplit(self.url).path).suffix}"


@dataclass(frozen=True)
class Relative:
    """A run in the tree of another one, as the page shows it (see `Kin`)."""

    run_id: str
    title: str
    poster: str
    how: str
    beyond: "Relatives"


@dataclass(frozen=True)
class Relatives:
    """Runs beside each other in a tree, and how many more there are."""

    each: tuple[Relative, ...] = ()
    more: int = 0


def clip_of(run: Run, store: Store, viewer: Viewer, marks: Marks | None = None) -> Clip:
    """Return a run as the page shows it to somebody; addresses are relative, so any root path works.

    Its owner's lead to the files also while it is private. Of what somebody else publishes, the files that it was
    made from are known by their names only: they were not published.
    """
    folder, key, mine = f"media/{run.id}", _key(run, store, viewer), viewer.owns(run.owner)
    return Clip(
        url=f"{folder}/{run.file.name}{key}",
        poster=f"{folder}/{run.poster.name}{key}",
        plan=run.plan if mine else run.plan.with_files(lambda file: PurePath(file).name),
        notes=run.notes,
        facts=_facts(run),
        run_id=run.id,
        mine=mine,
        marks=store.marks(run.id) if marks is None else marks,
        parents=run.parents,
        weights=run.revision,
        draft=run.state == "draft",
        unfinished=run.state != "done" and (run.file.parent / HALFWAY).is_file(),
        sheet=run.cell.sheet if run.cell else "",
    )


def staged(run: Run, store: Store, viewer: Viewer) -> Clip:
    """Return a run as it stands on the stage, between what it was made from and what was made from it."""

    def see(run_id: str) -> Run | None:
        return find_run(store, run_id, viewer)

    def shown(found: Branches) -> Relatives:
        return Relatives(tuple(_relative(kin, store, viewer, shown(kin.beyond)) for kin in found.kin), found.more)

    before = shown(branches(run, see, lambda each: each.parents))
    after = shown(branches(run, see, lambda each: store.children(each.id)))
    return replace(once(clip_of(run, store, viewer), store.index.finished([run.id])), before=before, after=after)


def once(clip: Clip, finished: Collection[str]) -> Clip:
    """Return a clip as what is finished once only."""
    return replace(clip, unfinished=clip.unfinished and clip.run_id not in finished)


def marked(clip: Clip, marks: Marks) -> Clip:
    """Return a clip with what its owner has decided since."""
    return replace(clip, marks=marks)


def _relative(kin: Kin, store: Store, viewer: Viewer, beyond: Relatives) -> Relative:
    poster = f"media/{kin.run.id}/{kin.run.poster.name}{_key(kin.run, store, viewer)}"
    return Relative(kin.run.id, kin.run.plan.title, poster, kin.how, beyond)


def _key(run: Run, store: Store, viewer: Viewer) -> str:
    return f"?key={store.media_key(run.id)}" if viewer.owns(run.owner) else ""


def _facts(run: Run) -> tuple[tuple[str, str], ...]:
    made = datetime.fromisoformat(run.created)
    return (
        ("Made", f"{made:%Y-%m-%d %H:%M} UTC in {run.timings['total']:.1f} s"),
        *([("On", run.where)] if run.where else []),
        ("Peak memory", f"{run.peak_memory_mb:.0f} MB"),
    )


def find_run(store: Store, run_id: str | None, viewer: Viewer) -> Run | None:
    """Return the run of an id that a viewer may see, None when there is no such run."""
    try:
        return store.seen(run_id, viewer) if run_id else None
    except NotFound:
        return None


def find_clip(store: Store, run_id: str | None, viewer: Viewer) -> Clip | None:
    """Return the clip of a run that a viewer may see, None when there is no such run."""
    run = find_run(store, run_id, viewer)
    return staged(run, store, viewer) if run else None


def example_clip(settings: Settings, name: str = "ball") -> Clip | None:
    """Return an example that ships with its recipe, None where it does not."""
    video = settings.assets / "examples" / f"{name}.mp4"
    recipe = video.with_suffix(".json")
    return _example(video, recipe) if video.is_file() and recipe.is_file() else None


def _example(video: Path, recipe: Path) -> Clip:
    data = json.loads(recipe.read_text("utf-8"))
    plan = Plan.from_json(data.get("plan", data))
    return Clip(url=f"examples/{video.name}", poster="", plan=plan)
