"""What a user asks: strict, frozen, unknown fields refused, errors in plain words."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.errors import BadRequest

PROMPT_LIMIT = 2000
SEED_LIMIT = 2**64

EXPECTED = {
    "prompt": "a sentence",
    "model": "the name of a model",
    "shape": "landscape, square or portrait",
    "width": "a whole number of pixels",
    "height": "a whole number of pixels",
    "seconds": "a number of seconds",
    "frames": "a whole number of frames",
    "steps": "a whole number of steps",
    "guidance_scale": "a number",
    "seed": "a whole number from 0 to 18446744073709551615",
    "task": "text",
}


class TextRequest(BaseModel):
    """A video from a sentence; whatever is None is filled in by the model's row."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    prompt: str
    model: str | None = None
    shape: Literal["landscape", "square", "portrait"] | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    frames: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = Field(default=None, ge=0, lt=SEED_LIMIT)
    task: Literal["text"] = "text"

    @field_validator("prompt")
    @classmethod
    def _readable(cls, prompt: str) -> str:
        prompt = prompt.strip()
        if not prompt:
            raise ValueError("The prompt is empty. Say in a sentence what the video shows.")
        if len(prompt) > PROMPT_LIMIT:
            raise ValueError(f"The prompt has {len(prompt)} characters. Shorten it to {PROMPT_LIMIT} at most.")
        for character in prompt:
            if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
                raise ValueError(f"The prompt holds U+{ord(character):04X}, which is not text. Type it anew.")
        return prompt

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> Self:
        if self.frames is not None and self.seconds is not None:
            raise ValueError("Both frames and seconds were given. Give one of them.")
        sides = (self.width is not None) + (self.height is not None)
        if self.shape is not None and sides:
            raise ValueError("Both a shape and a size were given. Give one of them.")
        if sides == 1:
            raise ValueError("A size needs both width and height. Give both, or a shape.")
        return self


def parse_request(data: Mapping[str, Any]) -> TextRequest:
    """Check what came in from outside; raise one BadRequest in plain words."""
    try:
        return TextRequest.model_validate(dict(data))
    except ValidationError as error:
        # The first fault is enough: a person mends one thing at a time.
        raise _in_plain_words(error.errors()[0]) from None


def _in_plain_words(fault: Any) -> BadRequest:
    field = str(fault["loc"][0]) if fault["loc"] else "request"
    if fault["type"] == "value_error":
        return BadRequest(field, str(fault["ctx"]["error"]))
    if fault["type"] == "extra_forbidden":
        known = ", ".join(TextRequest.model_fields)
        return BadRequest(field, f"There is no field {field!r}. The fields are: {known}.")
    if fault["type"] == "missing":
        return BadRequest(field, f"The {field} is missing. Give {EXPECTED[field]}.")
    given = ascii(fault["input"])[:60]
    return BadRequest(field, f"{field} is {given}: give {EXPECTED[field]}.")
