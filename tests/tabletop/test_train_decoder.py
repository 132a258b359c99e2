"""A decoder that goes on learning, under latents that keep their meaning."""

import json
from dataclasses import asdict
from pathlib import Path
from random import Random

import pytest
import torch

from pipeline.tabletop.latents import cache_folder
from pipeline.tabletop.network import make_autoencoder
from pipeline.tabletop.probe import load_autoencoder
from pipeline.tabletop.render import render
from pipeline.tabletop.train_decoder import Options, train_decoder, write_decoder
from pipeline.tabletop.world import draw_program


@pytest.mark.slow
def test_the_decoder_learns_and_the_encoder_stays(tmp_path: Path) -> None:
    torch.manual_seed(0)
    make_autoencoder().to(torch.bfloat16).save_pretrained(tmp_path / "model" / "vae")
    programs = [draw_program(Random(seed), (96, 96), 17) for seed in range(3)]
    frames = torch.stack([render(program) for program in programs])
    (tmp_path / "work" / "chunks").mkdir(parents=True)
    told = {"programs": json.dumps([asdict(program) for program in programs]), "frames": frames}
    torch.save(told, tmp_path / "work" / "chunks" / "whole-00000.pt")
    options = Options(tmp_path / "model", 0.4, "whole", 1, tmp_path / "work", tmp_path / "vae")
    trained, before = train_decoder(options), load_autoencoder(tmp_path / "model")
    changed = {
        name for name, value in trained.state_dict().items() if not torch.equal(value, before.state_dict()[name])
    }
    assert changed
    assert all(name.startswith("decoder.") for name in changed)
    assert cache_folder(trained, tmp_path, half=True) == cache_folder(before, tmp_path, half=True)
    first, last = (json.loads(line) for line in (tmp_path / "work" / "decoder.jsonl").read_text().splitlines())
    assert last["psnr"] > first["psnr"]
    write_decoder(trained, options)
    assert json.loads((options.out / "decoder.json").read_text())["curve"] == [first, last]
    assert cache_folder(load_autoencoder(tmp_path), tmp_path, half=True) == cache_folder(before, tmp_path, half=True)
