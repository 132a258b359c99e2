"""What a segment needs against what a model can do: a plan that it could not honour is refused with the reason."""

from pipeline.errors import CannotDo
from pipeline.model_spec import ModelSpec
from pipeline.planning.segments import Segment


def check_abilities(segment: Segment, spec: ModelSpec) -> None:
    """Raise CannotDo, naming the field to change, for what a model has no means for."""
    if segment.pins and spec.pins == "none":
        raise CannotDo("range", f"{spec.title} holds no frames. Leave the range out, or choose another model.")
    if spec.pins == "first" and any(pin.frame or pin.given.frames > 1 for pin in segment.pins):
        raise CannotDo(
            "image", f"{spec.title} holds a first picture only. Leave the others out, or choose another model."
        )
    if not spec.soft_pins and any(pin.strength < 1 for pin in segment.pins):
        raise CannotDo(
            "strength", f"{spec.title} keeps pictures whole. Set their strength to 1, or choose another model."
        )
    if segment.source and not spec.edits:
        raise CannotDo("video", f"{spec.title} takes no clip up. Choose another model.")
    if segment.rolled and not spec.rolls:
        raise CannotDo("video", f"{spec.title} makes no loops of words alone. Give a clip, or choose another model.")
