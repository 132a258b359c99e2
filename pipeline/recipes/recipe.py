"""Recipes: what was asked of a take and what that came to, so that the same can be asked here, elsewhere, or later."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pipeline.adapters import hub_id
from pipeline.errors import BadRequest, CannotDo
from pipeline.fields import files_in, replace_files, unsaid
from pipeline.library.runs import Run, take_name
from pipeline.model_spec import ModelSpec
from pipeline.models import EMBEDDED, MODELS
from pipeline.plan import Plan
from pipeline.planning.layouts import lay_out
from pipeline.planning.lengths import clip_length
from pipeline.planning.segments import Kept
from pipeline.planning.strengths import noise_level
from pipeline.recipes.recovered import recovered
from pipeline.request import SOURCES, TASKS, AnimateRequest, LoopRequest, Request, TextRequest, parse_request
from pipeline.settings import VERSION
from pipeline.store import RUN
from pipeline.visitors import Parent

MARK = 12
"""How much of a commit or a digest tells weights apart."""

# What stands in a recipe beside the fields of a request.
BESIDE = ("meant", "weights", "app")
# What belongs to one model, and is another one's own where another is taken.
OF_THE_MODEL = ("steps", "guidance_scale", "width", "height", "frames")
LONGEST_NAME = 100
BROKEN = "The recipe in this file is broken. Choose another file that Onetake made."
# What stands in for what is still to be filled in, while the rest is checked.
SOME_WORDS, SOME_FILE = "a ball", "clip.mp4"
# What reading a stranger's recipe can run into.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)

# The row that is taken for a task where a model of this name was, None where nobody said.
Row = Callable[[str, str | None], ModelSpec]
Weights = Callable[[ModelSpec], str]


@dataclass(frozen=True)
class Opened:
    """A recipe as it can be asked for now: fields of a request, and notes on what is not as it was.

    Files are named in it, by their paths, by `run:` and an id, or where they come from others by their bare names.
    """

    fields: dict[str, Any]
    notes: tuple[str, ...] = ()


def recipe_of(plan: Plan, parents: Iterable[Parent] = (), weights: str = "") -> dict[str, Any]:
    """Return the recipe of a plan as values that json can write: the fields of its request, and what they came to.

    Files stand as paths of this machine, those of its parents as `run:` and their ids. `meant` holds what names and
    lengths were in pixels, frames and noise, and `weights` is a mark of the model's.
    """
    kept = unsaid(plan.said) if plan.said else recovered(plan)
    runs = {take_name(parent.run): RUN + parent.run for parent in parents}
    named = replace_files(kept | _loras(plan), lambda path: runs.get(PurePath(path).stem, path))
    own = {"task": plan.task, "model": plan.model, "seed": plan.seed, "steps": plan.steps}
    wanted = {"memory": plan.estimate.wanted} if plan.estimate.wanted else {}
    fields = own | {"guidance_scale": plan.guidance_scale} | wanted | named
    return fields | {"meant": _meant(plan, kept), "weights": weights[:MARK], "app": VERSION}


def recipe_of_run(run: Run) -> dict[str, Any]:
    """Return the recipe of a run, with the runs that it was made from by their ids."""
    return recipe_of(run.plan, run.parents, run.revision)


def recipe_in(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe in what a file holds; raise BadRequest for a broken one. Of its files only names are taken."""
    try:
        recipe = recipe_of(Plan.from_json(metadata["plan"]), weights=str(metadata.get("revision", "")))
        allowed = {*TASKS[recipe["task"]].model_fields, *BESIDE}
        found = without_folders({name: value for name, value in recipe.items() if name in allowed})
    except DAMAGE as error:
        raise BadRequest("recipe", BROKEN) from error
    return found | {"app": version_in(str(metadata.get("version", "")))}


def without_folders(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe for other people, or from them: files by their names, runs by their ids."""
    return replace_files(recipe, _bare)


def version_in(text: str) -> str:
    """Return a version that somebody told, nothing where it is none."""
    return text if re.fullmatch(r"\d{1,4}(\.\d{1,4}){1,3}", text, re.ASCII) else ""


def registry_row(task: str, name: str | None) -> ModelSpec:
    """Return the registry's row of a name where it can do a task, or else the embedded model's."""
    return next((row for row in MODELS if row.name == name and task in row.tasks), EMBEDDED)


def unmarked(_spec: ModelSpec) -> str:
    """Return that nobody knows which weights a model has here."""
    return ""


def open_recipe(recipe: Mapping[str, Any], row: Row = registry_row, weights: Weights = unmarked) -> Opened:
    """Return a recipe as it can be asked for now; raise BadRequest for what never could.

    Another model, other weights, shapes, lengths, strengths or limits than it was made with are told in notes.
    """
    asked = {name: value for name, value in recipe.items() if name not in BESIDE and value is not None}
    request = _checked(asked)
    spec = row(request.task, request.model)
    notes: list[str] = []
    if request.model not in (None, spec.name):
        notes.append(
            f"{_title(request.model)} is not offered for this here. {spec.title} is selected, with its own settings."
        )
        asked = {name: value for name, value in asked.items() if name not in OF_THE_MODEL}
    asked = _limited(asked, spec, notes)
    if request.model == spec.name:
        asked = _limited(_as_meant(asked, recipe.get("meant") or {}, spec, notes), spec, notes)
    _checked(asked)
    notes += _elsewhere(recipe, spec, same=request.model == spec.name, here=weights(spec))
    return Opened(asked | {"model": spec.name}, tuple(notes))


def _loras(plan: Plan) -> dict[str, Any]:
    known = [(lora.name if hub_id(lora.name) else lora.file, lora.weight) for lora in plan.loras]
    return {"loras": [{"source": source, "weight": weight} for source, weight in known]} if known else {}


def _meant(plan: Plan, kept: Mapping[str, Any]) -> dict[str, Any]:
    meant: dict[str, Any] = {}
    if "width" not in kept:
        meant["width"], meant["height"] = plan.asked or (plan.width, plan.height)
    # Where clips or cards decide, nobody asks for frames.
    if plan.task != "storyboard" and "frames" not in kept and not any(isinstance(part, Kept) for part in plan.timeline):
        meant |= {} if any(segment.source for segment in plan.segments) else {"frames": plan.num_frames}
    if plan.task == "restyle" and isinstance(kept.get("strength", "mild"), str):
        meant["level"] = plan.segments[0].strength
    return meant


def _bare(file: str) -> str:
    """Return the name of a file without what led to it, which is another machine's business."""
    if file.startswith(RUN):
        return RUN + "".join(filter(str.isalnum, file.removeprefix(RUN)))[:LONGEST_NAME]
    name = PurePath(file.replace("\\", "/")).name
    return "".join(letter for letter in name if letter.isprintable())[-LONGEST_NAME:]


def _checked(asked: Mapping[str, Any]) -> Request:
    """Check what is there as a request; what is still to be given, files and words, may be missing."""
    kind = TASKS.get(asked.get("task", "text"), TextRequest)
    needed = [name for name in SOURCES if name in kind.model_fields and kind.model_fields[name].is_required()]
    if kind is AnimateRequest and not (asked.get("image") or asked.get("last") or asked.get("at")):
        needed = ["image"]
    files = {name: SOME_FILE for name in needed if name not in asked}
    words = {} if str(asked.get("prompt", "")).strip() else {"prompt": SOME_WORDS}
    return parse_request({**asked, **files, **words})


def _limited(asked: dict[str, Any], spec: ModelSpec, notes: list[str]) -> dict[str, Any]:
    """Leave out what is out of a model's limits, which may have been others."""
    sides, longest = (spec.min_side, spec.max_side), spec.most_frames(asked.get("task", "text"))
    limits: dict[str, tuple[float, float]] = {
        "steps": (spec.min_steps, spec.max_steps),
        "guidance_scale": (1, spec.max_guidance_scale),
        "width": sides,
        "height": sides,
        "frames": (1, longest),
        "seconds": (0, (longest - 1) / spec.fps),
    }
    out = [name for name, (least, most) in limits.items() if name in asked and not least <= asked[name] <= most]
    for name in out:
        least, most = limits[name]
        said = name.removesuffix("_scale")
        notes.append(f"{said} {asked[name]:g} is left out: {spec.title} takes {least:g} to {most:g}.")
    gone = {*out, *(("width", "height") if {"width", "height"} & {*out} else ())}
    return {name: value for name, value in asked.items() if name not in gone}


def _as_meant(asked: dict[str, Any], meant: Mapping[str, Any], spec: ModelSpec, notes: list[str]) -> dict[str, Any]:
    """Put what a name or a length came to in its place, where today it would come to something else."""
    size = (meant.get("width"), meant.get("height"))
    if None not in size and "width" not in asked:
        asked = _sized(asked, size, spec, notes)
    frames = meant.get("frames")
    if frames is not None and "frames" not in asked and frames != _frames(asked, spec):
        if "seconds" in asked:
            notes.append(f"{asked['seconds']:g} s came to {frames} frames, which are set: today they come to others.")
        asked = {name: value for name, value in asked.items() if name != "seconds"} | {"frames": frames}
    level, strength = meant.get("level"), asked.get("strength", "mild")
    if level is not None and isinstance(strength, str) and level != (today := _level(strength, spec)):
        now = "nobody knows" if today is None else f"it is {today:g}"
        notes.append(f"{strength.capitalize()} was noise level {level:g}, which is set: today {now}.")
        asked = asked | {"strength": float(level)}
    return asked


def _level(strength: str, spec: ModelSpec) -> float | None:
    with suppress(CannotDo):
        return noise_level(strength, spec)
    return None


def _sized(asked: dict[str, Any], size: tuple[Any, Any], spec: ModelSpec, notes: list[str]) -> dict[str, Any]:
    shape, today = asked.get("shape"), {each: name for name, each in spec.shapes.items()}
    exact = {name: value for name, value in asked.items() if name != "shape"} | {"width": size[0], "height": size[1]}
    if shape is None and files_in(asked):
        # The shape follows what is given.
        return asked if size in today else exact
    if spec.shapes[shape or spec.shape] == size:
        return asked
    if shape is None and size in today:
        return asked | {"shape": today[size]}
    if shape is not None:
        now = "×".join(map(str, spec.shapes[shape]))
        notes.append(f"{shape.capitalize()} was {size[0]}×{size[1]}, which is set: today it is {now}.")
    return exact


def _frames(asked: Mapping[str, Any], spec: ModelSpec) -> int | None:
    """Return the frames that a length comes to today, None where clips decide."""
    match request := _checked(asked):
        case LoopRequest(video=None):
            return sum(part.frames for part in lay_out(request, spec, {}).timeline)
        case TextRequest() | AnimateRequest():
            return clip_length(request, spec)[0]
    return None


def _elsewhere(recipe: Mapping[str, Any], spec: ModelSpec, same: bool, here: str) -> Iterator[str]:
    """Say what decides a take beside what was asked: the weights, and the app."""
    there = recipe.get("weights") or ""
    if same and there and here and here[:MARK] != there[:MARK]:
        yield f"{spec.title} has other weights now than when this was made: expect another picture."
    if (app := recipe.get("app")) and app != VERSION:
        yield f"It comes from Onetake {app}; this is {VERSION}, which may make it otherwise."


def _title(name: str | None) -> str:
    return next((row.title for row in MODELS if row.name == name), ascii(name)[:60])
