"""What lends cards on ZeroGPU, as far as `spaces` asks: an HTTP server that says yes, and keeps what it is asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

Asked = tuple[str, dict[str, str]]
# Seconds that a visitor has left.
QUOTA_S = 200


@dataclass
class Scheduler:
    """A running scheduler: its address, and what it was asked, as path and parameters."""

    url: str
    asked: list[Asked]

    def parameters(self, path: str) -> list[dict[str, str]]:
        return [parameters for asked, parameters in self.asked if asked == path]


@contextmanager
def running_scheduler() -> Iterator[Scheduler]:
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            address = urlsplit(self.path)
            parameters = dict(parse_qsl(address.query))
            asked.append((address.path, parameters))
            refused = int(parameters.get("durationSeconds", 0)) > QUOTA_S
            lent = {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "none", "allowToken": "token"}
            body = json.dumps({"left": QUOTA_S, "wait": 3600} if refused else lent).encode()
            self.send_response(429 if refused else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Scheduler(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()
