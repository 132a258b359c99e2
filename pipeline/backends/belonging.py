"""A take goes on only as what it was begun as: with the same weights, to the same end."""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from pipeline.errors import BadRequest, NotFound
from pipeline.halfway import Halfway, Tensors, read_halfway
from pipeline.hub.downloads import weights_mark
from pipeline.models import get_model
from pipeline.plan import Plan
from pipeline.planning.delivery import passes_of
from pipeline.settings import Settings

# What decides the latents of a take, besides its segments, its LoRAs and what the model's row adds.
DECIDES = ("width", "height", "fps", "seed", "steps", "guidance_scale", "first_pass")
ANEW = "Make it anew: its recipe is kept"


def stopped_at(plan: Plan, steps: int, state: Tensors | None, settings: Settings) -> Halfway | None:
    """Return a state with the marks of what it belongs to, nothing for a take that has come to its end."""
    return None if state is None else Halfway(steps, state, _marks(plan, settings))


def refuse_others(plan: Plan, settings: Settings) -> None:
    """Raise BadRequest for a plan that goes on with what was begun as another, and NotFound where that is gone."""
    if plan.resumes is None:
        return
    begun, now = read_halfway(Path(plan.resumes.file), marks_only=True), _marks(plan, settings)
    title = get_model(plan.model).title
    if begun.marks.get("model") != now["model"]:
        raise BadRequest("model", f"This take was begun with another model than {title}. {ANEW}.")
    if begun.marks.get("weights") != now["weights"]:
        raise BadRequest("model", f"{title} has other weights now than this take was begun with. {ANEW}.")
    if begun.marks.get("take") != now["take"]:
        raise BadRequest("resumes", f"What would go on is another take than what was begun. {ANEW}.")
    if begun.steps != plan.resumes.steps:
        raise NotFound(f"The steps of this take are not those that were kept. {ANEW}.")


def _marks(plan: Plan, settings: Settings) -> dict[str, str]:
    spec = get_model(plan.model)
    return {"model": spec.name, "weights": weights_mark(spec, settings), "take": _mark_of_take(plan)}


def _mark_of_take(plan: Plan) -> str:
    """Return a digest of all that decides the latents of a take; files have other names on other machines."""
    spec, (segment,) = get_model(plan.model), plan.segments
    nameless = plan.with_files(lambda _: "")
    made = {name: getattr(plan, name) for name in DECIDES}
    made |= {"segments": nameless.segments, "loras": [(lora.sha256, lora.weight) for lora in plan.loras]}
    passes = passes_of(spec, segment, plan.steps, (plan.width, plan.height), plan.first_pass)
    made |= {"passes": passes, "negative_prompt": spec.negative_prompt, "dtype": spec.dtype}
    return sha256(json.dumps(made, sort_keys=True, default=asdict).encode()).hexdigest()
