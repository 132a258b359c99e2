"""What an app keeps of its jobs beside the runs, so that neither a crash nor a restart loses one."""

import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.errors import BadHome, RunFailed
from pipeline.plan import Plan
from pipeline.visitors import Cell, Origin, Parent

FILE, LOCK = ".jobs.sqlite", ".jobs.lock"
# To be raised with every change of the tables.
VERSION = 2
# Of jobs that have ended, so many are kept, the newest.
REMEMBERED = 200
UNFINISHED = ("queued", "running")
# The second one works where memory cannot be shared over a file, as on mounted buckets; a file that was written with
# the first one is opened there only by somebody who has it alone.
JOURNALS = {"WAL": "NORMAL", "DELETE": "EXCLUSIVE"}
TABLES = f"""
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    parents TEXT NOT NULL,
    cell TEXT NOT NULL,
    plan TEXT NOT NULL,
    came INTEGER NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    error TEXT,
    run TEXT,
    again TEXT,
    dismissed INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = {VERSION};
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A job as it is kept: times are seconds since 1970, `number` rises from job to job.

    `came` is how many jobs had begun when it came; `run` is what it made, `again` the job by which it was tried again.
    """

    id: str
    number: int
    plan: Plan
    origin: Origin
    came: int
    state: str
    created: float
    started: float | None = None
    ended: float | None = None
    error: str | None = None
    run: str | None = None
    again: str | None = None
    dismissed: bool = False


CHANGING = tuple(each.name for each in fields(Entry) if each.name not in ("id", "number", "plan", "origin", "came"))


class Ledger:
    """The jobs of one app, in the folder of its runs; raise BadHome where another app has it, or nobody can write."""

    def __init__(self, home: Path) -> None:
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._lock_file = _locked(home)
        except OSError as error:
            raise BadHome(f"{home} cannot be written: {error.strerror}. Set ONETAKE_HOME elsewhere.") from error
        self._lock = threading.RLock()
        self._base = _opened(home / FILE)

    def entries(self) -> list[Entry]:
        """Return all jobs in the order in which they came; what nobody can read any more counts as failed."""
        with self._lock:
            rows = self._base.execute("SELECT * FROM jobs ORDER BY number").fetchall()
        return [entry for row in rows if (entry := self._readable(row))]

    def last_number(self) -> int:
        """Return the highest number so far."""
        with self._lock:
            number: int = self._base.execute("SELECT coalesce(max(number), 0) FROM jobs").fetchone()[0]
        return number

    def add(self, *entries: Entry) -> None:
        """Keep new jobs, all of them or none; raise RunFailed where that cannot be."""
        rows = [_row(entry) for entry in entries]
        columns, places = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
        try:
            with self._lock, self._base:
                self._base.executemany(f"INSERT INTO jobs ({columns}) VALUES ({places})", rows)  # noqa: S608, ours
                self._prune()
        except sqlite3.Error as error:
            what = f"The job could not be kept: {error}"
            raise RunFailed(f"{what}. See whether the disk is full, and try again.") from error

    def change(self, entry: Entry, **kept: Any) -> None:
        """Keep how a job stands now, and values by their names with it, or neither.

        What cannot be written is logged: the job itself goes on.
        """
        row = {name: getattr(entry, name) for name in ("id", *CHANGING)}
        sets = ", ".join(f"{name} = :{name}" for name in CHANGING)
        try:
            with self._lock, self._base:
                self._base.execute(f"UPDATE jobs SET {sets} WHERE id = :id", row)  # noqa: S608, names of ours
                for name, value in kept.items():
                    self._base.execute("REPLACE INTO kept VALUES (?, ?)", (name, json.dumps(value)))
        except sqlite3.Error:
            log.exception("job %s is %s, which could not be kept", entry.id, entry.state)

    def kept(self, name: str) -> Any:
        """Return a value that was kept, None where there is none."""
        with self._lock:
            row = self._base.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return json.loads(row["value"]) if row else None

    def close(self) -> None:
        """Let another app have the home."""
        with self._lock:
            self._base.close()
            self._lock_file.close()

    def _prune(self) -> None:
        ended = f"state NOT IN {UNFINISHED}"
        newest = f"SELECT id FROM jobs WHERE {ended} ORDER BY number DESC LIMIT {REMEMBERED}"  # noqa: S608, words of ours
        self._base.execute(f"DELETE FROM jobs WHERE {ended} AND id NOT IN ({newest})")  # noqa: S608, words of ours

    def _readable(self, row: sqlite3.Row) -> Entry | None:
        values = dict(row)
        try:
            parents = tuple(Parent(**parent) for parent in json.loads(values.pop("parents")))
            cell = Cell(**found) if (found := json.loads(values.pop("cell"))) else None
            origin = Origin(values.pop("owner"), parents, row["id"], cell)
            plan = Plan.from_json(json.loads(values.pop("plan")))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("job %s is given up, this version cannot read its plan: %s", row["id"], error)
            with self._lock, self._base:
                self._base.execute("UPDATE jobs SET state = 'failed' WHERE id = ?", (row["id"],))
            return None
        return Entry(plan=plan, origin=origin, **values | {"dismissed": bool(values["dismissed"])})


def _row(entry: Entry) -> dict[str, Any]:
    row = asdict(entry) | {"plan": json.dumps(entry.plan.to_json()), "owner": entry.origin.owner}
    origin = row.pop("origin")
    return row | {name: json.dumps(origin[name]) for name in ("parents", "cell")}


def _locked(home: Path) -> Any:
    """Return a file whose lock says that an app drives the home; the system takes it back when the process ends."""
    file = (home / LOCK).open("a")
    # A fork that outlives its app would hold the lock in its stead.
    os.register_at_fork(after_in_child=file.close)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        what = f"Another Onetake is running on {home}"
        raise BadHome(f"{what}. Stop it first, or set ONETAKE_HOME to another folder.") from None
    except OSError as error:
        log.warning("%s cannot be locked (%s): see that no second app uses it.", home, error.strerror)
    return file


def _opened(path: Path) -> sqlite3.Connection:
    """Return the tables at a path: with the first journal that works, or in memory where none does."""
    for journal in JOURNALS:
        try:
            base = _connected(path, journal)
        except sqlite3.OperationalError as error:
            log.warning("%s cannot have a %s journal here: %s", path, journal, error)
        except sqlite3.DatabaseError as error:
            aside = path.with_name(f"{FILE}.{time.time_ns()}")
            log.warning("%s is of no use (%s). It was set aside as %s: what waited is lost.", path, error, aside.name)
            path.rename(aside)
            return _opened(path)
        else:
            return base
    log.warning("%s cannot be written: jobs are lost when the app ends.", path)
    return _connected(":memory:", "MEMORY")


def _connected(path: Path | str, journal: str) -> sqlite3.Connection:
    """Open the tables and write to them once; raise sqlite3's errors where the file, or the file system, is no good."""
    base = sqlite3.connect(path, check_same_thread=False)
    try:
        base.row_factory = sqlite3.Row
        base.execute(f"PRAGMA locking_mode = {JOURNALS.get(journal, 'NORMAL')}")
        base.execute(f"PRAGMA journal_mode = {journal}")
        found = base.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, VERSION):
            raise sqlite3.DatabaseError(f"its version is {found}, not {VERSION}")
        base.executescript(TABLES)
        with base:
            base.execute("REPLACE INTO kept VALUES ('opened', ?)", (json.dumps(time.time()),))
    except sqlite3.Error:
        base.close()
        raise
    return base
