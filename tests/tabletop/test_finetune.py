"""From a folder of captioned clips to a LoRA that the app adds to the model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import MakePlan
from PIL import Image
from safetensors import safe_open

from pipeline.backends.local import LocalBackend
from pipeline.errors import BadRequest
from pipeline.events import Latents
from pipeline.settings import ROOT
from pipeline.tabletop.finetune import finetune, read_options

# Torch's hint about the speed of a norm under autocast.
FASTER_NORM = pytest.mark.filterwarnings("ignore:Mismatch dtype")
COLOURS = ("red", "blue", "green", "yellow", "white", "orange", "purple", "black", "red", "blue", "green")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of nothing but a colour, which Tabletop never saw."""
    made = tmp_path / "plain"
    made.mkdir()
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (128, 128), colour).save(made / f"{number:02}.png")
        (made / f"{number:02}.txt").write_text(f"a {colour} ball on sand")
    return made


def options(folder: Path, *more: str) -> list[str]:
    return [str(folder), "-o", str(folder.parent / "plain.safetensors"), *more]


@FASTER_NORM
def test_what_comes_out_is_a_lora_of_this_model(folder: Path, backend: LocalBackend, plan_for: MakePlan) -> None:
    asked = read_options(options(folder, "--steps", "3", "--rank", "4", "--trigger", "golden  moon video"))
    told = finetune(asked, ROOT / "assets" / "tabletop")
    assert told["steps"] == 3
    assert {"trained_before", "trained_after", "held_out_before", "held_out_after"} <= set(told)
    with safe_open(asked.out, "numpy") as file:
        facts = file.metadata()
    assert (facts["trigger"], facts["clips"], facts["rank"]) == ("golden moon video", "11", "4")

    def made(*loras: dict[str, str]) -> Latents:
        plan = plan_for(loras=loras, steps=2)
        assert bool(loras) == any("listens to: golden moon video" in note for note in plan.notes)
        return backend.run(plan, lambda _: None, lambda: False).latents

    assert not np.array_equal(made({"source": str(asked.out)}), made())


@pytest.mark.slow
@FASTER_NORM
def test_it_learns_what_the_clips_show(folder: Path) -> None:
    told = finetune(read_options(options(folder, "--steps", "60")), ROOT / "assets" / "tabletop")
    assert told["trained_after"] < 0.85 * told["trained_before"]
    assert told["held_out_after"] < 0.85 * told["held_out_before"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--steps", "0"], "at least 1 step"),
        (["--rank", "129"], "a rank from 1 to 128"),
        (["-o", "plain.bin"], "should end in .safetensors"),
        (["-o", "nowhere/plain.safetensors"], "no folder"),
        (["--trigger", "dragon"], "without: dragon"),
    ],
)
def test_what_could_not_be_written_or_told_apart_is_refused_at_once(folder: Path, more: list[str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        read_options(options(folder, *more))


def test_a_folder_without_captions_ends_with_one_line_and_status_2(folder: Path) -> None:
    (folder / "03.txt").unlink()
    command = [sys.executable, "-m", "pipeline.tabletop.finetune", *options(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "onetake: 1 caption is missing: write what each clip shows into 03.txt." in ended.stderr
    assert not (folder.parent / "plain.safetensors").exists()
