"""Finished runs on disk: a folder each, written aside and renamed, so that a listing never shows half a run."""

import json
import logging
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import NotFound, RunFailed
from pipeline.given.media import pixels_mark
from pipeline.history import measured_speed
from pipeline.latents import is_latents
from pipeline.library.folders import local_disk, move_folder, size_of
from pipeline.library.index import INDEX, ORDERS, Index, Only, Sort, visible
from pipeline.library.lineage import those_seen
from pipeline.library.marks import Marks, read_marks, write_marks
from pipeline.library.media_keys import media_key, opens
from pipeline.library.runs import LAST, POSTER, RUN_FILE, Draft, Run, run_from
from pipeline.library.sources import before_loss, file_mark, keep
from pipeline.library.storage import SOURCES, TOO_LATE, UNFINISHED, Held, Storage, bring_back, owners_aside, set_aside
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan
from pipeline.planning.speed import Speed
from pipeline.visitors import EVERYTHING, OF_THE_MACHINE, Origin, Parent, Viewer

# Older ones hardly count any more.
RUNS_TO_MEASURE = 40
UNDO_S = 600
RUN = "run:"
NO_RUN = "There is no run {!r}. Choose one from the library."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """A part of a listing, `total` runs long as a whole, and the marks of its runs by their ids."""

    runs: tuple[Run, ...]
    total: int
    marks: Mapping[str, Marks] = field(default_factory=dict)


class Store:
    """The runs under one folder, newest first; `quota` is how many bytes may lie there, None for no limit.

    `local` is a disk for what a mounted bucket cannot hold, home itself where home is a disk.
    """

    def __init__(self, home: Path, quota: int | None = None, local: Path | None = None) -> None:
        self.home = home
        self._quota = quota
        self._local = local
        self._held: Callable[[], Held] | None = None
        self._lock = threading.RLock()

    @property
    def disk(self) -> Path:
        """Where databases lie, and what is being written."""
        return self._local or local_disk(self.home)

    @cached_property
    def _opened(self) -> Index:
        return Index(self.home, self.disk / INDEX, far=self.disk != self.home)

    @property
    def index(self) -> Index:
        """The index, in step with the folders."""
        with self._lock:
            self.home.mkdir(parents=True, exist_ok=True)
            self._opened.sync()
            return self._opened

    @property
    def version(self) -> int:
        """A number that is another one whenever a listing may have changed."""
        return self.index.version

    @property
    def storage(self) -> Storage:
        """What lies here, and what may go."""
        return Storage(self.home, self.index, self._quota, self._held)

    def held_by(self, held: Callable[[], Held]) -> None:
        """Have somebody asked for what may not be removed, before anything is."""
        self._held = held

    @contextmanager
    def create(self, plan: Plan, origin: Origin = OF_THE_MACHINE) -> Iterator[Draft]:
        """Give a folder to write in, and remove it afterwards unless it was committed."""
        run_id = origin.job or secrets.token_hex(10)
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            draft = Draft(run_id, self.disk / UNFINISHED / run_id, plan, origin)
            draft.folder.mkdir(parents=True)
        except OSError as error:
            raise RunFailed(f"{self.home} cannot be written: {error.strerror}. Set ONETAKE_HOME elsewhere.") from error
        try:
            yield draft
        finally:
            shutil.rmtree(draft.folder, ignore_errors=True)

    def commit(self, draft: Draft, **result: Any) -> Run:
        """Write run.json with the result (state, notes, timings, peak_memory_mb) and list the run.

        Where a quota asks for it, older runs make room, and a note tells.
        """
        needs = Held(frozenset(draft.plan.files), frozenset(parent.run for parent in draft.origin.parents))
        removed = self.storage.make_room(size_of(draft.folder), needs) if self._quota is not None else ""
        record = {"id": draft.id, "created": datetime.now(UTC).isoformat(), "plan": draft.plan.to_json()} | result
        record |= {"notes": [*result["notes"], *([removed] if removed else [])]}
        record |= {name: value for name, value in asdict(draft.origin).items() if name != "job"}
        record |= {"file": draft.clip.name, "poster": POSTER, "sha256": file_mark(draft.clip)}
        record |= {"last_pixels": pixels_mark(str(draft.last))}
        (draft.folder / RUN_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
        move_folder(draft.folder, self.home / draft.id, last=RUN_FILE)
        return self.get(draft.id)

    def clear_away(self, run_id: str) -> None:
        """Remove what was left of a run that broke off together with its app."""
        shutil.rmtree(self.disk / UNFINISHED / run_id, ignore_errors=True)

    def find(
        self, viewer: Viewer, search: str = "", sort: Sort = "newest", only: Only = "mine",
        limit: int | None = None, offset: int = 0,
    ) -> Listing:  # fmt: skip
        """Return the runs that a viewer may see and whose prompt, model, seed and task hold all words searched.

        `mine`, `starred`, `takes` and `drafts` are the viewer's, `published` is what everybody sees, `all` is both.
        """
        if not self.home.is_dir():
            return Listing((), 0)
        where, values = visible(viewer, only)
        words = search.casefold().split()
        where, values = f"{where}{' AND instr(words, ?)' * len(words)}", (*values, *words)
        index = self.index
        ((total,),) = index.ask(f"SELECT count(*) FROM runs WHERE {where}", values)  # noqa: S608, words are values
        page = (-1 if limit is None else limit, offset)
        rows = index.rows(where, (*values, *page), ORDERS[sort], "LIMIT ? OFFSET ?")
        return Listing(tuple(row.run for row in rows), total, {row.run.id: row.marks for row in rows})

    def list(self) -> tuple[Run, ...]:
        """Return all runs, newest first; a folder that cannot be read is left out and logged."""
        return self.find(EVERYTHING).runs

    def get(self, run_id: str) -> Run:
        """Return one run; raise NotFound."""
        folder = self.home / run_id
        if not run_id.isalnum() or not (folder / RUN_FILE).is_file():
            raise NotFound(NO_RUN.format(run_id))
        return run_from(folder, (folder / RUN_FILE).read_text("utf-8"))

    def owned(self, run_id: str, viewer: Viewer) -> Run:
        """Return one of a viewer's runs; raise NotFound, also for what belongs to others."""
        run = self.get(run_id)
        if not viewer.owns(run.owner):
            raise NotFound(NO_RUN.format(run_id))
        return run

    def seen(self, run_id: str, viewer: Viewer) -> Run:
        """Return a run that a viewer may see: one of theirs, or a published one; raise NotFound for all others.

        What a run of somebody else was made from is told as far as that may be seen too.
        """
        run = self.get(run_id)
        if viewer.owns(run.owner):
            return run
        if not self.marks(run_id).published:
            raise NotFound(NO_RUN.format(run_id))
        return replace(run, parents=those_seen(run.parents, lambda each: self.seen(each, viewer)))

    def children(self, run_id: str) -> tuple[Parent, ...]:
        """Return the runs that were made from one, and how, whoever owns them."""
        return self.index.children(run_id)

    def marks(self, run_id: str) -> Marks:
        """Return what its owner decided about a run."""
        return read_marks(self.home / run_id)

    def mark(self, run_id: str, viewer: Viewer, starred: bool | None = None, published: bool | None = None) -> Marks:
        """Star or publish one of a viewer's runs, or take that back; raise NotFound for what is not theirs."""
        with self._lock:
            self.owned(run_id, viewer)
            marks = self.marks(run_id)
            marks = marks if starred is None else replace(marks, starred=starred)
            marks = marks if published is None else replace(marks, published=published)
            write_marks(self.home / run_id, marks)
            self.index.mark(run_id, marks)
            return marks

    def delete(self, ids: Sequence[str], viewer: Viewer) -> None:
        """Take runs of a viewer away from everybody; for some minutes they can be restored. Raise NotFound."""
        with self._lock:
            runs = [self.owned(run_id, viewer) for run_id in dict.fromkeys(ids)]
            for run in runs:
                set_aside(self.home, run.id)
        timer = threading.Timer(UNDO_S + 1, self.purge)
        timer.daemon = True
        timer.start()

    def restore(self, ids: Sequence[str], viewer: Viewer) -> None:
        """Bring back what a viewer has deleted; raise NotFound where it is too late, or was not theirs."""
        with self._lock:
            if not all(viewer.owns(owner) for owner in owners_aside(self.home, ids)):
                raise NotFound(TOO_LATE)
            for run_id in dict.fromkeys(ids):
                bring_back(self.home, run_id)

    def purge(self, older_than_s: float = UNDO_S) -> None:
        """Remove for good what was deleted some minutes ago, the sources that nobody needs, and what broke off."""
        try:
            # Asked before the lock is taken: whoever tells what is held may be waiting for it.
            storage, held = self.storage, self._held() if self._held else Held()
            with self._lock:
                storage.remove_deleted(older_than_s)
                storage.remove_sources(held)
                storage.remove_served(held)
                storage.remove_left_over()
        except OSError as error:
            log.warning("%s could not be tidied up: %s", self.home, error)

    def media_key(self, run_id: str) -> str:
        """Return the key in the addresses of a private run's files."""
        return media_key(self.home, run_id)

    def opens(self, run_id: str, key: str) -> bool:
        """Return whether a run's files may be had with a key; published ones need none."""
        return opens(self.home, run_id, key) or self.marks(run_id).published

    def find_source(self, path: str, viewer: Viewer = EVERYTHING, model: str = "") -> str:
        """Return where a source lies: for a run, by `run:` and its id or by its file, what it was before any loss.

        Of what others publish, and of latents that are not of the named model, that is the file that everybody sees.
        What belongs to others is no run to a viewer: raise NotFound for its id, and take its file as it is.
        """
        run = self._run_by_file(path, viewer)
        if run is None:
            return path
        return str(before_loss(run, model) if viewer.owns(run.owner) else run.file)

    def keep_source(self, path: str, viewer: Viewer = EVERYTHING, model: str = "") -> str:
        """Copy what a user gives beside the runs and return the copy's path; what cannot be read stays where it is."""
        source = Path(self.find_source(path, viewer, model))
        try:
            return str(keep(source, self.home / SOURCES, self.run_of(path, viewer)))
        except OSError:
            return path

    def run_of(self, path: str, viewer: Viewer = EVERYTHING) -> Run | None:
        """Return the run that a source is: by its id, by the bytes of its file, or by a picture of its last frame."""
        if run := self._run_by_file(path, viewer):
            return run
        mark = pixels_mark(path)
        return self._first("last_pixels = ?", mark, viewer) if mark else None

    def _run_by_file(self, path: str, viewer: Viewer) -> Run | None:
        if path.startswith(RUN):
            return self.seen(path.removeprefix(RUN), viewer)
        try:
            mark = file_mark(Path(path))
        except OSError:
            return None
        return self._first("sha256 = ?", mark, viewer)

    def _first(self, where: str, value: str, viewer: Viewer) -> Run | None:
        """Return the newest run under a condition that a viewer may see, their own before those of others."""
        seen, values = visible(viewer, "all")
        rows = self.index.rows(f"{where} AND {seen}", (value, *values)) if self.home.is_dir() else ()
        runs = sorted((row.run for row in rows), key=lambda run: not viewer.owns(run.owner))
        return next(iter(runs), None)

    def last_frame(self, run: Run, viewer: Viewer = EVERYTHING) -> Path:
        """Return the file whose last frame is a run's, without loss where one was kept and the run is the viewer's."""
        if not viewer.owns(run.owner):
            return run.file
        if (kept := run.file.parent / LAST).is_file():
            return kept
        source = before_loss(run)
        return run.file if is_latents(str(source)) else source

    def speed(self, spec: ModelSpec, where: str = "") -> Speed:
        """Return what the newest runs of a model measured on this machine, or on a Space."""
        # What went on from a draft does not say how many steps were left.
        done = (run for run in self.newest(spec.name, where, 2 * RUNS_TO_MEASURE) if not run.finishes)
        return measured_speed(((run.plan, run.timings) for run in islice(done, RUNS_TO_MEASURE)), spec)

    def newest(self, model: str, where: str, most: int) -> tuple[Run, ...]:
        """Return the newest runs of a model that did all their steps, drafts theirs, on this machine or on a Space."""
        if not self.home.is_dir():
            return ()
        condition = "state IN ('done', 'draft') AND model = ? AND place = ?"
        return tuple(row.run for row in self.index.rows(condition, (model, where, most), page="LIMIT ?"))
