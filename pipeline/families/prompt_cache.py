"""Encoded prompts on disk, so that a prompt that comes again needs no text encoder."""

import json
import logging
from collections.abc import Callable, Mapping
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pipeline.families.family import TextEmbeds
from pipeline.hub.downloads import model_folder
from pipeline.model_spec import ModelSpec
from pipeline.plan import Plan
from pipeline.planning.segments import Segment
from pipeline.settings import Settings

# A prompt of a hosted model takes 2 to 8 MB.
MOST_BYTES = 500 * 10**6

log = logging.getLogger(__name__)


def prompt_key(plan: Plan, segment: Segment, spec: ModelSpec, settings: Settings) -> dict[str, Any]:
    """Return everything that decides what a hosted model's text encoder makes of a prompt.

    The folder of its files is named after their commit.
    """
    guided = plan.guidance_scale > 1
    return {
        "model": spec.name,
        "revision": model_folder(spec, settings).name,
        "prompt": segment.prompt,
        "negative": spec.negative_prompt if guided else None,
        "length": spec.network.text_tokens,
        "dtype": spec.dtype,
    }


class PromptCache:
    """Tensors by what they were made from; beyond so many bytes those that were not used for longest go."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def encoded(self, key: Mapping[str, Any], device: str, encode: Callable[[], TextEmbeds]) -> TextEmbeds:
        """Return what was kept under a key, on a device, or encode and keep it."""
        # The name tells nobody what the prompt was.
        path = self._folder / f"{sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()}.safetensors"
        kept = self._read(path, device)
        if kept is not None:
            return kept
        made = encode()
        try:
            self._write(path, made)
        except (OSError, SafetensorError) as error:
            log.warning("%s cannot be written: %s", path, error)
        return made

    def _read(self, path: Path, device: str) -> TextEmbeds | None:
        try:
            with safe_open(path, "pt", device) as file:
                names = file.metadata()["names"].split(",")
                there = set(file.keys())
                kept = {name: file.get_tensor(name) if name in there else None for name in names}
            path.touch()
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            log.warning("%s is made anew: %s", path, error)
            return None
        return kept

    def _write(self, path: Path, made: TextEmbeds) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach().cpu().contiguous() for name, value in made.items() if value is not None}
        aside = path.with_suffix(f".{uuid4().hex}.part")
        try:
            save_file(tensors, aside, {"names": ",".join(made)})
            aside.rename(path)
        finally:
            aside.unlink(missing_ok=True)
        self._forget()

    def _forget(self) -> None:
        newest = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path, total in zip(newest, accumulate(path.stat().st_size for path in newest), strict=True):
            if total > self._most_bytes:
                path.unlink(missing_ok=True)
