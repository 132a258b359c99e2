"""Memory that runs out: freed, tried once more with less of it, told, and at last a plain error."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_ltx import place_row

from pipeline.backends.local import LocalBackend
from pipeline.backends.second_chance import SecondChance
from pipeline.errors import OutOfMemory
from pipeline.events import Again, Loading, Step
from pipeline.families.card import ran_out
from pipeline.generate import Finished, generate
from pipeline.library.runs import Run
from pipeline.memory import Machine
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.video import read_frames

CARD = Machine(140_000, 200_000, (9, 0))


def full() -> Exception:
    """What torch raises; a new one each time, for an error that is kept holds all that it went through."""
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    hub = tmp_path_factory.mktemp("hub")
    place_row(get_model("ltx-2b"), hub)
    return Settings(home=tmp_path_factory.mktemp("home"), hub=hub, device="cpu")


@pytest.fixture
def backend(settings: Settings) -> LocalBackend:
    return LocalBackend(settings)


def plan(machine: Machine = CARD, model: str = "ltx-2b", **asked: Any) -> Plan:
    small = {"prompt": "a red ball", "model": model, "width": 256, "height": 256, "frames": 9, "seed": 7}
    return make_plan(parse_request(small | asked), get_model(model), machine=machine)


def fill_the_card(
    backend: LocalBackend, part: str, forwards: int = 1, model: str = "ltx-2b"
) -> "weakref.ref[Any]":  # fmt: skip
    """Let a part of a model run out of memory in so many-th forward; what is loaded anew has room."""
    module = getattr(backend.warm(model).pipe, part)
    module = module.decoder if part == "vae" else module
    left = iter(range(forwards - 1))

    def fill(*_: Any) -> None:
        if next(left, None) is None:
            raise full()

    module.register_forward_pre_hook(fill)
    return weakref.ref(module)


def events_of(made: Plan, backend: LocalBackend, store: Store) -> tuple[list[Any], Run]:
    events = list(generate(made, backend, store))
    assert isinstance(events[-1], Finished)
    return events, events[-1].run


def test_a_run_that_does_not_fit_is_made_again_with_the_next_policy(backend: LocalBackend, store: Store) -> None:
    made = plan()
    assert made.estimate.policy == "whole"
    old = fill_the_card(backend, "transformer", forwards=3)
    events, run = events_of(made, backend, store)
    (again,) = (number for number, event in enumerate(events) if isinstance(event, Again))
    assert [event.index for event in events[:again] if isinstance(event, Step)] == [1, 2]
    assert [event.index for event in events[again:] if isinstance(event, Step)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert isinstance(events[again + 1], Loading)
    note = "Memory ran out with weights whole: it was made again with weights in fp8, decoded in tiles."
    assert events[again].why == note
    assert run.state == "done"
    assert run.notes.count(note) == 1
    family = backend.warm("ltx-2b")
    assert family.pipe.transformer.transformer_blocks[0].attn1.to_q.weight.dtype == torch.float8_e4m3fn
    gc.collect()
    assert old() is None, "the model that did not fit was freed"


def test_frames_that_do_not_fit_are_decoded_again_where_they_had_come_to(backend: LocalBackend, store: Store) -> None:
    made = plan(model="tabletop", width=64, height=64, frames=65, steps=4)
    _, whole = events_of(made, backend, store)
    old = fill_the_card(backend, "vae", forwards=3, model="tabletop")
    events, run = events_of(made, backend, store)
    assert sum(isinstance(event, Again) for event in events) == 1
    assert sum(isinstance(event, Step) for event in events) == 4, "what is denoised is not lost"
    assert run.notes[-1].endswith("decoded in tiles.")
    one, two = (np.stack(list(read_frames(each.file))) for each in (whole, run))
    assert len(two) == 65
    assert np.array_equal(one, two)
    gc.collect()
    assert old() is None


def test_a_second_time_is_an_error_and_the_next_run_is_made(backend: LocalBackend, store: Store) -> None:
    # What does not fit at any policy: so much is asked for at once that no machine has it.
    def fill(*_: Any) -> None:
        torch.empty(2**60, dtype=torch.uint8)

    told: list[Any] = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(fill)
    with pytest.raises(OutOfMemory, match=r"weights in fp8, decoded in tiles\. Make it shorter.*policy group"):
        list(map(told.append, generate(plan(prompt="words that are new"), backend, store)))
    hook.remove()
    assert sum(isinstance(event, Again) for event in told) == 1
    assert not store.list()
    _, run = events_of(plan(frames=1), backend, store)
    assert run.state == "done"
    assert not [note for note in run.notes if "made again" in note]


def test_there_is_one_second_chance_in_a_run() -> None:
    freed: list[int] = []
    chance = SecondChance(plan(), lambda: freed.append(1), lambda _: None)
    failing = iter([full()])

    def once(made: Plan) -> str:
        if error := next(failing, None):
            raise error
        return made.estimate.policy

    assert chance(once) == "fp8"
    failing = iter([full()])
    with pytest.raises(OutOfMemory):
        chance(once)
    assert freed == [1]


def test_where_nothing_is_left_to_save_it_is_an_error_at_once() -> None:
    last = plan(memory="sequential")
    tried: list[Plan] = []

    def fails(made: Plan) -> None:
        tried.append(made)
        raise full()

    chance = SecondChance(replace(last, estimate=replace(last.estimate, tiled=True)), lambda: None, lambda _: None)
    with pytest.raises(OutOfMemory, match="or choose a smaller model"):
        chance(fails)
    assert len(tried) == 1
    tried.clear()
    with pytest.raises(OutOfMemory, match="or choose a smaller model"):
        SecondChance(plan(Machine()), lambda: None, lambda _: None)(fails)
    assert [each.estimate.policy for each in tried] == ["whole", "whole"], "a processor has tiles, and no policies"
    assert [each.estimate.tiled for each in tried] == [False, True]


def test_other_errors_pass_as_they_are() -> None:
    def fails(_: Plan) -> None:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        SecondChance(plan(), lambda: None, lambda _: None)(fails)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (full(), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("The size of tensor a must match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_libraries_say_it_in_many_ways(error: Exception, full: bool) -> None:
    assert ran_out(error) == full


def test_words_that_do_not_fit_have_a_second_chance_too(settings: Settings, tmp_path: Path) -> None:
    backend = LocalBackend(replace(settings, home=tmp_path))

    def fill(*_: Any) -> None:
        raise full()

    family = backend.warm("ltx-2b")
    with family.words.at_hand(beside=True) as words:
        words.text_encoder.register_forward_pre_hook(fill)
    take = backend.run(plan(), lambda _: None, lambda: False)
    assert take.steps_done == 8
    assert "made again" in take.notes[0]
