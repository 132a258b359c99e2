"""How long work takes on a machine: what its finished runs tell of the next one, fixed costs apart from what grows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

# Before any run has told: seconds of each step beside its operations, of decoding and of writing beside their pixels,
# and how fast files are written. Two CPU cores were measured.
STEP_S, DECODE_S, WRITE_S, WRITTEN_MEGAPIXELS_PER_SECOND = 0.02, 0.01, 0.02, 10.0
# What is given is decoded and encoded before the first step.
GIVEN_TIMES = 2.0
# Fixed costs are looked for between these multiples of the guess, and pulled towards it a little for each doubling.
MULTIPLES = tuple(2.0 ** (power / 2) for power in range(-10, 11))
PULL = 0.01
# A run with e times as much work, of another task, of another size, or so many runs ago, tells so much less.
FARTHER, OTHER_KIND, OTHER_SIZE, AGED = 1.0, 0.4, 0.3, 12
# A model that took less was in memory already.
LOADED_S = 0.2
# By how much a promise may be missed: at least so much is allowed for, and the most as long as few runs have told.
MARGINS = (1.2, 1.5)
ENOUGH = 5


@dataclass(frozen=True)
class Amounts:
    """How much work a take is: denoising steps and their GFLOP, and megapixels on their ways.

    They are `given` to it and encoded first, `decoded` in the end, and `written` into the file. `kind` and `size` tell
    runs apart: the one is the task, the other the width and height in pixels, which decide how fast kernels are.
    """

    kind: str
    size: tuple[int, int]
    steps: int
    gflop: float
    given: float
    decoded: float
    written: float


@dataclass(frozen=True)
class Seconds:
    """What the parts of a run take: encoding the prompt, the steps, decoding the frames, and writing the files."""

    text: float
    denoise: float
    decode: float
    encode: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.text + self.denoise + self.decode + self.encode


@dataclass(frozen=True)
class Past:
    """A finished run: its work, where its weights lay, what its parts took, and what was promised, all in seconds.

    `load` is what bringing the model into memory took, and is in no promise.
    """

    amounts: Amounts
    policy: str
    took: Seconds
    promised: float = 0.0
    load: float = 0.0


Work = tuple[float, float]
"""The seconds that a part is guessed to take: what is fixed, and what grows."""


@dataclass(frozen=True)
class Measured:
    """What a part of a run took in seconds, how much of it there was, and how much that tells."""

    work: Work
    seconds: float
    weight: float


@dataclass(frozen=True)
class Speed:
    """What a machine does with one model: denoising in GFLOP/s and decoding in megapixels/s, guessed, and its runs.

    The runs are the newest first. Those whose weights lay elsewhere in memory tell nothing.
    """

    gflops: float
    megapixels: float
    runs: tuple[Past, ...] = ()

    def seconds(self, amounts: Amounts, policy: str) -> Seconds:
        """Return what work is going to take with the weights placed so."""
        past = self._placed(policy)
        parts = []
        for name, work in self._works(amounts).items():
            works = [self._works(each.amounts)[name] for each in past]
            took = [getattr(each.took, name) for each in past]
            weights = [
                _nearness(each, work) * _likeness(run.amounts, amounts) * exp(-age / AGED)
                for age, (run, each) in enumerate(zip(past, works, strict=True))
            ]
            parts.append(_foretold(work, list(map(Measured, works, took, weights))))
        return Seconds(_median([(each.took.text, exp(-age / AGED)) for age, each in enumerate(past)]), *parts)

    def loading(self, policy: str) -> float | None:
        """Return what bringing the model into memory took lately, None where that was never measured."""
        loads = [(each.load, 1.0) for each in self._placed(policy) if each.load > LOADED_S]
        return _median(loads[:ENOUGH]) if loads else None

    def known(self, policy: str) -> bool:
        """Return whether any run tells of it."""
        return bool(self._placed(policy))

    def margin(self, policy: str) -> float:
        """Return by how much a promise was missed at most, within bounds; the upper one until enough are known."""
        missed = [each.took.total / each.promised for each in self._placed(policy) if each.promised > 0]
        least, most = MARGINS
        return min(max(least, *missed), most) if len(missed) >= ENOUGH else most

    def _placed(self, policy: str) -> list[Past]:
        return [each for each in self.runs if each.policy == policy]

    def _works(self, amounts: Amounts) -> Mapping[str, Work]:
        given = GIVEN_TIMES * amounts.given / self.megapixels
        return {
            "denoise": (STEP_S * amounts.steps + given, amounts.gflop / self.gflops),
            "decode": (DECODE_S, amounts.decoded / self.megapixels),
            "encode": (WRITE_S, amounts.written / WRITTEN_MEGAPIXELS_PER_SECOND),
        }


def _nearness(past: Work, now: Work) -> float:
    return exp(-FARTHER * abs(log(sum(past) / sum(now))))


def _likeness(past: Amounts, now: Amounts) -> float:
    return (1.0 if past.kind == now.kind else OTHER_KIND) * (1.0 if past.size == now.size else OTHER_SIZE)


def _foretold(work: Work, taken: Sequence[Measured]) -> float:
    """Return the seconds of a part by what it took before, or as guessed where nothing is known."""
    taken = [each for each in taken if each.seconds > 0]
    if not taken:
        return sum(work)
    _, multiple, scale = min(_fit(multiple, taken) for multiple in MULTIPLES)
    return scale * _seconds(work, multiple)


def _fit(multiple: float, taken: Sequence[Measured]) -> tuple[float, float, float]:
    """Return how badly what was measured is met by a multiple of the fixed cost, that multiple, and the scale."""
    ratios = [(log(each.seconds / _seconds(each.work, multiple)), each.weight) for each in taken]
    scale = _median(ratios)
    missed = sum(weight * abs(ratio - scale) for ratio, weight in ratios) / sum(weight for _, weight in ratios)
    return missed + PULL * abs(log(multiple)), multiple, exp(scale)


def _seconds(work: Work, multiple: float) -> float:
    return multiple * work[0] + work[1]


def _median(weighted: Sequence[tuple[float, float]]) -> float:
    """Return the value that half of the weight lies below, 0 without any: one run that was disturbed moves nothing."""
    half = sum(weight for _, weight in weighted) / 2
    for value, weight in sorted(weighted):
        half -= weight
        if half <= 0:
            return value
    return 0.0
