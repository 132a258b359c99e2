"""Finished runs on disk: a folder each, written aside and renamed, so that a listing never shows half a run."""

import json
import logging
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import BadRequest, NotFound, RunFailed
from pipeline.estimate import Speed
from pipeline.events import Latents
from pipeline.halfway import Stopped, read_halfway
from pipeline.latents import is_latents, read_latents, tells_its_size
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan, measured_speed
from pipeline.visitors import EVERYTHING, FINISHED, MACHINE, OF_THE_MACHINE, Origin, Parent, Viewer

RUN_FILE = "run.json"
POSTER = "poster.webp"
LATENTS = "latents.safetensors"
LAST = "last.png"
HALFWAY = "halfway.safetensors"
# Few, so that the estimate follows a machine that has become faster or slower.
RUNS_TO_MEASURE = 5
MARK = 20
RUN = "run:"
NO_RUN = "There is no run {!r}. Choose one from the library."


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A finished run. `created` is ISO 8601 in UTC; timings are in seconds; `revision` is a hosted model's commit.

    `where` is the Space that made it, nothing where this machine did; `owner` is whose it is (see visitors.py),
    which is never told.
    """

    id: str
    created: str
    plan: Plan
    file: Path
    poster: Path
    state: Literal["done", "stopped", "draft"]
    notes: tuple[str, ...]
    timings: dict[str, float]
    peak_memory_mb: float
    measures: dict[str, float] = field(default_factory=dict)
    sha256: str = ""
    revision: str = ""
    where: str = ""
    owner: str = MACHINE
    parents: tuple[Parent, ...] = ()

    @property
    def finishes(self) -> bool:
        """True where it went on with the steps of another run."""
        return any(parent.how == FINISHED for parent in self.parents)

    def to_json(self) -> dict[str, Any]:
        """Return the run as values that json can write."""
        own = {"id": self.id, "state": self.state, "created": self.created, "file": str(self.file)}
        told = {"revision": self.revision, "where": self.where}
        own |= {name: value for name, value in told.items() if value}
        costs = {"timings": self.timings, "peak_memory_mb": self.peak_memory_mb, "measures": self.measures}
        descends = {"parents": [asdict(parent) for parent in self.parents]} if self.parents else {}
        return (
            own
            | descends
            | {"poster": str(self.poster), "plan": self.plan.to_json(), "notes": list(self.notes)}
            | costs
        )


@dataclass(frozen=True)
class Draft:
    """A run that is being written: its folder is not listed until it is committed."""

    id: str
    folder: Path
    plan: Plan
    origin: Origin = OF_THE_MACHINE

    @property
    def clip(self) -> Path:
        """Where the clip goes, or the image when the plan has one frame."""
        return self.folder / ("clip.mp4" if self.plan.num_frames > 1 else "image.png")

    @property
    def poster(self) -> Path:
        """Where the still for listings goes."""
        return self.folder / POSTER

    @property
    def latents(self) -> Path:
        """Where the unmarked latents go; they are never served."""
        return self.folder / LATENTS

    @property
    def last(self) -> Path:
        """Where the last frame goes as it was made, for takes that go on from it; it is never served."""
        return self.folder / LAST

    @property
    def halfway(self) -> Path:
        """Where the state of a take goes that has steps left; it is never served."""
        return self.folder / HALFWAY

    @property
    def unmarked(self) -> Path:
        """Where the frames of a take go that its latents do not tell; they are never served."""
        return self.folder / f"{take_name(self.id)}.mkv"

    @property
    def told_by_latents(self) -> bool:
        """Return whether the latents decode to all that the take is, or it is a picture, whose file has no loss."""
        return self.plan.num_frames == 1 or not (self.plan.timeline or self.plan.sound)


class Store:
    """The runs under one folder, newest first."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._aside = home / ".unfinished"
        self._read_before: dict[Path, Run] = {}

    @contextmanager
    def create(self, plan: Plan, origin: Origin = OF_THE_MACHINE) -> Iterator[Draft]:
        """Give a folder to write in, and remove it afterwards unless it was committed."""
        draft = Draft(run_id := secrets.token_hex(10), self._aside / run_id, plan, origin)
        try:
            draft.folder.mkdir(parents=True)
        except OSError as error:
            raise RunFailed(f"{self.home} cannot be written: {error.strerror}. Set ONETAKE_HOME elsewhere.") from error
        try:
            yield draft
        finally:
            shutil.rmtree(draft.folder, ignore_errors=True)

    def commit(self, draft: Draft, **result: Any) -> Run:
        """Write run.json with the result (state, notes, timings, peak_memory_mb) and list the run."""
        record = {"id": draft.id, "created": datetime.now(UTC).isoformat(), "plan": draft.plan.to_json()} | result
        record |= asdict(draft.origin) | {"file": draft.clip.name, "poster": POSTER, "sha256": _mark(draft.clip)}
        (draft.folder / RUN_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
        draft.folder.rename(self.home / draft.id)
        return self.get(draft.id)

    def find_source(self, path: str, viewer: Viewer = EVERYTHING) -> str:
        """Return where a source lies: for a run, by `run:` and its id or by its file, what it was before any loss.

        That is its unmarked latents, or, of a take that was spliced or sounds, its frames; of a picture the file. What
        belongs to others is no run to a viewer: raise NotFound for its id, and take its file as it is.
        """
        run = self.run_of(path, viewer)
        if run is None:
            return path
        draft = Draft(run.id, run.file.parent, run.plan)
        if draft.unmarked.is_file():
            return str(draft.unmarked)
        whole = run.plan.num_frames > 1 and draft.told_by_latents and tells_its_size(draft.latents)
        return str(draft.latents if whole else run.file)

    def keep_source(self, path: str, viewer: Viewer = EVERYTHING) -> str:
        """Copy what a user gives beside the runs and return the copy's path; what cannot be read stays where it is."""
        source, run = Path(self.find_source(path, viewer)), self.run_of(path, viewer)
        stem = take_name(run.id) if run else source.stem
        try:
            kept = self.home / ".sources" / _mark(source)[:MARK] / f"{stem}{source.suffix}"
            kept.parent.mkdir(parents=True, exist_ok=True)
            _copy_once(source, kept)
            if run and source != run.file:
                _copy_once(run.file, kept.with_suffix(run.file.suffix))
        except OSError:
            return path
        return str(kept)

    def run_of(self, path: str, viewer: Viewer = EVERYTHING) -> Run | None:
        """Return the run that a source is: the one of its id, or the one whose file has the same bytes."""
        if path.startswith(RUN):
            return self.owned(path.removeprefix(RUN), viewer)
        try:
            mark = _mark(Path(path))
        except OSError:
            return None
        return next((run for run in self.list() if run.sha256 == mark and viewer.owns(run.owner)), None)

    def list(self) -> tuple[Run, ...]:
        """Return all runs, newest first; a folder that cannot be read is left out and logged."""
        found = [run for path in self.home.glob(f"*/{RUN_FILE}") if (run := self._readable(path))]
        return tuple(sorted(found, key=lambda run: run.created, reverse=True))

    def get(self, run_id: str) -> Run:
        """Return one run; raise NotFound."""
        path = self.home / run_id / RUN_FILE
        if not run_id.isalnum() or not path.is_file():
            raise NotFound(NO_RUN.format(run_id))
        return self._read(path)

    def owned(self, run_id: str, viewer: Viewer) -> Run:
        """Return one of a viewer's runs; raise NotFound, also for what belongs to others."""
        run = self.get(run_id)
        if not viewer.owns(run.owner):
            raise NotFound(NO_RUN.format(run_id))
        return run

    def owned_by(self, viewer: Viewer) -> tuple[Run, ...]:
        """Return all of a viewer's runs, newest first."""
        return tuple(run for run in self.list() if viewer.owns(run.owner))

    def latents(self, run: Run) -> Latents:
        """Read the unmarked latents of a run; raise NotFound when they are gone."""
        return read_latents(run.file.parent / LATENTS)

    def stopped(self, run: Run) -> Stopped:
        """Return where a draft, or a take that was stopped, can go on from; raise BadRequest, or NotFound."""
        if run.state == "done":
            raise BadRequest("id", f"The take {run.id} has all of its steps. Choose a draft, or one that was stopped.")
        path = run.file.parent / HALFWAY
        return Stopped(str(path), run.id, read_halfway(path, marks_only=True).steps)

    def last_frame(self, run: Run) -> Path:
        """Return the file whose last frame is a run's, without loss where one was kept; old runs have their clip."""
        if (kept := run.file.parent / LAST).is_file():
            return kept
        source = self.find_source(RUN + run.id)
        return run.file if is_latents(source) else Path(source)

    def speed(self, spec: ModelSpec, where: str = "") -> Speed:
        """Return what the newest finished runs of a model measured on this machine, or on a Space."""
        made = (run for run in self.list() if (run.plan.model, run.where) == (spec.name, where))
        # A finished draft has the time of its last steps only.
        done = (run for run in made if run.state == "done" and not run.finishes)
        return measured_speed(((run.plan, run.timings) for run in islice(done, RUNS_TO_MEASURE)), spec)

    def _readable(self, path: Path) -> Run | None:
        try:
            return self._read(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is not a run: %s", path, error)
            return None

    def _read(self, path: Path) -> Run:
        # Runs never change once they are listed, and a page lists them often.
        if path not in self._read_before:
            record = json.loads(path.read_text(encoding="utf-8"))
            plan, notes = Plan.from_json(record["plan"]), tuple(record["notes"])
            files = {name: path.parent / record[name] for name in ("file", "poster")}
            parents = tuple(Parent(**parent) for parent in record.get("parents", ()))
            read = {**record, **files, "plan": plan, "notes": notes, "parents": parents}
            self._read_before[path] = Run(**read)
        return self._read_before[path]


def take_name(run_id: str) -> str:
    """Return what a run is called where it is given to another one."""
    return f"take-{run_id[:6]}"


def _mark(path: Path) -> str:
    """Return the SHA-256 of a file; pages ask for the same one at every keystroke."""
    found = path.stat()
    return _mark_of(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=64)
def _mark_of(path: Path, changed: int, size: int) -> str:  # noqa: ARG001, they tell a changed file from what it was
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _copy_once(source: Path, target: Path) -> None:
    if not target.exists():
        shutil.copyfile(source, partial := target.with_suffix(".part"))
        partial.rename(target)
