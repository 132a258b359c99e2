"""What programs give as files: what they uploaded, and takes by their names; never a path or a file elsewhere."""

import re
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import unquote, urlsplit

from gradio.utils import get_upload_folder

from pipeline.adapters import hub_id
from pipeline.errors import BadRequest
from pipeline.latents import is_latents
from pipeline.recipes.links import run_in
from pipeline.request import SOURCES
from pipeline.store import RUN

# The addresses of files that were uploaded or answered, and those of a take's.
UPLOADED = "/gradio_api/file="
IN_PATH = re.compile(r"/media/([0-9a-z]+)/")


class Upload(TypedDict):
    """A file that was uploaded first; Gradio's clients make it of a path of theirs."""

    path: str
    meta: dict[str, str]


File = Upload | str | None


def received(asked: dict[str, Any]) -> dict[str, Any]:
    """Return a request with the paths of its files, all of which were uploaded, and its takes by their names."""
    files = {name: source_of(name, asked[name]) for name in SOURCES if name in asked}
    stills = [_still(still) for still in asked.get("at", ())]
    loras = [_lora(lora) for lora in asked.get("loras", ())]
    return asked | files | ({"at": stills} if stills else {}) | ({"loras": loras} if loras else {})


def run_id(field: str, text: str) -> str:
    """Return the id of a take from its id, from `run:` and it, or from a link of this page; raise BadRequest."""
    named = text.strip().removeprefix(RUN)
    if re.match(r"https?://|\?", named):
        named = _in_link(named)
    if not (named.isascii() and named.isalnum()):
        raise BadRequest(field, f"The {field} names no take. Give run: and its id, or its link.")
    return named


def _in_link(link: str) -> str:
    """Return the id in a link, nothing where it leads to no take; nothing is fetched."""
    found = IN_PATH.search(urlsplit(link).path)
    return found[1] if found else run_in(link) or ""


def _still(still: Any) -> dict[str, Any]:
    if not isinstance(still, dict):
        raise BadRequest("at", f"at holds {ascii(still)[:60]}: give pictures, each as {{seconds, image, strength}}.")
    return {**still, "image": source_of("at", still.get("image"))}


def _lora(lora: Any) -> dict[str, Any]:
    if not isinstance(lora, dict):
        raise BadRequest("loras", f"loras holds {ascii(lora)[:60]}: give LoRAs, each as {{source, weight}}.")
    source = lora.get("source")
    if isinstance(source, str) and hub_id(source) is not None:
        return lora
    if (path := uploaded(source)) is not None:
        return {**lora, "source": path}
    raise BadRequest("loras", "The LoRA is no uploaded file. Upload it first, or give a Hub id such as user/name.")


def source_of(field: str, given: Any) -> str:
    """Return the path of an uploaded file, or a take's name; raise BadRequest for everything else."""
    if isinstance(given, str) and UPLOADED in given:
        given = {"path": unquote(given.partition(UPLOADED)[2])}
    elif isinstance(given, str) and re.match(rf"{RUN}|https?://|\?", given.strip()):
        return RUN + run_id(field, given)
    path = uploaded(given)
    if path is not None and not is_latents(path):
        return path
    raise BadRequest(field, f"The {field} is no uploaded file. Upload it first, or give run: and the id of a take.")


def refuse_foreign(field: str, path: str | None) -> None:
    """Raise BadRequest for a file that a page names, and that Gradio did not take in."""
    if path is not None and (uploaded({"path": path}) is None or is_latents(path)):
        raise BadRequest(field, f"{Path(path).name} is no uploaded file. Give it to its card again.")


def uploaded(file: Any) -> str | None:
    """Return the path of a file that Gradio took in, None for all others."""
    path = file.get("path") if isinstance(file, dict) else None
    if isinstance(path, str) and Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        return path
    return None
