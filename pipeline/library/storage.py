"""Keeps what lies among the runs under a quota: what nobody needs goes, then drafts, then the oldest unmarked takes."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import NotFound, StorageFull
from pipeline.library.folders import move_folder, remove_folder, size_of
from pipeline.library.index import Index
from pipeline.library.marks import read_marks, write_marks
from pipeline.library.runs import RUN_FILE, run_from

SOURCES, SERVED, DELETED, UNFINISHED = ".sources", ".served", ".deleted", ".unfinished"
GB = 10**9
# What was kept for a job that is not known yet, or is read by a command line beside the app.
FRESH_S = 3600
# A page that has been open for longer than this loads its uploads again; where room is needed, much sooner.
SERVED_S = 24 * 3600
SERVED_WHEN_FULL_S = 600
LEFT_OVER_S = 24 * 3600
TOO_LATE = "What was deleted is gone for good by now. Make it again."

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Held:
    """What jobs need that have not ended: files, and runs by their ids."""

    files: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()

    def __or__(self, other: "Held") -> "Held":
        return Held(self.files | other.files, self.runs | other.runs)


@dataclass(frozen=True)
class Storage:
    """What lies in a home, and the bytes that it may take; without a quota it takes what it needs.

    `held` tells what jobs need; where nobody tells, kept sources stay.
    """

    home: Path
    index: Index
    quota: int | None = None
    held: Callable[[], Held] | None = None

    def used(self) -> int:
        """Return the bytes of all runs and of the folders among them; what is being written does not count yet."""
        ((runs,),) = self.index.ask("SELECT coalesce(sum(bytes), 0) FROM runs")
        beside = (path for path in self.home.glob(".*/") if path.name != UNFINISHED)
        return int(runs) + sum(size_of(path) for path in beside)

    def make_room(self, wanted: int, held: Held) -> str:
        """Remove what has to go so that so many bytes fit; return what a user should know of it, or nothing.

        Uploads go before takes, and those that are in use on a page right now cost nobody a take.
        """
        if self.quota is None:
            return ""
        over = self.used() + wanted - self.quota
        if over <= 0:
            return ""
        held |= self.held() if self.held else Held()
        over -= self.remove_deleted() + self.remove_served(held) + self.remove_sources(held)
        if over > 0:
            over -= self.remove_served(held, SERVED_WHEN_FULL_S)
        gone = self._remove_runs(over - size_of(self.home / SERVED), held)
        if not gone:
            return ""
        freed = sum(each.size for each in gone)
        log.info("%d runs, %d bytes, made room", len(gone), freed)
        why = f"{_spoken(freed)}, because {_spoken(self.quota)} are kept here"
        return f"{_named(gone)} removed, {why}. Star a take to keep it."

    def refuse_when_full(self) -> None:
        """Raise StorageFull where the quota is used up by what may not be removed."""
        if self.quota is None or self.used() < self.quota:
            return
        held = self.held() if self.held else Held()
        self.remove_served(held, SERVED_WHEN_FULL_S)
        if self.used() - size_of(self.home / SERVED) < self.quota:
            return
        if not any(self._oldest(held)) and not self.remove_sources(held) + self.remove_deleted():
            what = f"All of the {_spoken(self.quota)} that are kept here are starred, published or in use."
            raise StorageFull(f"{what} Delete some takes, or take the star off.")

    def remove_deleted(self, older_than_s: float = 0) -> int:
        """Remove for good what was deleted so many seconds ago; return the bytes."""
        old = [folder for folder in self._inside(DELETED) if _age_s(folder) >= older_than_s]
        freed = sum(size_of(folder) for folder in old)
        for folder in old:
            remove_folder(folder, RUN_FILE)
        return freed

    def remove_sources(self, held: Held | None = None) -> int:
        """Remove kept sources that no run needs and no job; return the bytes. Where jobs are unknown, all stay."""
        if self.held is None:
            return 0
        needed = {self._source(file) for file in self._needed(held or self.held())}
        free = [folder for folder in self._inside(SOURCES) if folder.name not in needed and _age_s(folder) > FRESH_S]
        freed = sum(size_of(folder) for folder in free)
        for folder in free:
            remove_folder(folder, "")
        return freed

    def remove_left_over(self) -> None:
        """Remove what a process that was killed had begun to write."""
        for folder in self._inside(UNFINISHED):
            if _age_s(folder) > LEFT_OVER_S:
                remove_folder(folder, RUN_FILE)

    def _remove_runs(self, over: int, held: Held) -> list["_Gone"]:
        gone = list[_Gone]()
        for run_id, size, state in self._oldest(held):
            if over <= sum(each.size for each in gone):
                break
            remove_folder(self.home / run_id, RUN_FILE)
            self.index.sync()
            gone.append(_Gone(size + self.remove_sources(held), state == "draft"))
        return gone

    def _oldest(self, held: Held) -> Iterator[tuple[str, int, str]]:
        """Yield the runs that may go with their bytes and states, drafts before takes, of both the oldest first."""
        order = "state != 'draft', created, id"
        free = self.index.ask(f"SELECT id, bytes, state FROM runs WHERE NOT (starred OR published) ORDER BY {order}")  # noqa: S608, ours
        inside = {Path(file).parent.name for file in held.files}
        yield from (each for each in free if each[0] not in held.runs | inside)

    def _needed(self, held: Held) -> Iterator[str]:
        yield from held.files
        yield from (file for (file,) in self.index.ask("SELECT DISTINCT file FROM given"))
        for folder in self._inside(DELETED):
            try:
                yield from run_from(folder, (folder / RUN_FILE).read_text("utf-8")).plan.files
            except (OSError, ValueError, KeyError, TypeError):
                continue

    def _source(self, file: str) -> str:
        """Return the folder of a kept source by its name, nothing for other files."""
        path = Path(file)
        return path.parent.name if path.parent.parent.name == SOURCES else ""

    def remove_served(self, held: Held, older_than_s: float = SERVED_S) -> int:
        """Remove what was uploaded or shown so many seconds ago, but for what jobs need; return the bytes."""
        needed = {Path(file).parent.name for file in held.files} | {Path(file).name for file in held.files}
        old = [each for each in self._inside(SERVED) if _age_s(each) > older_than_s and each.name not in needed]
        freed = sum(size_of(path) for path in old)
        for path in old:
            remove_folder(path, "") if path.is_dir() else path.unlink(missing_ok=True)
        return freed

    def _inside(self, name: str) -> list[Path]:
        try:
            return sorted((self.home / name).iterdir())
        except OSError:
            return []


@dataclass(frozen=True)
class _Gone:
    """A run that made room: the bytes that it freed, and whether it was a draft."""

    size: int
    draft: bool


def _named(gone: Sequence[_Gone]) -> str:
    """Name what made room, as the beginning of a sentence."""
    drafts = sum(each.draft for each in gone)
    counts = {"draft": drafts, "take": len(gone) - drafts}
    named = [f"{count} oldest {what}s" if count > 1 else f"oldest {what}" for what, count in counts.items() if count]
    return f"The {' and the '.join(named)} {'were' if len(gone) > 1 else 'was'}"


def _age_s(path: Path) -> float:
    """Return how long ago a file, or anything in a folder, changed; a folder's files are as young as their use."""
    try:
        times = [path.stat().st_mtime, *(inside.stat().st_mtime for inside in path.iterdir())] if path.is_dir() else []
        return time.time() - max(times or [path.stat().st_mtime])
    except OSError:
        return 0.0


def _spoken(size: int) -> str:
    return f"{size / GB:.1f} GB" if size >= GB / 10 else f"{size / 10**6:.1f} MB"


def set_aside(home: Path, run_id: str) -> None:
    """Move a run to where nobody finds it, and keep when that was."""
    (home / DELETED).mkdir(exist_ok=True)
    now = datetime.now(UTC).isoformat()
    write_marks(home / run_id, replace(read_marks(home / run_id), deleted=now))
    move_folder(home / run_id, home / DELETED / run_id, last=RUN_FILE)


def owners_aside(home: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """Return the owners of runs that were set aside; raise NotFound where one is gone for good."""
    try:
        folders = [home / DELETED / run_id for run_id in ids if run_id.isalnum()]
        owners = tuple(run_from(folder, (folder / RUN_FILE).read_text("utf-8")).owner for folder in folders)
    except OSError:
        owners = ()
    if len(owners) < len(ids):
        raise NotFound(TOO_LATE)
    return owners


def bring_back(home: Path, run_id: str) -> None:
    """Move a run that was set aside back to the others."""
    folder = home / DELETED / run_id
    write_marks(folder, replace(read_marks(folder), deleted=""))
    move_folder(folder, home / run_id, last=RUN_FILE)
