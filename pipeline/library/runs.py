"""A run and its folder: what a finished one tells, where one that is being written puts its files."""

import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import BadRequest
from pipeline.halfway import Stopped, read_halfway
from pipeline.plan import Plan
from pipeline.visitors import FINISHED, MACHINE, OF_THE_MACHINE, Cell, Origin, Parent

RUN_FILE = "run.json"
POSTER = "poster.webp"
LATENTS = "latents.safetensors"
LAST = "last.png"
HALFWAY = "halfway.safetensors"
# A page lists the same ones again and again.
READ_BEFORE = 2000


@dataclass(frozen=True)
class Run:
    """A finished run. `created` is ISO 8601 in UTC; timings are in seconds; `revision` is a hosted model's commit.

    That of the embedded model is a digest of its weights. `where` is the Space that made it, nothing where this machine
    did; `owner` is whose it is (see visitors.py), which is never told. `last_pixels` tells its last frame, as it was
    made, from all other pictures; `cell` is where it stands among drafts.
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
    last_pixels: str = ""
    revision: str = ""
    where: str = ""
    owner: str = MACHINE
    parents: tuple[Parent, ...] = ()
    cell: Cell | None = None

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
        descends: dict[str, Any] = {"parents": [asdict(parent) for parent in self.parents]} if self.parents else {}
        descends |= {"cell": asdict(self.cell)} if self.cell else {}
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


def stopped_at(run: Run) -> Stopped:
    """Return where a draft, or a take that was stopped, can go on from; raise BadRequest, or NotFound."""
    if run.state == "done":
        raise BadRequest("id", f"The take {run.id} has all of its steps. Choose a draft, or one that was stopped.")
    path = run.file.parent / HALFWAY
    return Stopped(str(path), run.id, read_halfway(path, marks_only=True).steps)


def take_name(run_id: str) -> str:
    """Return what a run is called where it is given to another one."""
    return f"take-{run_id[:6]}"


@lru_cache(maxsize=READ_BEFORE)
def run_from(folder: Path, record: str) -> Run:
    """Return the run of a folder from what its run.json holds; raise ValueError, KeyError or TypeError for less."""
    read = json.loads(record)
    files = {name: folder / read[name] for name in ("file", "poster")}
    parents = tuple(Parent(**parent) for parent in read.get("parents", ()))
    cell = Cell(**read["cell"]) if read.get("cell") else None
    plan, notes = Plan.from_json(read["plan"]), tuple(read["notes"])
    return Run(**{**read, **files, "plan": plan, "notes": notes, "parents": parents, "cell": cell})
