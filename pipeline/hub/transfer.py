"""One file of the Hub onto the disk: resumed where it broke off, checked before it counts, never half of it."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._headers import build_hf_headers

from pipeline.errors import Cancelled, DownloadFailed
from pipeline.hub.downloads import cache_of
from pipeline.settings import Settings

CHUNK = 2**20
STOPPED = "Stopped. What was fetched is kept; download it again to go on from there."

OnBytes = Callable[[int], None]
IsStopped = Callable[[], bool]


@dataclass(frozen=True)
class Patience:
    """How long to wait for the Hub, in seconds, and how often to take up a transfer that breaks off without a byte."""

    connect_s: float = 10.0
    read_s: float = 30.0
    pause_s: float = 2.0
    tries: int = 5

    @property
    def timeout(self) -> httpx2.Timeout:
        """The same for the client of the Hub's library."""
        return httpx2.Timeout(self.read_s, connect=self.connect_s)


@dataclass(frozen=True)
class HubFile:
    """A file of a repository at a commit. `digest` names its blob: SHA-256 for large files, Git's SHA-1 for others."""

    repo: str
    commit: str
    path: str
    size: int
    digest: str

    def pointer(self, settings: Settings) -> Path:
        """Return where the file is read from."""
        return cache_of(self.repo, settings) / "snapshots" / self.commit / self.path

    def blob(self, settings: Settings) -> Path:
        """Return where its bytes lie, once they are whole."""
        return cache_of(self.repo, settings) / "blobs" / self.digest

    def partial(self, settings: Settings) -> Path:
        """Return where its bytes lie until then."""
        return self.blob(settings).with_name(f"{self.digest}.onetake.incomplete")

    def bytes_here(self, settings: Settings) -> int:
        """Return how many of its bytes need not be fetched any more."""
        if self.pointer(settings).is_file() or self.blob(settings).is_file():
            return self.size
        partial = self.partial(settings)
        return min(partial.stat().st_size, self.size) if partial.is_file() else 0


def fetch(file: HubFile, settings: Settings, on_bytes: OnBytes, stopped: IsStopped, patience: Patience) -> None:
    """Bring a file into the Hub's cache and tell each piece; raise Cancelled, DownloadFailed, or what went wrong there.

    huggingface_hub 2.4 begins a file anew after each call that failed, and compares sizes only.
    """
    pointer, blob = file.pointer(settings), file.blob(settings)
    if pointer.is_file():
        return
    blob.parent.mkdir(parents=True, exist_ok=True)
    if not blob.is_file():
        _fill(file, settings, on_bytes, stopped, patience)
        file.partial(settings).replace(blob)
    pointer.parent.mkdir(parents=True, exist_ok=True)
    _point(pointer, blob)


def _fill(file: HubFile, settings: Settings, on_bytes: OnBytes, stopped: IsStopped, patience: Patience) -> None:
    with closing(_Partial(file, file.partial(settings))) as partial:
        left = patience.tries
        while partial.size < file.size:
            before = partial.size
            try:
                for piece in _pieces(file, settings.hub_endpoint, partial, patience):
                    on_bytes(partial.add(piece))
                    _refuse_if(stopped)
            except (httpx2.TransportError, HfHubHTTPError) as error:
                left = patience.tries if partial.size > before else left - 1
                if not (left and _may_pass(error)):
                    raise
                _pause(patience.pause_s, stopped)
        partial.check()


def _pieces(file: HubFile, endpoint: str, partial: "_Partial", patience: Patience) -> Iterator[bytes]:
    url = hf_hub_url(file.repo, file.path, revision=file.commit, endpoint=endpoint)
    # Packed, a file would have another length, and could not be taken up in its middle.
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if partial.size:
        headers["Range"] = f"bytes={partial.size}-"
    with get_session().stream("GET", url, headers=headers, timeout=patience.timeout) as response:
        if partial.size and response.status_code == httpx2.codes.OK:
            partial.begin_anew()
        hf_raise_for_status(response)
        yield from response.iter_bytes()


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, HfHubHTTPError) or error.response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR


class _Partial:
    """The bytes that are here by now, and their digest, which goes along."""

    def __init__(self, file: HubFile, path: Path) -> None:
        self._file, self._path = file, path
        self.size, self._digest = 0, _new_digest(file)
        if path.is_file():
            self._read_on()
        self._target = path.open("ab" if self.size else "wb", buffering=CHUNK)

    def close(self) -> None:
        self._target.close()

    def add(self, piece: bytes) -> int:
        self._target.write(piece)
        self._digest.update(piece)
        self.size += len(piece)
        if self.size > self._file.size:
            self._throw_away(f"is longer than the {self._file.size} bytes it should have")
        return len(piece)

    def begin_anew(self) -> None:
        self._target.seek(0)
        self._target.truncate()
        self.size, self._digest = 0, _new_digest(self._file)

    def check(self) -> None:
        if self._digest.hexdigest() != self._file.digest:
            self._throw_away("arrived damaged")

    def _read_on(self) -> None:
        with self._path.open("rb") as kept:
            while piece := kept.read(CHUNK):
                self._digest.update(piece)
                self.size += len(piece)
        if self.size > self._file.size:
            self.size, self._digest = 0, _new_digest(self._file)

    def _throw_away(self, why: str) -> None:
        self._path.unlink()
        raise DownloadFailed(f"{self._file.path} of {self._file.repo} {why}, and was thrown away. Download it again.")


def _new_digest(file: HubFile) -> Any:
    if len(file.digest) == hashlib.sha256().digest_size * 2:
        return hashlib.sha256()
    # What Git calls a file by.
    return hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)


def _pause(seconds: float, stopped: IsStopped) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _refuse_if(stopped)
        time.sleep(min(0.1, seconds))


def _refuse_if(stopped: IsStopped) -> None:
    if stopped():
        raise Cancelled(STOPPED)


def _point(pointer: Path, blob: Path) -> None:
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except FileExistsError:
        return
    except OSError:
        # A disk without links, as on Windows.
        shutil.move(blob, pointer)
