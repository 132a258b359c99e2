"""Clips come in upright and unsquashed, at the times that were asked for; what is none is refused with what to do."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import BadRequest
from pipeline.events import Pixels
from pipeline.given.footage import Excerpt, Footage, look_at_clip, read_clip

SIZE = (64, 48)
STEP = 12
CODECS = {"mp4": "libx264", "mov": "mpeg4", "mkv": "libx264", "webm": "libvpx-vp9"}
UNREADABLE = (
    *(b"", b"a letter", b"\0\0\0\x18ftypisom" + b"\0" * 40, b"GIF89a" + b"\0" * 20, b"\0\0\1\xb3" + b"\1" * 20),
    # A playlist and a script that lead to another file.
    b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n",
    b"ffconcat version 1.0\nfile real.mp4\n",
)
QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
NOISE = np.random.default_rng(0).integers(0, 255, (12, 48, 64, 3), dtype=np.uint8)


def greys(count: int) -> Pixels:
    """Frames of one grey each, by which `numbers` knows them again."""
    return np.stack([np.full((48, 64, 3), 10 + STEP * n, np.uint8) for n in range(count)])


def numbers(frames: Pixels) -> list[int]:
    return [round((float(frame.mean()) - 10) / STEP) for frame in frames]


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Red and green above blue and white."""
    return Image.fromarray(QUARTERS.repeat(height // 2, 0).repeat(width // 2, 1))


def corners(picture: Pixels) -> str:
    """Name the colours of the four corners (r, g, b, white or black as o): above from left to right, then below."""
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w", (0, 0, 0): "o"}
    return "".join(names[tuple((picture[y, x] > 128).astype(int).tolist())] for y in (4, -5) for x in (4, -5))


def write_film(path: Path, frames: Pixels, milliseconds: Sequence[int] = (), **settings: Any) -> Path:
    """Write frames at ten a second, or each at its own time; settings are of the stream."""
    with av.open(str(path), "w") as container:
        codec = settings.get("codec", CODECS.get(path.suffix[1:], "libx264"))
        stream = container.add_stream(codec, rate=10, options=settings.get("options", {"g": "5"}))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = settings.get("pix_fmt", "yuv420p")
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.sample_aspect_ratio = settings.get("pixel", Fraction(1))
        stream.set_display_rotation(settings.get("turn", 0))
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if pixels.shape[2] == 4 else "rgb24")
            frame.pts, frame.time_base = (milliseconds or range(0, 10**6, 100))[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_animation(path: Path, frames: Pixels, milliseconds: int | list[int] = 100) -> Path:
    first, *others = (Image.fromarray(frame) for frame in frames)
    kind: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=others, duration=milliseconds, **kind)
    return path


def read(path: Path, start: float = 0.0, frames: int = 1, fps: float = 10, **how: Any) -> Pixels:
    return read_clip(Excerpt(str(path), start, frames, **how), fps, SIZE)


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "webm", "gif", "webp", "png"])
def test_every_kind_of_clip_is_known_by_its_content(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"clip.{kind}"
    (write_film if kind in CODECS else write_animation)(path, greys(12))
    path = path.rename(tmp_path / "clip.txt")
    footage = look_at_clip(str(path), "video")
    assert footage == Footage(path.name, 64, 48, footage.seconds, footage.fps, has_sound=False)
    assert (footage.seconds, footage.fps) == pytest.approx((1.2, 10))
    frames = read(path, frames=12)
    assert frames.shape == (12, 48, 64, 3)
    assert numbers(frames) == list(range(12))


def test_frames_are_taken_at_the_times_that_were_asked_for(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", greys(12))
    assert numbers(read(path, start=0.3, frames=4)) == [3, 4, 5, 6]
    assert numbers(read(path, start=0.35, frames=3)) == [3, 4, 5]
    assert numbers(read(path, frames=5, fps=5)) == [0, 2, 4, 6, 8]
    assert numbers(read(path, frames=6, fps=20)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm"])
def test_times_on_the_grid_of_thirds_do_not_fall_to_the_frame_before(tmp_path: Path, kind: str) -> None:
    path = write_film(tmp_path / f"a.{kind}", greys(18), [round(n * 1000 / 30) for n in range(18)])
    assert numbers(read(path, frames=6, fps=30, start=1 / 30)) == [1, 2, 3, 4, 5, 6]


def test_past_its_end_a_clip_holds_its_last_frame(tmp_path: Path) -> None:
    for path in (write_film(tmp_path / "a.mp4", greys(4)), write_animation(tmp_path / "a.gif", greys(4))):
        assert numbers(read(path, start=0.2, frames=5)) == [2, 3, 3, 3, 3]
        assert numbers(read(path, start=9.0, frames=2)) == [3, 3]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm"])
def test_variable_rates_are_honoured(tmp_path: Path, kind: str) -> None:
    path = write_film(tmp_path / f"a.{kind}", greys(5), [0, 100, 600, 700, 1200])
    footage = look_at_clip(str(path), "video")
    assert footage.seconds == pytest.approx(1.3)
    assert footage.fps == pytest.approx(5 / 1.3)
    assert numbers(read(path, frames=13)) == [0, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 4]


def test_durations_of_animations_are_honoured_and_none_is_a_tenth(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "a.gif", greys(4), [200, 0, 300, 100])
    assert look_at_clip(str(path), "video").seconds == pytest.approx(0.7)
    assert numbers(read(path, frames=7)) == [0, 0, 1, 2, 2, 2, 3]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("begin", [0, 700])
def test_a_late_start_reads_what_reading_from_the_beginning_does(tmp_path: Path, kind: str, begin: int) -> None:
    path = write_film(tmp_path / f"a.{kind}", greys(20), range(begin, 10_000, 400))
    assert look_at_clip(str(path), "video").seconds == pytest.approx(8, abs=0.4)
    whole = numbers(read(path, frames=80))
    assert whole == [n // 4 for n in range(80)]
    for first in (19, 20, 24, 40, 43, 61, 76, 78):
        assert numbers(read(path, start=first / 10, frames=2)) == whole[first : first + 2]


def test_a_trimmed_film_shows_what_is_left_of_it(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", greys(12))
    data = bytearray(path.read_bytes())
    edit = data.index(b"elst") + 12
    milliseconds, begin = struct.unpack(">II", data[edit : edit + 8])
    with av.open(str(path)) as container:
        tenth = round(Fraction(1, 10) / (container.streams.video[0].time_base or 1))
    data[edit : edit + 8] = struct.pack(">II", milliseconds // 2, begin + 3 * tenth)
    path.write_bytes(data)
    footage = look_at_clip(str(path), "video")
    assert (footage.seconds, footage.fps) == pytest.approx((0.6, 10))
    assert numbers(read(path, frames=8)) == [3, 4, 5, 6, 7, 8, 8, 8]


@pytest.mark.parametrize(("turn", "seen"), [(0, "rgbw"), (90, "gwrb"), (-90, "brwg"), (180, "wbgr")])
def test_a_turned_film_is_read_upright(tmp_path: Path, turn: int, seen: str) -> None:
    path = write_film(tmp_path / "phone.mp4", np.asarray(quarters())[None].repeat(3, 0), turn=turn)
    footage = look_at_clip(str(path), "video")
    size = quarters().rotate(turn, expand=True).size
    assert (footage.width, footage.height) == size
    assert corners(read_clip(Excerpt(str(path)), 10, size)[0]) == seen


@pytest.mark.parametrize(("pixel", "width"), [(Fraction(4, 3), 85), (Fraction(1, 2), 32), (Fraction(1), 64)])
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_pixels_that_are_not_square_are_honoured(tmp_path: Path, kind: str, pixel: Fraction, width: int) -> None:
    path = write_film(tmp_path / f"dv.{kind}", np.asarray(quarters())[None], pixel=pixel)
    footage = look_at_clip(str(path), "video")
    assert (footage.width, footage.height) == (width, 48)
    padded = read_clip(Excerpt(str(path), fit="pad"), 10, (96, 96))[0]
    rows, columns = (padded.max(2) > 100).any(1).sum(), (padded.max(2) > 100).any(0).sum()
    assert columns / rows == pytest.approx(width / 48, abs=0.06)
    tall = look_at_clip(str(write_film(tmp_path / "tall.mp4", greys(2), turn=90, pixel=pixel)), "video")
    assert (tall.width, tall.height) == (48, width)


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_clips_are_cropped_around_a_focus_or_padded(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    frames = np.stack([np.asarray(quarters(192).rotate(turn)) for turn in (0, 180)])
    (write_film if kind == "mp4" else write_animation)(path, frames)
    assert corners(read(path, focus=(0.0, 0.5))[0]) == "rrbb"
    assert corners(read(path, focus=(1.0, 0.5))[0]) == "ggww"
    assert corners(read(path)[0]) == "rgbw"
    padded = read(path, fit="pad")[0]
    assert corners(padded) == "oooo"
    assert (padded.max(2) > 128).any(1).sum() == pytest.approx(16, abs=1)


def test_transparent_parts_become_white_and_a_placeholder_is_left_out(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (64, 48), (200, 0, 0, alpha)) for alpha in (0, 255)]
    how: dict[str, Any] = {"default_image": True, "duration": 100, "disposal": 1, "blend": 0}
    quarters().convert("RGBA").save(tmp_path / "a.png", save_all=True, append_images=frames, **how)
    film = np.stack([np.asarray(frame) for frame in frames])
    write_film(tmp_path / "a.mov", film, codec="qtrle", pix_fmt="argb", options={})
    for name in ("a.png", "a.mov"):
        first, second = read(tmp_path / name, frames=2)
        assert (first.min(), second[0, 0].tolist()) == (255, [200, 0, 0])


def test_a_picture_is_held_for_as_long_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    quarters().save(path)
    frames = read(path, frames=3)
    assert frames.shape == (3, 48, 64, 3)
    assert all(corners(frame) == "rgbw" for frame in frames)


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "webp", "bmp", "heic"])
def test_a_picture_is_no_clip(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"still.{kind}"
    quarters().save(path, "AVIF" if kind == "heic" else None)
    path.write_bytes(path.read_bytes().replace(b"avif", b"heic"))
    with pytest.raises(BadRequest, match=rf"still\.{kind} is a picture, not a clip\. Give an MP4") as refused:
        look_at_clip(str(path), "second")
    assert refused.value.field == "second"


@pytest.mark.parametrize("name", ["gone.mp4", "", ".", "x" * 400, "http://a.b/c.mp4", "concat:a.mp4|a.mp4", "a\0b"])
def test_only_files_of_this_machine_are_opened(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_film(tmp_path / "a.mp4", greys(2))
    for attempt in (lambda: look_at_clip(name, "first"), lambda: read_clip(Excerpt(name), 10, SIZE)):
        with pytest.raises(BadRequest, match=r"There is no file .*\. Choose a clip that is there\."):
            attempt()


@pytest.mark.parametrize("content", UNREADABLE)
@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    write_film(tmp_path / "real.mp4", greys(2))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRequest, match=r"cannot be read as a clip\. Give an MP4") as refused:
        look_at_clip(str(tmp_path / name), "first")
    assert refused.value.field == "first"
    with pytest.raises(BadRequest, match="cannot be read as a clip"):
        read(tmp_path / name)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "gif", "webp"])
def test_a_file_cut_off_before_its_first_frame_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    (write_film if kind in CODECS else write_animation)(path, greys(3))
    path.write_bytes(path.read_bytes()[: 200 if kind in ("webm", "mkv") else 60])
    with pytest.raises(BadRequest, match=r"Give an MP4"):
        look_at_clip(str(path), "video")


def write_damaged(path: Path, step: int, broken: slice) -> tuple[Path, Pixels]:
    """Write a film of twelve key frames, some of which are broken; return what it was."""
    write_film(path, NOISE, range(0, 12 * step, step), options={"g": "1"})
    whole = read(path, frames=12, fps=1000 / step)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        spots = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size][broken]
    for spot, size in spots:
        data[spot + size // 4 : spot + size] = b"\xaa" * (size - size // 4)
    path.write_bytes(data)
    return path, whole


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_broken_parts_hold_the_frame_before_them(tmp_path: Path, kind: str) -> None:
    path, whole = write_damaged(tmp_path / f"a.{kind}", 100, slice(4, 7))
    assert look_at_clip(str(path), "video").seconds == pytest.approx(1.2)
    assert np.array_equal(read(path, frames=12), whole[[0, 1, 2, 3, 3, 3, 3, 7, 8, 9, 10, 11]])


def test_a_start_within_a_broken_part_holds_the_frame_before_it(tmp_path: Path) -> None:
    path, whole = write_damaged(tmp_path / "a.mp4", 500, slice(2, 9))
    assert np.array_equal(read(path, start=4.1, frames=2, fps=2), whole[[1, 9]])


def test_a_film_without_a_whole_frame_is_refused(tmp_path: Path) -> None:
    path, _ = write_damaged(tmp_path / "a.mp4", 100, slice(12))
    with pytest.raises(BadRequest, match="cannot be read as a clip"):
        look_at_clip(str(path), "video")


@pytest.mark.parametrize("kind", ["mkv", "webm", "gif", "png"])
def test_a_clip_that_breaks_off_holds_its_last_whole_frame(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    (write_film if kind in CODECS else write_animation)(path, NOISE)
    whole = read(path, frames=12)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    cut = read(path, frames=12)
    kept = (cut == whole).all((1, 2, 3)).sum()
    assert 2 < kept < 11
    assert np.array_equal(cut, whole[[min(n, kept - 1) for n in range(12)]])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_giant_frames_are_refused(tmp_path: Path) -> None:
    animation = write_animation(tmp_path / "a.gif", greys(2))
    data = animation.read_bytes()
    animation.write_bytes(data[:6] + (12000).to_bytes(2, "little") + (10000).to_bytes(2, "little") + data[10:])
    with pytest.raises(BadRequest, match=r"12000×10000 pixels\. Make it smaller than 100 megapixels"):
        look_at_clip(str(animation), "video")
    film = write_film(tmp_path / "a.mov", greys(2), codec="rawvideo", pix_fmt="rgb24", options={})
    film.write_bytes(film.read_bytes().replace(bytes((0, 64, 0, 48)), (12000).to_bytes(2) + (10000).to_bytes(2)))
    with pytest.raises(BadRequest, match=r"×10000 pixels\. Make it smaller than 100 megapixels"):
        look_at_clip(str(film), "video")
