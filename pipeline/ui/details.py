"""What stands under a finished clip, as HTML: the download, its notes and its recipe."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from pipeline.models import get_model
from pipeline.segments import Kept, Part
from pipeline.ui.clips import Clip


def download(clip: Clip) -> str:
    """Return the link that saves the clip under a telling name."""
    name = escape(clip.download_name, quote=True)
    return f'<a class="action" id="download" href="{clip.url}" download="{name}">Download</a>'


def notes_and_recipe(clip: Clip) -> str:
    """Return the notes in the open, and the exact settings folded away."""
    return _notes(clip.notes) + _recipe(clip)


def notes_list(notes: Iterable[str]) -> str:
    """Return notes as a list, nothing where there are none."""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _notes(notes: Iterable[str]) -> str:
    inside = notes_list(notes)
    return f'<section aria-label="Notes">{inside}</section>' if inside else ""


def _recipe(clip: Clip) -> str:
    settings = (*recipe_rows(clip), *clip.facts)
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in settings)
    return f'<details class="recipe"><summary>Recipe</summary><dl>{rows}</dl></details>'


def recipe_rows(clip: Clip) -> tuple[tuple[str, str], ...]:
    """Return what made a clip, each setting by its name."""
    plan = clip.plan
    return (
        ("Prompt", plan.prompt),
        ("Model", get_model(plan.model).title),
        ("Seed", str(plan.seed)),
        ("Size", f"{plan.width}×{plan.height} px"),
        ("Length", f"{plan.num_frames} frames at {plan.fps} a second"),
        ("Steps", str(plan.steps)),
        ("Guidance", f"{plan.guidance_scale:g}"),
        *_given(clip),
    )


def _given(clip: Clip) -> Iterator[tuple[str, str]]:
    (segment,) = clip.plan.segments
    if segment.source:
        yield "Noise level", f"{segment.strength:g}"
    if segment.rolled:
        yield "Loop", "latents turned in time"
    names = dict.fromkeys(Path(excerpt.file).name for excerpt in segment.excerpts)
    if names:
        yield "Given", ", ".join(names)
    if clip.plan.loras:
        yield "LoRA", ", ".join(f"{lora.name} × {lora.weight:g}" for lora in clip.plan.loras)
    if clip.plan.timeline:
        yield "Parts", " + ".join(_part(part) for part in clip.plan.timeline)


def _part(part: Part) -> str:
    return f"{part.frames} frames {'kept' if isinstance(part, Kept) else 'made'}"
