"""The registry: all rows, in the order in which they are offered, and which of them is the default."""

from collections.abc import Callable

from pipeline.errors import UnknownModel
from pipeline.memory import Machine, stays_on_card
from pipeline.model_spec import ModelSpec
from pipeline.rows.helios import HELIOS
from pipeline.rows.ltx import LTX
from pipeline.rows.tabletop import TABLETOP
from pipeline.rows.wan import WAN

MODELS: tuple[ModelSpec, ...] = (*TABLETOP, *LTX, *WAN, *HELIOS)
EMBEDDED = next(spec for spec in MODELS if spec.embedded)


def get_model(name: str) -> ModelSpec:
    """Return the row of that name; raise UnknownModel, naming the others."""
    for spec in MODELS:
        if spec.name == name:
            return spec
    names = ", ".join(spec.name for spec in MODELS)
    raise UnknownModel("model", f"There is no model {name!r}. Choose one of: {names}.")


def default_model(machine: Machine, is_here: Callable[[ModelSpec], bool], wanted: str | None = None) -> ModelSpec:
    """Return the model that a request without one gets; raise UnknownModel for a wanted one that is none.

    That is the wanted one, or else the largest of the LTX family that is on this machine and whose weights stay on the
    card, whole or narrowed, or else the embedded one.
    """
    if wanted:
        return get_model(wanted)
    hosted = (spec for spec in MODELS if spec.family == "ltx" and not spec.embedded)
    fitting = (spec for spec in hosted if stays_on_card(spec, machine) and is_here(spec))
    return max(fitting, key=lambda spec: spec.memory_mb, default=EMBEDDED)
