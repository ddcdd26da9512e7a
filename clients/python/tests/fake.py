"""A server that answers as it is told: for what a real one cannot be made to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

Answer = tuple[int, Any]


class Fake:
    """Keeps the requests it gets; `answers` maps a path to what makes its answer of a request's JSON."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.answers: dict[str, Callable[[Any], Answer]] = {}
        self.got = threading.Condition()
        self.url = ""

    def find(self, wanted: Callable[[str, Any], bool], timeout: float = 20) -> Any:
        """The body of the first request that is wanted; waits for it."""

        def look() -> tuple[Any] | None:
            return next(((body,) for path, _, body in self.requests if wanted(path, body)), None)

        with self.got:
            found: Any = self.got.wait_for(look, timeout)
        assert found, f"no such request among {self.requests}"
        return found[0]


@contextmanager
def fake_api() -> Iterator[Fake]:
    """A running one."""
    fake = Fake()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            lines = [json.loads(line) for line in content.splitlines()]
            ndjson = self.headers.get("content-type") == "application/x-ndjson"
            body = lines if ndjson else lines[0] if lines else None
            with fake.got:
                fake.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                fake.got.notify_all()
            status, answer = fake.answers[self.path](body)
            rows = answer if isinstance(answer, list) else [answer]
            sent = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            self.send_response(status)
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
