"""How a function becomes an endpoint for programs and a tool for agents: named, typed, described, in plain words."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse
from gradio.events import api
from pydantic import ConfigDict, ValidationError, create_model

from pipeline.errors import BadRequest, OnetakeError
from pipeline.ui.answers import Caller
from pipeline.ui.house import House

MEANS: Mapping[str, str] = {
    "prompt": "What the video shows, at most 2,000 characters.",
    "model": "A model by name; the default one otherwise.",
    "shape": "landscape, square, portrait or ultrawide; the nearest to what is given otherwise.",
    "seconds": "How long it plays; how long a transition takes; how much is added. Not with frames.",
    "frames": "How many frames; one gives a picture.",
    "width": "Pixels, together with height.",
    "height": "Pixels, together with width.",
    "steps": "Denoising steps.",
    "guidance_scale": "How closely to follow the prompt; 1 turns guidance off.",
    "deliver": "480p, 720p or 1080p: how many lines the file has, made by the model or enlarged.",
    "memory": "On a card: whole, fp8, int8, group or sequential weights; the fastest that fit otherwise.",
    "seed": "From 0 to 18446744073709551615; a new one is drawn otherwise, and told.",
    "image": "A picture for the first frame.",
    "last": "A picture for the last frame.",
    "at": "Pictures in between, each as {seconds, image, strength}.",
    "strength": "How closely pictures are kept, 0 to 1; for a restyle subtle, mild, strong or a noise level.",
    "fit": "crop or pad, for another shape.",
    "focus": "The point to crop around, two numbers from 0 to 1, across and down.",
    "video": "A clip: run: and the id of a take, its link, or a file that was uploaded.",
    "board": "A storyboard as the page exports it, as JSON or that file uploaded: cards, each as {seconds, prompt, "
    "image or video, begins}, whose files are inside as data:, run: and an id, or uploaded; and other fields.",
    "remake": "Make only this card again, counted from 1, in the take that video names.",
    "first": "The clip or picture that comes first: run: and the id of a take, its link, or an uploaded file.",
    "second": "The one that it passes into.",
    "range": "Two times in seconds: only this part is made anew, or looped.",
    "theme": "The style's theme, in a few words.",
    "colour": "The style's colour, in a few words.",
    "camera": "The style's camera, in a few words.",
    "light": "The style's light, in a few words.",
    "curve": "How the second clip takes over: linear, early, late or hold.",
    "direction": "forward, after the clip's end, backward, before its beginning, or both.",
    "seam": "short, normal or long.",
    "visitor": "Your key: what you make with it is yours alone. Without one you are told one: give it from then on.",
    "wait": "Whether to answer when the take is done; otherwise at once, with a job to ask for by show_job.",
    "loras": "LoRAs, each as {source, weight}: an uploaded .safetensors file or a Hub id, and -2 to 2.",
    "search": "Words that all occur in the prompt, model, seed and task.",
    "sort": "newest, oldest, longest or name.",
    "only": "mine, takes, drafts or starred for your own, published for what everybody sees, all for both.",
    "limit": "How many to list.",
    "offset": "How many to leave out first.",
    "run": "A take: run: and its id, or its link.",
    "runs": "Takes: run: and an id each, or their links.",
    "starred": "Whether it has a star.",
    "published": "Whether everybody sees it.",
    "job": "The id of a job.",
    "link": "The link of a recipe or of a take.",
    "seeds": "How many seeds for each prompt.",
}
# How they are reached, which Gradio adds itself, and who calls.
REQUEST = Parameter("request", Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request)
VISITOR = Parameter("visitor", Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=str | None)
STRICT = ConfigDict(strict=True)


def add_endpoint(house: House, call: Callable[..., Any]) -> None:
    """Add an endpoint of a function's name for a function of whoever calls and of fields with types."""
    own = signature(call)
    fields = [field.replace(kind=REQUEST.kind) for field in list(own.parameters.values())[1:]]
    parameters, names = [REQUEST, *fields, VISITOR], [field.name for field in fields]
    types: Any = {each.name: (each.annotation, ... if each.default is each.empty else each.default) for each in fields}
    model = create_model(call.__name__, __config__=STRICT, **types)

    def answer(*values: Any) -> Any:
        request, *given, key = values
        try:
            checked = model(**dict(zip(names, given, strict=True)))
        except ValidationError as error:
            raise _of_another_type(error) from error
        return call(Caller.of(house, key, request), **dict(checked))

    told = described(in_plain_words(answer), call.__name__, call.__doc__ or "", parameters, own.return_annotation)
    api(told, api_name=call.__name__, concurrency_limit=None)


def described(call: Callable[..., Any], name: str, does: str, parameters: list[Parameter], returns: Any) -> Any:
    """Return a function with a name, fields and their meanings: Gradio reads an endpoint's from its function."""
    meant = "\n".join(f"    {each.name}: {MEANS[each.name]}" for each in parameters if each is not REQUEST)
    call.__name__, call.__doc__ = name, f"{does}\n\nArgs:\n{meant}\n"
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__signature__ = Signature(parameters, return_annotation=returns)  # type: ignore[attr-defined]
    return call


def in_plain_words(call: Callable[..., Any]) -> Callable[..., Any]:
    """Let an endpoint say what it refuses in the words of the error, without a traceback."""

    @wraps(call)
    def answer(*values: Any) -> Any:
        try:
            return call(*values)
        except OnetakeError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return answer


def _of_another_type(error: ValidationError) -> BadRequest:
    """Return what is wrong with a value that Gradio passed on as it came."""
    fault = error.errors()[0]
    field, should = str(fault["loc"][0]), fault["msg"].removeprefix("Input ")
    return BadRequest(field, f"{field} is {ascii(fault['input'])[:60]}: it {should}.")


async def refuse_unknown_fields(request: Request, error: Exception) -> JSONResponse:
    """Answer a call with a field that its endpoint lacks; Gradio raises a TypeError for it."""
    if "/call/" not in request.url.path:
        raise error
    what, _, _ = str(error).partition(". ")
    return JSONResponse({"error": f"{what}. The fields are listed at /gradio_api/openapi.json."}, 422)
