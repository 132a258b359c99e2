"""What a user asks: strict, frozen, unknown fields refused, errors in plain words."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from pipeline.adapters import MOST_LORAS, hub_id
from pipeline.asked import PROMPT_LIMIT, STRICT, ClipRequest, FittedRequest, Strength, text_only
from pipeline.errors import BadRequest

MOST_CARDS = 40
DAY_S = 24 * 3600

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
    "task": "text, animate, restyle, transition, loop, extend or storyboard",
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
    "direction": "forward, backward or both",
    "cards": f"1 to {MOST_CARDS} cards, each with its seconds, and a prompt, the path of an image or that of a video",
    "remake": "the number of a card, from 1 on",
    "loras": f"at most {MOST_LORAS} LoRAs, each with its source and a weight from -2 to 2",
}
STRENGTHS = "subtle, mild or strong, or a noise level over 0, at most 1"


class TextRequest(ClipRequest):
    """A video from a sentence."""

    task: Literal["text"] = "text"


class Still(BaseModel):
    """A picture that the clip shows at a time in seconds, with a strength of 0..1 or that of the whole request."""

    model_config = STRICT

    seconds: float = Field(ge=0, le=DAY_S)
    image: str
    strength: Strength | None = None


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

    _styles_are_text = field_validator("theme", "colour", "camera", "light")(text_only)

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


class ExtendRequest(FittedRequest):
    """A clip that goes on, begins earlier, or both; `seconds` is how much is added on a side."""

    needs_words = False

    task: Literal["extend"] = "extend"
    prompt: str = ""
    video: str
    direction: Literal["forward", "backward", "both"] = "forward"

    @model_validator(mode="after")
    def _is_measured_in_seconds(self) -> Self:
        if self.frames is not None:
            raise ValueError("The clip decides the number of frames. Give the seconds to add instead.")
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


class Card(BaseModel):
    """What a take shows from a time in seconds on: words, a picture or a clip, or words with one of them.

    How it comes out of what is before it: far enough apart, the model leads over, close together there is a cut.
    """

    model_config = STRICT

    seconds: float = Field(ge=0, le=DAY_S)
    prompt: str = Field(default="", max_length=PROMPT_LIMIT)
    image: str | None = None
    video: str | None = None
    begins: Literal["by spacing", "with a cut", "led over"] = "by spacing"

    _words_are_text = field_validator("prompt")(text_only)

    @model_validator(mode="after")
    def _shows_one_thing(self) -> Self:
        if self.image and self.video:
            raise ValueError(f"The card at {self.seconds:g} s has both a picture and a clip. Make two cards of it.")
        if not (self.image or self.video or self.prompt.strip()):
            raise ValueError(
                f"The card at {self.seconds:g} s is empty. Write what happens, or give a picture or a clip."
            )
        return self


class StoryboardRequest(FittedRequest):
    """A take from cards along a timeline; `prompt` is said with each of them, `seconds` is when all ends.

    With a `video`, which was made from the same cards, one of them (from 1) is made again, and the others stay.
    """

    needs_words = False

    task: Literal["storyboard"] = "storyboard"
    prompt: str = ""
    cards: tuple[Card, ...] = Field(min_length=1, max_length=MOST_CARDS, strict=False)
    video: str | None = None
    remake: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _stands_in_time(self) -> Self:
        if self.frames is not None:
            raise ValueError("The cards decide the number of frames. Give the seconds when all ends instead.")
        times = [card.seconds for card in self.cards]
        if twice := [at for at in times if times.count(at) > 1]:
            raise ValueError(f"Two cards stand at {twice[0]:g} s. Move one of them.")
        if (self.video is None) != (self.remake is None):
            raise ValueError("To make one card again, give both its number and the video that was made before.")
        if self.remake is not None and self.remake > len(self.cards):
            raise ValueError(f"There is no card {self.remake} to make again: there are {len(self.cards)}.")
        return self


Request = (
    TextRequest | AnimateRequest | RestyleRequest | TransitionRequest | LoopRequest | ExtendRequest | StoryboardRequest
)
TASKS: Mapping[str, type[Request]] = {
    "text": TextRequest,
    "animate": AnimateRequest,
    "restyle": RestyleRequest,
    "transition": TransitionRequest,
    "loop": LoopRequest,
    "extend": ExtendRequest,
    "storyboard": StoryboardRequest,
}
SOURCES = ("image", "last", "video", "first", "second")
"""Fields that hold the path of a file, or `run:` and the id of a run."""
PARTS = ("at", "cards")
"""Fields that hold several parts, some of them with such fields of their own."""


def sources_of(request: Request) -> tuple[str, ...]:
    """Return the files and runs that a request gives, LoRAs left out."""
    found: dict[str, None] = {}
    _with_files(request, lambda path: found.setdefault(path) or path)
    return tuple(found)


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
    loras = tuple(
        lora.model_copy(update={"source": (find if hub_id(lora.source) else keep)(lora.source)})
        for lora in request.loras
    )
    return request.model_copy(update={**_with_files(request, keep), "loras": loras})


def _with_files(request: BaseModel, keep: Callable[[str], str]) -> dict[str, Any]:
    """Return those fields of a request, or of one of its parts, that are files, and those that hold parts."""
    given: dict[str, Any] = {name: keep(path) for name in SOURCES if (path := getattr(request, name, None))}
    for name in PARTS:
        if parts := getattr(request, name, None):
            given[name] = tuple(part.model_copy(update=_with_files(part, keep)) for part in parts)
    return given


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
