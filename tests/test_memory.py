"""Where weights lie: what is chosen for which card, what is told, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.backends.machine import look_at_machine
from pipeline.backends.second_chance import lowered
from pipeline.errors import BadRequest, CannotDo
from pipeline.memory import AFTER, POLICIES, Machine, Policy, Work, choose, free_ram_mb, usual_work, weights_mb
from pipeline.model_spec import ModelSpec
from pipeline.models import MODELS, get_model
from pipeline.plan import Plan, make_plan
from pipeline.request import parse_request
from pipeline.settings import MEMORY, Settings

HOSTED = [spec for spec in MODELS if not spec.embedded]
GB = 1000
H200, LAPTOP = Machine(140 * GB, 200 * GB, (9, 0)), Machine(8 * GB, 32 * GB, (8, 9))


def plan(machine: Machine, model: str = "ltx-13b", **asked: Any) -> Plan:
    request = parse_request({"prompt": "a red ball", "model": model, "seed": 7} | asked)
    return make_plan(request, get_model(model), machine=machine)


@pytest.mark.parametrize(
    ("model", "gigabytes", "policy", "beside"),
    [
        ("ltx-13b", 140, "whole", True),
        ("ltx-13b", 48, "whole", True),
        ("ltx-13b", 40, "whole", False),
        ("ltx-13b", 24, "fp8", False),
        ("ltx-13b", 8, "group", False),
        ("ltx-2b", 24, "whole", True),
        ("ltx-2b", 10, "whole", False),
        ("ltx-2b", 8, "fp8", False),
        ("ltx-2b", 6, "group", False),
        ("wan-1.3b", 24, "whole", False),
        ("wan-1.3b", 32, "whole", True),
    ],
)
def test_the_fastest_policy_that_fits_is_chosen(model: str, gigabytes: int, policy: str, beside: bool) -> None:
    spec, machine = get_model(model), Machine(gigabytes * GB, 64 * GB, (8, 9))
    placement = choose(spec, usual_work(spec), machine)
    assert (placement.policy, placement.beside) == (policy, beside)
    assert placement.memory_mb <= machine.vram_mb


@pytest.mark.parametrize("spec", HOSTED, ids=lambda spec: spec.name)
def test_more_of_a_card_is_never_slower(spec: ModelSpec) -> None:
    chosen = [choose(spec, usual_work(spec), Machine(mb, 64 * GB)) for mb in range(3 * GB, 90 * GB, GB // 4)]
    order = [(POLICIES.index(each.policy), each.tiled) for each in chosen]
    assert order == sorted(order, reverse=True)
    assert {each.policy for each in chosen} >= {"whole", "group"}
    assert "int8" not in {each.policy for each in chosen}, "it takes no less than fp8, and needs a package"


@pytest.mark.parametrize("spec", HOSTED, ids=lambda spec: spec.name)
def test_the_text_encoder_stands_beside_the_transformer_only_where_both_fit(spec: ModelSpec) -> None:
    for mb in range(4 * GB, 60 * GB, GB):
        placement = choose(spec, usual_work(spec), Machine(mb, 64 * GB))
        transformer, text, vae = weights_mb(spec, placement.policy)
        if transformer + text + vae > mb:
            assert not placement.beside


def test_longer_and_larger_takes_more_of_the_card() -> None:
    spec = get_model("ltx-13b")
    small, large = (choose(spec, Work(tokens, 768 * 512), H200) for tokens in (6_144, 60_000))
    assert large.memory_mb - small.memory_mb > 10 * GB
    two_passes = choose(spec, Work(10, 10, upsampler_mb=5 * GB), H200)
    assert two_passes.memory_mb - choose(spec, Work(10, 10), H200).memory_mb == 5 * GB


def test_large_frames_are_decoded_in_tiles_where_whole_ones_do_not_fit() -> None:
    spec = get_model("ltx-2b")
    tiled = choose(spec, Work(1_000, 2048 * 2048), Machine(20 * GB, 64 * GB), "whole")
    assert tiled.tiled
    assert any("in tiles" in note for note in tiled.notes)
    assert not choose(spec, Work(1_000, 2048 * 2048), H200).tiled


def test_what_is_chosen_is_told_with_its_reason_and_shown_in_the_contract() -> None:
    made = plan(Machine(24 * GB, 64 * GB, (8, 9)))
    assert made.estimate.policy == "fp8"
    assert made.contract().endswith("MB of the card, weights in fp8")
    (note,) = [note for note in made.notes if "weights in fp8" in note]
    assert "whole they need 3" in note
    assert "24,000 MB free" in note
    assert plan(H200).contract().endswith("MB of the card, weights whole")
    assert not [note for note in plan(H200).notes if "weights" in note]
    assert "card" not in plan(Machine()).contract(), "a processor has none"


def test_a_wanted_policy_is_kept_although_it_may_not_fit_and_that_is_told() -> None:
    made = plan(LAPTOP, memory="whole")
    assert (made.estimate.policy, made.estimate.wanted) == ("whole", "whole")
    (note,) = [note for note in made.notes if "Where it runs out" in note]
    assert "made again with weights in fp8" in note
    assert plan(H200, memory="sequential").estimate.policy == "sequential"
    assert Plan.from_json(made.to_json()).estimate == made.estimate


def test_whoever_runs_the_machine_may_choose_and_a_request_overrides_it() -> None:
    machine = replace(H200, wanted="group")
    assert plan(machine).estimate.policy == "group"
    assert plan(machine, memory="fp8").estimate.policy == "fp8"
    # What the machine's owner chose is not the request's: its recipe leaves it out.
    assert plan(machine).estimate.wanted is None


def test_what_cannot_be_here_is_refused() -> None:
    with pytest.raises(CannotDo, match=r"torchao.*or choose fp8"):
        plan(H200, memory="int8")
    assert plan(replace(H200, torchao=True), memory="int8").estimate.policy == "int8"
    with pytest.raises(CannotDo, match=r"fp8 is for a card.*Leave it out"):
        plan(Machine(ram_mb=GB), memory="fp8")
    with pytest.raises(BadRequest, match="whole, fp8, int8, group or sequential"):
        plan(H200, memory="half")


@pytest.mark.parametrize(("ram", "told"), [(20 * GB, True), (64 * GB, False), (0, False)])
def test_weights_that_do_not_pass_through_memory_are_told(ram: int, told: bool) -> None:
    for machine in (Machine(24 * GB, ram), Machine(140 * GB, ram)):
        assert any("pass through memory" in note for note in plan(machine).notes) == told


def test_a_processor_without_enough_memory_is_told() -> None:
    (note,) = plan(Machine(ram_mb=16 * GB)).notes
    assert "16,000 MB are free" in note
    assert not plan(Machine(ram_mb=64 * GB)).notes
    assert not plan(Machine(ram_mb=1 * GB), "tabletop").notes


@pytest.mark.parametrize(("capability", "told"), [((7, 5), True), ((8, 0), False), ((12, 0), False), ((0, 0), False)])
def test_a_card_older_than_bfloat16_is_told(capability: tuple[int, int], told: bool) -> None:
    assert any("older than bfloat16" in note for note in plan(replace(H200, capability=capability)).notes) == told


def test_every_policy_has_a_next_one_that_takes_less_until_the_last() -> None:
    spec = get_model("ltx-13b")
    for policy, following in AFTER.items():
        if following:
            assert weights_mb(spec, following)[0] < weights_mb(spec, policy)[0]
    estimate = plan(H200).estimate
    seen: list[Policy] = []
    while (further := lowered(estimate)) is not None:
        estimate = further
        seen.append(estimate.policy)
        assert estimate.tiled
        assert not estimate.beside
    assert seen == ["fp8", "group", "sequential"]
    processor = lowered(plan(Machine()).estimate)
    assert processor is not None
    assert (processor.policy, processor.tiled) == ("whole", True)
    assert lowered(processor) is None


def test_settings_name_the_same_policies_and_refuse_others() -> None:
    assert set(MEMORY) == set(POLICIES)
    card = {"ONETAKE_DEVICE": "cuda", "ONETAKE_MEMORY": "group"}
    assert look_at_machine(replace(Settings.from_env(card), device="cpu")).wanted == "group"
    for wrong in ({"ONETAKE_MEMORY": "half"}, {"ONETAKE_MEMORY": "fp8", "ONETAKE_DEVICE": "cpu"}):
        with pytest.raises(BadRequest, match="ONETAKE_MEMORY"):
            Settings.from_env(wrong)
    assert Settings.from_env({"ONETAKE_DEVICE": "cuda", "ONETAKE_COMPILE": "1"}).compile
    for wrong in ({"ONETAKE_COMPILE": "yes"}, {"ONETAKE_COMPILE": "1", "ONETAKE_DEVICE": "cpu"}):
        with pytest.raises(BadRequest, match="ONETAKE_COMPILE"):
            Settings.from_env(wrong)


def test_memory_is_what_is_free_and_what_this_process_holds_within_a_containers_limit(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\n")
    (tmp_path / "self/statm").write_text("900000 250000 1000 1 0 1 0\n")
    limit = tmp_path / "memory.max"
    assert free_ram_mb(tmp_path, limit) == (4_000_000 * 1024 + 250_000 * 4096) // 10**6
    limit.write_text("max\n")
    assert free_ram_mb(tmp_path, limit) > 5_000
    limit.write_text("2000000000\n")
    assert free_ram_mb(tmp_path, limit) == 2_000
    assert free_ram_mb(tmp_path / "elsewhere", limit) == 0
    assert 0 < free_ram_mb() < 10**9
