"""The seconds of a lent GPU that a plan asks for: ZeroGPU takes them from the visitor's quota before the run."""

from math import ceil

from pipeline.errors import CannotDo
from pipeline.models import get_model
from pipeline.plan import Plan

LEAST_SECONDS = 5
# What logged-in visitors are given in one go; the platform documents no number, and has the last word.
MOST_SECONDS = 300
# A guess on the safe side: weights are moved to the card, or read from disk, at the beginning of a run.
WEIGHTS_MB_PER_SECOND = 1000


def gpu_seconds(plan: Plan) -> int:
    """Return the seconds to ask for: those of the estimate with its margin, and what the weights take to get there.

    The platform ends a run that takes longer than it asked for, and takes what was asked for from the quota: so the
    margin is what estimates were missed by lately. Raise CannotDo for a plan that would need more than can be had.
    """
    weights = get_model(plan.model).memory_mb / WEIGHTS_MB_PER_SECOND
    needed = plan.estimate.seconds + weights
    if needed > MOST_SECONDS:
        what = f"This takes about {ceil(needed)} s on the GPU, and ZeroGPU lends it for {MOST_SECONDS} s"
        raise CannotDo("seconds", f"{what}. Make it shorter or smaller, or choose another model.")
    return min(max(ceil(plan.estimate.seconds * plan.estimate.margin + weights), LEAST_SECONDS), MOST_SECONDS)
