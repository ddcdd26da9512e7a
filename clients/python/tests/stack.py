"""A real Gristmill: private Postgres and Redis, API, scheduler, in a folder of its own, on free ports."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Callable

from gristmill import Gristmill

HERE = Path(__file__).parent


def binary() -> Path:
    """The program under test."""
    found = os.environ.get("GRISTMILL_BINARY") or str(HERE.parents[2] / "target/debug/gristmill")
    if not Path(found).exists():
        raise FileNotFoundError(f"{found} is not there: cargo build --package gristmill-cli, or say where by GRISTMILL_BINARY")
    return Path(found).absolute()


def eventually(what: Callable[[], Any], timeout: float = 60) -> Any:
    """What it returns as soon as that is true."""
    deadline = time.monotonic() + timeout
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.05)


class Stack:
    """A running one."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._log = (folder / "up.log").open("wb")
        self._up = subprocess.Popen(
            [binary(), "up", "--data-dir", folder / "data", "--addr", "127.0.0.1:0", "--workers", "0"],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        described = folder / "data/up.json"
        eventually(lambda: described.exists() or self._died(), 120)
        said = json.loads(described.read_text())
        self.env: dict[str, str] = said["env"]
        self.url: str = said["api"]
        # the socket's folder may be too long a name for other clients
        self.database: str = re.sub(r"&host=[^&]*", "", said["database_url"])
        self.key = (folder / "data/dev.key").read_text().strip()

    def _died(self) -> bool:
        if self._up.poll() is not None:
            raise RuntimeError((self._folder / "up.log").read_text())
        return False

    def app(self) -> Gristmill:
        """An application of it."""
        return Gristmill(self.url, self.key)

    def stop(self) -> None:
        """Ends it, and what it began."""
        self._up.send_signal(signal.SIGTERM)
        try:
            self._up.wait(60)
        finally:
            self._up.kill()
            self._log.close()

    @contextmanager
    def worker(self, **env: str) -> Iterator[subprocess.Popen[bytes]]:
        """A process that runs the jobs of `jobs.py`; killed at the end."""
        more = {"GRISTMILL_API": self.url, "GRISTMILL_KEY": self.key, "DATABASE_URL": self.database}
        process = subprocess.Popen([sys.executable, HERE / "jobs.py"], env={**os.environ, **more, **env})
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def api(self, port: int) -> Iterator[subprocess.Popen[bytes]]:
        """One more API, on this port; killed at the end."""
        process = subprocess.Popen(
            [binary(), "api", "--addr", f"127.0.0.1:{port}"],
            env={**os.environ, **self.env},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port below the range that outgoing connections take theirs from, so that an API finds it again."""
    for port in random.sample(range(12_000, 20_000), 200):
        with suppress(OSError), socket.socket() as it:
            it.bind(("127.0.0.1", port))
            return port
    raise OSError("no port of 200 tried is free")


@contextmanager
def stack() -> Iterator[Stack]:
    """One that lasts as long as the context."""
    folder = Path(tempfile.mkdtemp(prefix="gm-"))
    try:
        running = Stack(folder)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
