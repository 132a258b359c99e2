"""Makes long takes with and without what holds back drift: `python -m pipeline.measures.long_takes`.

`make eval` measures by them how far a take drifts. They go the way of every take, from a request through a plan, its
parts and their splicing, and are kept as they come out of the decoder, without loss. Those that are there stay.
Several of these, of one thread each, make many takes sooner than one that has all threads.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest
from pipeline.events import Pixels
from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import Settings, prepare_environment
from pipeline.video import kept_whole

WITH, WITHOUT = "with", "without"


@dataclass(frozen=True)
class Studio:
    """What makes the takes, and the folder that keeps them as NAME-with.mkv and NAME-without.mkv."""

    backend: LocalBackend
    spec: ModelSpec
    kept: Path

    def file(self, name: str, way: str) -> Path:
        """Where a take lies."""
        return self.kept / f"{name}-{way}.mkv"

    def make(self, name: str, asked: Mapping[str, Any], way: str = WITH) -> None:
        """Make a take one way, unless it is there; raise BadRequest where it is so short that it has one part."""
        if self.file(name, way).exists():
            return
        plan = make_plan(parse_request(asked), self.spec)
        if len(plan.segments) < 2:
            longest = plan.num_frames / plan.fps
            raise BadRequest("seconds", f"{longest:g} s are made in one go. Ask for more than one part.")
        take = self.backend.run(uncorrected(plan) if way == WITHOUT else plan, lambda _: None, lambda: False)
        write_whole(take.frames, self.file(name, way), plan.fps)


def uncorrected(plan: Plan) -> Plan:
    """Return the plan of the same take whose details are guided as strongly as its motion.

    Guidance adds contrast to each part anew, and each goes on from the one before: it adds up.
    """
    return replace(plan, segments=tuple(segment.eased(1.0) for segment in plan.segments))


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


def open_backend(settings: Settings, threads: int | None) -> LocalBackend:
    """Return what computes with so many threads, or with as many as there are cores."""
    from pipeline.families.loading import use_threads

    backend = LocalBackend(settings)
    if threads:
        # Of the device's own thread: each thread has a team of its own.
        backend.call(lambda: use_threads(threads))
    return backend


def main() -> None:
    """Make what a file asks for: requests by the names of their takes, by the ways in which they are made."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.measures.long_takes", description=__doc__)
    parser.add_argument("asked", type=Path, help="a JSON object: for with and without, requests by takes' names")
    parser.add_argument("kept", type=Path, help="the folder for the takes")
    parser.add_argument("--model", type=Path, required=True, help="the folder of the embedded model's weights")
    parser.add_argument("--threads", type=int, help="threads to compute with; all cores without it")
    options = parser.parse_args()
    options.kept.mkdir(parents=True, exist_ok=True)
    prepare_environment()
    with TemporaryDirectory() as folder:
        backend = open_backend(settings_for(options.model, Path(folder)), options.threads)
        studio = Studio(backend, EMBEDDED, options.kept)
        for way, takes in json.loads(options.asked.read_text()).items():
            for name, asked in takes.items():
                studio.make(name, asked, way)
                print(f"{name}, {way}: {asked['prompt']}", flush=True)


if __name__ == "__main__":
    main()
