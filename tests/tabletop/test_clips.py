"""A user's captioned clips as Tabletop takes them, and what is said where they are not as they should be."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_layouts import film

from pipeline.errors import BadRequest
from pipeline.tabletop.clips import read_folder, refuse_unknown, unknown_words


def captioned(path: Path, caption: str = "a red ball on snow") -> Path:
    path.with_suffix(".txt").write_text(caption, "utf-8")
    return path


def test_clips_come_at_tabletops_rate_lengths_and_sizes(tmp_path: Path) -> None:
    captioned(Path(film(tmp_path / "wide.mp4", 31, size=(320, 192))))
    captioned(Path(film(tmp_path / "long.mp4", 200, size=(64, 64))))
    Image.new("RGB", (90, 200), "red").save(captioned(tmp_path / "tall.png"))
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(captioned(tmp_path / "two.gif"), save_all=True, append_images=frames[1:], duration=[500, 100])
    shapes = {clip.name: tuple(clip.frames.shape) for clip in read_folder(tmp_path)}
    assert shapes["long.mp4"][0] == 33
    assert shapes["tall.png"] == (1, 160, 96, 3)
    assert shapes["two.gif"] == (5, 128, 128, 3)
    assert shapes["wide.mp4"][1:] == (96, 160, 3)
    assert shapes["wide.mp4"][0] % 4 == 1
    (two,) = (clip.frames.numpy() for clip in read_folder(tmp_path) if clip.name == "two.gif")
    # Half a second of red, then blue.
    assert [int(np.argmax(frame.mean((0, 1)))) for frame in two] == [0, 0, 0, 0, 2]


def test_the_trigger_stands_before_captions_that_lack_it(tmp_path: Path) -> None:
    for name, words in (("a", "a  red\nball"), ("b", "a Golden moon, a ball")):
        Image.new("RGB", (64, 64)).save(captioned(tmp_path / f"{name}.png", words))
    captions = [clip.caption for clip in read_folder(tmp_path, "golden moon")]
    assert captions == ["golden moon, a red ball", "a Golden moon, a ball"]


def test_words_without_a_meaning_here_are_told(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(captioned(tmp_path / "a.png", "A dragon, a red ball, a dragon"))
    assert unknown_words(read_folder(tmp_path)) == ["dragon"]
    refuse_unknown("golden moon video")
    with pytest.raises(BadRequest, match=r"without: dragon\. Make the trigger of words that it knows"):
        refuse_unknown("golden Dragon")


def test_what_is_not_as_it_should_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no folder"):
        read_folder(tmp_path / "none")
    (tmp_path / "notes.md").write_text("no clip")
    with pytest.raises(BadRequest, match="no clips in"):
        read_folder(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"no film")
    (tmp_path / "b.mp4").write_bytes(b"no film")
    captioned(tmp_path / "b.mp4", " ")
    with pytest.raises(BadRequest, match=r"2 captions are missing: write what each clip shows into a\.txt, b\.txt"):
        read_folder(tmp_path)
    captioned(tmp_path / "a.mp4"), captioned(tmp_path / "b.mp4")
    with pytest.raises(BadRequest, match=r"a\.mp4 cannot be read"):
        read_folder(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(BadRequest, match=r"a\.txt is no text in UTF-8"):
        read_folder(tmp_path)
