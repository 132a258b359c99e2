"""Named strengths of a restyle: per model, the noise level at which clips change by the same amount on average."""

import json
from functools import cache

from pipeline.errors import CannotDo, LoadError
from pipeline.model_spec import ModelSpec
from pipeline.settings import ASSETS

TABLE = ASSETS / "strengths.json"
CHANGES = {"subtle": 0.25, "mild": 0.4, "strong": 0.6}
"""What the names mean: the distance to the clip in the model's latents, 0 the same, 1 as far as two unlike clips."""

VISIBLE = 0.01
"""Noise levels that are nearer to each other than this make the same clip to the eye."""


def noise_level(strength: str | float, spec: ModelSpec) -> float:
    """Return the noise level 0..1 of a strength; a number is one already. `make calibrate` measures the names."""
    if isinstance(strength, float):
        return strength
    levels = _table().get(spec.name, spec.strengths)
    if strength not in levels:
        raise CannotDo("strength", f"Nobody has measured what {strength!r} means to {spec.title}. Give a number, 0..1.")
    return levels[strength]


def strength_notes(strength: str | float, spec: ModelSpec) -> tuple[str, ...]:
    """Say where a name stands for a noise level that was set and not calibrated."""
    if isinstance(strength, float) or spec.name in _table():
        return ()
    level = noise_level(strength, spec)
    return (f"{strength.capitalize()} is noise level {level:g} here: nobody has calibrated {spec.title} yet.",)


def taken_notes(level: float, spec: ModelSpec, steps: int) -> tuple[str, ...]:
    """Say where a denoising of so many steps takes a clip up at another noise level than was asked for."""
    taken = spec.levels_from(level, steps)[0]
    if abs(taken - level) < VISIBLE:
        return ()
    return (f"Noise level {level:g} became {taken:.2g}, that of a step: {spec.title} starts with one of its {steps}.",)


def write_table(levels: dict[str, dict[str, float]]) -> None:
    """Keep the measured noise levels, by model and name."""
    TABLE.write_text(json.dumps(levels, indent=1) + "\n", encoding="utf-8")
    _table.cache_clear()


def read_table() -> dict[str, dict[str, float]]:
    """Return the measured noise levels, none before the first calibration."""
    return json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}


@cache
def _table() -> dict[str, dict[str, float]]:
    try:
        return read_table()
    except (OSError, ValueError) as error:
        raise LoadError(f"The strengths cannot be read from {TABLE}. Fetch the file anew.") from error
