"""The fields for LoRAs: files to drop, and a text for Hub ids and for weights other than 1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from pipeline.adapters import SUFFIX, hub_id
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

    def fill(self, loras: Sequence[Mapping[str, Any]]) -> dict[Block, Any]:
        """Return the values that ask for LoRAs: files that the page may read, and Hub ids."""
        files = [lora["source"] for lora in loras if hub_id(lora["source"]) is None]
        return {self.files: files or None, self.lines: "\n".join(filter(None, map(_line, loras)))}


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


def _read_line(line: str) -> tuple[str, float]:
    name, equals, weight = line.rpartition("=")
    if not equals:
        return line, 1.0
    try:
        return name.strip(), float(weight)
    except ValueError:
        raise BadRequest("loras", f"{weight.strip()!r} is no weight. Write a number from -2 to 2.") from None


def _line(lora: Mapping[str, Any]) -> str:
    """Return the line that names a LoRA of the Hub, or the weight of a file; nothing for a file as it is."""
    source, weight = lora["source"], lora.get("weight", 1.0)
    if hub_id(source) is None:
        return "" if weight == 1 else f"{Path(source).name}={weight!r}"
    return source if weight == 1 else f"{source}={weight!r}"
