"""Models come and go, and what they held is given back."""

import ctypes
import gc
import sys
import weakref
from pathlib import Path

import pytest
from tiny_ltx import place_row

from pipeline.backends.local import LocalBackend
from pipeline.errors import NotDownloaded
from pipeline.models import get_model
from pipeline.settings import Settings

MOST_GROWTH = 1.05


def resident_mb() -> float:
    """What this process holds now; what its allocator keeps for later is given back first."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 10**6


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_ten_switches_do_not_grow_resident_memory(tmp_path: Path) -> None:
    place_row(get_model("ltx-2b"), tmp_path / "hub")
    backend = LocalBackend(Settings(home=tmp_path / "home", hub=tmp_path / "hub", device="cpu"))
    names, sizes = ("tabletop", "ltx-2b"), []
    gone: list[weakref.ref[object]] = []
    # The first two bring libraries along.
    for switch in range(12):
        gone.append(weakref.ref(backend.warm(names[switch % 2])))
        sizes.append(resident_mb())
    assert backend.loaded == "ltx-2b"
    assert [each() is None for each in gone] == [True] * 11 + [False]
    # Each against itself, so that neither hides behind the other's size.
    for first in (2, 3):
        assert max(sizes[first::2]) < MOST_GROWTH * sizes[first], sizes


def test_the_same_model_is_not_loaded_again(backend: LocalBackend) -> None:
    assert backend.warm("tabletop") is backend.warm("tabletop")


def test_a_model_that_is_not_here_leaves_the_one_before(tmp_path: Path) -> None:
    backend = LocalBackend(Settings(home=tmp_path, hub=tmp_path, device="cpu"))
    before = backend.warm("tabletop")
    with pytest.raises(NotDownloaded, match="not on this machine"):
        backend.warm("ltx-2b")
    assert backend.warm("tabletop") is before
