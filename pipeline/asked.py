"""What every task asks: strict, frozen, unknown fields refused; the tasks are in `request`."""

import unicodedata
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.adapters import MOST_LORAS, Lora
from pipeline.given.media import MIDDLE, Fit
from pipeline.memory import Policy

PROMPT_LIMIT = 2000
SEED_LIMIT = 2**64

Strength = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def text_only(words: str) -> str:
    """Return words that are text; raise ValueError for control characters."""
    for character in words:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
            raise ValueError(f"The prompt holds U+{ord(character):04X}, which is not text. Type it anew.")
    return words


class ClipRequest(BaseModel):
    """What every task asks; whatever is None is filled in by the model's row."""

    model_config = STRICT
    needs_words: ClassVar[bool] = True

    prompt: str
    model: str | None = None
    shape: Literal["landscape", "square", "portrait", "ultrawide"] | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    frames: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    deliver: Literal["480p", "720p", "1080p"] | None = None
    memory: Policy | None = None
    seed: int | None = Field(default=None, ge=0, lt=SEED_LIMIT)
    loras: tuple[Lora, ...] = Field(default=(), max_length=MOST_LORAS, strict=False)

    @field_validator("prompt")
    @classmethod
    def _readable(cls, prompt: str) -> str:
        prompt = prompt.strip()
        if not prompt and cls.needs_words:
            raise ValueError("The prompt is empty. Say in a sentence what the video shows.")
        if len(prompt) > PROMPT_LIMIT:
            raise ValueError(f"The prompt has {len(prompt)} characters. Shorten it to {PROMPT_LIMIT} at most.")
        return text_only(prompt)

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


class FittedRequest(ClipRequest):
    """A video from pictures or clips of any shape: cropped around a point (x, y in 0..1), or padded."""

    fit: Fit = "crop"
    focus: tuple[Share, Share] = Field(default=MIDDLE, strict=False)
