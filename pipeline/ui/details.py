"""What stands under a finished clip, as HTML: the download, its notes and its recipe."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from pipeline.errors import BadRequest
from pipeline.models import get_model
from pipeline.planning.segments import Kept, Part
from pipeline.recipes.links import link_of, run_link
from pipeline.recipes.recipe import recipe_of
from pipeline.ui.clips import Clip

RECIPE_COPIED = "Copied. Whoever opens it finds this page filled in and ready, and makes the take anew."
PUBLISHED_COPIED = "Copied. Whoever opens it sees this take, and can make their own from its recipe."
PRIVATE_COPIED = "Copied. It opens this take for you alone: publish it, and others see it too."


def download(clip: Clip) -> str:
    """Return the link that saves the clip under a telling name."""
    name = escape(clip.download_name, quote=True)
    return f'<a class="action" id="download" href="{clip.url}" download="{name}">Download</a>'


def links(clip: Clip) -> str:
    """Return the buttons that copy the clip's addresses, which assets/links.js completes by that of the page."""
    try:
        recipe = f'data-copy="{escape(link_of(recipe_of(clip.plan, clip.parents, clip.weights)), quote=True)}" '
        told = RECIPE_COPIED
    except BadRequest as error:
        recipe, told = "", str(error)
    buttons = _copies("Copy recipe link", recipe, told)
    if clip.run_id is not None:
        run = f'data-copy="{escape(run_link(clip.run_id), quote=True)}" '
        buttons += _copies("Copy run link", run, PUBLISHED_COPIED if clip.marks.published else PRIVATE_COPIED)
    return f'{buttons}<span class="copied" role="status"></span>'


def _copies(label: str, link: str, told: str) -> str:
    return f'<button type="button" class="copies" {link}data-told="{escape(told, quote=True)}">{label}</button>'


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
