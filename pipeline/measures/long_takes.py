"""Makes long takes twice, with and without what joins their parts: `python -m pipeline.measures.long_takes`.

`make eval` measures by them how far a take drifts. They go the way of every take, from a request through a plan, its
parts and their splicing, and are kept as they come out of the decoder, without loss. Those that are there stay.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.backends.chain import LATENTS
from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest
from pipeline.events import PartDone, Pixels, Told
from pipeline.halfway import Halfway, write_halfway
from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED
from pipeline.plan import Plan, make_plan
from pipeline.planning.segments import Chunk, Made
from pipeline.request import parse_request
from pipeline.settings import Settings, prepare_environment
from pipeline.video import kept_whole

WITH, WITHOUT = "with", "without"
ALIKE = 2
"""So many parts have the same latents either way: the second goes on from the first, of which nothing is matched."""


@dataclass(frozen=True)
class Studio:
    """What makes the takes, and the folder that keeps them as NAME-with.mkv and NAME-without.mkv."""

    backend: LocalBackend
    spec: ModelSpec
    kept: Path

    def file(self, name: str, way: str) -> Path:
        """Where a take lies."""
        return self.kept / f"{name}-{way}.mkv"

    def make(self, name: str, asked: Mapping[str, Any]) -> None:
        """Make a take both ways, unless it is there; raise BadRequest where it is so short that it has one part."""
        if self.file(name, WITH).exists() and self.file(name, WITHOUT).exists():
            return
        plan = make_plan(parse_request(asked), self.spec)
        if len(plan.segments) < 2:
            longest = plan.num_frames / plan.fps
            raise BadRequest("seconds", f"{longest:g} s are made in one go. Ask for more than one part.")
        with TemporaryDirectory(dir=self.kept) as parts:
            begun = tuple(self._make(plan, self.file(name, WITH), Path(parts)))
            list(self._make(replace(unmatched(plan), begun=begun[:ALIKE]), self.file(name, WITHOUT), Path(parts)))

    def _make(self, plan: Plan, file: Path, parts: Path) -> Iterator[Chunk]:
        """Write the frames of a take, and yield its parts for another one to go on from."""
        done: list[PartDone] = []

        def told(event: Told) -> None:
            if isinstance(event, PartDone):
                done.append(event)

        take = self.backend.run(plan, told, lambda: False)
        write_whole(take.frames, file, plan.fps)
        for part in done:
            kept = parts / f"{part.part}.safetensors"
            write_halfway(Halfway(part.steps, {LATENTS: part.latents}, part.marks), kept)
            yield Chunk(str(kept))


def unmatched(plan: Plan) -> Plan:
    """Return the plan of the same take whose parts keep the colours that they come in, and meet as they come.

    Each part goes on from the frames of the one before as they are, so that what differs adds up as it would.
    """
    parts = (replace(part, matched=False) if isinstance(part, Made) else part for part in plan.timeline)
    return replace(plan, timeline=tuple(parts))


def write_whole(frames: Iterator[Pixels], file: Path, fps: int) -> None:
    """Write frames without loss, aside first."""
    partial = file.with_stem(f"partial-{file.stem}")
    for _ in kept_whole(frames, partial, fps, None):
        pass
    partial.rename(file)


def settings_for(model: Path, folder: Path) -> Settings:
    """Return the settings under which the embedded model is the one in a folder; `folder` is where that is noted."""
    (folder / EMBEDDED.repo).symlink_to(model.resolve(), target_is_directory=True)
    return replace(Settings.from_env(), assets=folder)


def main() -> None:
    """Make what a file asks for: a list of names with requests."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.measures.long_takes", description=__doc__)
    parser.add_argument("asked", type=Path, help="a JSON object: requests by the names of their takes")
    parser.add_argument("kept", type=Path, help="the folder for the takes")
    parser.add_argument("--model", type=Path, required=True, help="the folder of the embedded model's weights")
    options = parser.parse_args()
    options.kept.mkdir(parents=True, exist_ok=True)
    prepare_environment()
    with TemporaryDirectory() as folder:
        backend = LocalBackend(settings_for(options.model, Path(folder)))
        studio = Studio(backend, EMBEDDED, options.kept)
        for name, asked in json.loads(options.asked.read_text()).items():
            studio.make(name, asked)
            print(f"{name}: {asked['prompt']}", flush=True)


if __name__ == "__main__":
    main()
