"""The named endpoints for programs: the same request, plan and jobs as the buttons."""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, TypedDict, get_args

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse
from gradio.events import api
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from pydantic.fields import FieldInfo

from pipeline.adapters import hub_id
from pipeline.errors import BadRequest, OnetakeError, RunFailed
from pipeline.latents import is_latents
from pipeline.library.runs import Run
from pipeline.request import SOURCES, TASKS, FittedRequest, RestyleRequest
from pipeline.store import RUN
from pipeline.ui.house import House
from pipeline.visitors import Viewer, new_key


class Upload(TypedDict):
    """A file that was uploaded first; Gradio's clients make it of a path of theirs."""

    path: str
    meta: dict[str, str]


File = Upload | str | None
RETURNS = tuple[gr.FileData, dict[str, Any]]
# What a program may give beside numbers and words, by the name of the field.
TYPES: Mapping[str, Any] = {
    **dict.fromkeys(SOURCES, File),
    "at": list[dict[str, Any]] | None,
    "focus": list[float] | None,
    "range": list[float] | None,
    "loras": list[dict[str, Any]] | None,
}
TELLS: Mapping[str, str] = {
    "text": "Make a video from a sentence.",
    "animate": "Make a video from a first frame, a last one, or pictures at any second.",
    "restyle": "Make a clip anew: more or less, all of it or a part, in other words or in a style.",
    "transition": "Make two clips into one, however unlike they are.",
    "loop": "Make a clip that ends where it begins, from a clip or from words.",
}
MEANS: Mapping[str, str] = {
    "prompt": "What the video shows, at most 2,000 characters.",
    "model": "A model by name; the default one otherwise.",
    "shape": "landscape, square, portrait or ultrawide; the nearest to what is given otherwise.",
    "seconds": "How long it plays; for a transition, how long the one passes into the other. Not with frames.",
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
    "video": "A clip, or run: and the id of a take.",
    "first": "The clip or picture that comes first, or run: and the id of a take.",
    "second": "The one that it passes into.",
    "range": "Two times in seconds: only this part is made anew, or looped.",
    "theme": "The style's theme, in a few words.",
    "colour": "The style's colour, in a few words.",
    "camera": "The style's camera, in a few words.",
    "light": "The style's light, in a few words.",
    "curve": "How the second clip takes over: linear, early, late or hold.",
    "seam": "short, normal or long.",
    "visitor": "Your key, of 20 characters or more that nobody can guess: what you make with it is yours alone.",
    "loras": "LoRAs, each as {source, weight}: an uploaded .safetensors file or a Hub id, and -2 to 2.",
}


def add_endpoints(house: House) -> None:
    """Add an endpoint for each task, with the fields of its request; it answers when the take is done."""
    for task in TASKS:
        api(_endpoint(house, task), api_name=task, concurrency_limit=None)


def _endpoint(house: House, task: str) -> Callable[..., Any]:
    parameters = _parameters(task)

    def call(*values: Any) -> Any:
        given = dict(zip((parameter.name for parameter in parameters), values, strict=False))
        key = given.pop("visitor", None)
        return answer(house, {"task": task} | {name: value for name, value in given.items() if value is not None}, key)

    # Gradio reads an endpoint's fields and their meaning from its function.
    meant = "\n".join(f"    {each.name}: {MEANS[each.name]}" for each in parameters)
    call.__name__, call.__doc__ = task, f"{TELLS[task]}\n\nArgs:\n{meant}\n"
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__signature__ = Signature(parameters, return_annotation=RETURNS)  # type: ignore[attr-defined]
    return call


def _parameters(task: str) -> list[Parameter]:
    """Return the fields of a task's request: what must be given, then what only this task has, then the rest."""
    fields = {name: field for name, field in TASKS[task].model_fields.items() if name != "task"}
    groups = (("prompt",), tuple(TASKS[task].__annotations__), tuple(FittedRequest.__annotations__))
    order = sorted(fields, key=lambda name: (not fields[name].is_required(), [name not in group for group in groups]))
    key = Parameter("visitor", Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=str | None)
    return [*(_parameter(name, fields[name]) for name in order), key]


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


def _received(asked: dict[str, Any]) -> dict[str, Any]:
    """Return a request with the paths of its files, all of which were uploaded."""
    files = {name: _path(name, asked[name]) for name in SOURCES if name in asked}
    stills = [_still(still) for still in asked.get("at", ())]
    loras = [_lora(lora) for lora in asked.get("loras", ())]
    return asked | files | ({"at": stills} if stills else {}) | {"loras": loras}


def _still(still: Any) -> dict[str, Any]:
    if not isinstance(still, dict):
        raise BadRequest("at", f"at holds {ascii(still)[:60]}: give {MEANS['at'].lower()}")
    return {**still, "image": _path("at", still.get("image"))}


def _lora(lora: Any) -> dict[str, Any]:
    if not isinstance(lora, dict):
        raise BadRequest("loras", f"loras holds {ascii(lora)[:60]}: give {MEANS['loras']}")
    source = lora.get("source")
    path = source.get("path") if isinstance(source, dict) else source
    if isinstance(path, str) and (hub_id(path) is not None or _is_uploaded(path)):
        return {**lora, "source": path}
    raise BadRequest("loras", "The LoRA is no uploaded file. Upload it first, or give a Hub id such as user/name.")


def _path(field: str, file: Any) -> str:
    """Return the path of an uploaded file, or a run's name; raise BadRequest for other files of this machine."""
    path = file.get("path") if isinstance(file, dict) else file
    if isinstance(path, str) and (path.startswith(RUN) or (not is_latents(path) and _is_uploaded(path))):
        return path
    raise BadRequest(field, f"The {field} is no uploaded file. Upload it first, or give run: and the id of a take.")


def _is_uploaded(path: str) -> bool:
    return Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())


async def refuse_unknown_fields(request: Request, error: Exception) -> JSONResponse:
    """Answer a call with a field that its endpoint lacks; Gradio raises a TypeError for it."""
    if "/call/" not in request.url.path:
        raise error
    what, _, _ = str(error).partition(". ")
    return JSONResponse({"error": f"{what}. The fields are listed at /gradio_api/openapi.json."}, 422)


def answer(house: House, asked: dict[str, Any], key: str | None) -> tuple[gr.FileData, dict[str, Any]]:
    """Make what was asked for and return the file with its run; raise gr.Error in plain words."""
    try:
        run = _finished(house, asked, house.viewer(key := key or new_key()))
    except OnetakeError as error:
        raise gr.Error(str(error), print_exception=False) from error
    return _public_copy(run), _record(run) | {"visitor": key}


def _finished(house: House, asked: dict[str, Any], viewer: Viewer) -> Run:
    *_, view = house.submit(_received(asked), viewer).watch()
    if view.run is None:
        raise RunFailed(view.error or "The take was stopped. Send the request again.")
    return view.run


def _public_copy(run: Run) -> Any:
    # Clients fetch files from Gradio's own folder; the run's folder is not served.
    path = save_file_to_cache(run.file, get_upload_folder())
    return gr.FileData(path=path, orig_name=run.file.name).model_dump()


def _record(run: Run) -> dict[str, Any]:
    """Return the run without the paths of this machine."""
    public = {key: value for key, value in run.to_json().items() if key not in ("file", "poster")}
    return public | {"plan": run.plan.to_recipe()}
