"""Where a denoising stopped: all that it needs to go on from there, as a file that nobody is served."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.errors import NotFound

Tensors = Mapping[str, NDArray[np.float32]]
STEPS = "steps"


@dataclass(frozen=True)
class Stopped:
    """A take that a plan goes on from: the file of its state, the id of its run, and the steps that are done."""

    file: str
    run: str
    steps: int


@dataclass(frozen=True)
class Halfway:
    """The state after so many steps: what the pipeline and its scheduler held, and marks of what it belongs to."""

    steps: int
    tensors: Tensors
    marks: Mapping[str, str] = field(default_factory=dict)


def write_halfway(halfway: Halfway, path: Path) -> None:
    """Write a state, numbers and plain words only."""
    tensors = {name: np.ascontiguousarray(each) for name, each in halfway.tensors.items()}
    save_file(tensors, path, {STEPS: str(halfway.steps), **halfway.marks})


def read_halfway(path: Path, marks_only: bool = False) -> Halfway:
    """Read a state, or all but its tensors; raise NotFound where it is gone or damaged."""
    try:
        with safe_open(path, framework="np") as file:
            marks = dict(file.metadata())
            tensors = {} if marks_only else {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Halfway(int(marks.pop(STEPS)), tensors, marks)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise NotFound("Where this take stopped is no longer known. Make it anew: the same seed makes it.") from error
