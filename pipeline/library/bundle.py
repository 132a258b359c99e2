"""Several runs as one zip: each with its clip and its recipe, written while it is sent, so that nothing is held."""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.library.runs import Run
from pipeline.plan import Plan

CHUNK = 1 << 20


def bundle(runs: Iterable[Run]) -> Iterator[bytes]:
    """Yield the bytes of a zip of runs; what was deleted meanwhile is named in `missing.txt`."""
    pipe, missing = _Pipe(), []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for run in runs:
            try:
                yield from _file(archive, pipe, run)
            except OSError:
                missing.append(run.id)
                continue
            archive.writestr(_entry(f"{bundle_name(run)}.json", run), json.dumps(recipe_of(run), indent=1))
            yield pipe.taken()
        if missing:
            archive.writestr("missing.txt", "".join(f"{run_id} was deleted meanwhile.\n" for run_id in missing))
    yield pipe.taken()


def bundle_name(run: Run) -> str:
    """Return a file name, without its ending, that tells what is inside, with which seed, and of which run it is."""
    return f"onetake-{words_of(run.plan)}-{run.plan.seed}-{run.id[:6]}"


def words_of(plan: Plan) -> str:
    """Return the first words of a plan as they may stand in the name of a file."""
    words = re.sub(r"[^a-z0-9]+", "-", plan.title.lower()).strip("-")
    return words[:40].strip("-") or "clip"


def recipe_of(run: Run) -> dict[str, Any]:
    """Return the recipe as it stands in the file, with what else is told of a run."""
    told = {"run": run.id, "created": run.created, "notes": list(run.notes)}
    weights = {"revision": run.revision} if run.revision else {}
    return {"app": "Onetake", "plan": run.plan.to_recipe()} | weights | told


def _file(archive: zipfile.ZipFile, pipe: "_Pipe", run: Run) -> Iterator[bytes]:
    with run.file.open("rb") as source:
        entry = _entry(f"{bundle_name(run)}{run.file.suffix}", run)
        # Known before, so that what is larger than 4 GB is announced as that.
        entry.file_size = Path(run.file).stat().st_size
        with archive.open(entry, "w") as target:
            while piece := source.read(CHUNK):
                target.write(piece)
                yield pipe.taken()


def _entry(name: str, run: Run) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, datetime.fromisoformat(run.created).timetuple()[:6])


class _Pipe(io.RawIOBase):
    """Where the archive writes to: it cannot go back, and is emptied again and again."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def write(self, piece: Any) -> int:
        """Keep a piece until it is taken."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
