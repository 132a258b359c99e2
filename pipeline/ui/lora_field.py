"""The fields for LoRAs: files to drop, and a text for Hub ids and for weights other than 1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from pipeline.adapters import SUFFIX, Adapter, hub_id
from pipeline.errors import BadRequest


@dataclass(frozen=True)
class LoraField:
    """Both inputs, and how their values become the field of a request."""

    files: gr.File
    lines: gr.Textbox

    @property
    def inputs(self) -> tuple[gr.File, gr.Textbox]:
        """Everything that decides which LoRAs a take is made with."""
        return self.files, self.lines

    def read(self, values: Mapping[Component, Any]) -> list[dict[str, Any]]:
        """Return the files with their weights, then the Hub ids; raise BadRequest for a line that names neither."""
        asked = [{"source": path, "weight": 1.0} for path in values[self.files] or ()]
        by_name = {Path(lora["source"]).name: lora for lora in asked}
        for line in filter(None, map(str.strip, (values[self.lines] or "").splitlines())):
            name, weight = _read_line(line)
            if hub_id(name) is not None:
                asked.append({"source": name, "weight": weight})
            elif name in by_name:
                by_name[name]["weight"] = weight
            else:
                raise BadRequest("loras", f"{name!r} is no LoRA that was uploaded, and no Hub id. Write {HINT}.")
        return asked

    def restore(self, adapters: Sequence[Adapter]) -> dict[Block, Any]:
        """Return the values that a plan had; a file that is gone is left out."""
        own = [adapter for adapter in adapters if hub_id(adapter.name) is None]
        files = {adapter: path for adapter in own if (path := _offered(adapter.file))}
        told = [each for each in adapters if each in files or each not in own]
        lines = [_line(each, files.get(each)) for each in told if each not in files or each.weight != 1]
        return {self.files: list(files.values()) or None, self.lines: "\n".join(lines)}


HINT = "user/name=0.8, or a file's name with a weight"


def build_lora_field(task: str) -> LoraField:
    """Build the fields; ids begin with the task."""
    files = gr.File(
        label="LoRA files", file_count="multiple", file_types=[SUFFIX], type="filepath", height=84,
        elem_id=f"{task}-lora-files", elem_classes="clip-file",
    )  # fmt: skip
    lines = gr.Textbox(
        label="LoRAs from the Hub, weights", placeholder=HINT, lines=1, max_lines=4, elem_id=f"{task}-loras",
    )  # fmt: skip
    return LoraField(files, lines)


def _offered(file: str) -> str | None:
    """Return a copy that the page may read again, None where the file is gone."""
    return save_file_to_cache(file, get_upload_folder()) if Path(file).is_file() else None


def _read_line(line: str) -> tuple[str, float]:
    name, equals, weight = line.rpartition("=")
    if not equals:
        return line, 1.0
    try:
        return name.strip(), float(weight)
    except ValueError:
        raise BadRequest("loras", f"{weight.strip()!r} is no weight. Write a number from -2 to 2.") from None


def _line(adapter: Adapter, file: str | None) -> str:
    name = Path(file).name if file else adapter.name
    return name if adapter.weight == 1 else f"{name}={adapter.weight:g}"
