"""What a model makes of a prompt's words: which it does not know, and how many it reads."""

import json
import re
import unicodedata
from functools import cache
from pathlib import Path

from pipeline.errors import LoadError
from pipeline.model_spec import ModelSpec
from pipeline.settings import ASSETS

NAMED_UNKNOWNS = 8


def prompt_notes(prompt: str, spec: ModelSpec) -> tuple[str, ...]:
    """Say what a model of a small vocabulary leaves out of a prompt; raise LoadError without its tokenizer."""
    if not spec.embedded:
        return ()
    notes = []
    if unknown := unknown_words(prompt, _vocabulary(ASSETS / spec.repo / "tokenizer" / "tokenizer.json")):
        named = ", ".join(unknown[:NAMED_UNKNOWNS]) + (", …" if len(unknown) > NAMED_UNKNOWNS else "")
        notes.append(f"{spec.title} knows {spec.knows}; unknown: {named}.")
    if len(re.findall(r"\w+", prompt)) > spec.network.text_tokens:
        notes.append(f"{spec.title} reads about the first {spec.network.text_tokens} words of a prompt.")
    return tuple(notes)


def unknown_words(prompt: str, vocabulary: frozenset[str]) -> tuple[str, ...]:
    """Return the words and emoji that a vocabulary lacks, lower case, in their order, each once."""
    words = re.findall(r"\w+|[^\w\s]", prompt.lower())
    return tuple(dict.fromkeys(word for word in words if word not in vocabulary and _means_something(word)))


def _means_something(word: str) -> bool:
    kind = unicodedata.category(word[0])
    return kind[0] in "LN" or kind == "So"


@cache
def _vocabulary(path: Path) -> frozenset[str]:
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"])
    except (OSError, ValueError, KeyError) as error:
        raise LoadError(f"The words of the model cannot be read from {path}. Fetch its files anew.") from error
