"""The unmarked latents of a run as a file: what they are can be told without a model, and an edit starts from them."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from pipeline.errors import BadRequest, NotFound
from pipeline.events import Latents
from pipeline.given.footage import Footage

SUFFIX = ".safetensors"


def is_latents(path: str) -> bool:
    """Return whether a path is that of latents rather than of a clip."""
    return Path(path).suffix == SUFFIX


def write_latents(latents: Latents, path: Path, size: tuple[int, int], frames: int, fps: int) -> None:
    """Write latents with what they decode to: size (width, height) in pixels, frames, and frames a second."""
    width, height = size
    facts = {"width": width, "height": height, "frames": frames, "fps": fps}
    save_file({"latents": latents}, path, {name: str(value) for name, value in facts.items()})


def tells_its_size(path: Path) -> bool:
    """Return whether there are latents at a path that say what they decode to; early ones do not."""
    try:
        look_at_latents(str(path), "video")
    except BadRequest:
        return False
    return True


def read_latents(path: Path) -> Latents:
    """Read latents (1, channels, frames, height, width); raise NotFound when they are gone."""
    try:
        return load_file(path)["latents"]
    except (OSError, SafetensorError, KeyError) as error:
        raise NotFound(f"The latents in {path.name} are gone. Make the clip again with its recipe.") from error


def look_at_latents(path: str, field: str) -> Footage:
    """Return what latents decode to; raise BadRequest, naming the field, where there are none."""
    try:
        with safe_open(path, framework="np") as file:
            facts = {name: int(value) for name, value in file.metadata().items()}
        fps = facts["fps"]
        return Footage(_name(Path(path)), facts["width"], facts["height"], facts["frames"] / fps, fps, has_sound=False)
    except (OSError, SafetensorError, KeyError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise BadRequest(field, "The take is no longer there. Choose another one from the library.") from error


def _name(path: Path) -> str:
    """Name latents after their run."""
    return f"take-{path.parent.name[:6]}" if path.stem == "latents" else path.stem
