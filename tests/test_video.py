import resource
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.errors import NotFound, RunFailed
from pipeline.events import Pixels
from pipeline.seams import SeamGauge
from pipeline.video import read_frames, read_recipe, resized, write_clip, write_poster

RECIPE = {"app": "Onetake", "plan": {"prompt": "a “ball” <b>🔴</b>", "seed": 2**64 - 1}}


def sweep(frames: int = 17, height: int = 64, width: int = 96) -> Pixels:
    """A bright bar that moves to the right over a smooth ramp."""
    clip = np.zeros((frames, height, width, 3), np.uint8)
    clip[..., 1] = np.linspace(40, 200, width).astype(np.uint8)
    for n in range(frames):
        clip[n, :, 4 * n : 4 * n + 8, 0] = 220
    return clip


def in_pieces(clip: Pixels, size: int = 5) -> Iterator[Pixels]:
    for start in range(0, len(clip), size):
        yield clip[start : start + size]


def test_a_clip_comes_back_as_it_went_in(tmp_path: Path) -> None:
    clip, path = sweep(), tmp_path / "clip.mp4"
    write_clip(in_pieces(clip), path, 8, RECIPE)
    back = np.stack(list(read_frames(path)))
    assert back.shape == clip.shape
    assert 10 * np.log10(255**2 / np.mean((back.astype(float) - clip) ** 2)) > 30


def test_the_file_plays_in_a_browser(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(in_pieces(sweep()), path, 8, RECIPE)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height, stream.average_rate, stream.frames) == (96, 64, Fraction(8), 17)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def seam(clip: Pixels) -> float:
    gauge = SeamGauge()
    gauge.feed(clip)
    return gauge.worst([0]) or 0.0


def test_a_loop_begins_again_without_a_jump(tmp_path: Path) -> None:
    grains = np.random.default_rng(0).integers(0, 255, (2, 8, 12, 3), dtype=np.uint8)
    one, other = next(iter(resized([grains], (96, 64))))
    share = 0.1 * np.abs(np.linspace(-1, 1, 16, endpoint=False))[:, None, None, None]
    clip = (one * share + other * (1 - share)).astype(np.uint8)
    write_clip([clip], tmp_path / "loop.mp4", 8, RECIPE, loops=True)
    assert seam(clip) < 1.1
    assert seam(np.stack(list(read_frames(tmp_path / "loop.mp4")))) < 1.4


@pytest.mark.parametrize("name", ["clip.mp4", "image.png"])
def test_the_recipe_travels_in_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_clip([sweep(frames=1)], path, 8, RECIPE)
    assert read_recipe(path) == RECIPE


def test_one_frame_is_a_lossless_picture(tmp_path: Path) -> None:
    clip, path = sweep(frames=1), tmp_path / "image.png"
    write_clip([clip], path, 8, RECIPE)
    (back,) = read_frames(path)
    assert np.array_equal(back, clip[0])


def test_frames_are_encoded_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    sizes = []

    def watched() -> Iterator[Pixels]:
        noise = np.random.default_rng(0)
        for _ in range(30):
            yield noise.integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)
            sizes.append(path.stat().st_size if path.exists() else 0)

    write_clip(watched(), path, 8, RECIPE)
    assert sizes[15] > 0
    assert sizes[-1] < path.stat().st_size


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 255, (17, 64, 96, 3), dtype=np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(RunFailed, match="Free some disk space"):
            write_clip([noise], tmp_path / "clip.mp4", 8, RECIPE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"clip\.mp4"):
        write_clip([sweep()], tmp_path / "nowhere" / "clip.mp4", 8, RECIPE)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", PLAYLIST])
@pytest.mark.parametrize("name", ["a.mp4", "a.png"])
def test_a_file_that_is_not_ours_has_no_recipe(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NotFound, match="holds no recipe"):
        read_recipe(path)


def test_a_recipe_that_nobody_could_have_asked_for_is_none(tmp_path: Path) -> None:
    for odd in ("[" * 100_000, "[1]", "7", "{"):
        picture, info = tmp_path / "a.PNG", PngInfo()
        info.add_text("recipe", odd)
        Image.new("RGB", (8, 8)).save(picture, pnginfo=info)
        with pytest.raises(NotFound, match="holds no recipe"):
            read_recipe(picture)


def test_a_poster_is_a_small_webp(tmp_path: Path) -> None:
    path = tmp_path / "poster.webp"
    write_poster(sweep()[3], path)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("WEBP", (96, 64))


def test_frames_are_resized_as_they_come() -> None:
    pieces = [np.full((2, 8, 16, 3), value, np.uint8) for value in (10, 200)]
    first, second = resized(pieces, (64, 32))
    assert first.shape == second.shape == (2, 32, 64, 3)
    assert (int(first.mean()), int(second.mean())) == (10, 200)
    assert list(resized(pieces, None)) == pieces
