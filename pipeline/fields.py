"""The fields of a request as plain values: what a plan keeps of them, and the files among them."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.adapters import hub_id
from pipeline.request import PARTS, SOURCES, Request

# What a plan says itself, in the end as it was asked for.
ON_THE_PLAN = {"task", "model", "seed", "steps", "memory", "loras"}
# What a part of a request can be about.
SHOWN = ("image", "video", "prompt")


def said(request: Request) -> dict[str, Any]:
    """Return what a request says beyond its task's defaults, as values that json can write.

    A plan tells what that came to; only this tells a square of 128 pixels from one that was typed, or 2 s from 17
    frames. Files stand as a plan's others do, under `file`.
    """
    told = request.model_dump(mode="json", exclude_defaults=True, exclude=ON_THE_PLAN)
    return replace_files(told, lambda path: {"file": path})


def unsaid(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that `said` kept, files as paths again."""
    return replace_files(kept, lambda value: value["file"])


def replace_files(fields: Mapping[str, Any], find: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the fields with what is found for each of their files; one for which that is None is left out.

    So is a part, such as a card, of which nothing is left to see or to say.
    """
    found = {name: find(value) if name in SOURCES else value for name, value in fields.items()}
    for name in PARTS:
        if name in found:
            parts = [replace_files(part, find) for part in found[name]]
            found[name] = [part for part in parts if any(part.get(key) for key in SHOWN)] or None
    if "loras" in found:
        loras = [{**lora, "source": _found(lora["source"], find)} for lora in found["loras"]]
        found["loras"] = [lora for lora in loras if lora["source"] is not None] or None
    return {name: value for name, value in found.items() if value is not None}


def files_in(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files and runs that fields name, each once; LoRAs of the Hub are none."""
    files: dict[str, None] = {}
    replace_files(fields, lambda file: files.setdefault(file))
    return tuple(files)


def _found(source: str, find: Callable[[Any], Any]) -> Any:
    return source if hub_id(source) is not None else find(source)
