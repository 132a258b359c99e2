"""The whole training, from nothing to a folder that the pipeline loads, at sizes that a test can wait for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import LTXConditionPipeline

BUDGET = ["--chunks", "1", "--autoencoder-minutes", "0.05", "--transformer-minutes", "0.6"]
SMALL = [*BUDGET, "--width", "64", "--layers", "1", "--device", "cpu"]


def train(folder: Path) -> str:
    command = [sys.executable, "-m", "pipeline.tabletop.train", *SMALL]
    command += ["--work", str(folder / "work"), "--out", str(folder / "model")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_training_makes_a_model_that_the_pipeline_loads_and_resumes(tmp_path: Path) -> None:
    train(tmp_path)
    again = train(tmp_path)
    assert "resumed" in again
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert record["clips"] == 48
    assert record["parameters"]["transformer"] > 0
    pipe = LTXConditionPipeline.from_pretrained(tmp_path / "model", torch_dtype=torch.float32, use_safetensors=True)
    result = pipe(prompt="a red ball", width=64, height=64, num_frames=5, num_inference_steps=2, output_type="pt")
    assert result.frames.shape == (1, 5, 3, 64, 64)
    assert bool(torch.isfinite(result.frames).all())
