"""The README's contact sheets, from real runs: `python -m tests.sheets` writes them into assets/pictures.

Sources are renders of the little world and one photograph (assets/examples/coffee.jpg), so that what is done to them
can be told from what they were. Every take is the first one of its seed; nothing is chosen.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pipeline.settings import Settings, prepare_environment

prepare_environment()

from pipeline.backends.local import LocalBackend  # noqa: E402
from pipeline.cli.boards import with_board  # noqa: E402
from pipeline.events import Pixels  # noqa: E402
from pipeline.generate import Finished, generate  # noqa: E402
from pipeline.library.runs import Run  # noqa: E402
from pipeline.models import get_model  # noqa: E402
from pipeline.plan import make_plan  # noqa: E402
from pipeline.request import parse_request, with_sources  # noqa: E402
from pipeline.settings import ASSETS  # noqa: E402
from pipeline.store import Store  # noqa: E402
from pipeline.tabletop.render import render  # noqa: E402
from pipeline.tabletop.world import Program, Solid  # noqa: E402
from pipeline.video import read_frames, write_clip  # noqa: E402

ACROSS, LABEL, GAP = 8, 15, 4
INK, PAPER = (60, 56, 48), (252, 250, 245)
WORLD: dict[str, tuple[str, str, str, str, str, str]] = {
    # shape, colour, motion, floor, sky, camera
    "ball": ("ball", "red", "bounces", "grass", "day", "stands"),
    "cone": ("cone", "red", "turns", "grass", "day", "stands"),
    "sand": ("ball", "red", "stays", "sand", "day", "stands"),
    "snow": ("ball", "red", "stays", "snow", "day", "stands"),
    "noon": ("cube", "yellow", "turns", "grass", "day", "stands"),
    "night": ("cube", "yellow", "turns", "grass", "night", "stands"),
    "still": ("cylinder", "green", "stays", "checkered", "sunset", "stands"),
    "orbit": ("cylinder", "green", "stays", "checkered", "sunset", "orbits"),
    "roll": ("ball", "red", "right", "snow", "day", "stands"),
}
PAIRS = {
    "another solid": ("ball", "cone"),
    "another floor": ("sand", "snow"),
    "day and night": ("noon", "night"),
    "a still and a moving camera": ("still", "orbit"),
    "a render and a photograph": ("sand", "coffee.jpg"),
}


class Studio:
    """A throw-away home with the real model."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = Store(home)
        self.spec = get_model("tabletop")
        self.backend = LocalBackend(Settings(home=home, device="cpu"))

    def run(self, **asked: Any) -> Run:
        request = with_sources(parse_request({"seed": 1} | asked), self.store.keep_source)
        *_, last = generate(make_plan(request, self.spec), self.backend, self.store)
        assert isinstance(last, Finished)
        print(asked["task"], last.run.notes, last.run.measures, flush=True)
        return last.run

    def clip(self, name: str) -> str:
        """Return a render as a file, or a picture that ships."""
        if name.endswith(".jpg"):
            return str(ASSETS / "examples" / name)
        shape, colour, motion, floor, sky, camera = WORLD[name]
        solid = Solid(shape, colour, False, motion, 0.0, 0.0, 0.95, 1.0, 0.3)
        program = Program((solid,), floor, sky, camera, 0.3, 0.8, 128, 128, 17)
        write_clip([render(program).numpy()], path := self.home / f"{name}.mp4", 8, {})
        return str(path)


def frames_of(path: str | Path) -> list[Pixels]:
    return list(read_frames(Path(path)))


def strip(label: str, frames: Sequence[Pixels]) -> Pixels:
    """A row of frames, evenly spread, under what they are."""
    picked = [frames[i] for i in np.linspace(0, len(frames) - 1, ACROSS).round().astype(int)]
    row = np.concatenate([np.asarray(Image.fromarray(frame).resize((128, 128))) for frame in picked], 1)
    head = Image.new("RGB", (row.shape[1], LABEL), PAPER)
    ImageDraw.Draw(head).text((2, 1), label, INK)
    return np.concatenate([np.asarray(head), row, np.full((GAP, row.shape[1], 3), PAPER, np.uint8)])


def transitions(studio: Studio) -> Iterator[Pixels]:
    for name, pair in PAIRS.items():
        first, second = (studio.clip(end) for end in pair)
        run = studio.run(task="transition", first=first, second=second, seconds=1.0)
        yield strip(f"{name}: seam {run.measures.get('seam', 0):.1f}", frames_of(run.file))


def restyles(studio: Studio) -> Iterator[Pixels]:
    source = studio.clip("roll")
    yield strip("given", frames_of(source))
    for strength in ("subtle", "mild", "strong"):
        run = studio.run(
            task="restyle", video=source, prompt="a blue ball rolls right on sand at sunset", strength=strength
        )
        yield strip(f"{strength}: changed by {run.measures['change']:.0%}", frames_of(run.file))


def loops(studio: Studio) -> Iterator[Pixels]:
    words = studio.run(task="loop", prompt="a yellow cube turns on grass by day")
    yield strip(f"words: seam {words.measures.get('seam', 0):.1f}", frames_of(words.file))
    clip = studio.run(task="loop", video=studio.clip("ball"), prompt="a red ball bounces on grass by day")
    yield strip(f"a clip and its seam: {clip.measures.get('seam', 0):.1f}", frames_of(clip.file))


def animations(studio: Studio) -> Iterator[Pixels]:
    examples = ASSETS / "examples"
    cube = studio.run(task="animate", image=str(examples / "cube.png"), prompt="the green cube turns on sand by day")
    yield strip("a first frame", frames_of(cube.file))
    first, last = (str(examples / f"rolls-{end}.png") for end in ("first", "last"))
    ball = studio.run(task="animate", image=first, last=last, prompt="the red ball rolls right on the checkered floor")
    yield strip("a first and a last frame", frames_of(ball.file))
    photo = studio.run(task="animate", image=str(examples / "coffee.jpg"), prompt="a ball turns", shape="square")
    yield strip("a photograph", frames_of(photo.file))


def extensions(studio: Studio) -> Iterator[Pixels]:
    source, words = studio.clip("roll"), "a red ball rolls right on snow by day"
    yield strip("given", frames_of(source))
    for direction, told in (("forward", "a second after its end"), ("backward", "a second before its beginning")):
        run = studio.run(task="extend", video=source, prompt=words, direction=direction, seconds=1.0)
        frames = frames_of(run.file)
        yield strip(told, frames[-9:] if direction == "forward" else frames[:9])


def storyboards(studio: Studio) -> Iterator[Pixels]:
    for name, told in (("story", "three sentences"), ("meeting", "a picture, led over to a clip")):
        board = ASSETS / "examples" / f"{name}.json"
        run = studio.run(**with_board(board, {}, studio.home))
        yield strip(told, frames_of(run.file))


SHEETS: dict[str, Callable[[Studio], Iterator[Pixels]]] = {
    "animate": animations,
    "restyle": restyles,
    "extend": extensions,
    "storyboard": storyboards,
    "loop": loops,
    "transition": transitions,
}


def main() -> None:
    """Write all sheets, or those that are named."""
    sheets = {name: SHEETS[name] for name in sys.argv[1:]} or SHEETS
    with TemporaryDirectory() as home:
        studio = Studio(Path(home))
        for name, rows in sheets.items():
            picture = Image.fromarray(np.concatenate(list(rows(studio))))
            picture.save(ASSETS / "pictures" / f"{name}.webp", quality=82)


if __name__ == "__main__":
    main()
