"""A take that stops after some of its steps and goes on, beside the same take without a stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backends.local import LocalBackend
from pipeline.backends.take import Take
from pipeline.events import Pixels
from pipeline.halfway import Stopped, write_halfway
from pipeline.plan import Plan
from pipeline.variations import finishing


@contextmanager
def forwards(backend: LocalBackend, model: str) -> Iterator[list[int]]:
    """Count how often a transformer really computes: by its first block, for its own call may be passed over."""
    transformer: Any = backend.warm(model).pipe.transformer
    first = next(
        getattr(transformer, name)[0] for name in ("transformer_blocks", "blocks") if hasattr(transformer, name)
    )
    calls: list[int] = []
    hook = first.register_forward_hook(lambda *_: calls.append(1))
    try:
        yield calls
    finally:
        hook.remove()


def denoised(backend: LocalBackend, plan: Plan) -> Take:
    return backend.run(plan, lambda _: None, lambda: False)


def decoded(take: Take) -> Pixels:
    return np.concatenate(list(take.frames))


def begin(backend: LocalBackend, plan: Plan, steps: int, folder: Path) -> Plan:
    """Stop a plan after so many steps, and return the plan that goes on with it."""
    draft = denoised(backend, replace(plan, stop_after=steps))
    assert draft.steps_done == steps < draft.steps
    assert draft.halfway is not None
    write_halfway(draft.halfway, path := folder / f"{steps}.safetensors")
    return finishing(plan, Stopped(str(path), "draft", steps))


def assert_goes_on_exactly(backend: LocalBackend, plan: Plan, stops: tuple[int, ...], folder: Path) -> Take:
    """Stop a plan after these numbers of steps: each time it ends as the whole does, bit for bit, for no call more.

    Return the last one, whose frames are still to be decoded.
    """
    with forwards(backend, plan.model) as calls:
        whole = denoised(backend, plan)
        all_calls = len(calls)
        assert whole.halfway is None
        for steps in stops:
            del calls[:]
            finished = denoised(backend, begin(backend, plan, steps, folder))
            assert len(calls) == all_calls, f"stopped after {steps}"
            assert (finished.steps_done, finished.measures) == (whole.steps_done, whole.measures)
            assert np.array_equal(finished.latents, whole.latents), f"stopped after {steps}"
    return finished
