"""What a user asks: strict, frozen, unknown fields refused, errors in plain words."""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.errors import BadRequest
from pipeline.media import MIDDLE, Fit

PROMPT_LIMIT = 2000
SEED_LIMIT = 2**64

Strength = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]

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
    "deliver": "480p, 720p or 1080p",
    "seed": "a whole number from 0 to 18446744073709551615",
    "task": "text or animate",
    "image": "the path of a picture",
    "last": "the path of a picture",
    "at": "pictures, each with its seconds and a strength from 0 to 1",
    "strength": "a number over 0, at most 1",
    "fit": "crop or pad",
    "focus": "two numbers from 0 to 1, across and down",
}


STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ClipRequest(BaseModel):
    """What every task asks; whatever is None is filled in by the model's row."""

    model_config = STRICT

    prompt: str
    model: str | None = None
    shape: Literal["landscape", "square", "portrait"] | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    frames: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    deliver: Literal["480p", "720p", "1080p"] | None = None
    seed: int | None = Field(default=None, ge=0, lt=SEED_LIMIT)

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


class TextRequest(ClipRequest):
    """A video from a sentence."""

    task: Literal["text"] = "text"


class Still(BaseModel):
    """A picture that the clip shows at a time in seconds, with a strength of 0..1."""

    model_config = STRICT

    seconds: float = Field(ge=0)
    image: str
    strength: Strength = 1.0


class AnimateRequest(ClipRequest):
    """A video from pictures: the first frame, the last, or any second; focus is the point to crop around, x and y."""

    task: Literal["animate"] = "animate"
    image: str | None = None
    last: str | None = None
    at: tuple[Still, ...] = Field(default=(), strict=False)
    strength: Strength = 1.0
    fit: Fit = "crop"
    focus: tuple[Share, Share] = Field(default=MIDDLE, strict=False)

    @model_validator(mode="after")
    def _has_a_picture(self) -> Self:
        if not (self.image or self.last or self.at):
            raise ValueError("There is no picture. Give one for the start, the end, or a second in between.")
        return self


Request = TextRequest | AnimateRequest
TASKS: Mapping[str, type[Request]] = {"text": TextRequest, "animate": AnimateRequest}


def parse_request(data: Mapping[str, Any]) -> Request:
    """Check what came in from outside; raise one BadRequest in plain words."""
    task = data.get("task", "text")
    if task not in TASKS:
        raise BadRequest("task", f"task is {ascii(task)[:60]}: give {EXPECTED['task']}.")
    try:
        return TASKS[task].model_validate(dict(data))
    except ValidationError as error:
        # The first fault is enough: a person mends one thing at a time.
        raise _in_plain_words(error.errors()[0], TASKS[task]) from None


def with_sources(request: Request, keep: Callable[[str], str]) -> Request:
    """Return the request over kept copies of its pictures, which outlast an upload."""
    if isinstance(request, TextRequest):
        return request
    stills = tuple(still.model_copy(update={"image": keep(still.image)}) for still in request.at)
    ends = {name: path and keep(path) for name, path in (("image", request.image), ("last", request.last))}
    return request.model_copy(update={"at": stills, **ends})


def _in_plain_words(fault: Any, kind: type[Request]) -> BadRequest:
    field = str(fault["loc"][0]) if fault["loc"] else "request"
    if fault["type"] == "value_error":
        return BadRequest(field, str(fault["ctx"]["error"]))
    if fault["type"] == "extra_forbidden":
        return BadRequest(field, f"There is no field {field!r}. The fields are: {', '.join(kind.model_fields)}.")
    if fault["type"] == "missing":
        return BadRequest(field, f"The {field} is missing. Give {EXPECTED[field]}.")
    given = ascii(fault["input"])[:60]
    return BadRequest(field, f"{field} is {given}: give {EXPECTED[field]}.")
