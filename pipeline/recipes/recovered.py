"""What was asked for a take that was made before plans kept it, read off what came of it."""

from collections.abc import Iterator
from typing import Any

from pipeline.given.footage import Excerpt
from pipeline.models import MODELS
from pipeline.plan import Plan
from pipeline.planning.layouts import SEAM_SECONDS
from pipeline.planning.segments import Kept, Segment


def recovered(plan: Plan) -> dict[str, Any]:
    """Return fields that make a plan again, though perhaps not those that were filled in."""
    (segment,) = plan.segments
    own = {"animate": _animate, "restyle": _restyle, "transition": _transition, "loop": _loop}.get(plan.task, _text)
    lines = {"deliver": f"{min(plan.delivered)}p"} if plan.delivered else {}
    fitted = _fitted(segment.excerpts[0]) if segment.excerpts else {}
    return {"prompt": segment.prompt, **_size(plan), **lines, **fitted, **own(plan, segment)}


def _size(plan: Plan) -> dict[str, Any]:
    """Name the shape, as most do; whoever typed it finds what they typed."""
    size = plan.asked or plan.first_pass or (plan.width, plan.height)
    shapes = next((row.shapes for row in MODELS if row.name == plan.model), {})
    named = next((name for name, each in shapes.items() if each == size), None)
    return {"shape": named} if named else {"width": size[0], "height": size[1]}


def _fitted(excerpt: Excerpt) -> dict[str, Any]:
    return {"fit": excerpt.fit, "focus": list(excerpt.focus)}


def _text(plan: Plan, segment: Segment) -> dict[str, Any]:
    # One frame is a picture, which no time asks for.
    return {"frames": 1} if segment.frames == 1 else {"seconds": (plan.num_frames - 1) / plan.fps}


def _animate(plan: Plan, segment: Segment) -> dict[str, Any]:
    end = plan.num_frames - 1
    strength = next((pin.strength for pin in segment.pins if pin.frame in (0, end)), segment.pins[0].strength)
    ends = {"image" if pin.frame == 0 else "last": pin.given.file for pin in segment.pins if pin.frame in (0, end)}
    between = [
        {"seconds": pin.frame / plan.fps, "image": pin.given.file, "strength": pin.strength}
        for pin in segment.pins
        if 0 < pin.frame < end
    ]
    return {**_text(plan, segment), **ends, "at": between, "strength": strength}


def _restyle(plan: Plan, segment: Segment) -> dict[str, Any]:
    video = segment.source.clip.file if segment.source else ""
    return {"video": video, "strength": segment.strength, "frames": plan.num_frames, **_range(plan)}


def _range(plan: Plan) -> dict[str, Any]:
    if not plan.timeline:
        return {}
    start = plan.timeline[0].frames if isinstance(plan.timeline[0], Kept) else 0
    return {"range": [start / plan.fps, (start + _made(plan)) / plan.fps]}


def _transition(plan: Plan, segment: Segment) -> dict[str, Any]:
    first, second = _kept(plan)
    curve = segment.source.curve if segment.source else "linear"
    return {"first": first.file, "second": second.file, "curve": curve, "seconds": _made(plan) / plan.fps}


def _loop(plan: Plan, _segment: Segment) -> dict[str, Any]:
    kept = next(_kept(plan), None)
    if kept is None:
        return {"seconds": plan.seconds}
    seam = min(SEAM_SECONDS, key=lambda name: abs(SEAM_SECONDS[name] - _made(plan) / plan.fps))
    return {"video": kept.file, "seam": seam, "range": [kept.start, kept.start + kept.frames / plan.fps]}


def _kept(plan: Plan) -> Iterator[Excerpt]:
    return (part.excerpt for part in plan.timeline if isinstance(part, Kept))


def _made(plan: Plan) -> int:
    return sum(part.frames for part in plan.timeline if not isinstance(part, Kept))
