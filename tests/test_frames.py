import math

import pytest

from pipeline.frames import (
    Network,
    decode_windows,
    denoise_flops,
    forward_flops,
    frames_for,
    latent_shape,
    seconds_of,
    snap_frames,
    snap_side,
)


@pytest.mark.parametrize(
    ("asked", "made"), [(-3, 1), (0, 1), (1, 1), (2, 1), (3, 5), (17, 17), (18, 17), (18.6, 17), (19, 21), (97, 97)]
)
def test_frames_snap_to_the_nearest_grid_count(asked: float, made: int) -> None:
    assert snap_frames(asked, 4) == made


@pytest.mark.parametrize(("asked", "made"), [(1, 32), (70, 64), (80, 96), (96, 96), (250, 256)])
def test_sides_snap_to_the_nearest_multiple(asked: int, made: int) -> None:
    assert snap_side(asked, 32) == made


def test_whole_seconds_land_on_the_grid() -> None:
    for seconds in range(1, 13):
        assert snap_frames(frames_for(seconds, 8), 4) == frames_for(seconds, 8)
    assert seconds_of(17, 8) == 2.125


def test_one_frame_is_one_latent_frame() -> None:
    assert latent_shape(1, 128, 128, 4, 16) == (1, 8, 8)
    assert latent_shape(17, 96, 160, 4, 16) == (5, 6, 10)


def test_flops_equal_the_published_figure_of_a_known_model() -> None:
    # Wan 2.1 1.3B at 480×832×81: 32,760 tokens, 2.83e14 operations in one forward.
    wan = Network(layers=30, width=1536, ffn=8960, text_tokens=512)
    assert math.isclose(forward_flops(wan, 32_760), 2.83e14, rel_tol=0.01)


def test_guidance_doubles_the_work() -> None:
    small = Network(layers=2, width=8, ffn=32, text_tokens=4)
    assert denoise_flops(small, 20, 5, 3.0) == 2 * denoise_flops(small, 20, 5, 1.0)


@pytest.mark.parametrize("latent_frames", range(1, 40))
def test_windows_keep_every_frame_once_and_stay_small(latent_frames: int) -> None:
    kept: list[int] = []
    for window in decode_windows(latent_frames, 4, keep=2, context=3):
        assert 0 <= window.start < window.stop <= latent_frames
        assert window.stop - window.start <= 8
        assert window.skip + window.take <= (window.stop - window.start - 1) * 4 + 1
        first = window.start * 4 + window.skip
        kept += range(first, first + window.take)
    assert kept == list(range((latent_frames - 1) * 4 + 1))


def test_windows_see_their_neighbours() -> None:
    for window in decode_windows(25, 4, keep=2, context=3):
        last_kept = (window.skip + window.take - 1) / 4 + window.start
        assert window.start == 0 or window.skip >= 9
        assert window.stop == 25 or window.stop - 1 - last_kept >= 3
