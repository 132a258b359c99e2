"""What runs out of memory is done once more, with weights that take less."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from pipeline.errors import OutOfMemory
from pipeline.events import Again, Listener
from pipeline.memory import AFTER, SAYS
from pipeline.plan import Plan
from pipeline.planning.estimate import Estimate

T = TypeVar("T")


class SecondChance:
    """Does the work of a plan, and once in a run does it anew where memory ran out, for a plan that needs less of it.

    `plan` is the one that is followed now, and `notes` say what was changed in it. `let_go` frees the model.
    """

    def __init__(self, plan: Plan, let_go: Callable[[], None], on_event: Listener) -> None:
        self.plan = plan
        self.notes: list[str] = []
        self._let_go = let_go
        self._on_event = on_event

    def __call__(self, work: Callable[[Plan], T]) -> T:
        """Return what the work does; raise OutOfMemory where there is nothing left to try."""
        try:
            return work(self.plan)
        except Exception as error:
            _pass_on_others(error)
            if self.notes:
                raise OutOfMemory(_too_much(self.plan.estimate)) from error
        # Only here is the error gone, and with it what its traceback held.
        self._step_down()
        return self(work)

    def _step_down(self) -> None:
        self._let_go()
        before, after = self.plan.estimate, lowered(self.plan.estimate)
        if after is None:
            raise OutOfMemory(_too_much(before))
        self.plan = replace(self.plan, estimate=after)
        self.notes.append(f"Memory ran out with {_said(before)}: it was made again with {_said(after)}.")
        self._on_event(Again(self.notes[-1]))


def lowered(estimate: Estimate) -> Estimate | None:
    """Return the next policy with everything that saves memory, None where there is nothing left to save."""
    policy = AFTER[estimate.policy] if estimate.on_card else None
    if policy is None and estimate.tiled:
        return None
    return replace(estimate, policy=policy or estimate.policy, beside=False, tiled=True)


def _pass_on_others(error: Exception) -> None:
    # Only torch knows its errors, and where it raised one it is imported already.
    from pipeline.families.card import ran_out

    if not ran_out(error):
        raise error


def _said(estimate: Estimate) -> str:
    return SAYS[estimate.policy] + (", decoded in tiles" if estimate.tiled else "")


def _too_much(estimate: Estimate) -> str:
    further = AFTER[estimate.policy] if estimate.on_card else None
    choice = f", or ask for the memory policy {further}" if further else ", or choose a smaller model"
    return f"Memory ran out with {_said(estimate)}. Make it shorter or smaller{choice}."
