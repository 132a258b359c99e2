"""LoRA adapters on a pipeline's transformer while a segment is made, and off it afterwards."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.adapters import Adapter
from pipeline.errors import BadRequest, CannotDo, OnetakeError
from pipeline.families.card import ran_out

PAIR = re.compile(r"transformer\.(.+)\.lora_([AB])\.(weight|bias)")


@contextmanager
def loras(pipe: Any, adapters: Sequence[Adapter]) -> Iterator[None]:
    """Add adapters to the transformer by their weights, and take them off again, whatever happens.

    What a file holds must all have its place there, as the pipeline's own mixin converts it. Raise CannotDo where
    something has none, BadRequest for a file that is gone or holds what is no number: the model itself is well.
    """
    if not adapters:
        yield
        return
    contents = [_read_fitting(pipe, adapter) for adapter in adapters]
    labels = [f"lora{number}" for number in range(len(adapters))]
    try:
        for label, adapter, weights in zip(labels, adapters, contents, strict=True):
            _load(pipe, label, adapter)
            _widen(pipe.transformer, label, weights)
        pipe.set_adapters(labels, [adapter.weight for adapter in adapters])
        yield
    finally:
        pipe.unload_lora_weights()


def _load(pipe: Any, label: str, adapter: Adapter) -> None:
    with _told_plainly(adapter), warnings.catch_warnings():
        # Peft advises against several adapters, which are meant.
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        pipe.load_lora_weights(adapter.file, adapter_name=label, use_safetensors=True)


def _widen(transformer: Any, label: str, weights: Mapping[str, Tensor]) -> None:
    """Undo what peft does beside weights that are stored in fp8: to store the LoRA so, which does not multiply."""
    for name, parameter in transformer.named_parameters():
        layer, _, kind = name.rpartition(f".{label}.")
        if layer and parameter.dtype.itemsize == 1:
            parameter.data = weights[f"transformer.{layer}.{kind}"].to(parameter.device, transformer.dtype)


def _read_fitting(pipe: Any, adapter: Adapter) -> dict[str, Tensor]:
    # The libraries take a path that leads nowhere for a Hub id, and ask for it.
    if not Path(adapter.file).is_file():
        raise BadRequest("loras", f"{adapter.name} is no longer there. Give the file again.")
    with _told_plainly(adapter):
        weights: dict[str, Tensor] = pipe.lora_state_dict(adapter.file, use_safetensors=True)
    astray = _without_a_place(weights, pipe.transformer)
    if astray:
        count = f"{len(astray)} of its {len(weights)} weights have no place there, such as {astray[0]}"
        raise CannotDo(
            "loras",
            f"{adapter.name} does not fit {type(pipe.transformer).__name__}: {count}. Give a LoRA of this model.",
        )
    if not all(torch.isfinite(value).all() for value in weights.values()):
        raise BadRequest(
            "loras", f"{adapter.name} has weights that are not numbers. Fetch the file anew, or leave it out."
        )
    return weights


def _without_a_place(weights: Mapping[str, Tensor], transformer: torch.nn.Module) -> list[str]:
    """Return the names of weights without a layer of their size, or without the other half of their pair."""
    layers = dict(transformer.named_modules())
    return [key for key, value in weights.items() if tuple(value.shape) != _wanted_shape(key, weights, layers)]


def _wanted_shape(
    key: str, weights: Mapping[str, Tensor], layers: Mapping[str, torch.nn.Module]
) -> tuple[int, ...] | None:  # fmt: skip
    match = PAIR.fullmatch(key)
    if match is None:
        return None
    layer = getattr(layers.get(match[1]), "weight", None)
    down, up = (weights.get(f"transformer.{match[1]}.lora_{half}.weight") for half in "AB")
    if down is None or up is None or not isinstance(layer, Tensor) or layer.ndim < 2:
        return None
    outwards, rank = len(layer), len(down)
    return {
        "A.weight": (rank, *layer.shape[1:]),
        "B.weight": (outwards, rank, *[1] * (layer.ndim - 2)),
        "B.bias": (outwards,),
    }.get(f"{match[2]}.{match[3]}")


@contextmanager
def _told_plainly(adapter: Adapter) -> Iterator[None]:
    """Turn whatever the libraries say of a file into one error: each format fails in its own way."""
    try:
        yield
    except OnetakeError:
        raise
    except Exception as error:
        if ran_out(error):
            raise
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise CannotDo("loras", f"{adapter.name} could not be added: {why}. Give a LoRA of this model.") from error
