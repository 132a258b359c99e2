"""The text encoder of a pipeline, often larger than its transformer: there while words are encoded, and not before."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from pipeline.families.card import free_card_mb, give_back
from pipeline.families.loading import refuse_nan, told_plainly
from pipeline.families.placing import bring
from pipeline.memory import BLOCKS, Policy, weights_mb
from pipeline.model_spec import ModelSpec
from pipeline.settings import Settings

PARTS = ("text_encoder", "tokenizer")


def without_text(spec: ModelSpec, settings: Settings) -> dict[str, None]:
    """Return what makes `from_pretrained` leave the text encoder out.

    The embedded model's is small and comes along, and so do all on ZeroGPU: what a fork has to load costs its time.
    """
    return {} if spec.embedded or settings.on_zerogpu else dict.fromkeys(PARTS)


class TextEncoder:
    """Lends a pipeline that can encode prompts: the loaded one, or one of its class with those parts only.

    `source` is what the pipeline was loaded with (see loading.source_of), `policy` where its transformer's weights lie.
    """

    def __init__(self, spec: ModelSpec, pipe: Any, source: Mapping[str, Any], policy: Policy, device: str) -> None:
        self._spec = spec
        self._pipe = pipe
        self._source = source
        self._policy = policy
        self._device = device
        self._words: Any = None

    @property
    def loaded(self) -> bool:
        """True while it takes memory."""
        return self._words is not None

    @contextmanager
    def at_hand(self, beside: bool) -> Iterator[Any]:
        """Lend it; unless it may stay beside the transformer, that one is away meanwhile. Raise LoadError."""
        if self._pipe.text_encoder is not None:
            yield self._pipe
            return
        with nullcontext() if beside else self._without_transformer():
            try:
                self._words = self._words or self._load()
                yield self._words
            finally:
                if not beside:
                    self.release()

    def release(self) -> None:
        """Give its memory back, if it takes any."""
        if self._words is not None:
            self._words = None
            give_back()

    def _load(self) -> Any:
        with told_plainly(self._spec, self._source["pretrained_model_name_or_path"]):
            others = dict.fromkeys(name for name in self._pipe.components if name not in PARTS)
            words = type(self._pipe).from_pretrained(**self._source, **others)
            refuse_nan(words, self._spec)
            self._place(words.text_encoder)
        return words

    def _place(self, encoder: torch.nn.Module) -> None:
        if self._device == "cuda" and weights_mb(self._spec, self._policy)[1] > free_card_mb():
            bring(encoder, torch.device(self._device), "leaf")
        else:
            encoder.to(self._device)

    @contextmanager
    def _without_transformer(self) -> Iterator[None]:
        """Let the transformer wait in memory, where it is on the card."""
        moves = self._device == "cuda" and self._policy not in BLOCKS
        if moves:
            self._pipe.transformer.to("cpu")
            give_back()
        try:
            yield
        finally:
            if moves:
                self._pipe.transformer.to(self._device)
