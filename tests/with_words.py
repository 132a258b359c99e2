"""A loaded pipeline with its text encoder for a while, as its documentation calls it: the app keeps them apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipeline.families.text_encoder import PARTS

if TYPE_CHECKING:
    from pipeline.families.family import Family


@contextmanager
def with_words(family: "Family", pipe: Any = None) -> Iterator[Any]:
    """Lend a family's text encoder to its pipeline, or to another over the same parts."""
    pipe = pipe or family.pipe
    with family.words.at_hand(beside=True) as words:
        before = {name: getattr(pipe, name) for name in PARTS}
        pipe.register_modules(**{name: getattr(words, name) for name in PARTS})
        try:
            yield pipe
        finally:
            pipe.register_modules(**before)
