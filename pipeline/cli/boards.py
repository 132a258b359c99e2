"""The command line's words about storyboards: a file of cards, with files beside it, and what is said over it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.recipes.boards import board_text, read_board, said_over
from pipeline.store import RUN


def with_board(board: Path, said: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what a board asks, with what was said beside it in its place; what lies in it is written into a folder."""

    def find(source: str) -> str:
        return source if source.startswith(RUN) else str(board.parent / source)

    return said_over(read_board(board_text(board), folder, find), said)
