"""Plans and what comes of them as JSON, for two Onetakes that may be of different versions."""

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
from PIL import Image
from pydantic import TypeAdapter
from safetensors.numpy import load, save

from pipeline import errors
from pipeline.backends.crossing import Crossing, Ended, Sampled
from pipeline.errors import BadRequest, Cancelled, OnetakeError, OutOfStep, UnknownModel
from pipeline.events import Again, Loading, Pixels, Step, Waiting
from pipeline.halfway import Halfway, Tensors
from pipeline.memory import Machine
from pipeline.models import get_model
from pipeline.plan import Plan

# To be raised with every change of what is sent.
VERSION = 3
KINDS = {kind.__name__: kind for kind in (Waiting, Loading, Again, Step, Sampled, Ended)}
PREVIEW_QUALITY = 85
Message = dict[str, Any]
_MACHINES = TypeAdapter(Machine)


def pack_plan(plan: Plan) -> tuple[Message, list[str]]:
    """Return a plan for another machine, and the files that it needs there, which it names by their numbers."""
    files = list(plan.files)
    # Sound is put beside the frames where the run is kept, and notes and what was asked are told there.
    sent = replace(plan, sound=None, notes=(), said={}).with_files(lambda file: str(files.index(file)))
    return {"version": VERSION, "row": _row(plan.model), "plan": sent.to_json()}, files


def unpack_plan(message: Message, files: list[str]) -> Plan:
    """Return the plan that was sent, over the files as they arrived; raise OutOfStep where the two sides differ."""
    if message.get("version") != VERSION:
        raise out_of_step("two versions of Onetake")
    try:
        plan = Plan.from_json(message["plan"])
        if json.loads(json.dumps(plan.to_json())) != message["plan"]:
            raise out_of_step("two versions of a plan")
        if message["row"] != _row(plan.model):
            raise out_of_step(f"two versions of {get_model(plan.model).title}'s row")
        return plan.with_files(lambda number: files[int(number)])
    except (ValueError, KeyError, TypeError, IndexError, UnknownModel) as error:
        raise out_of_step("a plan that only one of them can read") from error


def pack(crossing: Crossing) -> Iterator[Message]:
    """Yield what crosses as values that json can write: frames one by one and without loss, errors by their names."""
    if isinstance(crossing, OnetakeError):
        field = crossing.field if isinstance(crossing, BadRequest) else ""
        yield {"error": type(crossing).__name__, "field": field, "message": str(crossing)}
    elif isinstance(crossing, np.ndarray):
        yield from ({"frame": _picture(frame, "PNG", compress_level=1)} for frame in crossing)
    else:
        values = {each.name: getattr(crossing, each.name) for each in fields(crossing)}
        yield {"kind": type(crossing).__name__} | {name: _packed(name, value) for name, value in values.items()}


def unpack(message: Message, where: str) -> Crossing:
    """Return what crossed, an error with the name of where it was; raise OutOfStep for what is not known here."""
    try:
        if "error" in message:
            return _error(message, where)
        if "frame" in message:
            return _pixels(message["frame"])[None]
        kind, values = KINDS[message["kind"]], {name: value for name, value in message.items() if name != "kind"}
        crossing: Crossing = kind(**{name: _unpacked(name, value) for name, value in values.items()})
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise out_of_step("an answer that only one of them can read") from error
    return crossing


def unpack_machine(message: Message) -> Machine:
    """Return what the other side has to compute with; raise OutOfStep for what is not known here."""
    try:
        return _MACHINES.validate_python(message)
    except ValueError as error:
        raise out_of_step("a card that only one of them can read") from error


def out_of_step(what: str) -> OutOfStep:
    """Return the error for two sides that differ in something."""
    return OutOfStep(f"The Onetake here and the one that runs its plans have {what}. Update both to the same version.")


def _row(model: str) -> str:
    """Return a mark of a model's row: the settings that a plan leaves to it must be those of the other side."""
    return hashlib.sha256(json.dumps(asdict(get_model(model)), sort_keys=True).encode()).hexdigest()


def _error(message: Message, where: str) -> OnetakeError:
    kind = getattr(errors, message["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, OnetakeError)):
        raise ValueError(f"{message['error']} is no error")
    if issubclass(kind, BadRequest):
        return kind(message["field"], message["message"])
    return kind(message["message"] if issubclass(kind, Cancelled) else f"{where}: {message['message']}")


def _packed(name: str, value: Any) -> Any:
    if name == "latents":
        return _tensors({"latents": value})
    if name == "halfway" and value is not None:
        return {"steps": value.steps, "marks": dict(value.marks), "tensors": _tensors(value.tensors)}
    if name == "preview" and value is not None:
        return {
            "frames": len(value),
            "picture": _picture(value.reshape(-1, *value.shape[2:]), "JPEG", quality=PREVIEW_QUALITY),
        }
    return value


def _unpacked(name: str, value: Any) -> Any:
    if name == "notes":
        return tuple(value)
    if name == "latents":
        return load(base64.b64decode(value))["latents"]
    if name == "halfway" and value is not None:
        return Halfway(value["steps"], load(base64.b64decode(value["tensors"])), value["marks"])
    if name == "preview" and value is not None:
        column = _pixels(value["picture"])
        return column.reshape(value["frames"], -1, *column.shape[1:])
    return value


def _picture(pixels: Pixels, form: str, **options: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return _text(file.getvalue())


def _pixels(text: str) -> Pixels:
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        return np.asarray(picture.convert("RGB"))


def _tensors(tensors: Tensors) -> str:
    return _text(save({name: np.ascontiguousarray(each) for name, each in tensors.items()}))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
