"""The real app in a process of its own, as `make run` starts it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60


@dataclass(frozen=True)
class Server:
    """A running app: `line` is what it printed, `answered_s` how long its page took to answer."""

    url: str
    home: Path
    line: str
    answered_s: float
    process: "subprocess.Popen[str]"

    def stop(self) -> tuple[int, str, str]:
        """Ask the app to end; return its exit status and what it wrote since it was ready."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


@contextmanager
def running_app(
    home: Path, port: int | None = None, root: Path = ROOT, command: Sequence[str] = ("app.py",), **env: str
) -> Iterator[Server]:
    """Start the app of a folder on a port (a free one by default), wait for its line, and end it afterwards."""
    started = time.monotonic()
    process = _start(command, root, {"ONETAKE_HOME": str(home), "PORT": str(port or _free_port())} | env)
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert "http" in line, f"the app did not start: {process.stderr and process.stderr.read()}"
        url = line.split()[-1]
        with urlopen(url, timeout=PATIENCE_S) as answer:
            assert answer.status == 200
        yield Server(url, home, line, time.monotonic() - started, process)
    finally:
        # With the forks that hold its pipes, which would keep a reader waiting.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _start(command: Sequence[str], root: Path, more: dict[str, str]) -> "subprocess.Popen[str]":
    env = os.environ | {"HOST": "127.0.0.1"} | more
    pipe = subprocess.PIPE
    command = [sys.executable, *command]
    return subprocess.Popen(command, cwd=root, env=env, text=True, stdout=pipe, stderr=pipe, start_new_session=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
