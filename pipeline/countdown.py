"""What is left of a run: what its plan promised, corrected by how fast it turns out to be."""

import time
from dataclasses import replace

from pipeline.events import Again, Decoding, Step, Told
from pipeline.history import ends_of_segments, going_on, shares_of_steps
from pipeline.plan import Plan

# A promise of finished runs is worth what this share of the work tells: the first step is not typical.
TRUST = 0.1


class Countdown:
    """Puts into what a run tells how many seconds are left of all of it, decoding and writing included."""

    def __init__(self, plan: Plan) -> None:
        self._count(plan)

    def _count(self, plan: Plan) -> None:
        self._plan = plan
        self._costs = plan.estimate
        self._shares = shares_of_steps(plan)
        self._ends = ends_of_segments(plan)
        self._before = self._ends[len(plan.begun) - 1] if plan.begun else plan.resumes.steps if plan.resumes else 0
        self._trust = TRUST if plan.estimate.measured else 0.0
        self._pace = 1.0
        self._denoised = time.monotonic()

    def told(self, event: Told | Decoding) -> Told | Decoding:
        """Return what is told with the seconds that are left."""
        match event:
            case Step(index=index, seconds=seconds):
                if index <= self._before:
                    # A part that was kept turned out to be of no use, and is made again.
                    self._count(going_on(self._plan, self._plan.begun[: event.part - 1]))
                self._denoised = time.monotonic()
                left = self.after_step(index, seconds)
                return replace(event, seconds_left=left, part_left=self._of_part(event) if event.parts > 1 else None)
            case Decoding(done, total):
                return replace(event, seconds_left=self.after_frames(done / total, time.monotonic() - self._denoised))
            case Again():
                self._pace = 1.0
        return event

    def after_step(self, index: int, seconds: float) -> float:
        """Return the seconds that are left after so many steps, which took so long."""
        share, denoise = self._shares[index - self._before - 1], self._costs.denoise
        if not denoise:
            # Plans of before say only what all of it takes.
            return seconds / share * (1 - share)
        self._pace = (seconds + self._trust * denoise) / (denoise * (share + self._trust))
        return self._pace * (denoise * (1 - share) + self._costs.after)

    def _of_part(self, step: Step) -> float:
        """Return the seconds that are left of the part that is made."""
        done, end = (self._shares[index - self._before - 1] for index in (step.index, self._ends[step.part - 1]))
        return self._pace * self._costs.denoise * (end - done)

    def after_frames(self, share: float, seconds: float) -> float:
        """Return the seconds that are left when a share of the frames is written, so long after the last step."""
        promised = self._pace * self._costs.after
        return (seconds + TRUST * promised) / (share + TRUST) * (1 - share)
