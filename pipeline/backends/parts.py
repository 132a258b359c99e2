"""The parts of a long take that are done, kept until all of it is: whoever makes the same take goes on after them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from pipeline.backends.belonging import mark_of_take
from pipeline.backends.chain import LATENTS
from pipeline.events import PartDone
from pipeline.halfway import Halfway, write_halfway
from pipeline.history import going_on
from pipeline.library.sources import file_mark
from pipeline.library.storage import UNFINISHED
from pipeline.plan import Plan
from pipeline.planning.segments import Chunk

NAME = 24


class Parts:
    """The folder of a take's parts; a take in one go has none."""

    def __init__(self, disk: Path, plan: Plan) -> None:
        self.plan = plan
        self._several = len(plan.segments) > 1
        self.folder = disk / UNFINISHED / _name(plan) if self._several else disk

    @cached_property
    def begun(self) -> Plan:
        """The plan with the parts that are there, and what is left of its costs."""
        files = tuple(Chunk(str(file)) for file in self._files())
        return going_on(self.plan, files) if files else self.plan

    def keep(self, done: PartDone) -> Path:
        """Keep a part, and return where it can be put to be watched."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = (kept := self._file(done.part)).with_suffix(".partial")
        write_halfway(Halfway(done.steps, {LATENTS: done.latents}, done.marks), partial)
        partial.replace(kept)
        return kept.with_suffix(".mp4")

    def clear_away(self) -> None:
        """Remove what is needed no more."""
        if self._several:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> Iterator[Path]:
        """Yield the parts from the first on, as far as none is missing; the last one has to be made."""
        if self._several:
            for part in range(1, len(self.plan.segments)):
                if not (file := self._file(part)).is_file():
                    return
                yield file

    def _file(self, part: int) -> Path:
        return self.folder / f"part-{part:03}.safetensors"


def _name(plan: Plan) -> str:
    """Return a name that no other take has: files count by what is in them."""
    marks = [mark_of_take(plan)]
    for file in plan.files:
        with suppress(OSError):
            marks.append(file_mark(Path(file)))
    return "parts-" + sha256(json.dumps(marks).encode()).hexdigest()[:NAME]
