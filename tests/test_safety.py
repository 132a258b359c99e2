import numpy as np
import pytest

from pipeline.errors import BadClip
from pipeline.safety import check_clip, check_latents


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_latents_must_be_numbers(poison: float) -> None:
    latents = np.zeros((1, 64, 3, 4, 4), np.float32)
    check_latents(latents)
    latents[0, 5, 2, 1, 1] = poison
    with pytest.raises(BadClip, match="Try another seed"):
        check_latents(latents)


def test_frames_pass_as_they_come() -> None:
    pieces = [np.full((2, 4, 4, 3), level, np.uint8) for level in (0, 0, 90)]
    assert all(passed is piece for passed, piece in zip(check_clip(pieces), pieces, strict=True))


@pytest.mark.parametrize("level", [0, 4])
def test_a_clip_that_stays_black_is_refused_at_its_end(level: int) -> None:
    checked = check_clip([np.full((2, 4, 4, 3), level, np.uint8)])
    next(checked)
    with pytest.raises(BadClip, match="black"):
        next(checked)


def test_one_lit_pixel_is_a_clip() -> None:
    piece = np.zeros((2, 4, 4, 3), np.uint8)
    piece[1, 2, 2, 0] = 60
    assert len(list(check_clip([piece]))) == 1
