"""The device of this machine: one model stays loaded, and one thread does all the work."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from pipeline.backends.belonging import refuse_others, stopped_at
from pipeline.backends.machine import look_at_machine
from pipeline.backends.second_chance import SecondChance
from pipeline.backends.steps import Steps
from pipeline.backends.take import Take
from pipeline.errors import CannotDo
from pipeline.events import IsCancelled, Latents, Listener, Loading, Pixels
from pipeline.given.footage import Excerpt, read_clip
from pipeline.given.media import fitted
from pipeline.hub.downloads import commit_of, is_here, model_folder
from pipeline.latents import is_latents, read_latents
from pipeline.memory import Machine, Policy, choose, usual_work
from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.plan import Plan
from pipeline.planning.segments import Kept, Made
from pipeline.settings import Settings
from pipeline.splice import feather, match_colours, settle

if TYPE_CHECKING:
    from pipeline.families.codec import Codec
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
        _refuse_many(plan)
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
        return chance(lambda plan: self._take(plan, chance, on_event, cancelled))

    def _take(self, plan: Plan, chance: SecondChance, on_event: Listener, cancelled: IsCancelled) -> Take:
        from pipeline.families.lora import loras

        clock = _Clock()
        spec, (segment,) = get_model(plan.model), plan.segments
        if not self._has(spec, plan.estimate.policy):
            on_event(Loading(spec.title))
        family = self._placed(plan)
        clock.lap("load")
        text = self._text(family, plan)
        clock.lap("text")
        read = _Reader(plan, lambda: self._placed(chance.plan).codec)
        with loras(family.pipe, plan.loras):
            if plan.loras:
                clock.lap("loras")
            steps = Steps(plan, on_event, cancelled)
            sample = family.run_segment(plan, segment, text, read, steps, steps.over)
        clock.lap("denoise")
        measures = {} if sample.change is None else {"change": sample.change}
        pieces = _Pieces(lambda plan: _pieces(self._placed(plan), plan, sample.latents, read))
        return Take(
            sample.latents,
            self._on_device(lambda: chance(pieces.following)),
            sample.steps_done,
            sample.steps,
            clock.laps,
            measures,
            self._peak_mb,
            commit_of(spec, self._settings),
            notes=chance.notes,
            halfway=stopped_at(plan, sample.steps_done, sample.state, self._settings),
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


class _Reader:
    """Reads excerpts of clips, and of the latents of takes, at the size and rate of a plan; each once."""

    def __init__(self, plan: Plan, codec: "Callable[[], Codec]") -> None:
        self._plan = plan
        self._codec = codec
        self._read: dict[Excerpt, Pixels] = {}
        self._decoded: dict[str, Pixels] = {}

    def __call__(self, excerpt: Excerpt) -> Pixels:
        if excerpt not in self._read:
            self._read[excerpt] = self._frames(excerpt)
        return self._read[excerpt]

    def _frames(self, excerpt: Excerpt) -> Pixels:
        size = (self._plan.width, self._plan.height)
        if not is_latents(excerpt.file):
            return read_clip(excerpt, self._plan.fps, size)
        first = round(excerpt.start * self._plan.fps)
        whole = self._whole(excerpt.file)
        wanted = (Image.fromarray(frame) for frame in whole[first : first + excerpt.frames])
        return np.stack([np.asarray(fitted(frame, size, excerpt.fit, excerpt.focus)) for frame in wanted])

    def _whole(self, file: str) -> Pixels:
        if file not in self._decoded:
            self._decoded[file] = np.concatenate(list(self._codec().decode(read_latents(Path(file)))))
        return self._decoded[file]


class _Pieces:
    """The frames of a take one piece after another; for another plan it goes on where it was."""

    def __init__(self, make: Callable[[Plan], Iterator[Pixels]]) -> None:
        self._make = make
        self._plan: Plan | None = None
        self._pieces: Iterator[Pixels] = iter(())
        self._done = 0

    def following(self, plan: Plan) -> Pixels | None:
        """Return the next piece, None after the last."""
        if plan is not self._plan:
            self._plan, self._pieces = plan, islice(self._make(plan), self._done, None)
        piece = next(self._pieces, None)
        self._done += 1
        return piece


def _pieces(family: "Family", plan: Plan, latents: Latents, read: _Reader) -> Iterator[Pixels]:
    """Yield the frames of a take: what was made, or the parts that it is spliced from."""
    if not plan.timeline:
        yield from _plain(family, plan, latents)
    for part in plan.timeline:
        yield read(part.excerpt) if isinstance(part, Kept) else _made(family, plan, latents, part, read)


def _plain(family: "Family", plan: Plan, latents: Latents) -> Iterator[Pixels]:
    """Yield the frames of a segment; a picture that it begins with is decoded from its own latent alone.

    The decoder looks ahead: what moves away later had blurred the picture by 2 dB.
    """
    pieces = family.codec.decode(latents)
    if any(pin.frame == 0 and pin.given.frames == 1 and pin.strength == 1 for pin in plan.segments[0].pins):
        (alone,) = family.codec.decode(latents[:, :, :1])
        begins = next(pieces)
        yield np.concatenate([alone, begins[1:]])
    yield from pieces


def _made(family: "Family", plan: Plan, latents: Latents, part: Made, read: _Reader) -> Pixels:
    (segment,) = plan.segments
    if segment.rolled:
        return family.codec.decode_loop(latents)
    frames = np.concatenate(list(family.codec.decode(latents)))
    if part.matched:
        before, after = (read(pin.given) for pin in segment.pins)
        frames = settle(match_colours(frames, before, after), before, after)
    made = frames[part.start : part.start + part.frames]
    if segment.source is None or segment.source.other is None:
        return made
    one, other = read(segment.source.clip), read(segment.source.other)
    return feather(made, one[-len(made) :], other[: len(made)])


def _one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")


class _Clock:
    """Names the seconds since the lap before."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now


def _refuse_many(plan: Plan) -> None:
    if len(plan.segments) != 1:
        raise CannotDo("segments", f"The plan has {len(plan.segments)} segments. Give exactly one.")
