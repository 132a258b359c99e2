"""The whole training, from nothing to a folder that the pipeline loads, at sizes that a test can wait for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import LTXConditionPipeline

BUDGET = ["--chunks", "1", "--autoencoder-minutes", "0.5", "--text-minutes", "0.3", "--transformer-minutes", "1.5"]
SMALL = [*BUDGET, "--width", "64", "--layers", "1", "--device", "cpu"]


def train(folder: Path, *more: str) -> str:
    command = [sys.executable, "-m", "pipeline.tabletop.train", *SMALL, *more]
    command += ["--work", str(folder / "work"), "--out", str(folder / "model")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_clip(model: Path) -> torch.Tensor:
    pipe = LTXConditionPipeline.from_pretrained(model, dtype=torch.float32, use_safetensors=True)
    result = pipe(prompt="a red ball", width=64, height=64, num_frames=5, num_inference_steps=2, output_type="pt")
    frames: torch.Tensor = result.frames
    return frames


def weights_of(folder: Path) -> dict[str, bytes]:
    """The weight files of a part: a large one comes in several."""
    found = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    assert found
    return found


@pytest.mark.slow
def test_training_makes_a_model_that_the_pipeline_loads_resumes_and_goes_on_from_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    train(first)
    assert "resumed" in train(first)
    record = json.loads((first / "model" / "training.json").read_text())
    assert record["clips"] == 48
    assert record["parameters"]["transformer"] > 0
    clip = make_clip(first / "model")
    assert clip.shape == (1, 5, 3, 64, 64)
    assert bool(torch.isfinite(clip).all())

    train(second, "--start", str(first / "model"), "--plain-chunks", "1")
    assert json.loads((second / "model" / "training.json").read_text())["clips"] == 48, "the plain world's own, once"
    for part in ("vae", "transformer"):
        assert (weights_of(first / "model" / part) == weights_of(second / "model" / part)) == (part == "vae")
