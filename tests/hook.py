"""A webhook to be told something."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hook:
    """A webhook that remembers what it got, and answers what it is told to."""

    url: str = ""
    answer: int = 204
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    slow: threading.Event | None = None

    def kinds(self) -> list[str]:
        return [body["kind"] for body in self.bodies]


@contextmanager
def listening() -> Iterator[Hook]:
    """Run a webhook on a free port."""
    got = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            got.bodies.append(json.loads(self.rfile.read(length)))
            got.headers.append(dict(self.headers))
            if got.slow is not None:
                got.slow.wait(20)
            self.send_response(got.answer)
            if got.answer == 302:
                self.send_header("Location", got.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_HEAD(self) -> None:
            self.send_response(405)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    got.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()  # looks for its end
    try:
        yield got
    finally:
        server.shutdown()
        server.server_close()
