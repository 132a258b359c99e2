"""Storyboards that come in as files: those that ship with the app, those dropped on the page, those of programs."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gradio.utils import get_upload_folder

from pipeline.errors import BadRequest
from pipeline.recipes.boards import board_text, read_board, said_over
from pipeline.recipes.recipe import without_folders
from pipeline.ui.clip_field import offered
from pipeline.ui.received import UPLOADED, received, source_of, uploaded

# What is wanted of a program, in words.
WANTED = "Give the JSON of a storyboard as it is exported, or that file uploaded."


def shipped(path: Path) -> dict[str, Any]:
    """Return what an example asks; its files lie beside it, and are offered to the page."""
    return read_board(board_text(path), _served(), lambda name: offered(path.parent / name) or name)


def dropped(path: Path) -> dict[str, Any]:
    """Return what a file asks that somebody dropped: of files that are not inside it, only names are taken."""
    return read_board(board_text(path), _served(), _bare)


def is_served(path: str) -> bool:
    """Return whether a file is one that Gradio took in."""
    return uploaded({"path": path}) is not None


def asked_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a program asks of a board, with what it says beside that in its place."""
    said = received({name: value for name, value in given.items() if name != "board"})
    return said_over(read_board(_text(given.get("board")), _served(), partial(source_of, "cards")), said)


def _served() -> Path:
    return Path(get_upload_folder())


def _bare(source: str) -> str:
    return str(without_folders({"image": source})["image"])


def _text(board: Any) -> str:
    if isinstance(board, dict) and "onetake" in board:
        return json.dumps(_addressed(board))
    if isinstance(board, str) and board.lstrip("\ufeff \t\r\n").startswith("{"):
        return board.removeprefix("\ufeff")
    if not (isinstance(board, dict) or (isinstance(board, str) and UPLOADED in board)):
        raise BadRequest("board", f"The board is no storyboard. {WANTED}")
    return board_text(Path(source_of("board", board)))


def _addressed(board: Any) -> Any:
    """Return values with the files among them, which a client uploaded, by their addresses."""
    if isinstance(board, dict):
        if isinstance(path := board.get("path"), str) and "meta" in board:
            return UPLOADED + quote(path)
        return {name: _addressed(value) for name, value in board.items()}
    return [_addressed(value) for value in board] if isinstance(board, list) else board
