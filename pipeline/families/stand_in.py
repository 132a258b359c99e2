"""A method of a module in whose place another one answers for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stand_in(module: Any, name: str, answer: Callable[..., Any]) -> Iterator[None]:
    """Let a function answer in place of a method; hooks that have put one of their own there get it back."""
    method, own = getattr(module, name), name in vars(module)
    setattr(module, name, answer)
    try:
        yield
    finally:
        if own:
            setattr(module, name, method)
        else:
            delattr(module, name)
