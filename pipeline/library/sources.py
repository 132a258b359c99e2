"""Files that takes are made from: what marks them, a run before any loss, and copies that outlast an upload."""

import os
import shutil
from contextlib import suppress
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path

from pipeline.latents import tells_its_size
from pipeline.library.folders import aside
from pipeline.library.runs import Draft, Run, take_name

MARK = 20


def file_mark(path: Path) -> str:
    """Return the SHA-256 of a file; pages ask for the same one at every keystroke."""
    found = path.stat()
    return _mark_of(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=64)
def _mark_of(path: Path, changed: int, size: int) -> str:  # noqa: ARG001, they tell a changed file from what it was
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def before_loss(run: Run, model: str = "") -> Path:
    """Return what a run was before any loss, for whoever edits it with a model; none: with its own.

    That is its unmarked latents, or, of a take that was spliced or sounds, its frames; of a picture the file. Latents
    are read by the model alone that made them: for another one it is the file.
    """
    draft = Draft(run.id, run.file.parent, run.plan)
    if draft.unmarked.is_file():
        return draft.unmarked
    own = model in ("", run.plan.model) and run.plan.num_frames > 1
    whole = own and draft.told_by_latents and tells_its_size(draft.latents)
    return draft.latents if whole else run.file


def keep(source: Path, folder: Path, run: Run | None) -> Path:
    """Copy a source into a folder of kept ones, beside a run's latents the clip that they are; return the copy."""
    stem = take_name(run.id) if run else source.stem
    kept = folder / file_mark(source)[:MARK] / f"{stem}{source.suffix}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    _copy_once(source, kept)
    if run and source == before_loss(run) != run.file:
        _copy_once(run.file, kept.with_suffix(run.file.suffix))
    # What is used again counts as fresh to whoever makes room.
    with suppress(OSError):
        os.utime(kept.parent)
    return kept


def _copy_once(source: Path, target: Path) -> None:
    if not target.exists():
        with aside(target) as partial:
            shutil.copyfile(source, partial)
