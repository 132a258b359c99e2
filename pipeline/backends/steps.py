"""What happens between two steps: they are timed and told, and a draft ends after its share."""

import time

from pipeline.events import IsCancelled, Listener, Pixels, Step
from pipeline.plan import Plan


class Steps:
    """Follows the steps of a plan, as far as a draft goes."""

    def __init__(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> None:
        self._last = plan.stop_after
        self._on_event = on_event
        self._cancelled = cancelled
        self._done = 0
        self._started = time.perf_counter()

    def __call__(self, done: int, total: int, preview: Pixels) -> None:
        """Tell a step; to whoever waits, the last one of a draft is the last."""
        self._done = done
        last = total if self._last is None else min(self._last, total)
        self._on_event(Step(done, last, preview, seconds=time.perf_counter() - self._started))

    def over(self) -> bool:
        """Return whether no further step is wanted."""
        return self._cancelled() or (self._last is not None and self._done >= self._last)
