"""The command line as a user has it: another process, its output, its exit status."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import lora_files
import pytest
from PIL import Image
from test_layouts import film

from pipeline.models import MODELS
from pipeline.settings import ROOT
from pipeline.store import Store
from pipeline.video import read_frames

SMALL = ["--size", "64x64", "--steps", "3", "--seed", "7"]


def start(home: Path, *arguments: str, stderr: int = subprocess.PIPE) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        env=os.environ | {"ONETAKE_HOME": str(home), "ONETAKE_DEVICE": "cpu"},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def run(home: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(home, *arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def test_text_prints_one_object_and_writes_the_file(tmp_path: Path) -> None:
    clip = tmp_path / "ball.mp4"
    asked = ["text", "a red ball and a dragon", *SMALL, "--frames", "10", "-o", str(clip), "--json"]
    status, out, err = run(tmp_path / "runs", *asked)
    assert status == 0
    assert out.count("\n") == 1
    result = json.loads(out)
    assert result["file"] == str(clip)
    assert len(list(read_frames(clip))) == 9
    assert [Store(tmp_path / "runs").get(result["id"]).state, result["state"]] == ["done", "done"]
    assert set(result["timings"]) == {"load", "text", "denoise", "decode", "encode", "total"}
    assert result["peak_memory_mb"] > 100
    assert result["plan"]["seed"] == 7
    assert any("10 frames became 9" in note for note in result["notes"])
    assert any("dragon" in note for note in result["notes"])
    # What third-party libraries have to say stays out of a user's terminal.
    assert err.splitlines()[1:] == [*result["notes"], "loading Tabletop"]


def test_loras_are_told_and_kept_and_other_formats_refused(tmp_path: Path) -> None:
    ink, wash = (lora_files.write(tmp_path / f"{name}.safetensors", trigger=name) for name in ("ink", "a=1"))
    asked = ["text", "an ink ball", *SMALL, "--frames", "1", "--lora", ink, "--lora", f"{wash}=-0.5", "--json"]
    status, out, err = run(tmp_path / "runs", *asked)
    assert status == 0
    told = [(lora["name"], lora["weight"]) for lora in json.loads(out)["plan"]["loras"]]
    assert told == [("ink.safetensors", 1.0), ("a=1.safetensors", -0.5)]
    assert "ink.safetensors listens to: ink." in err.splitlines()
    status, _, err = run(tmp_path / "runs", "text", "a ball", "--lora", "ink.ckpt")
    assert (status, err.count("\n")) == (2, 1)
    assert "can hold code" in err


def test_a_clip_is_delivered_larger(tmp_path: Path) -> None:
    clip = tmp_path / "large.mp4"
    status, _, err = run(
        tmp_path / "runs", "text", "a ball", *SMALL, "--frames", "5", "--deliver", "480p", "-o", str(clip)
    )
    assert status == 0
    assert {frame.shape for frame in read_frames(clip)} == {(480, 480, 3)}
    assert "enlarged, not generated" in err


def test_animate_begins_and_ends_with_pictures(tmp_path: Path) -> None:
    for colour in ("red", "blue", "white"):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{colour}.png")
    first, last, middle = (str(tmp_path / f"{colour}.png") for colour in ("red", "blue", "white"))
    asked = ["animate", first, "a ball", "--last", last, "--at", f"0.5={middle}@0.6", *SMALL]
    status, out, err = run(tmp_path / "runs", *asked, "--seconds", "1", "--json")
    assert (status, err.splitlines()[-1]) == (0, "loading Tabletop")
    pins = json.loads(out)["plan"]["segments"][0]["pins"]
    assert [(pin["frame"], pin["strength"]) for pin in pins] == [(0, 1.0), (4, 0.6), (8, 1.0)]
    assert run(tmp_path / "runs", "animate", "a ball", "--last", last, *SMALL, "--frames", "9")[0] == 0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["a ball"], "There is no picture"),
        (["gone.png", "a ball"], "no file gone.png"),
        (["a ball", "--at", "soon=x.png"], "write it as 1.5=photo.jpg"),
        (["a ball", "--focus", "left"], "write it as 0.5,0.3"),
    ],
)
def test_animate_says_what_is_wrong(tmp_path: Path, asked: list[str], says: str) -> None:
    status, _, err = run(tmp_path / "runs", "animate", *asked)
    assert status == 2
    assert says in err


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return film(tmp_path / "clip.mp4", 17, size=(64, 64))


def test_restyle_remakes_a_range_of_a_clip(tmp_path: Path, clip: str) -> None:
    asked = ["restyle", clip, "a blue ball", "--strength", "strong", "--light", "at night", "--range", "0.5..1.25"]
    status, out, _ = run(tmp_path / "runs", *asked, *SMALL, "--json")
    assert status == 0
    result = json.loads(out)
    assert result["plan"]["segments"][0]["prompt"] == "a blue ball, at night"
    assert result["measures"]["change"] > 0
    assert len(list(read_frames(Path(result["file"])))) == 17


def test_two_clips_become_one(tmp_path: Path, clip: str) -> None:
    other = film(tmp_path / "other.mp4", 17, size=(64, 64))
    joined = tmp_path / "joined.mp4"
    asked = ["transition", clip, other, "--curve", "late", "--seconds", "1", "-o", str(joined)]
    assert run(tmp_path / "runs", *asked, *SMALL)[0] == 0
    assert len(list(read_frames(joined))) == 27


def test_a_take_is_looped_by_its_name_and_words_by_themselves(tmp_path: Path) -> None:
    _, out, _ = run(tmp_path, "text", "a ball turns", *SMALL, "--frames", "9", "--json")
    status, looped, _ = run(tmp_path, "loop", f"run:{json.loads(out)['id']}", "--seam", "short", *SMALL, "--json")
    assert status == 0
    assert len(list(read_frames(Path(json.loads(looped)["file"])))) == 12
    status, words, _ = run(tmp_path, "loop", "--prompt", "a ball turns", *SMALL, "--frames", "9", "--json")
    assert (status, len(list(read_frames(Path(json.loads(words)["file"]))))) == (0, 8)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["restyle", "gone.mp4", "a ball"], "no file gone.mp4"),
        (["restyle", "run:nothing", "a ball"], "no run 'nothing'"),
        (["restyle", "x.mp4", "a ball", "--range", "now"], "write it as 0.5..1.5"),
        (["restyle", "x.mp4", "a ball", "--strength", "wild"], "subtle, mild or strong"),
        (["restyle", "x.mp4"], "choose a style"),
        (["loop"], "nothing to loop"),
        (["transition", "x.mp4"], "arguments are required: B"),
    ],
)
def test_edits_say_what_is_wrong(tmp_path: Path, asked: list[str], says: str) -> None:
    status, out, err = run(tmp_path / "runs", *asked)
    assert status == 2
    assert out == ""
    assert says in err


def test_one_frame_gives_a_png(tmp_path: Path) -> None:
    status, out, _ = run(tmp_path / "runs", "text", "a blue cube", *SMALL, "--frames", "1")
    assert status == 0
    assert Path(out.strip()).read_bytes().startswith(b"\x89PNG")


def test_an_interrupt_keeps_what_there_is(tmp_path: Path) -> None:
    terminal, screen = os.openpty()
    asked = ["text", "a red ball", "--size", "64x64", "--steps", "100", "--seed", "7", "--json"]
    process = start(tmp_path, *asked, stderr=screen)
    shown = b""
    while b"step 2 of 100" not in shown:
        shown += os.read(terminal, 1024)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 130
    result = json.loads(out)
    assert result["state"] == "stopped"
    assert result["notes"][-1].startswith("Stopped after step ")
    assert len(list(read_frames(Path(result["file"])))) == 17


def test_an_interrupt_before_the_first_step_says_so(tmp_path: Path) -> None:
    process = start(tmp_path, "text", "a red ball", "--size", "64x64")
    assert process.stderr is not None
    while not process.stderr.readline().startswith("loading"):
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, "")
    assert "nothing to keep" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["text", " "], "prompt is empty"),
        (["text", "x" * 2001], "2000"),
        (["text", "a ball", "--frames", "0"], "from 1 to 481"),
        (["text", "a ball", "--frames", "1000000"], "from 1 to 481"),
        (["text", "a ball", "--frames", "many"], "--frames"),
        (["text", "a ball", "--size", "16384x16384"], "from 64 to 256"),
        (["text", "a ball", "--size", "huge"], "128x128"),
        (["text", "a ball", "--seed", str(2**64)], "18446744073709551615"),
        (["text", "a ball", "--guidance", "nan"], "guidance_scale is nan"),
        (["text", "a ball", "--steps", "-1"], "from 1 to 100"),
        (["text", "a ball", "--model", "sora"], "tabletop"),
        (["text", "a ball", "--memory", "fp8"], "is for a card"),
        (["text", "a ball", "--memory", "half"], "sequential"),
        (["text", "a ball", "-o", "ball.gif"], ".mp4"),
        (["text", "a ball", "-o", "nowhere/ball.mp4"], "no folder"),
        (["text"], "prompt"),
        ([], "COMMAND"),
    ],
)
def test_a_bad_request_is_one_line_and_status_2(tmp_path: Path, arguments: list[str], says: str) -> None:
    status, out, err = run(tmp_path / "runs", *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("onetake: ")
    assert says in err
    assert not (tmp_path / "runs").exists()


def test_a_failure_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, out, err = run(tmp_path / "file" / "runs", "text", "a red ball", *SMALL, "--frames", "1")
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("onetake: ")
    assert "ONETAKE_HOME" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_an_output_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "ball.png").mkdir()
    status, out, err = run(
        tmp_path / "runs", "text", "a ball", *SMALL, "--frames", "1", "-o", str(tmp_path / "ball.png")
    )
    assert (status, out) == (1, "")
    (kept,) = Store(tmp_path / "runs").list()
    assert err.splitlines()[-1].endswith(f"The video is kept as {kept.file}.")


def test_models_lists_the_registry(tmp_path: Path) -> None:
    status, out, err = run(tmp_path, "models", "--json")
    assert (status, err) == (0, "")
    assert [row["name"] for row in json.loads(out)["models"]] == [model.name for model in MODELS]
    assert "tabletop" in run(tmp_path, "models")[1]


def test_help_documents_every_option(tmp_path: Path) -> None:
    _, out, _ = run(tmp_path, "text", "--help")
    for option in ("--model", "--size", "--frames", "--steps", "--guidance", "--seed", "--output", "--json"):
        assert option in out
