"""The named endpoints for programs: the same request, plan and jobs as the buttons."""

from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, get_args

from gradio.events import api
from pydantic.fields import FieldInfo

from pipeline.asked import FittedRequest
from pipeline.request import SOURCES, TASKS, RestyleRequest
from pipeline.ui.answers import MADE, Caller
from pipeline.ui.boards import asked_of
from pipeline.ui.endpoints import REQUEST, VISITOR, described, in_plain_words
from pipeline.ui.house import House
from pipeline.ui.received import File, received

# What a program may give beside numbers and words, by the name of the field.
TYPES: Mapping[str, Any] = {
    **dict.fromkeys(SOURCES, File),
    "at": list[dict[str, Any]] | None,
    "focus": list[float] | None,
    "range": list[float] | None,
    "loras": list[dict[str, Any]] | None,
}
# What each endpoint is called as a tool: a name that says what it does beside the tools of others.
TOOLS: Mapping[str, str] = {
    "text": "make_video_from_text",
    "animate": "make_video_from_pictures",
    "restyle": "restyle_video",
    "transition": "make_transition",
    "loop": "make_loop",
    "extend": "extend_video",
    "storyboard": "storyboard_video",
}
TELLS: Mapping[str, str] = {
    "text": "Make a video from a sentence.",
    "animate": "Make a video from a first frame, a last one, or pictures at any second.",
    "restyle": "Make a clip anew: more or less, all of it or a part, in other words or in a style.",
    "transition": "Make two clips into one, however unlike they are.",
    "loop": "Make a clip that ends where it begins, from a clip or from words.",
    "extend": "Let a clip go on after its end, or begin earlier.",
    "storyboard": """Make a take from cards along a timeline, each with words, a picture or a clip.

Spacing is timing: from a card that is 1 s away or more the model leads over, to a closer one there is a cut. One card
is made again by its number, with the take that was made before.""",
}
# What is given in place of a field: a storyboard brings its cards as they are exported.
IN_PLACE = {"cards": Parameter("board", Parameter.POSITIONAL_OR_KEYWORD, annotation=dict[str, Any] | str)}
WAIT = Parameter("wait", Parameter.POSITIONAL_OR_KEYWORD, default=True, annotation=bool)


def add_endpoints(house: House) -> None:
    """Add an endpoint for each task, with the fields of its request; it answers when the take is done."""
    for task in TASKS:
        api(_endpoint(house, task), api_name=task, concurrency_limit=None)


def _endpoint(house: House, task: str) -> Callable[..., Any]:
    parameters = [REQUEST, *fields_of(task), VISITOR, WAIT]
    names = [parameter.name for parameter in parameters]

    def call(*values: Any) -> Any:
        given = {name: value for name, value in zip(names, values, strict=False) if value is not None}
        caller = Caller.of(house, given.pop("visitor", None), given.pop("request"))
        wait = given.pop("wait", True)
        asked = asked_of(given) if "board" in given else received(given)
        return caller.made(house.submit({"task": task} | asked, caller.viewer), wait)

    told: Callable[..., Any] = described(in_plain_words(call), TOOLS.get(task, task), TELLS[task], parameters, MADE)
    return told


def fields_of(task: str) -> list[Parameter]:
    """Return the fields of a task's request: what must be given, then what only this task has, then the rest."""
    fields = {name: field for name, field in TASKS[task].model_fields.items() if name != "task"}
    groups = (("prompt",), tuple(TASKS[task].__annotations__), tuple(FittedRequest.__annotations__))
    order = sorted(fields, key=lambda name: (not fields[name].is_required(), [name not in group for group in groups]))
    return [IN_PLACE.get(name) or _parameter(name, fields[name]) for name in order]


def _parameter(name: str, field: FieldInfo) -> Parameter:
    default = Parameter.empty if field.is_required() else None
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=_type(name, field))


def _type(name: str, field: FieldInfo) -> Any:
    """Return the type of a field in JSON: names are words, and whatever may be left out may be null."""
    if name in TYPES:
        return TYPES[name]
    if field.annotation == RestyleRequest.model_fields["strength"].annotation:
        return float | str | None
    kinds = get_args(field.annotation) or (field.annotation,)
    numbers = [kind for kind in (int, float) if kind in kinds]
    plain = numbers[0] if numbers else str
    return plain if field.is_required() else plain | None
