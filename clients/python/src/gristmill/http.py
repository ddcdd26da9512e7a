"""Requests to the API, by connections that are kept: one per thread."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .errors import ApiError, Refused, Unreachable

_AGAIN = {408, 425, 429, 502, 503, 504}


class Connection:
    """One kept connection; not for several threads, but `abort` may come from another one."""

    def __init__(self, url: str, key: str):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of an API: write such as http://127.0.0.1:8080")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._key = key
        self._open: http.client.HTTPConnection | None = None
        self._aborted = False

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> tuple[int, bytes]:
        """Status and body of the answer, of any status below 400. Raises Unreachable, Refused or ApiError."""
        sent = {"authorization": f"Bearer {self._key}", "accept": "application/json", **(headers or {})}
        if body is not None:
            sent["content-type"] = kind
        kept = self._open is not None
        try:
            answer, content = self._send(method, path, body, sent, timeout)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            self.close()
            if not kept or self._aborted:
                raise Unreachable(f"{method} {path}: {error or type(error).__name__}") from error
            # the server has closed a connection that was idle
            try:
                answer, content = self._send(method, path, body, sent, timeout)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise Unreachable(f"{method} {path}: {error or type(error).__name__}") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{method} {path}: {error or type(error).__name__}") from error
        if answer.status < 400:
            return answer.status, content
        raise _problem(method, path, answer, content)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._open
        if connection is None:
            if self._tls is not None:
                connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
            else:
                connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open = connection
        connection.sock.settimeout(timeout)
        connection.request(method, self._base + path, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
        if answer.will_close:
            self.close()
        return answer, content

    def close(self) -> None:
        """The next request makes a new connection."""
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """Ends a request that another thread waits for: it raises Unreachable. There is none after it."""
        self._aborted = True
        connection = self._open
        sock = connection.sock if connection is not None else None
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was closed already


def _problem(method: str, path: str, answer: http.client.HTTPResponse, content: bytes) -> ApiError:
    try:
        problem = json.loads(content)
        title, detail = str(problem["title"]), str(problem["detail"])
        errors = problem.get("errors", [])
    except (ValueError, KeyError, TypeError):
        title, detail, errors = answer.reason, content[:500].decode(errors="replace"), []
    final = 400 <= answer.status < 500 and answer.status not in _AGAIN
    kind = Refused if final else ApiError
    return kind(method, path, answer.status, title, detail, errors)


class Backoff:
    """Pauses that grow: 0.1 s, doubled up to `longest` seconds, a random half of it."""

    def __init__(self, longest: float = 5.0):
        self._next, self._longest = 0.1, longest

    def pause(self) -> float:
        """The next pause, in seconds."""
        pause, self._next = self._next, min(self._next * 2, self._longest)
        return pause * random.uniform(0.5, 1.0)


class Api:
    """The API, for any number of threads. Requests that failed for a passing reason are sent again for `patience` seconds."""

    def __init__(self, url: str, key: str, patience: float = 30.0):
        self.url, self.key, self.patience = url, key, patience
        self._mine = threading.local()
        self.connect()  # says at once what is wrong with the address

    def connect(self) -> Connection:
        """A connection of its own."""
        return Connection(self.url, self.key)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON of the answer, None where it has none. Give an idempotency key with what may not happen twice."""
        if not hasattr(self._mine, "connection"):
            self._mine.connection = self.connect()
        connection: Connection = self._mine.connection
        until, backoff = time.monotonic() + self.patience, Backoff()
        while True:
            try:
                _, content = connection.request(method, path, body, kind=kind, headers=headers)
                return json.loads(content) if content else None
            except Refused:
                raise
            except (ApiError, Unreachable):
                pause = backoff.pause()
                if time.monotonic() + pause > until:
                    raise
                time.sleep(pause)
