"""What a user asks: strict, frozen, unknown fields refused, errors in plain words."""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.adapters import MOST_LORAS, Lora, hub_id
from pipeline.errors import BadRequest
from pipeline.given.media import MIDDLE, Fit
from pipeline.memory import Policy

PROMPT_LIMIT = 2000
SEED_LIMIT = 2**64

Strength = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Curve = Literal["linear", "early", "late", "hold"]
Seam = Literal["short", "normal", "long"]
Named = Literal["subtle", "mild", "strong"]
Range = Annotated[tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)]], Field(strict=False)]

EXPECTED = {
    "prompt": "a sentence",
    "model": "the name of a model",
    "shape": "landscape, square, portrait or ultrawide",
    "width": "a whole number of pixels",
    "height": "a whole number of pixels",
    "seconds": "a number of seconds",
    "frames": "a whole number of frames",
    "steps": "a whole number of steps",
    "guidance_scale": "a number",
    "deliver": "480p, 720p or 1080p",
    "memory": "whole, fp8, int8, group or sequential",
    "seed": "a whole number from 0 to 18446744073709551615",
    "task": "text, animate, restyle, transition or loop",
    "image": "the path of a picture",
    "last": "the path of a picture",
    "at": "pictures, each with its seconds and a strength from 0 to 1",
    "strength": "a number over 0, at most 1",
    "fit": "crop or pad",
    "focus": "two numbers from 0 to 1, across and down",
    "video": "the path of a clip",
    "range": "two times in seconds, the earlier one first",
    "theme": "a few words, such as: on snow",
    "colour": "a few words, such as: in blue",
    "camera": "a few words, such as: the camera orbits",
    "light": "a few words, such as: at night",
    "first": "the path of a clip or picture",
    "second": "the path of a clip or picture",
    "curve": "linear, early, late or hold",
    "seam": "short, normal or long",
    "loras": f"at most {MOST_LORAS} LoRAs, each with its source and a weight from -2 to 2",
}
STRENGTHS = "subtle, mild or strong, or a noise level over 0, at most 1"


STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _text_only(words: str) -> str:
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
        return _text_only(prompt)

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
    """A picture that the clip shows at a time in seconds, with a strength of 0..1 or that of the whole request."""

    model_config = STRICT

    seconds: float = Field(ge=0)
    image: str
    strength: Strength | None = None


class FittedRequest(ClipRequest):
    """A video from pictures or clips of any shape: cropped around a point (x, y in 0..1), or padded."""

    fit: Fit = "crop"
    focus: tuple[Share, Share] = Field(default=MIDDLE, strict=False)


class AnimateRequest(FittedRequest):
    """A video from pictures: the first frame, the last, or any second."""

    task: Literal["animate"] = "animate"
    image: str | None = None
    last: str | None = None
    at: tuple[Still, ...] = Field(default=(), strict=False)
    strength: Strength = 1.0

    @model_validator(mode="after")
    def _has_a_picture(self) -> Self:
        if not (self.image or self.last or self.at):
            raise ValueError("There is no picture. Give one for the start, the end, or a second in between.")
        return self


class RestyleRequest(FittedRequest):
    """A clip made anew: by how much, over which seconds, and in which style."""

    needs_words = False

    task: Literal["restyle"] = "restyle"
    prompt: str = ""
    video: str
    strength: Named | Strength = "mild"
    range: Range | None = None
    theme: str = ""
    colour: str = ""
    camera: str = ""
    light: str = ""

    _styles_are_text = field_validator("theme", "colour", "camera", "light")(_text_only)

    @property
    def words(self) -> str:
        """The prompt with the style's own words."""
        return ", ".join(filter(None, (self.prompt, self.theme, self.colour, self.camera, self.light)))

    @model_validator(mode="after")
    def _has_words(self) -> Self:
        if not self.words.strip():
            raise ValueError("Say in a sentence what the clip becomes, or choose a style.")
        if len(self.words) > PROMPT_LIMIT:
            raise ValueError(f"The words have {len(self.words)} characters. Shorten them to {PROMPT_LIMIT} at most.")
        return self


class TransitionRequest(FittedRequest):
    """Two clips into one; `seconds` is how long one passes into the other."""

    needs_words = False

    task: Literal["transition"] = "transition"
    prompt: str = ""
    first: str
    second: str
    curve: Curve = "linear"

    @model_validator(mode="after")
    def _is_measured_in_seconds(self) -> Self:
        if self.frames is not None:
            raise ValueError("The clips decide the number of frames. Give the seconds of the transition instead.")
        return self


class LoopRequest(FittedRequest):
    """A clip that ends where it begins: a given one with a seam that is made, or one from words."""

    needs_words = False

    task: Literal["loop"] = "loop"
    prompt: str = ""
    video: str | None = None
    range: Range | None = None
    seam: Seam = "normal"

    @model_validator(mode="after")
    def _has_words_or_a_clip(self) -> Self:
        if not (self.prompt or self.video):
            raise ValueError("There is nothing to loop. Give a clip, or say in a sentence what the video shows.")
        if self.video and (self.frames is not None or self.seconds is not None):
            raise ValueError("The clip decides how long the loop is. Leave the length out, or give a range.")
        for name in {"range", "seam", "fit", "focus"} & self.model_fields_set:
            if not self.video:
                raise ValueError(f"A {name} was given without a clip. Give the clip too, or leave the {name} out.")
        return self


Request = TextRequest | AnimateRequest | RestyleRequest | TransitionRequest | LoopRequest
TASKS: Mapping[str, type[Request]] = {
    "text": TextRequest,
    "animate": AnimateRequest,
    "restyle": RestyleRequest,
    "transition": TransitionRequest,
    "loop": LoopRequest,
}
SOURCES = ("image", "last", "video", "first", "second")
"""Fields that hold the path of a file, or `run:` and the id of a run."""


def sources_of(request: Request) -> tuple[str, ...]:
    """Return the files and runs that a request gives, LoRAs left out."""
    stills = [still.image for still in request.at] if isinstance(request, AnimateRequest) else []
    return tuple(path for path in (*(getattr(request, name, None) for name in SOURCES), *stills) if path)


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


def with_sources(request: Request, keep: Callable[[str], str], find: Callable[[str], str] = str) -> Request:
    """Return the request over kept copies of its files, which outlast an upload; `find` looks Hub ids of LoRAs up."""
    given: dict[str, Any] = {name: keep(path) for name in SOURCES if (path := getattr(request, name, None))}
    if isinstance(request, AnimateRequest):
        given["at"] = tuple(still.model_copy(update={"image": keep(still.image)}) for still in request.at)
    given["loras"] = tuple(
        lora.model_copy(update={"source": (find if hub_id(lora.source) else keep)(lora.source)})
        for lora in request.loras
    )
    return request.model_copy(update=given)


def _in_plain_words(fault: Any, kind: type[Request]) -> BadRequest:
    field = str(fault["loc"][0]) if fault["loc"] else "request"
    if fault["type"] == "value_error":
        return BadRequest(field, str(fault["ctx"]["error"]))
    nested = len(fault["loc"]) > 1
    if fault["type"] == "extra_forbidden" and not nested:
        return BadRequest(field, f"There is no field {field!r}. The fields are: {', '.join(kind.model_fields)}.")
    if fault["type"] == "missing" and not nested:
        return BadRequest(field, f"The {field} is missing. Give {EXPECTED[field]}.")
    given = ascii(fault["input"])[:60]
    expected = STRENGTHS if (kind, field) == (RestyleRequest, "strength") else EXPECTED[field]
    return BadRequest(field, f"{field} is {given}: give {expected}.")
