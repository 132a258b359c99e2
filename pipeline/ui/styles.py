"""Styles of a restyle as named fields: the ones that ship, and a person's own, kept in their browser."""

from collections.abc import Mapping
from typing import Any

Style = Mapping[str, str]

FIELDS = ("theme", "colour", "camera", "light")
STYLES: Mapping[str, Style] = {
    "Winter day": {"theme": "on snow", "light": "by day"},
    "Desert evening": {"theme": "on sand", "light": "at sunset"},
    "Moonlit lake": {"theme": "over water", "light": "at night"},
    "Chess hall": {"theme": "on the checkered floor", "light": "by day"},
    "Blue": {"colour": "blue"},
    "Orbit": {"camera": "the camera orbits"},
    "Slow zoom": {"camera": "zooming in"},
}
LONGEST_NAME = 40


def names(own: Mapping[str, Style] | None) -> list[str]:
    """Return all styles by name, a person's own first."""
    return [*(own or {}), *STYLES]


def words_of(name: str | None, own: Mapping[str, Style] | None) -> tuple[str, ...] | None:
    """Return the words of a style, a field each; None where there is no such style (yet)."""
    style = {**STYLES, **(own or {})}.get(name or "")
    return None if style is None else tuple(style.get(field, "") for field in FIELDS)


def keep(name: str, words: tuple[str, ...], own: Mapping[str, Style] | None) -> dict[str, Any]:
    """Return a person's styles with one more, or changed; without a name, or without words, they stay as they are."""
    name, style = name.strip()[:LONGEST_NAME], {field: word for field, word in zip(FIELDS, words, strict=True) if word}
    return {**(own or {}), **({name: style} if name and style else {})}
