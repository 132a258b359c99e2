"""The command line's words about storyboards: a file of cards, with files beside it, and what is said over it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.recipes.boards import board_text, read_board
from pipeline.store import RUN

SIZE = ("width", "height")


def with_board(board: Path, said: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what a board asks, with what was said beside it in its place; what lies in it is written into a folder."""

    def find(source: str) -> str:
        return source if source.startswith(RUN) else str(board.parent / source)

    given = {name: value for name, value in said.items() if value not in (None, "", [])}
    other = {*SIZE} if "shape" in given else {"shape"} if given.keys() & SIZE else set()
    asked = read_board(board_text(board), folder, find)
    return {name: value for name, value in asked.items() if name not in other} | given
