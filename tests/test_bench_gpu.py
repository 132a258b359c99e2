"""The benchmark of a card: its sizes are the real ones, it measures what it says, and without a card it says so."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from bench_gpu import CASES, NOT_MEASURED, Case, Measured, forward_ms, inputs, line, measure, networks

from pipeline.families.placing import place
from pipeline.memory import POLICIES
from pipeline.settings import ROOT

LTX, _, WAN = CASES
# The sizes that the facts of each model's papers and repositories give, in billions, and the floors in ms.
SIZES = {"ltx-2b": (1.92, 1.25, 37), "ltx-13b": (13.04, 1.25, 604), "wan-1.3b": (1.42, 0.127, 358)}


def small(case: Case) -> Case:
    """The same classes with one layer, at a clip of one token or a few."""
    kind, config = case.transformer
    transformer = (kind, config | {"num_layers": 1, "num_attention_heads": 2, "attention_head_dim": 32})
    if case is LTX:
        transformer[1]["cross_attention_dim"] = 64
        vae = case.vae[1] | {"decoder_block_out_channels": (16, 32, 64), "decoder_layers_per_block": (1,) * 4}
        vae |= {"block_out_channels": (8, 16, 32, 64, 128), "layers_per_block": (1,) * 5}
    else:
        vae = {"base_dim": 8, "num_res_blocks": 1}
    return replace(case, clip=(9, 64, 64), transformer=transformer, vae=(case.vae[0], vae))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.spec.name)
def test_the_networks_have_the_sizes_of_the_hosted_ones(case: Case) -> None:
    with torch.device("meta"):
        parts = [kind(**config) for kind, config in (case.transformer, case.vae)]
    transformer, vae = (sum(each.numel() for each in part.parameters()) / 1e9 for part in parts)
    assert (transformer, vae, case.floor_ms) == pytest.approx(SIZES[case.spec.name], rel=0.01)
    assert (transformer, vae) == pytest.approx((case.spec.parts.transformer, case.spec.parts.vae), rel=0.01)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore::FutureWarning:torch")
@pytest.mark.slow
@pytest.mark.parametrize("case", [LTX, WAN], ids=["ltx", "wan"])
def test_every_kernel_and_policy_has_a_line_with_what_was_measured(case: Case) -> None:
    found = list(measure(small(case), "cpu"))
    assert [(each.weights, each.attention) for each in found] == [
        ("whole", "xformers"),
        ("whole", "native"),
        *((policy, "native") for policy in POLICIES),
        ("whole, compiled", "native"),
    ]
    assert found[0] == Measured("whole", "xformers", why="does not run here")
    measured = [each for each in found[1:] if each.weights != "int8"]
    assert all(each.forward_ms for each in measured)
    assert all(each.decode_s for each in measured[1:])
    assert all(each.peak_mb is None for each in found), "a processor's memory says nothing of a card's"


@pytest.mark.parametrize("case", [LTX, WAN], ids=["ltx", "wan"])
def test_a_forward_is_one_of_the_whole_clip_and_finite(case: Case) -> None:
    case = small(case)
    pipe = networks(case, "cpu")
    place(pipe, "whole", "cpu")
    outputs: list[torch.Tensor] = []
    pipe.transformer.register_forward_hook(lambda _module, _args, answer: outputs.append(answer[0]))
    assert forward_ms(case, pipe, "cpu") > 0
    shape = inputs(case, pipe.transformer, "cpu")["hidden_states"].shape
    assert all(each.shape == shape and each.isfinite().all() for each in outputs)
    assert outputs[0].std() > 0


def test_a_line_tells_the_ratio_to_the_floor() -> None:
    told = line(LTX, Measured("fp8", "native", 2 * LTX.floor_ms, 1.5, 9000.0))
    assert told == "| LTX-Video 2B, 512×768×121 | fp8 | native | 74.3 | 2.00 | 1.50 | 9,000 |"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_nothing_is_said_to_be_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench_gpu"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = [each for each in done.stdout.splitlines() if each.startswith(("| LTX", "| Wan"))]
    assert len(lines) == 36
    for each in lines:
        assert [cell.strip() for cell in each.split("|")[4:-1]] == [NOT_MEASURED] * 4
    assert not re.search(r"\d\.\d.*at most", done.stdout)
