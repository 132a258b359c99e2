"""What may change of a finished run: a small file in its folder, so that the folder tells all there is to know."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.library.folders import write_aside

MARKS_FILE = "marks.json"


@dataclass(frozen=True)
class Marks:
    """What its owner decided: starred, seen by everybody, and when it was deleted (ISO 8601 in UTC), or nothing."""

    starred: bool = False
    published: bool = False
    deleted: str = ""


UNMARKED = Marks()


def read_marks(folder: Path) -> Marks:
    """Return the marks of a run; without a file, or with one that cannot be read, it has none and stays private."""
    try:
        return Marks(**json.loads((folder / MARKS_FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return UNMARKED


def write_marks(folder: Path, marks: Marks) -> None:
    """Keep the marks of a run."""
    write_aside(folder / MARKS_FILE, json.dumps(asdict(marks)))
