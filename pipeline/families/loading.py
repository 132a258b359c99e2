"""What every family does to load a model: find its files, say in one line what is wrong with them, place it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from pipeline.errors import CannotDo, LoadError
from pipeline.families.card import ran_out
from pipeline.hub.downloads import model_folder
from pipeline.model_spec import ModelSpec
from pipeline.settings import Settings


def device_of(settings: Settings) -> str:
    """Return the device that this torch can really use."""
    return "cuda" if settings.device == "cuda" and torch.cuda.is_available() else "cpu"


def use_threads(count: int) -> None:
    """Compute with so many threads of a processor, in the thread that asks."""
    torch.set_num_threads(count)


def peak_mb(device: str) -> float | None:
    """Return the peak of a card's memory in MB, or None on a processor."""
    return float(torch.cuda.max_memory_allocated()) / 2**20 if device == "cuda" else None


def source_of(spec: ModelSpec, settings: Settings) -> dict[str, Any]:
    """Return where `from_pretrained` finds a model's files, and how it reads them; raise NotDownloaded."""
    # Always a folder: nothing is fetched behind a user's back while a model loads.
    folder = str(model_folder(spec, settings))
    return {"pretrained_model_name_or_path": folder, "dtype": getattr(torch, spec.dtype), "use_safetensors": True}


@contextmanager
def told_plainly(spec: ModelSpec, source: str | Path) -> Iterator[None]:
    """Turn whatever goes wrong inside into one LoadError: a damaged folder can fail in any library on the way.

    A full card is none: the backend tries another policy.
    """
    _keep_quiet()
    try:
        yield
    except (LoadError, CannotDo):
        raise
    except Exception as error:
        if ran_out(error):
            raise
        raise LoadError(
            f"{spec.title} could not be loaded from {source}: {_one_line(error)}. Fetch its files anew."
        ) from error


def refuse_nan(pipe: Any, spec: ModelSpec) -> None:
    """Raise LoadError for weights that are not numbers."""
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module) and not all(torch.isfinite(each).all() for each in part.parameters()):
            raise LoadError(
                f"{spec.title} has weights that are not numbers ({type(part).__name__}). Fetch its files anew."
            )


def _keep_quiet() -> None:
    # Progress bars and advice of these libraries are not for the user of an app; their errors still show.
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def _one_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
