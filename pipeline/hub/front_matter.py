"""The front matter of a README, as the Hub reads it: what must be there, and what it must agree with."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import metadata_load

from pipeline.models import MODELS

COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
# The Pythons that the Hub offers for ZeroGPU.
PYTHONS = ("3.12", "3.12.12", "3.10", "3.10.13")
LONGEST_DESCRIPTION = 60
SPACE_NEEDS = (
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file"),
    *("short_description", "models", "suggested_hardware", "tags", "license"),
)
MODEL_NEEDS = ("license", "library_name", "pipeline_tag", "tags")


def read_front_matter(readme: Path) -> dict[str, Any]:
    """Return what stands between the first two lines of dashes, nothing where there is none."""
    try:
        return metadata_load(readme) or {}
    except (OSError, ValueError):
        return {}


def space_faults(folder: Path) -> list[str]:
    """Return what is wrong with the front matter of a Space in a folder, nothing where the Hub would take it."""
    data = read_front_matter(folder / "README.md")
    return [*_missing(data, SPACE_NEEDS), *_space_faults(data, folder)]


def model_faults(folder: Path) -> list[str]:
    """Return what is wrong with the front matter of a model's card, and which parts of the model are not there."""
    data = read_front_matter(folder / "README.md")
    there = (folder / "model_index.json").is_file()
    return [*_missing(data, MODEL_NEEDS), *([] if there else ["model_index.json is not there"])]


def _missing(data: Mapping[str, Any], needs: tuple[str, ...]) -> Iterator[str]:
    return (f"{name} is missing" for name in needs if name not in data)


def _space_faults(data: Mapping[str, Any], folder: Path) -> Iterator[str]:
    for name, allowed in (
        ("sdk", ("gradio",)),
        ("colorFrom", COLOURS),
        ("colorTo", COLOURS),
        ("python_version", PYTHONS),
    ):
        if str(data.get(name)) not in allowed:
            yield f"{name} is {data.get(name)}: choose from {', '.join(allowed)}"
    if len(description := str(data.get("short_description"))) > LONGEST_DESCRIPTION:
        yield f"short_description has {len(description)} characters, over {LONGEST_DESCRIPTION}"
    if not (folder / str(data.get("app_file"))).is_file():
        yield f"app_file is {data.get('app_file')}: there is no such file"
    if str(data.get("sdk_version")) != (pinned := _pinned(folder, "gradio")):
        yield f"sdk_version is {data.get('sdk_version')}, but requirements.txt pins gradio {pinned}"
    if sorted(data.get("models") or []) != (hosted := sorted({spec.repo for spec in MODELS if not spec.embedded})):
        yield f"models are not those of the registry: {', '.join(hosted)}"


def _pinned(folder: Path, package: str) -> str | None:
    requirements = folder / "requirements.txt"
    found = (
        re.search(rf"^{package}==(\S+)", requirements.read_text("utf-8"), re.MULTILINE)
        if requirements.is_file()
        else None
    )
    return found[1] if found else None
