"""What the transformer is trained on: the noise levels that are used, and the weights that it starts from."""

from dataclasses import replace
from pathlib import Path
from shutil import copy

import pytest
import torch
from toy_clips import three_clips

from pipeline.tabletop.denoiser import (
    Shape,
    build_denoiser,
    draw_sigma,
    flow_loss,
    held_out_sample,
    judge,
    with_other_captions,
)
from pipeline.tabletop.emphasis import SHOWN, WEIGHT
from pipeline.tabletop.latent_library import LatentLibrary, half_share, wanted
from pipeline.tabletop.latents import Sample
from pipeline.tabletop.layout import Given
from pipeline.tabletop.network import make_autoencoder

SHAPE = Shape(width=64, layers=1)


def test_the_levels_where_the_pipeline_takes_half_of_its_steps_are_trained() -> None:
    torch.manual_seed(0)
    levels = draw_sigma(10_000)
    assert bool(((levels > 0) & (levels < 1)).all())
    assert (levels > 0.975).float().mean() > 0.05
    assert (levels < 0.3).float().mean() > 0.05


def test_a_model_starts_from_another_with_its_reading_of_the_prompt_anew(tmp_path: Path) -> None:
    trained = build_denoiser(SHAPE, "cpu")
    with torch.no_grad():
        for parameter in (*trained.transformer.parameters(), *trained.text_encoder.parameters()):
            parameter.add_(1.0)
    trained.transformer.save_pretrained(tmp_path / "transformer")
    trained.text_encoder.save_pretrained(tmp_path / "text_encoder")
    trained.tokenizer.save_pretrained(tmp_path / "tokenizer")

    whole = build_denoiser(replace(SHAPE, start=tmp_path), "cpu")
    anew = build_denoiser(replace(SHAPE, start=tmp_path, new_text=True), "cpu")
    for name, value in trained.transformer.state_dict().items():
        reads = "caption_projection" in name
        assert torch.equal(whole.transformer.state_dict()[name], value)
        assert torch.equal(anew.transformer.state_dict()[name], value) != reads
    embedding = trained.text_encoder.shared.weight
    assert torch.equal(whole.text_encoder.shared.weight, embedding)
    assert not torch.equal(anew.text_encoder.shared.weight, embedding)


@pytest.mark.filterwarnings("ignore:Mismatch dtype")  # torch's hint about the speed of a norm under autocast
def test_given_frames_are_not_judged() -> None:
    model = build_denoiser(SHAPE, "cpu")
    with torch.no_grad():
        model.transformer.proj_out.weight.zero_()
        model.transformer.proj_out.bias.zero_()
    sample = Sample(torch.zeros(2, 64, 3, 2, 2), [Given(torch.full((2, 64, 1, 2, 2), 1000.0), 0)], ["a red ball"] * 2)
    assert 0.5 < flow_loss(model, sample, torch.full((2,), 0.9)) < 2


@pytest.mark.filterwarnings("ignore:Mismatch dtype")
def test_what_shows_a_solid_weighs_more_in_a_training_and_the_same_in_its_curve() -> None:
    model = build_denoiser(SHAPE, "cpu")
    with torch.no_grad():
        model.transformer.proj_out.weight.zero_()
        model.transformer.proj_out.bias.zero_()
    latents = torch.zeros(1, 64, 2, 2, 2)
    latents[..., 0, 0, 0] = 1000.0
    plain = Sample(latents, [], ["a red ball"])
    marked = replace(plain, shown=(latents > 0)[:, 0])
    low, high = torch.tensor([SHOWN]), torch.tensor([0.99])
    ratio = flow_loss(model, marked, low) / flow_loss(model, plain, low)
    assert ratio.item() == pytest.approx(WEIGHT * 8 / (WEIGHT + 7), rel=1e-3)
    assert flow_loss(model, marked, high).item() == pytest.approx(flow_loss(model, plain, high).item(), rel=1e-3)
    assert judge(model, marked) == judge(model, plain)


def test_a_curve_is_judged_on_the_same_clips_whenever_it_goes_on() -> None:
    vae = make_autoencoder().requires_grad_(False)
    torch.manual_seed(1)
    first = held_out_sample(vae, 3)
    torch.manual_seed(2)
    again = held_out_sample(vae, 3)
    assert torch.equal(first.latents, again.latents)
    assert first.captions == again.captions


def test_a_training_takes_in_the_clips_of_its_worlds(tmp_path: Path) -> None:
    chunks, vae = three_clips(tmp_path) / "chunks", make_autoencoder().requires_grad_(False)
    for name in ("whole", "hard"):
        copy(chunks / "chunk-00000.pt", chunks / f"{name}-00000.pt")
    taken = {}
    for also in ((), ("plain",), ("plain", "hard", "whole")):
        shape = replace(SHAPE, world="whole", also=also)
        library = LatentLibrary(vae, tmp_path, half=False, worlds=shape.worlds)
        library.refresh()
        taken[len(also)] = sorted(path.stem for path in library.parts)
    assert taken == {
        0: ["whole-00000"],
        1: ["chunk-00000", "whole-00000"],
        3: ["chunk-00000", "hard-00000", "whole-00000"],
    }


def test_only_sizes_that_are_drawn_are_encoded(tmp_path: Path) -> None:
    vae = make_autoencoder().requires_grad_(False)
    small, full = (LatentLibrary(vae, tmp_path, half) for half in (True, False))
    at = [0.0, 0.5, 1.0]
    assert [wanted(small, full, half_share(progress)) for progress in at] == [[small], [small, full], [small, full]]
    assert [wanted(small, full, half_share(progress, learned=True)) for progress in at] == [[full]] * 3


def test_each_clip_gets_the_caption_of_the_next() -> None:
    sample = Sample(torch.zeros(3, 64, 1, 1, 1), [], ["red", "green", "blue"])
    assert with_other_captions(sample).captions == ["green", "blue", "red"]
