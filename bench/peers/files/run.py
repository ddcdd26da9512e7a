#!/usr/bin/env python3
"""One file by one peer: run.py (polars | duckdb | celery-METHOD) DATABASE_URL REDIS_URL FILE

Prints how long it took from the first byte to the commit of everything, and what it has counted, as JSON. Servers and workers are
started before the clock runs. METHOD is executemany, insertmanyvalues or copy."""

import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import database

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(sys.executable).parent
WORKERS = 2


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, timeout):
    deadline = time.time() + timeout
    while time.time() < deadline:
        try:
            if answer := what():
                return answer
        except OSError:
            pass
        time.sleep(0.02)
    raise SystemExit("it does not start")


def celery(method, url, redis_url, file):
    folder = tempfile.mkdtemp(dir=HERE.parents[2] / "target" / "peers")
    redis_url = redis_url.removesuffix("/0") + "/5"
    environment = {**os.environ, "PEER_DATABASE": url, "PEER_REDIS": redis_url, "PEER_METHOD": method, "PEER_FOLDER": folder}
    port = free_port()
    silent = {"cwd": HERE, "env": environment, "stdout": subprocess.DEVNULL}
    children = [
        subprocess.Popen([BIN / "uvicorn", "by_celery:api", "--port", str(port), "--log-level", "warning"], **silent),
        subprocess.Popen([BIN / "celery", "-A", "by_celery:queue", "worker", "--concurrency", str(WORKERS), "--loglevel", "error",
                          "--without-gossip", "--without-mingle", "--purge"], **silent),
    ]
    try:
        os.environ.update(environment)
        import by_celery

        def ask(verb, path, body=None):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request(verb, path, body, {"content-length": str(os.path.getsize(file))} if body else {})
            return json.loads(connection.getresponse().read())

        until(lambda: by_celery.queue.control.ping(timeout=0.5), 60)
        until(lambda: socket.create_connection(("127.0.0.1", port)), 60)
        since = time.perf_counter()
        with open(file, "rb") as body:
            upload = ask("POST", "/uploads", body)["id"]
        while (answer := ask("GET", f"/uploads/{upload}"))["state"] != "completed":
            time.sleep(0.02)
        answer.pop("state")
        return {"seconds": time.perf_counter() - since, **answer}
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()
        shutil.rmtree(folder)


def main():
    name, url, redis_url, file = sys.argv[1:]
    url = database.make(url)
    if name == "polars":
        import by_polars as peer
        loaded = peer.run(url, file)
    elif name == "duckdb":
        import by_duckdb as peer
        loaded = peer.run(url, file)
    else:
        loaded = celery(name.removeprefix("celery-"), url, redis_url, file)
    print(json.dumps(loaded))


if __name__ == "__main__":
    main()
