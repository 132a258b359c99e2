"""Prompts that come again need no text encoder, and one that has to go is gone."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_ltx import place_row

from pipeline.backends.local import LocalBackend
from pipeline.families.family import TextEmbeds
from pipeline.families.prompt_cache import PromptCache, prompt_key
from pipeline.memory import Machine
from pipeline.models import get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import Settings

ROW = get_model("ltx-2b")
LARGE, SMALL = Machine(80_000, 64_000, (9, 0)), Machine(12_000, 64_000, (8, 9))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    hub = tmp_path_factory.mktemp("hub")
    place_row(ROW, hub)
    return Settings(home=tmp_path_factory.mktemp("home"), hub=hub, device="cpu")


def plan(prompt: str, machine: Machine = LARGE) -> Plan:
    asked = {"prompt": prompt, "model": ROW.name, "width": 256, "height": 256, "frames": 1, "seed": 7}
    return make_plan(parse_request(asked), ROW, machine=machine)


def make(backend: LocalBackend, made: Plan) -> bytes:
    return backend.run(made, lambda _: None, lambda: False).latents.tobytes()


def test_a_prompt_that_comes_again_does_not_load_the_text_encoder(settings: Settings, tmp_path: Path) -> None:
    settings = replace(settings, home=tmp_path)
    first, second = LocalBackend(settings), LocalBackend(settings)
    latents = make(first, plan("a red ball"))
    words = first.warm(ROW.name).words
    assert words.loaded, "where there is room it stays"
    assert words._pipe.text_encoder is None
    assert make(second, plan("a red ball")) == latents
    assert not second.warm(ROW.name).words.loaded
    assert make(second, plan("a blue ball")) != latents
    assert second.warm(ROW.name).words.loaded
    kept = list((tmp_path / ".prompts").iterdir())
    assert [path.suffix for path in kept] == [".safetensors"] * 2
    assert not any(b"ball" in path.read_bytes() for path in kept), "a prompt is nobody else's to read"


def test_where_both_do_not_fit_it_is_gone_before_the_first_step(settings: Settings, tmp_path: Path) -> None:
    backend = LocalBackend(replace(settings, home=tmp_path))
    made = plan("a red ball", SMALL)
    assert (made.estimate.policy, made.estimate.beside) == ("whole", False)
    family = backend.warm(ROW.name)
    seen: list[bool] = []
    hook = family.pipe.transformer.register_forward_pre_hook(lambda *_: seen.append(family.words.loaded))
    make(backend, made)
    hook.remove()
    assert seen == [False] * 8
    with family.words.at_hand(beside=False) as words:
        encoder = weakref.ref(words.text_encoder)
    del words
    gc.collect()
    assert encoder() is None, "nothing holds it any more"


def test_a_run_that_leaves_no_room_sends_one_away_that_stayed(settings: Settings, tmp_path: Path) -> None:
    backend = LocalBackend(replace(settings, home=tmp_path))
    make(backend, plan("a red ball"))
    assert backend.warm(ROW.name).words.loaded
    make(backend, plan("a red ball", SMALL))
    assert not backend.warm(ROW.name).words.loaded


def test_on_zerogpu_it_comes_along(settings: Settings) -> None:
    backend = LocalBackend(replace(settings, on_zerogpu=True))
    assert backend.warm(ROW.name).pipe.text_encoder is not None


def test_a_key_holds_all_that_decides_what_words_become(settings: Settings) -> None:
    def key(made: Plan, spec: object = ROW) -> dict[str, object]:
        return prompt_key(made, made.segments[0], spec, settings)  # type: ignore[arg-type]

    made = plan("a red ball")
    others = [
        key(plan("a red  ball")),
        key(made, replace(ROW, dtype="float32")),
        key(made, replace(ROW, name="ltx-13b")),
        key(replace(made, guidance_scale=3.0)),
        key(replace(made, guidance_scale=3.0), replace(ROW, negative_prompt="blurred")),
    ]
    assert all(other != key(made) for other in others)
    assert others[-1] != others[-2]
    assert key(replace(made, seed=8, steps=4)) == key(made)
    assert key(made)["revision"] == "0123456789" * 4, "the commit of its files"


def encoded(value: float) -> TextEmbeds:
    return {"prompt_embeds": torch.full((1, 4, 8), value).bfloat16(), "negative_prompt_embeds": None}


def ask(cache: PromptCache, key: dict[str, object], value: float) -> float:
    """Ask for what is kept under a key, or encoded as a value; return which it was."""
    found = cache.encoded(key, "cpu", lambda: encoded(value))["prompt_embeds"]
    assert found is not None
    return found.mean().item()


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path / "prompts")
    made = cache.encoded({"prompt": "a"}, "cpu", lambda: encoded(1))
    kept = cache.encoded({"prompt": "a"}, "cpu", lambda: encoded(2))
    assert made.keys() == kept.keys()
    assert kept["negative_prompt_embeds"] is None
    one, two = made["prompt_embeds"], kept["prompt_embeds"]
    assert one is not None
    assert two is not None
    assert one.dtype == two.dtype == torch.bfloat16
    assert torch.equal(one, two)


@pytest.mark.parametrize("broken", [b"", b"no file of this kind", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_made_anew(tmp_path: Path, broken: bytes) -> None:
    cache = PromptCache(tmp_path)
    ask(cache, {}, 1)
    (file,) = tmp_path.iterdir()
    file.write_bytes(broken)
    assert ask(cache, {}, 2) == 2
    assert ask(cache, {}, 3) == 2


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_cache(tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("a file where the folder should be")
    cache = PromptCache(tmp_path / "prompts")
    assert [ask(cache, {}, value) for value in (1, 2)] == [1, 2]


def test_those_that_were_not_used_for_longest_go_first(tmp_path: Path) -> None:
    ask(PromptCache(tmp_path), {}, 0)
    (one,) = tmp_path.iterdir()
    cache = PromptCache(tmp_path, most_bytes=3 * one.stat().st_size)
    for value in (1, 2):
        ask(cache, {"prompt": value}, value)
    ask(cache, {}, 9)
    ask(cache, {"prompt": 3}, 3)
    assert len(list(tmp_path.iterdir())) == 3
    assert ask(cache, {}, 9) == 0
    assert ask(cache, {"prompt": 2}, 9) == 2
    assert ask(cache, {"prompt": 1}, 9) == 9
