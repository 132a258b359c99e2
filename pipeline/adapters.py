"""LoRA adapters as files: what their header tells, and refuses, before a model is touched."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator
from safetensors import SafetensorError, safe_open

from pipeline.errors import BadRequest, CannotDo
from pipeline.model_spec import ModelSpec

MOST_LORAS = 4
SUFFIX = ".safetensors"
# What people have LoRAs in beside safetensors: formats whose reading can run code.
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
# No part of a file's path may begin at the root of the disk or lead upwards.
HUB_ID = re.compile(
    r"(?!.*(?:\.\.|--))([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::((?:\w[\w. -]*/)*\w[\w. -]*\.safetensors))?", re.ASCII
)
IN_THE_CACHE = re.compile(r"/models--(.+?)--(.+?)/snapshots/[^/]+/(.+)$")
LOW_RANK = re.compile(r"lora_(?:A|B|down|up)|lora\.(?:down|up)")
QUERY_IN = re.compile(r"(?:attn1|self_attn)[._](?:to_)?q\.(?:.+\.)?(?:lora_A|lora_down|lora\.down)\.(?:.+\.)?weight$")
BLOCK = re.compile(r"blocks[._](\d+)[._]")
OF_TEXT_ENCODERS = ("text_encoder", "lora_te", "cond_stage_model")
OTHER_KINDS = {"dora_scale": "DoRA", "lora_magnitude": "DoRA", "lokr_": "LoKr", "hada_": "LoHa", "oft_": "OFT"}
# Full changes of weights beside the low-rank ones, of which diffusers reads biases and the head's only.
UNREAD = re.compile(r"(?<!head\.head)\.diff$|norm.*\.diff_b$")
NAMED_TAGS, LONGEST_TRIGGER = 3, 80


class Lora(BaseModel):
    """A LoRA that a user asks for: the path of a file, or a Hub id (`user/name`, `user/name:file.safetensors`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    source: str
    weight: Annotated[float, Field(ge=-2, le=2)] = 1.0

    @field_validator("source")
    @classmethod
    def _can_be_opened(cls, source: str) -> str:
        if hub_id(source) is None and Path(source).suffix.lower() != SUFFIX:
            raise ValueError(
                f"{ascii(Path(source).name)[:60]} is no LoRA that is opened here: other formats can hold code. Give a "
                f"{SUFFIX} file, or a Hub id such as user/name or user/name:file{SUFFIX}."
            )
        return source


@dataclass(frozen=True)
class Adapter:
    """A LoRA of a plan: what it is called, its share, and its file, which is empty until the Hub was asked for it."""

    name: str
    weight: float = 1.0
    file: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Header:
    """The shapes of a file's tensors by their names, what it says of itself, and the SHA-256 of its bytes."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]
    sha256: str


def hub_id(source: str) -> tuple[str, str | None] | None:
    """Return the repository and the file in it, if it is named, of a Hub id; None for the path of a file."""
    match = HUB_ID.fullmatch(source)
    if match is None or (match[2] is None and Path(source).suffix.lower() in (SUFFIX, *PICKLES)):
        return None
    return match[1], match[2]


def adapters_of(
    loras: Sequence[Lora], prompt: str, spec: ModelSpec
) -> tuple[tuple[Adapter, ...], tuple[str, ...]]:  # fmt: skip
    """Return the adapters of a plan with notes on them; raise BadRequest for a file that the model cannot take."""
    adapters, notes = [], []
    for lora in loras:
        if hub_id(lora.source) is not None:
            adapters.append(Adapter(lora.source, lora.weight))
            notes.append(f"{lora.source} is fetched from the Hub before it is used.")
            continue
        header, name = look_at(lora.source), _name_of(lora.source)
        _refuse_unfit(header, name, spec)
        adapters.append(Adapter(name, lora.weight, lora.source, header.sha256))
        notes += _notes(header, adapters[-1], prompt)
    return tuple(adapters), tuple(notes)


def look_at(path: str) -> Header:
    """Read the header of a file; raise BadRequest where there is none, without reading further."""
    try:
        found = Path(path).stat()
        return _look_at(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise BadRequest("loras", f"{Path(path).name} cannot be read: {error.strerror}. Give another file.") from error
    except SafetensorError as error:
        raise BadRequest(
            "loras",
            f"{Path(path).name} is not what its name says: no safetensors file, or a damaged one. It was not opened "
            "further. Fetch it anew, in that format.",
        ) from error


@lru_cache(maxsize=16)
def _look_at(path: str, changed: int, size: int) -> Header:  # noqa: ARG001, they tell a changed file from what it was
    with safe_open(path, "numpy") as file:
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118, it is no dict
        metadata = dict(file.metadata() or {})
    with Path(path).open("rb") as whole:
        return Header(shapes, metadata, file_digest(whole, "sha256").hexdigest())


def _name_of(path: str) -> str:
    """Return what a file is called for other people: by the Hub's name where it lies in its cache."""
    match = IN_THE_CACHE.search(Path(path).as_posix())
    return f"{match[1]}/{match[2]}:{match[3]}" if match else Path(path).name


def _refuse_unfit(header: Header, name: str, spec: ModelSpec) -> None:
    for mark, kind in OTHER_KINDS.items():
        if any(mark in key for key in header.shapes):
            raise CannotDo("loras", f"{name} is a {kind}, of which a part would be ignored. Give a plain LoRA.")
    if any(key.startswith(OF_TEXT_ENCODERS) for key in header.shapes):
        raise CannotDo(
            "loras",
            f"{name} changes the text encoder too, which {spec.title} does not take. Give one that was trained on the "
            "transformer alone.",
        )
    if not any(LOW_RANK.search(key) for key in header.shapes):
        raise BadRequest("loras", f"{name} holds no LoRA: it has no low-rank weights. Give another file.")
    _refuse_another_size(header, name, spec)


def _refuse_another_size(header: Header, name: str, spec: ModelSpec) -> None:
    network, another = spec.network, "Give another one, or choose the model that it was made for"
    for key, shape in header.shapes.items():
        if QUERY_IN.search(key) and len(shape) == 2 and shape[1] != network.width:
            was_for = f"{name} was made for a model of width {shape[1]}; {spec.title} has {network.width}"
            raise CannotDo("loras", f"{was_for}. {another}.")
        if (match := BLOCK.search(key)) and int(match[1]) >= network.layers:
            was_for = f"{name} was made for a model of more than {match[1]} blocks; {spec.title} has {network.layers}"
            raise CannotDo("loras", f"{was_for}. {another}.")


def _notes(header: Header, adapter: Adapter, prompt: str) -> Iterator[str]:
    if adapter.weight == 0:
        yield f"{adapter.name} has the weight 0 and changes nothing."
    if phrase := _trigger(header.metadata):
        hint = "" if phrase.lower() in prompt.lower() else " Add that to the prompt."
        yield f"{adapter.name} listens to: {phrase}.{hint}"
    elif tags := _tags(header.metadata):
        yield f"{adapter.name} was trained most on: {', '.join(tags)}."
    if unread := sum(bool(UNREAD.search(key)) for key in header.shapes):
        yield f"{adapter.name} changes {unread} weights of norms and embeddings as a whole: these are left out."


def _trigger(metadata: Mapping[str, str]) -> str:
    """Return the words that a LoRA was trained to follow, where its file says so."""
    return _printable(metadata.get("trigger") or metadata.get("modelspec.trigger_phrase") or "")


def _tags(metadata: Mapping[str, str]) -> list[str]:
    """Return the most frequent tags of the training pictures, as kohya's scripts count them."""
    try:
        folders = json.loads(metadata.get("ss_tag_frequency", "{}")).values()
        counts = {str(tag): int(count) for folder in folders for tag, count in folder.items()}
    except (ValueError, TypeError, AttributeError):
        return []
    most = sorted(counts, key=lambda tag: -counts[tag])[:NAMED_TAGS]
    return list(filter(None, map(_printable, most)))


def _printable(words: str) -> str:
    # Whoever made the file wrote this, and it lands on a page and in a terminal.
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())[:LONGEST_TRIGGER]
