"""Links: a recipe as an address that holds all of it, and a run by its id. Opening one runs nothing."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pipeline.errors import BadRequest
from pipeline.recipes.recipe import (
    Opened,
    Row,
    Weights,
    open_recipe,
    registry_row,
    unmarked,
    version_in,
    without_folders,
)
from pipeline.request import EXPECTED, SOURCES, TASKS

FORMAT = 1
"""Raised where a parameter, or the meaning of one that is left out, becomes another one."""

MOST_WRITTEN = 6000
"""Characters of a query: servers take addresses of 8,000."""

MOST_READ = 20_000
RUN_PARAMETER = "run"
# Far more than an id has, far less than a file's name may have.
LONGEST_ID = 64
AS_GIVEN = "as-given"
# What browsers, Gradio and the Hub add to an address for themselves, beside what begins with two underscores.
OF_OTHERS = ("view", "deep_link", "session_hash", "embed", "footer", "logs", "lang")
LISTED = 5
NUMBER = re.compile(r"-?(?:\d{1,24}(?:\.\d{0,24})?|\.\d{1,24})(?:e-?\d{1,3})?", re.ASCII)
STILL = re.compile(r"([^=]+)=(.+?)(?:@([\d.]+))?", re.DOTALL)
CARD = re.compile(r"([^=~@]+)(?:~(cut|led))?(?:@(image|video):([^=]+))?=(.*)", re.DOTALL)
BEGINS = {"cut": "with a cut", "led": "led over"}
ASKS = {**EXPECTED, "size": "a width and a height, such as 160x96", "level": EXPECTED["strength"]} | {
    "guidance": EXPECTED["guidance_scale"],
    "lora": "a file's name or a Hub id, with a weight such as user/name=0.8",
    "card": "a time in seconds and words, such as 2=a red ball or 2~cut@image:ball.png=a red ball",
    "v": "a whole number",
}


def link_of(recipe: Mapping[str, Any]) -> str:
    """Return the query of a recipe's link, from its `?` on; raise BadRequest for what is too long for a link."""
    written = urlencode(list(_written(without_folders(recipe))), quote_via=quote, safe=" ,:/@=").replace(" ", "+")
    if len(written) >= MOST_WRITTEN:
        raise BadRequest(
            "link",
            f"This recipe is too long for a link: it has {len(written):,} characters, of which {MOST_WRITTEN:,} "
            "arrive everywhere. Send the file instead: it holds the recipe, and is dropped onto the page.",
        )
    return f"?{written}"


def run_link(run_id: str) -> str:
    """Return the query of the link of a run."""
    return f"?{RUN_PARAMETER}={run_id}"


def run_in(link: str) -> str | None:
    """Return the id of the run that a link, or the query of one, is of; None where it is of none."""
    run_id = dict(_pairs(link)).get(RUN_PARAMETER)
    return run_id and run_id[:LONGEST_ID]


def is_recipe(link: str) -> bool:
    """Return whether a link, or the query of one, says anything of a take."""
    return run_in(link) is None and any(name in READERS for name, _ in _pairs(link))


def read_link(link: str, row: Row = registry_row, weights: Weights = unmarked) -> Opened:
    """Return what a recipe's link, or the query of one, asks for; raise BadRequest, in one line, for nonsense.

    What is left out is the model's own, so that links can be written by hand; what is not known is left out and told.
    """
    if len(link) > MOST_READ:
        raise BadRequest("link", "This link is too long to be one of ours. Ask for it anew, or for the file.")
    given: dict[str, list[str]] = {}
    for name, value in _pairs(link):
        given.setdefault(name, []).append(value)
    recipe, notes = _recipe_in(given)
    opened = open_recipe(without_folders(recipe), row, weights)
    return Opened(opened.fields, (*notes, *opened.notes))


def _pairs(link: str) -> list[tuple[str, str]]:
    query = urlsplit(link).query if re.match(r"https?://", link) else link.removeprefix("?")
    try:
        return parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=200)
    except ValueError as error:
        raise BadRequest("link", "This link holds more than a recipe does. Ask for it anew.") from error


def _written(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a recipe in the order in which people read them."""
    meant = recipe.get("meant") or {}
    size = recipe if "width" in recipe else meant
    frames = recipe.get("frames", meant.get("frames"))
    lists = {
        "shape": [] if "width" in recipe else [recipe.get("shape", AS_GIVEN)],
        "size": [f"{size['width']}x{size['height']}"] if "width" in size else [],
        "frames": [str(frames)] if frames else [],
        "at": [_still(still) for still in recipe.get("at", ())],
        "card": [_card(card) for card in recipe.get("cards", ())],
        "range": ["..".join(map(_number, recipe["range"]))] if "range" in recipe else [],
        "focus": [",".join(map(_number, recipe["focus"]))] if "focus" in recipe else [],
        "lora": [f"{lora['source']}={_number(lora['weight'])}" for lora in recipe.get("loras", ())],
        "guidance": [_number(recipe["guidance_scale"])],
        "level": [_number(meant["level"])] if "level" in meant else [],
        "v": [str(FORMAT)],
    }
    for name in READERS:
        value = recipe.get(name)
        plain = [] if value in (None, "") else [value if isinstance(value, str) else _number(value)]
        yield from ((name, each) for each in lists.get(name, plain))


def _still(still: Mapping[str, Any]) -> str:
    kept = f"@{_number(still['strength'])}" if still.get("strength") is not None else ""
    return f"{_number(still['seconds'])}={still['image']}{kept}"


def _card(card: Mapping[str, Any]) -> str:
    """Write a card as its seconds, how it begins, what it shows and its words: `2~cut@image:a.png=a red ball`."""
    begins = next((f"~{short}" for short, long in BEGINS.items() if long == card.get("begins")), "")
    shows = next((f"@{kind}:{quote(card[kind], safe=' :@')}" for kind in ("image", "video") if card.get(kind)), "")
    return f"{_number(card['seconds'])}{begins}{shows}={card.get('prompt', '')}"


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _recipe_in(given: Mapping[str, list[str]]) -> tuple[dict[str, Any], list[str]]:
    """Return the recipe that parameters make, and notes on those that are left out."""
    said = {name: _read(name, values) for name, values in given.items() if name in READERS}
    known = _fields(said)
    task = known.get("task", "text")
    if task not in TASKS:
        raise BadRequest("task", f"task is {ascii(task)[:60]}: give {EXPECTED['task']}.")
    allowed = {*TASKS[task].model_fields, "meant", "weights", "app"}
    strangers = [name for name in given if name not in READERS and not _of_others(name)]
    strangers += [name for name in known if name not in allowed]
    return {name: value for name, value in known.items() if name in allowed}, list(_notes(strangers, said))


def _fields(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields by their names in a recipe, with what they came to apart from them."""
    fields = {OTHER_NAMES.get(name, name): value for name, value in said.items() if name not in ("size", "level", "v")}
    shape = fields.pop("shape", None)
    meant: dict[str, Any] = {}
    if "size" in said:
        (fields if shape is None else meant).update(zip(("width", "height"), said["size"], strict=True))
    if shape not in (None, AS_GIVEN):
        fields["shape"] = shape
    if "frames" in fields and "seconds" in fields:
        meant["frames"] = fields.pop("frames")
    if "level" in said:
        meant["level"] = said["level"]
    return fields | {"meant": meant}


def _notes(strangers: list[str], said: Mapping[str, Any]) -> Iterator[str]:
    if said.get("v", FORMAT) > FORMAT:
        yield "This link was made by a newer Onetake than this one, which may read it otherwise."
    if strangers:
        names = ", ".join(ascii(name)[1:-1][:40] for name in strangers[:LISTED])
        more = f" and {len(strangers) - LISTED} more" if len(strangers) > LISTED else ""
        yield f"Left out, for it is not known here: {names}{more}."


def _of_others(name: str) -> bool:
    return name.startswith("__") or name in OF_OTHERS


def _read(name: str, values: list[str]) -> Any:
    """Return the value of a parameter; raise BadRequest for one that is none, or that is given twice."""
    if name in MANY:
        return [READERS[name](name, value) for value in values]
    if len(values) > 1:
        raise BadRequest(name, f"The link gives {name} {len(values)} times. Give it once.")
    return READERS[name](name, values[0])


def _word(name: str, value: str) -> str:  # noqa: ARG001, the other readers need the name
    return value


def _whole(name: str, value: str) -> int:
    if not re.fullmatch(r"\d{1,20}", value, re.ASCII):
        raise _odd(name, value)
    return int(value)


def _real(name: str, value: str) -> float:
    if not NUMBER.fullmatch(value):
        raise _odd(name, value)
    return float(value)


def _strength(name: str, value: str) -> str | float:
    return _real(name, value) if NUMBER.fullmatch(value) else value


def _pair(mark: str, read: Callable[[str, str], Any] = _real) -> Callable[[str, str], list[Any]]:
    def pair(name: str, value: str) -> list[Any]:
        one, found, other = value.partition(mark)
        if not found:
            raise _odd(name, value)
        return [read(name, one), read(name, other)]

    return pair


def _shown_at(name: str, value: str) -> dict[str, Any]:
    match = STILL.fullmatch(value)
    if match is None:
        raise _odd(name, value)
    kept = {"strength": _real(name, match[3])} if match[3] else {}
    return {"seconds": _real(name, match[1]), "image": match[2], **kept}


def _on_card(name: str, value: str) -> dict[str, Any]:
    match = CARD.fullmatch(value)
    if match is None:
        raise _odd(name, value)
    seconds, begins, kind, file, words = match.groups()
    shows = {kind: unquote(file)} if kind else {}
    said = ({"prompt": words} if words else {}) | ({"begins": BEGINS[begins]} if begins else {})
    return {"seconds": _real(name, seconds), **shows, **said}


def _lora(name: str, value: str) -> dict[str, Any]:
    source, found, weight = value.rpartition("=")
    return {"source": source, "weight": _real(name, weight)} if found else {"source": value}


def _version(name: str, value: str) -> str:  # noqa: ARG001
    return version_in(value)


def _odd(name: str, value: str) -> BadRequest:
    return BadRequest(name, f"{name} is {ascii(value)[:60]} in this link: give {ASKS[name]}.")


# Every parameter, in the order in which a link has them, and how its value is read.
READERS: Mapping[str, Callable[[str, str], Any]] = {
    **dict.fromkeys(("task", "prompt", *SOURCES), _word),
    "card": _on_card,
    "remake": _whole,
    "at": _shown_at,
    "strength": _strength,
    "level": _real,
    "range": _pair(".."),
    **dict.fromkeys(("theme", "colour", "camera", "light", "curve", "direction", "seam", "fit"), _word),
    "focus": _pair(","),
    "shape": _word,
    "size": _pair("x", _whole),
    "seconds": _real,
    "frames": _whole,
    "steps": _whole,
    "guidance": _real,
    "seed": _whole,
    "model": _word,
    "lora": _lora,
    **dict.fromkeys(("deliver", "memory"), _word),
    "weights": _word,
    "app": _version,
    "v": _whole,
}
MANY = ("at", "card", "lora")
OTHER_NAMES = {"guidance": "guidance_scale", "lora": "loras", "card": "cards"}
