"""What happens between two steps: they are timed, counted through all parts and told; a draft ends after its share."""

import time

from pipeline.events import IsCancelled, Listener, Pixels, Step
from pipeline.models import get_model
from pipeline.plan import Plan
from pipeline.planning.delivery import passes_of


class Steps:
    """Follows the steps of a plan, as far as a draft goes."""

    def __init__(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> None:
        self._last = plan.stop_after
        self._on_event = on_event
        self._cancelled = cancelled
        self._done = 0
        self._before, self._part = 0, 0
        self._counts = steps_of_segments(plan)
        self._started = time.perf_counter()

    def begin(self, part: int) -> None:
        """Count the steps of a part from now on, by its number from 0 on."""
        self._part, self._before, self._done = part, sum(self._counts[:part]), 0

    def __call__(self, done: int, total: int, preview: Pixels) -> None:
        """Tell a step; to whoever waits, the last one of a draft is the last."""
        self._done = done
        # A family knows best how many steps the one segment of most takes has.
        whole = sum(self._counts) if len(self._counts) > 1 else total
        last = whole if self._last is None else min(self._last, whole)
        seconds, parts = time.perf_counter() - self._started, len(self._counts)
        self._on_event(Step(self._before + done, last, preview, seconds=seconds, part=self._part + 1, parts=parts))

    def over(self) -> bool:
        """Return whether no further step is wanted."""
        return self._cancelled() or (self._last is not None and self._done >= self._last)


def steps_of_segments(plan: Plan) -> tuple[int, ...]:
    """Return how many steps each segment of a plan has, those of both passes counted."""
    spec, size = get_model(plan.model), (plan.width, plan.height)
    passes = (passes_of(spec, segment, plan.steps, size, plan.first_pass) for segment in plan.segments)
    return tuple(sum(len(each.levels) for each in made) for made in passes)
