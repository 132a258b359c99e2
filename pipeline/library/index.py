"""An index of the runs, so that thousands are listed at once. The folders are the truth: it can be made anew."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import BadHome
from pipeline.library.folders import size_of
from pipeline.library.marks import MARKS_FILE, Marks, read_marks
from pipeline.library.runs import RUN_FILE, Run, run_from
from pipeline.visitors import FINISHED, MACHINE, Parent, Viewer

INDEX = ".library.sqlite"
# Another number makes the index anew.
VERSION = 2
TABLES = """
CREATE TABLE runs(
  id TEXT PRIMARY KEY, owner TEXT, created TEXT, model TEXT, place TEXT, state TEXT, name TEXT, words TEXT,
  seconds REAL, sha256 TEXT, last_pixels TEXT, bytes INTEGER, starred INTEGER, published INTEGER, stamp TEXT,
  sheet TEXT);
CREATE TABLE records(id TEXT PRIMARY KEY, record TEXT);
CREATE TABLE parents(id TEXT, parent TEXT, how TEXT);
CREATE TABLE given(id TEXT, file TEXT);
CREATE INDEX runs_by_time ON runs(created);
CREATE INDEX runs_by_file ON runs(sha256);
CREATE INDEX runs_by_last ON runs(last_pixels);
CREATE INDEX runs_by_sheet ON runs(sheet);
CREATE INDEX children ON parents(parent);
CREATE INDEX parents_of ON parents(id);
CREATE INDEX given_by ON given(id);
"""
# A folder's time of change may be as coarse as this: what came since then may not show in it.
UNSETTLED_NS = 2_000_000_000
PATIENCE_S = 20

Only = Literal["all", "mine", "takes", "drafts", "starred", "published"]
Sort = Literal["newest", "oldest", "longest", "name"]
ORDERS: Mapping[Sort, str] = {
    "newest": "created DESC",
    "oldest": "created",
    "longest": "seconds DESC, created DESC",
    "name": "name, created DESC",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """A run as the index has it."""

    run: Run
    marks: Marks


class Index:
    """The index of the runs in a home, in one file; `far` is a home whose time of change tells nothing."""

    def __init__(self, home: Path, file: Path, far: bool = False) -> None:
        self._home, self._far = home, far
        self._lock = threading.RLock()
        self._database = _open(file)
        self._known: dict[str, str] = dict(self._database.execute("SELECT id, stamp FROM runs"))
        # What lies there and is no run, by its time of change; 0 where run.json has yet to come.
        self._left_out: dict[str, int] = {}
        self._changed: int | None = None
        self._checked = False
        # Higher than before a restart, so that an open page lists anew.
        self.version = time.time_ns()

    def sync(self) -> None:
        """Take in what came and went since the last time."""
        with self._lock:
            changed = _changed(self._home)
            if not self._far and changed == self._changed and not self._turned_up():
                return
            with suppress(FileNotFoundError), self._writing():
                self._take_in(set(_folders(self._home)))
            settled = changed is not None and time.time_ns() - changed > UNSETTLED_NS
            self._changed = changed if settled else None

    def _take_in(self, names: set[str]) -> None:
        gone = self._known.keys() - names
        if not self._checked:
            # What may have changed while nobody looked is read again.
            gone |= {name for name, stamp in self._known.items() if stamp != _stamp(self._home / name)}
            self._checked = True
        self._forget(gone)
        new = names - self._known.keys()
        self._left_out = {name: at for name, at in self._left_out.items() if name in names}
        added = sum(self._add(name) for name in sorted(new))
        self.version += bool(gone or added)

    def _add(self, name: str) -> bool:
        folder = self._home / name
        if self._left_out.get(name) == (changed := _changed(folder / RUN_FILE) or 0):
            return False
        try:
            record = (folder / RUN_FILE).read_text("utf-8")
            run = run_from(folder, record)
            if run.id != name:
                raise ValueError(f"it says that it is {run.id}")
        except FileNotFoundError:
            self._left_out[name] = changed
            return False
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is not a run: %s", folder / RUN_FILE, error)
            self._left_out[name] = changed
            return False
        self._left_out.pop(name, None)
        self._insert(run, record, read_marks(folder), size_of(folder))
        return True

    def _insert(self, run: Run, record: str, marks: Marks, size: int) -> None:
        plan = run.plan
        words = " ".join((plan.title, plan.prompt, plan.model, str(plan.seed), plan.task)).casefold()
        place = (run.where, run.state, plan.title.casefold(), words, plan.seconds, run.sha256, run.last_pixels)
        stamp = _stamp(self._home / run.id)
        sheet = run.cell.sheet if run.cell else ""
        row = (run.id, run.owner, run.created, plan.model, *place, size, marks.starred, marks.published, stamp, sheet)
        execute = self._database.execute
        execute(f"INSERT OR REPLACE INTO runs VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608, only marks
        execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (run.id, record))
        parents = [(run.id, parent.run, parent.how) for parent in run.parents]
        self._database.executemany("INSERT INTO parents VALUES (?, ?, ?)", parents)
        self._database.executemany("INSERT INTO given VALUES (?, ?)", [(run.id, file) for file in plan.files])
        self._known[run.id] = stamp

    def _forget(self, ids: Iterable[str]) -> None:
        for run_id in tuple(ids):
            for table in ("runs", "records", "parents", "given"):
                self._database.execute(f"DELETE FROM {table} WHERE id = ?", (run_id,))  # noqa: S608, ours
            self._known.pop(run_id, None)

    def mark(self, run_id: str, marks: Marks) -> None:
        """Take in what was decided about a run."""
        with self._lock, self._writing():
            values = (marks.starred, marks.published, _stamp(self._home / run_id), run_id)
            self._database.execute("UPDATE runs SET starred = ?, published = ?, stamp = ? WHERE id = ?", values)
            self.version += 1

    def rows(
        self, where: str, values: Sequence[Any] = (), order: str = "created DESC", page: str = ""
    ) -> tuple[Row, ...]:
        """Return the runs under a condition in SQL, in an order; what cannot be read any more is left out."""
        query = f"SELECT id, starred, published FROM runs WHERE {where} ORDER BY {order}, id {page}"  # noqa: S608, ours
        found = (self._row(*row) for row in self.ask(query, values))
        return tuple(row for row in found if row)

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return what a query in SQL finds."""
        with self._lock:
            return self._database.execute(query, values).fetchall()

    def _row(self, run_id: str, starred: int, published: int) -> Row | None:
        try:
            # By itself: sorting would carry the records along.
            ((record,),) = self.ask("SELECT record FROM records WHERE id = ?", (run_id,))
            return Row(run_from(self._home / run_id, record), Marks(bool(starred), bool(published)))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("%s is not a run any more: %s", run_id, error)
            return None

    def children(self, run_id: str) -> tuple[Parent, ...]:
        """Return the runs that were made from one, and how."""
        query = "SELECT id, how FROM parents JOIN runs USING (id) WHERE parent = ? ORDER BY created, id"
        return tuple(Parent(*row) for row in self.ask(query, (run_id,)))

    def finished(self, ids: Iterable[str]) -> frozenset[str]:
        """Return which of some runs others went on with, to their end or not."""
        ids = tuple(ids)
        query = f"SELECT parent FROM parents JOIN runs USING (id) WHERE how = ? AND parent IN ({_marks(ids)})"  # noqa: S608
        return frozenset(parent for (parent,) in self.ask(query, (FINISHED, *ids)))

    def _turned_up(self) -> bool:
        return any((_changed(self._home / name / RUN_FILE) or 0) != at for name, at in self._left_out.items())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._database:
            yield


def _open(file: Path) -> sqlite3.Connection:
    """Open the index; one of another version, or that is damaged, is begun anew. Raise BadHome where it is locked."""
    try:
        return _connect(file)
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise BadHome(f"{file} is being written by another program. Try again in a minute.") from error
        log.warning("%s is made anew: %s", file, error)
        for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
            file.with_name(name).unlink(missing_ok=True)
        return _connect(file)


def _connect(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=PATIENCE_S, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        # It can be made again, so that a power cut may cost it.
        database.execute("PRAGMA synchronous = OFF")
        with database:
            database.execute("BEGIN IMMEDIATE")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"it is of version {version}")
            if version == 0:
                for statement in TABLES.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        database.close()
        raise
    return database


def _folders(home: Path) -> Iterator[str]:
    with os.scandir(home) as entries:
        yield from (entry.name for entry in entries if entry.name.isalnum() and entry.is_dir())


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _stamp(folder: Path) -> str:
    return f"{_changed(folder / RUN_FILE)} {_changed(folder / MARKS_FILE)}"


def visible(viewer: Viewer, only: Only) -> tuple[str, tuple[str, ...]]:
    """Return the condition in SQL, with its values, of what a viewer may see: of that, what belongs to a choice."""
    owners = (*([viewer.owner] if viewer.owner else []), *([MACHINE] if viewer.at_home else []))
    mine = "1" if viewer.all else f"owner IN ({_marks(owners)})"
    values = () if viewer.all else owners
    match only:
        case "mine":
            return mine, values
        case "takes":
            return f"{mine} AND state != 'draft'", values
        case "drafts":
            return f"{mine} AND state = 'draft'", values
        case "starred":
            return f"{mine} AND starred", values
        case "published":
            return "published", ()
    return f"({mine} OR published)", values
