"""A storyboard as one file: its cards, with their pictures and clips inside, and the rest of what is asked."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

from pipeline.adapters import hub_id
from pipeline.errors import BadRequest, RunFailed
from pipeline.fields import replace_files
from pipeline.library.folders import aside
from pipeline.library.sources import MARK
from pipeline.request import parse_request
from pipeline.store import RUN

KIND, FORMAT = "storyboard", 1
"""What the file says it is; the number is raised where an older app would read a file otherwise."""

MOST_MB = 64
# What is said beside the file, for it belongs to one take and not to the board.
BESIDE = ("video", "remake", "frames")
SIZE = ("width", "height")
WITHIN = re.compile(r"data:(?:[\w.+-]+/[\w.+-]+)?(?:;(?!name=|base64,)[^;,]*)*(?:;name=([^;,]*))?;base64,", re.ASCII)
LONGEST_NAME = 60
# How files begin that are pictures or clips; what they are called decides nothing.
BEGINS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), ".png", "image/png"),
    (re.compile(rb"\xff\xd8\xff"), ".jpg", "image/jpeg"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), ".webp", "image/webp"),
    (re.compile(rb"GIF8"), ".gif", "image/gif"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), ".avif", "image/avif"),
    (re.compile(rb".{4}ftypqt  ", re.DOTALL), ".mov", "video/quicktime"),
    (re.compile(rb".{4}ftyp", re.DOTALL), ".mp4", "video/mp4"),
    (re.compile(rb"\x1aE\xdf\xa3.{0,60}webm", re.DOTALL), ".webm", "video/webm"),
    (re.compile(rb"\x1aE\xdf\xa3"), ".mkv", "video/x-matroska"),
)

Find = Callable[[str], str]


def read_board(text: str, folder: Path, find: Find) -> dict[str, Any]:
    """Return what a board asks, as the fields of a request; raise BadRequest for what is none.

    What lies in it is written into a folder, under a mark of its bytes. `find` returns where everything else is that
    it names, files and runs, or raises BadRequest: nothing that is named is opened here.
    """
    asked = _fields(text)
    # Before anything is written: the request says what is wrong with cards and numbers.
    parse_request(asked)

    def found(source: str) -> str:
        return _written(source, folder) if source.startswith("data:") else find(source)

    return replace_files(asked, found)


def board_text(path: Path) -> str:
    """Return what is written in the file of a board; raise BadRequest where it cannot be one."""
    try:
        _refuse_large(path.stat().st_size, path.name)
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise BadRequest("board", f"There is no file {path.name}. Give a storyboard that is there.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest("board", f"{path.name} cannot be read as a storyboard. {_AGAIN}") from error


def is_board(path: Path) -> bool:
    """Return whether a file could be a board: one that begins as JSON does."""
    try:
        with path.open("rb") as file:
            return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    except OSError:
        return False


def board_of(fields: Mapping[str, Any]) -> str:
    """Return the file of what a board asks, with its pictures and clips inside; raise BadRequest where one is gone.

    Runs stay named by their ids, and files of LoRAs by their names.
    """
    asked = {name: value for name, value in fields.items() if name not in ("task", *BESIDE) and value is not None}
    loras = [{**lora, "source": _lora(lora["source"])} for lora in asked.pop("loras", ())]
    packed = replace_files(asked, _packed) | ({"loras": loras} if loras else {})
    text = json.dumps({"onetake": KIND, "version": FORMAT} | packed, indent=1, ensure_ascii=False)
    _refuse_large(len(text.encode()), "This storyboard")
    return text


def said_over(asked: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a board asks with what is said beside it in its place: a shape in that of a size, and the reverse."""
    given = {name: value for name, value in said.items() if value not in (None, "", [])}
    other = {*SIZE} if "shape" in given else {"shape"} if given.keys() & SIZE else set()
    return {name: value for name, value in asked.items() if name not in other} | given


def kind_of(content: bytes) -> tuple[str, str]:
    """Return the suffix and the media type of a picture or a clip by how it begins, nothing where it is neither."""
    return next(((suffix, mime) for begins, suffix, mime in BEGINS if begins.match(content)), ("", ""))


_AGAIN = "Export it anew, or choose another file."


def _fields(text: str) -> dict[str, Any]:
    _refuse_large(len(text), "This storyboard")
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadRequest(
            "board", f"This is no storyboard: its JSON is broken in line {error.lineno}. {_AGAIN}"
        ) from error
    except RecursionError as error:
        raise BadRequest("board", f"This is no storyboard: its JSON is nested without end. {_AGAIN}") from error
    if not isinstance(data, dict) or data.get("onetake") != KIND:
        raise BadRequest("board", f'This is no storyboard of Onetake: it does not say "onetake": "{KIND}". {_AGAIN}')
    version = data.get("version", FORMAT)
    if not isinstance(version, int) or version < 1:
        raise BadRequest("board", f"This storyboard is of version {ascii(version)[:20]}, which never was. {_AGAIN}")
    if version > FORMAT:
        raise BadRequest(
            "board",
            f"This storyboard is of version {version}, and this Onetake reads {FORMAT}. Update it, or export the board "
            "from an older one.",
        )
    for name in BESIDE:
        if name in data:
            raise BadRequest(name, f"The file of a storyboard holds no {name}. Take it out.")
    return {"task": KIND} | {name: value for name, value in data.items() if name not in ("onetake", "version", "task")}


def _written(source: str, folder: Path) -> str:
    """Write what a card holds, under a mark of its bytes, and return where."""
    head = WITHIN.match(source)
    try:
        content = base64.b64decode(source[head.end() :], validate=True) if head else b""
    except binascii.Error:
        content = b""
    if not content:
        raise BadRequest("cards", f"A picture or clip inside the storyboard is broken. {_AGAIN}")
    suffix, _ = kind_of(content)
    if not suffix:
        raise BadRequest(
            "cards",
            "What a card holds is neither a picture nor a clip that is read here. Give PNG, JPEG, WebP, GIF, MP4, MOV, "
            "WebM or Matroska.",
        )
    path = folder / sha256(content).hexdigest()[:MARK] / f"{_stem(head[1] or '' if head else '')}{suffix}"
    try:
        _write_once(path, content)
    except OSError as error:
        raise RunFailed(f"{path.name} cannot be written: {error.strerror}. Make room and try again.") from error
    return str(path)


def _write_once(path: Path, content: bytes) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as partial:
            partial.write_bytes(content)


def _stem(name: str) -> str:
    """Return what a file may be called, without its suffix, which its content decides."""
    stem = re.sub(r"[^\w .-]", "", PurePath(name.replace("\\", "/")).stem).lstrip(" .-")
    return stem[:LONGEST_NAME] or "card"


def _packed(source: str) -> str:
    if source.startswith(RUN):
        return source
    path = Path(source)
    try:
        _refuse_large(path.stat().st_size, path.name)
        content = path.read_bytes()
    except OSError as error:
        raise BadRequest("cards", f"{path.name} is gone. Give the card its picture or clip again.") from error
    _, mime = kind_of(content)
    if not mime:
        raise BadRequest("cards", f"{path.name} cannot be put into the file: it is neither a picture nor a clip.")
    return f"data:{mime};name={_stem(path.name)}{path.suffix};base64,{base64.b64encode(content).decode('ascii')}"


def _lora(source: str) -> str:
    return source if hub_id(source) is not None else PurePath(source).name


def _refuse_large(size: int, what: str) -> None:
    if size > MOST_MB * 10**6:
        raise BadRequest(
            "board",
            f"{what} has {size / 1e6:.0f} MB, and {MOST_MB} MB are the most. Use shorter clips or smaller pictures.",
        )
