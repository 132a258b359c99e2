"""What a folder of runs can do: a disk takes everything, a mounted bucket neither databases nor renamed folders."""

import atexit
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

from pipeline.errors import RunFailed

MOUNTS = Path("/proc/self/mountinfo")
# Mounts of what lies on another machine; `fuseblk` is a disk of this one.
FAR = ("fuse", "nfs", "cifs", "smb")
NEAR = "fuseblk"


@lru_cache
def local_disk(home: Path) -> Path:
    """Return a folder for databases and for what is being written: home itself, or where it is too weak, another.

    That other one is on a disk of this machine, for this process alone, and gone when it ends.
    """
    # What is not there yet would pass for too weak.
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    mounts = MOUNTS.read_text("utf-8") if MOUNTS.is_file() else ""
    if not is_far(home.resolve(), mounts) and _holds_databases(home):
        return home
    folder = Path(mkdtemp(prefix="onetake-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def is_far(folder: Path, mounts: str) -> bool:
    """Return whether a folder is mounted from elsewhere, by the lines of Linux's `mountinfo`, none on other systems."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split(" ")[0]
    return kind.startswith(FAR) and kind != NEAR


def _holds_databases(home: Path) -> bool:
    """Try it: a database that several processes write needs locks, shared memory and writing in the middle."""
    probe = home / f".probe-{token_hex(4)}"
    try:
        with closing(sqlite3.connect(probe)) as database:
            mode = database.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            database.execute("CREATE TABLE probe (it)")
        return bool(mode == "wal")
    except sqlite3.Error:
        return False
    finally:
        for left in (probe, Path(f"{probe}-wal"), Path(f"{probe}-shm")):
            with suppress(OSError):
                left.unlink()


def move_folder(source: Path, target: Path, last: str) -> None:
    """Move a folder to a path that is free; where it cannot be renamed, copy it, the file that makes it count last."""
    try:
        source.rename(target)
    except OSError:
        _copy_folder(source, target, last)
        remove_folder(source, last)


def remove_folder(folder: Path, first: str) -> None:
    """Remove a folder, the file that makes it count first; what cannot be removed stays."""
    with suppress(OSError):
        (folder / first).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _copy_folder(source: Path, target: Path, last: str) -> None:
    try:
        target.mkdir()
        for file in sorted(source.iterdir(), key=lambda file: file.name == last):
            shutil.copyfile(file, target / file.name)
    except OSError as error:
        remove_folder(target, last)
        raise RunFailed(
            f"{target} cannot be written: {error.strerror}. Free some disk space, and try again."
        ) from error


def write_aside(path: Path, text: str) -> None:
    """Write a small file whole or not at all, where the folder can rename."""
    aside = path.with_name(f".{path.name}-{token_hex(4)}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")


def size_of(path: Path) -> int:
    """Return the bytes of a file or of all files in a folder; what is gone counts nothing."""
    try:
        if not path.is_dir():
            return path.stat().st_size
        with os.scandir(path) as entries:
            return sum(size_of(Path(entry)) if entry.is_dir() else entry.stat().st_size for entry in entries)
    except OSError:
        return 0


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a file to write in that takes the place of a path once it is whole: several may write the same at once."""
    partial = path.with_name(f"{path.name}.{token_hex(4)}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
