"""The device of this machine: one model stays loaded, and one thread does all the work."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from pipeline.backends.belonging import refuse_others, stopped_at
from pipeline.backends.chain import Chain
from pipeline.backends.cutting import Pieces, Reader, pieces
from pipeline.backends.machine import look_at_machine
from pipeline.backends.second_chance import SecondChance
from pipeline.backends.steps import steps_of_segments
from pipeline.backends.take import Take
from pipeline.errors import CannotDo
from pipeline.events import IsCancelled, Listener, Loading, Pixels
from pipeline.hub.downloads import commit_of, is_here, model_folder
from pipeline.memory import Machine, Policy, choose, usual_work
from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.plan import Plan
from pipeline.planning.segments import Made
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.families.family import Family, TextEmbeds

T = TypeVar("T")


class LocalBackend:
    """Runs plans on the processor or the card that the settings name."""

    on_zerogpu = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # One thread is the device's lock. It is also the only one in which torch computes: a second one would bring
        # its own team of OpenMP threads, more than there are cores, and slow both by a quarter.
        self._device = _one_thread()
        self._family: Family | None = None
        self._policy: Policy = "whole"

    @property
    def loaded(self) -> str | None:
        """The name of the model that is ready, if any."""
        return self._family.spec.name if self._family else None

    def has(self, spec: ModelSpec) -> bool:
        """Return whether a model's files are all on this machine."""
        return is_here(spec, self._settings)

    def machine(self) -> Machine:
        """Return what there is to compute with now."""
        return look_at_machine(self._settings)

    def warm(self, model: str) -> "Family":
        """Load a model ahead of its first run, and return it."""
        return self.call(lambda: self._load(get_model(model)))

    def call(self, work: Callable[[], T]) -> T:
        """Do something on the device's thread, after what was asked before, and return its result."""
        return self._device.submit(work).result()

    def run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        """Denoise a plan, telling each step; the frames of the take are decoded when they are read."""
        _refuse_loose(plan)
        refuse_others(plan, self._settings)
        return self.call(lambda: self._run(plan, on_event, cancelled))

    def load_here(self, model: str) -> None:
        """Load a model in the thread that asks: what ZeroGPU puts in a card's place is seen in the main thread only."""
        self._load(get_model(model))

    def forked(self) -> "LocalBackend":
        """Return this backend for a fork: with the model that is loaded, and a thread, which no fork inherits."""
        here = copy(self)
        here._device = _one_thread()
        return here

    def _run(self, plan: Plan, on_event: Listener, cancelled: IsCancelled) -> Take:
        chance = SecondChance(plan, self._let_go, on_event)
        chain = Chain(plan, self._settings, on_event, cancelled)
        return chance(lambda plan: self._take(plan, chance, chain, on_event))

    def _take(self, plan: Plan, chance: SecondChance, chain: Chain, on_event: Listener) -> Take:
        from pipeline.families.lora import loras

        clock = _Clock()
        spec = get_model(plan.model)
        if not self._has(spec, plan.estimate.policy):
            on_event(Loading(spec.title))
        family = self._placed(plan)
        clock.lap("load")
        text = clock.during("text", self._text)
        read = Reader(plan, lambda: self._placed(chance.plan).codec)
        with loras(family.pipe, plan.loras):
            if plan.loras:
                clock.lap("loras")
            chain.make(family, plan, text, read)
        clock.lap("denoise")
        sample, latents = chain.samples[0], [each.latents for each in chain.samples]
        measures = {} if sample.change is None else {"change": sample.change}
        done, steps = sum(each.steps_done for each in chain.samples), sum(steps_of_segments(plan))
        made = Pieces(lambda plan: pieces(self._placed(plan), plan.first(len(latents)), latents, read))
        return Take(
            chain.latents,
            self._on_device(lambda: chance(made.following)),
            done,
            steps if len(plan.segments) > 1 else sample.steps,
            clock.laps,
            measures,
            self._peak_mb,
            commit_of(spec, self._settings),
            notes=chance.notes,
            halfway=stopped_at(plan, done, sample.state, self._settings) if len(plan.segments) == 1 else None,
            made=len(latents),
        )

    def _peak_mb(self) -> float | None:
        return self._family.device_memory_mb() if self._family else None

    def _text(self, family: "Family", plan: Plan) -> "TextEmbeds":
        """Encode a prompt, or remember it; its encoder stays in memory only beside a transformer that leaves room."""
        from pipeline.families.prompt_cache import PromptCache, prompt_key

        (segment,) = plan.segments
        if family.spec.embedded:
            # Its encoder is faster than a disk.
            return family.encode_text(plan, segment)
        key = prompt_key(plan, segment, family.spec, self._settings)
        cache = PromptCache(self._settings.home / ".prompts")
        text = cache.encoded(key, str(family.pipe.device), lambda: family.encode_text(plan, segment))
        if not plan.estimate.beside:
            family.words.release()
        return text

    def _placed(self, plan: Plan) -> "Family":
        family = self._load(get_model(plan.model), plan.estimate.policy)
        family.codec.tile(plan.estimate.tiled)
        return family

    def _has(self, spec: ModelSpec, policy: Policy | None) -> bool:
        return self._family is not None and self._family.spec == spec and policy in (None, self._policy)

    def _load(self, spec: ModelSpec, policy: Policy | None = None) -> "Family":
        """Return a model with its weights as a policy has them, or in any way where none is named."""
        if self._family is None or not self._has(spec, policy):
            policy = policy or choose(spec, usual_work(spec), look_at_machine(self._settings)).policy
            # A model that is not here costs the one before nothing; two at once might not fit.
            model_folder(spec, self._settings)
            self._let_go()
            # A family brings torch and diffusers, seconds of import that nothing else should wait for.
            family = import_module(f"pipeline.families.{spec.family}")
            self._family, self._policy = family.load(spec, self._settings, policy), policy
        return self._family

    def _let_go(self) -> None:
        """Give back the memory of the model that is loaded."""
        if self._family is not None:
            from pipeline.families.card import give_back

            self._family = None
            give_back()

    def _on_device(self, following: Callable[[], Pixels | None]) -> Iterator[Pixels]:
        while (frames := self.call(following)) is not None:
            yield frames


def _one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")


class _Clock:
    """Names the seconds since the lap before."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = self.laps.get(name, 0.0) + now - self._last, now

    def during(self, name: str, work: Callable[["Family", Plan], T]) -> Callable[["Family", Plan], T]:
        """Return work whose time is that of a lap of its own, within another one."""

        def timed(family: "Family", plan: Plan) -> T:
            started = time.perf_counter()
            done = work(family, plan)
            took = time.perf_counter() - started
            self.laps[name] = self.laps.get(name, 0.0) + took
            self._last += took
            return done

        return timed


def _refuse_loose(plan: Plan) -> None:
    """Raise CannotDo for segments of which the take has nothing."""
    used = {part.segment for part in plan.timeline if isinstance(part, Made)} or {0}
    if used != set(range(len(plan.segments))):
        what = f"The plan has {len(plan.segments)} segments, and the take has parts of {len(used)}"
        raise CannotDo("segments", f"{what}. Say for each where it comes in.")
