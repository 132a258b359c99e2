"""Attention written out gives what diffusers' own processor gives."""

import torch

from pipeline.tabletop.attention import PlainAttention
from pipeline.tabletop.layout import token_coords
from pipeline.tabletop.network import make_transformer


def test_plain_attention_gives_what_the_pipelines_own_gives() -> None:
    torch.manual_seed(0)
    model = make_transformer(128, 2)
    coords = token_coords(torch.Size((2, 64, 3, 4, 5))).expand(2, -1, -1)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 4:] = False
    inputs = {
        "hidden_states": torch.randn(2, 60, 64),
        "encoder_hidden_states": torch.randn(2, 9, 128),
        "timestep": torch.tensor([[700.0], [300.0]]),
        "encoder_attention_mask": mask,
        "video_coords": coords,
        "return_dict": False,
    }
    with torch.no_grad():
        expected = model(**inputs)[0]
        model.set_attn_processor(PlainAttention())
        found = model(**inputs)[0]
        unmasked = model(**{**inputs, "encoder_attention_mask": torch.ones(2, 9, dtype=torch.bool)})[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(unmasked[1], expected[1], atol=1e-3), "the mask must matter"
