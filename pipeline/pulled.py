"""Work that pushes what happens from inside one long call, as a generator that pulls it."""

import queue
import threading
from collections.abc import Callable, Generator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.events import IsCancelled

T = TypeVar("T")
Work = Callable[[Callable[[T], None], IsCancelled], None]


@dataclass(frozen=True)
class _Ended:
    """Work came to its end, or raised an error."""

    error: Exception | None = None


def pulled(work: Work[T]) -> Generator[T, None, None]:
    """Run `work(emit, closed)` in a thread, yield what it emits, and raise what it raises.

    Closing the generator makes `closed` true, and waits until the work has ended. The thread has the context of whoever
    asks first: by it ZeroGPU knows a visitor.
    """
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    closed = threading.Event()

    def run() -> None:
        try:
            work(told.put, closed.is_set)
        except Exception as error:  # handed to the reader's thread, which raises it
            told.put(_Ended(error))
        else:
            told.put(_Ended())

    worker = threading.Thread(target=copy_context().run, args=(run,), name="pulled", daemon=True)
    worker.start()
    try:
        while not isinstance(event := told.get(), _Ended):
            yield event
        if event.error:
            raise event.error
    finally:
        closed.set()
        worker.join()
