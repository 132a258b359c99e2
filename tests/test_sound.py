"""The sound of a clip comes along in time and at its loudness; where there is none, none is made up."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadRequest
from pipeline.events import Pixels
from pipeline.given.footage import look_at_clip
from pipeline.given.sound import RATE, Sound
from pipeline.video import read_frames, read_recipe, write_clip

Wave = NDArray[np.float32]

FRAMES = np.zeros((8, 48, 64, 3), np.uint8)
# Half a period of the tone below, and what a lossy codec blurs.
BLUR = 0.003


def beeps(*starts: float, seconds: float = 1.5, rate: int = 48000) -> Wave:
    """A tone of a tenth of a second at each of the starts, and silence else."""
    time = np.arange(round(seconds * rate)) / rate
    heard = np.any([(time >= start) & (time < start + 0.1) for start in starts], axis=0)
    return np.asarray(0.5 * heard * np.sin(2 * np.pi * 1000 * time), np.float32)[None]


def write_source(path: Path, wave: Wave | None, **settings: Any) -> Path:
    """Write a clip of 1.5 s with a sound; settings are `rate`, `codec`, `fps` and when pictures and pieces begin."""
    rate, fps = settings.get("rate", 48000), settings.get("fps", 10)
    pictures, sounds = settings.get("pictures", 0.0), settings.get("sounds", [0.0])
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx-vp9" if path.suffix == ".webm" else "libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        for index in range(15):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = round(1000 * (pictures + index / fps)), Fraction(1, 1000)
            container.mux(video.encode(frame))
        if wave is not None:
            audio = container.add_stream(settings.get("codec", "aac"), rate=rate, layout=layout_of(wave))
            for begin, piece in zip(sounds, np.array_split(wave, len(sounds), axis=1), strict=True):
                container.mux(audio.encode(sounding(piece, rate, begin)))
            container.mux(audio.encode())
        container.mux(video.encode())
    return path


def layout_of(wave: Wave) -> str:
    return {1: "mono", 2: "stereo", 6: "5.1"}[len(wave)]


def sounding(wave: Wave, rate: int, begin: float) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), "fltp", layout_of(wave))
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), round(begin * rate)
    return frame


def take(path: Path, start: float = 0.25, seconds: float = 1.0, frames: Pixels = FRAMES) -> Path:
    """Write a take of a second with the sound of a clip."""
    out = path.with_name("take.mp4")
    write_clip([frames], out, 8, {}, Sound(str(path), start, seconds))
    return out


def listen(path: Path) -> Wave | None:
    """Decode a file's sound from time 0 on; None where it has no track."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        frames = list(container.decode(audio=0))
    assert (frames[0].time, frames[0].sample_rate) == (0, RATE)
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1).astype(np.float32)


def onsets(wave: Wave | None) -> list[float]:
    """The seconds at which a tone begins after silence."""
    assert wave is not None
    loud = np.flatnonzero(np.abs(wave).max(0) > 0.1) / RATE
    return [float(second) for second, before in zip(loud, [-1.0, *loud], strict=False) if second - before > 0.02]


@pytest.mark.parametrize(
    ("kind", "codec", "rate"),
    [("mp4", "aac", 48000), ("mov", "aac", 44100), ("mkv", "aac", 22050), ("webm", "libopus", 48000)],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_beep_comes_when_the_clip_has_it(tmp_path: Path, kind: str, codec: str, rate: int, channels: int) -> None:
    wave = beeps(0.5, 0.9, rate=rate).repeat(channels, 0)
    path = write_source(tmp_path / f"a.{kind}", wave, codec=codec, rate=rate)
    assert onsets(listen(take(path))) == pytest.approx([0.25, 0.65], abs=BLUR)
    assert onsets(listen(take(path, start=0.0))) == pytest.approx([0.5, 0.9], abs=BLUR)


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_sound_that_begins_after_the_pictures_stays_late(tmp_path: Path, kind: str) -> None:
    path = write_source(tmp_path / f"a.{kind}", beeps(0.2), sounds=[0.3])
    assert onsets(listen(take(path))) == pytest.approx([0.25], abs=BLUR)
    assert onsets(listen(take(path, start=0.0))) == pytest.approx([0.5], abs=BLUR)


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_time_begins_with_the_first_picture(tmp_path: Path, kind: str) -> None:
    path = write_source(tmp_path / f"a.{kind}", beeps(0.9), pictures=0.4)
    assert onsets(listen(take(path))) == pytest.approx([0.25], abs=BLUR)


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_a_late_start_is_in_time_too(tmp_path: Path, kind: str) -> None:
    path = write_source(tmp_path / f"a.{kind}", beeps(1.1, 5.5, seconds=7), fps=2)
    assert onsets(listen(take(path, start=5.25))) == pytest.approx([0.25], abs=BLUR)


def test_holes_in_the_sound_are_silence(tmp_path: Path) -> None:
    wave = beeps(0.1, 0.9, seconds=1.2)
    path = write_source(tmp_path / "a.mkv", wave, codec="pcm_f32le", sounds=[0.0, 0.8])
    heard = listen(take(path, start=0.0, seconds=1.5))
    assert onsets(heard) == pytest.approx([0.1, 0.8 + 0.3], abs=BLUR)
    assert heard is not None
    assert np.abs(heard[:, round(0.7 * RATE) : round(0.75 * RATE)]).max() < 0.01


def test_a_steady_tone_stays_steady(tmp_path: Path) -> None:
    time = np.arange(44100) / 44100
    path = write_source(
        tmp_path / "a.mkv", (0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)[None], rate=44100
    )
    heard = listen(take(path, start=0.1, seconds=0.8))
    assert heard is not None
    tone = heard[0, RATE // 10 : RATE // 2]
    waves = np.exp(-2j * np.pi * 1000 * np.arange(len(tone)) / RATE)
    assert 2 * np.abs((tone * waves).mean()) == pytest.approx(0.5, rel=0.02)
    assert tone.std() == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_broken_sound_leaves_what_follows_in_time(tmp_path: Path) -> None:
    path = write_source(tmp_path / "a.mp4", beeps(0.3, 0.9))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            if packet.size and 0.5 < float((packet.pts or 0) * packet.time_base) < 0.7:
                data[packet.pos or 0 : (packet.pos or 0) + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    found = onsets(listen(take(path, start=0.2)))
    assert [second for second in found if not 0.25 < second < 0.55] == pytest.approx([0.1, 0.7], abs=BLUR)


@pytest.mark.parametrize("seconds", [0.3, 0.5, 1.0, 1.2])
def test_the_track_is_as_long_as_asked(tmp_path: Path, seconds: float) -> None:
    path = take(write_source(tmp_path / "a.mp4", beeps(0.5)), seconds=seconds)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.layout.name, stream.rate) == ("aac", "stereo", RATE)
        assert float((stream.duration or 0) * (stream.time_base or 0)) == pytest.approx(seconds, abs=1 / RATE)
        assert container.streams.video[0].frames == len(FRAMES)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_the_track_ends_with_the_clips_sound(tmp_path: Path, rate: int) -> None:
    wave = beeps(0.1, seconds=0.6, rate=rate)
    path = take(write_source(tmp_path / "a.mkv", wave, codec="pcm_f32le", rate=rate))
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert float((stream.duration or 0) * (stream.time_base or 0)) == pytest.approx(0.35, abs=1 / RATE)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44100, 48000])
def test_sound_stays_as_loud_as_it_was(tmp_path: Path, channels: int, rate: int) -> None:
    wave = beeps(0.5, rate=rate).repeat(channels, 0)
    heard = listen(take(write_source(tmp_path / "a.mkv", wave, codec="pcm_f32le", rate=rate)))
    assert heard is not None
    tone = heard[:, round(0.27 * RATE) : round(0.33 * RATE)]
    assert np.sqrt((tone**2).mean(1)) == pytest.approx([0.5 / np.sqrt(2)] * 2, rel=0.05)


def test_left_stays_left(tmp_path: Path) -> None:
    wave = np.concatenate([beeps(0.4), beeps(0.8)])
    heard = listen(take(write_source(tmp_path / "a.mp4", wave)))
    assert heard is not None
    assert onsets(heard[:1]) == pytest.approx([0.15], abs=BLUR)
    assert onsets(heard[1:]) == pytest.approx([0.55], abs=BLUR)


def test_six_channels_become_two(tmp_path: Path) -> None:
    heard = listen(take(write_source(tmp_path / "a.mp4", beeps(0.5).repeat(6, 0))))
    assert heard is not None
    assert len(heard) == 2
    assert onsets(heard) == pytest.approx([0.25], abs=BLUR)


def test_where_nothing_sounds_there_is_no_track(tmp_path: Path) -> None:
    silent = write_source(tmp_path / "silent.mp4", None)
    picture = tmp_path / "still.png"
    Image.new("RGB", (64, 48)).save(picture)
    for path in (silent, picture, tmp_path / "gone.mp4"):
        assert listen(take(path)) is None
    assert listen(take(write_source(tmp_path / "a.mp4", beeps(0.5)), start=3.0)) is None
    assert listen(take(write_source(tmp_path / "late.mkv", beeps(0.1), sounds=[1.3]), start=0.0)) is None


def test_a_take_without_a_sound_has_no_track_and_a_picture_ignores_it(tmp_path: Path) -> None:
    source = write_source(tmp_path / "a.mp4", beeps(0.5))
    write_clip([FRAMES], tmp_path / "take.mp4", 8, {})
    assert listen(tmp_path / "take.mp4") is None
    write_clip([FRAMES[:1]], tmp_path / "take.png", 8, {"a": 1}, Sound(str(source), 0.0, 1.0))
    (picture,) = read_frames(tmp_path / "take.png")
    assert np.array_equal(picture, FRAMES[0])
    assert read_recipe(tmp_path / "take.png") == {"a": 1}


def test_pictures_and_recipe_are_the_same_with_sound(tmp_path: Path) -> None:
    source, frames = write_source(tmp_path / "a.mp4", beeps(0.5)), np.arange(8, dtype=np.uint8)[:, None, None, None]
    frames = np.broadcast_to(frames * 30, FRAMES.shape)
    write_clip([frames], tmp_path / "mute.mp4", 8, {"a": 1})
    write_clip([frames], tmp_path / "loud.mp4", 8, {"a": 1}, Sound(str(source), 0.0, 1.0))
    mute, loud = (np.stack(list(read_frames(tmp_path / name))) for name in ("mute.mp4", "loud.mp4"))
    assert np.array_equal(mute, loud)
    assert read_recipe(tmp_path / "loud.mp4") == {"a": 1}


def test_sound_and_pictures_lie_side_by_side_in_the_file(tmp_path: Path) -> None:
    wave = beeps(0.5, 3.5, seconds=7)
    path = take(write_source(tmp_path / "a.mp4", wave, fps=2), 0.0, 7.0, FRAMES.repeat(7, 0))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.pos is not None]
        packets.sort(key=lambda packet: packet.pos or 0)
        times = [(packet.stream.type, float((packet.dts or 0) * packet.time_base)) for packet in packets]
    reached = {"video": 0.0, "audio": 0.0}
    for kind, time in times:
        reached[kind] = time
        assert abs(reached["video"] - reached["audio"]) < 1.1


def test_frames_are_encoded_as_they_come(tmp_path: Path) -> None:
    source, path = write_source(tmp_path / "a.mp4", beeps(0.5, seconds=8), fps=2), tmp_path / "clip.mp4"
    sizes = []

    def watched() -> Iterator[Pixels]:
        noise = np.random.default_rng(0)
        for _ in range(30):
            yield noise.integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)
            sizes.append(path.stat().st_size if path.exists() else 0)

    write_clip(watched(), path, 30, {}, Sound(str(source), 0.0, 8.0))
    assert path.stat().st_size / 4 < sizes[20] < sizes[-1] < path.stat().st_size


def test_the_same_take_is_the_same_file(tmp_path: Path) -> None:
    source = write_source(tmp_path / "a.mp4", beeps(0.5))
    assert take(source).read_bytes() == take(source).read_bytes()


def test_looking_at_a_clip_tells_whether_it_sounds(tmp_path: Path) -> None:
    for wave in (None, beeps(0.5)):
        footage = look_at_clip(str(write_source(tmp_path / "a.mp4", wave)), "video")
        assert footage.has_sound == (wave is not None)
        assert footage.seconds == pytest.approx(1.5)


@pytest.mark.parametrize("with_cover", [False, True])
def test_a_soundtrack_alone_is_no_clip(tmp_path: Path, with_cover: bool) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        if with_cover:
            cover = container.add_stream("png", rate=1)
            cover.width, cover.height, cover.pix_fmt, cover.disposition = 64, 48, "rgb24", Disposition.attached_pic
            container.mux([*cover.encode(av.VideoFrame(64, 48, "rgb24")), *cover.encode()])
        container.mux([*stream.encode(sounding(beeps(0.5), 48000, 0.0)), *stream.encode()])
    with pytest.raises(BadRequest, match=r"song\.mp4 has no picture\. Give an MP4"):
        look_at_clip(str(path), "video")


def test_a_title_in_a_forgotten_alphabet_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_clip([FRAMES], path, 8, {"title": "Ferien"})
    path.write_bytes(path.read_bytes().replace(b"Ferien", b"F\xe9rien"))
    assert look_at_clip(str(path), "video").seconds == pytest.approx(1)
