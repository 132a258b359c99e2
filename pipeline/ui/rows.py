"""Which models a tab offers, and the ranges of its controls by the row of the one that is chosen."""

from dataclasses import dataclass

from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED
from pipeline.ui.slider import Range

# The slider offers the lengths that people ask for; the exact field reaches the model's limit.
SHORTEST_SECONDS = 0.5
LONGEST_SECONDS = 6.0
ROUND_SECONDS = (0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Rows:
    """The models that a page offers, and the one that it begins with where that can do the task."""

    offered: tuple[ModelSpec, ...]
    first: ModelSpec

    def able(self, task: str) -> tuple[ModelSpec, ...]:
        """Return the rows that can do a task."""
        return tuple(spec for spec in self.offered if task in spec.tasks)

    def start(self, task: str) -> ModelSpec:
        """Return the row that a tab begins with."""
        return self.first if self.first in self.able(task) else EMBEDDED

    def find(self, task: str, name: str) -> ModelSpec | None:
        """Return the row of a name, None where the tab does not offer it."""
        return next((spec for spec in self.able(task) if spec.name == name), None)


def seconds_range(spec: ModelSpec, task: str) -> Range:
    """Return the slider of seconds: round steps that are whole frames of the model, to its limit or to six.

    What is made in parts goes on to its own limit, a minute.
    """
    grid = spec.chunks.frames if spec.chunks and spec.remembers else spec.frame_grid
    own = grid / spec.fps
    step = next((step for step in ROUND_SECONDS if step * spec.fps % grid == 0), own)
    ends = 0 if spec.remembers else 1
    whole, most = (spec.max_frames - ends) / spec.fps, (spec.most_frames(task) - ends) / spec.fps
    longest = most if most > whole else min(LONGEST_SECONDS, whole)
    return max(SHORTEST_SECONDS, step), longest // step * step, step


def own_seconds(spec: ModelSpec, task: str) -> float:
    """Return the length that a model makes by itself, as far as the slider goes."""
    least, most, _ = seconds_range(spec, task)
    return min(max((spec.frames - (not spec.remembers)) / spec.fps, least), most)
