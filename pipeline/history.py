"""What finished runs tell: how fast a machine is with a model, and how the work of a plan is spread over its steps."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import accumulate

from pipeline.model_spec import ModelSpec
from pipeline.models import get_model
from pipeline.plan import Plan, makings_of
from pipeline.planning.delivery import Pass, passes_flops
from pipeline.planning.estimate import amounts_of, default_speed
from pipeline.planning.segments import Chunk
from pipeline.planning.speed import Past, Seconds, Speed


def measured_speed(history: Iterable[tuple[Plan, Mapping[str, float]]], spec: ModelSpec) -> Speed:
    """Return what a model's finished runs and their timings (seconds) tell, newest first, over the registry's guess."""
    runs = tuple(past_of(plan, timings, spec) for plan, timings in history if plan.model == spec.name)
    return replace(default_speed(spec), runs=runs)


def past_of(plan: Plan, timings: Mapping[str, float], spec: ModelSpec) -> Past:
    """Return a run as its timings tell it; what was promised counts only where runs had told it."""
    text = timings.get("text", 0.0) + timings.get("loras", 0.0)
    took = Seconds(text, *(timings[name] for name in ("denoise", "decode", "encode")))
    promised = plan.estimate.seconds if plan.estimate.measured else 0.0
    amounts = amounts_of(spec, makings_of(plan, spec))
    return Past(amounts, plan.estimate.policy, took, promised, timings.get("load", 0.0))


def shares_of_steps(plan: Plan) -> tuple[float, ...]:
    """Return which share of the denoising is done after each step: those of a second, larger pass take longer."""
    spec = get_model(plan.model)
    costs = [
        passes_flops(spec, made.frames, (Pass(each.size, (level,)),), made.guidance_scale)
        for made in makings_of(plan, spec)
        for each in made.passes
        for level in each.levels
    ]
    return tuple(done / sum(costs) for done in accumulate(costs))


def ends_of_segments(plan: Plan) -> tuple[int, ...]:
    """Return after how many steps, counted through all, each segment of a plan is made."""
    makings = makings_of(replace(plan, begun=()), get_model(plan.model))
    return tuple(accumulate(sum(len(each.levels) for each in made.passes) for made in makings))


def going_on(plan: Plan, begun: tuple[Chunk, ...]) -> Plan:
    """Return a plan of which some parts are made, with what is left of its costs."""
    left, costs = replace(plan, begun=begun), plan.estimate
    return replace(left, estimate=replace(costs, denoise=costs.denoise * work_of(left) / work_of(plan)))


def work_of(plan: Plan) -> float:
    """Return the operations of what is left of a plan's denoising, in GFLOP."""
    spec = get_model(plan.model)
    return amounts_of(spec, makings_of(plan, spec)).gflop
