"""A Hub of our own on this machine: the routes that are asked, over folders, with the faults that a real one has."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hub_cache import COMMIT

# The Hub keeps larger files aside, under their SHA-256.
LARGE = 1000
INFO = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/?]+))?")
FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Hub:
    """What is served, what was asked, and what goes wrong: a status for a repository, a break after so many bytes."""

    root: Path
    url: str = ""
    commit: str = COMMIT
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    breaks_after: list[int] = field(default_factory=list)
    seconds_each_chunk: float = 0.0
    damaged: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def files_asked(self) -> list[str]:
        """The names of files that were sent, whole or in part."""
        return [found[3] for path, _ in self.asked if (found := FILE.fullmatch(path))]

    def sibling(self, repo: str, path: Path) -> dict[str, Any]:
        """Describe a file as the Hub does."""
        name, data = path.relative_to(self.root / repo).as_posix(), path.read_bytes()
        size = self.sizes.get(name, len(data))
        git = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
        described: dict[str, Any] = {"rfilename": name, "size": size, "blobId": git}
        if size > LARGE:
            described["lfs"] = {"size": size, "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 130}
        return described


@contextmanager
def running_hub(root: Path) -> Iterator[Hub]:
    """Serve the folders `owner/name` under a root until the block ends."""
    hub = Hub(root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), {"hub": hub}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who hangs up is no fault of ours
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Answers(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.asked.append((path, self.headers.get("Range", "")))
        info, file = INFO.fullmatch(path), FILE.fullmatch(path)
        repo = (info or file or ["", ""])[1]
        if repo in self.hub.faults:
            status, code = self.hub.faults[repo]
            self._send(status, b"{}", {"X-Error-Code": code} if code else {})
        elif repo in self.hub.private and not self.headers.get("Authorization"):
            self._send(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif not (self.hub.root / repo).is_dir() or not repo:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif info:
            self._tell(repo, info[2] or "main")
        elif file:
            self._give(repo, file[2], file[3])

    def _tell(self, repo: str, revision: str) -> None:
        if revision not in ("main", self.hub.commit):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return
        files = sorted(path for path in (self.hub.root / repo).rglob("*") if path.is_file())
        siblings = [self.hub.sibling(repo, path) for path in files]
        gated = "manual" if repo in self.hub.gated else False
        told = {"id": repo, "sha": self.hub.commit, "gated": gated, "siblings": siblings}
        self._send(200, json.dumps(told).encode())

    def _give(self, repo: str, revision: str, name: str) -> None:
        path = self.hub.root / repo / name
        if revision != self.hub.commit or not path.is_file():
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
        data = path.read_bytes()
        data = bytes(len(data)) if name in self.hub.damaged else data
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and self.hub.ranges:
            first = int(wanted[1])
            self._send(206, data[first:], {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"})
        else:
            self._send(200, data)

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        breaks = len(data) > LARGE and "/resolve/" in self.path and self.hub.breaks_after
        limit = self.hub.breaks_after.pop(0) if breaks else len(data)
        step = 2**16 if self.hub.seconds_each_chunk else len(data) or 1
        try:
            for start in range(0, limit, step):
                self.wfile.write(data[start : min(start + step, limit)])
                time.sleep(self.hub.seconds_each_chunk)
        except OSError:
            limit = 0
        if limit < len(data):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Keep the terminal quiet."""
