"""The exercise for Gristmill's Python package: jobs in and out by HTTP (see run.py). `left` is asked of gristmill-peer."""

import os
import sys
import time

import redis

from gristmill import Gristmill, NewJob

app = Gristmill(os.environ["PEER_API"], os.environ["PEER_KEY"])
store = redis.Redis.from_url(os.environ["PEER_REDIS"], decode_responses=True)
QUEUE = "python"
WORKER = [sys.executable, "gristmill_python_peer.py"]


@app.job("py.noop", queue=QUEUE)
async def noop(_ctx, _n):
    pass


@app.job("py.ping", queue=QUEUE)
async def ping(_ctx, at):
    store.rpush("peer:waits", time.time() - at)


@app.job("py.slow", queue=QUEUE)
def slow(_ctx, _n):
    store.rpush("peer:starts", f"{time.time()} {os.getpid()}")
    time.sleep(3)


@app.job("py.join", queue=QUEUE)
async def join(_ctx, _n):
    store.set("peer:joined", time.time())


def enqueue(n):
    app.enqueue_many(NewJob("py.noop", i, queue=QUEUE) for i in range(n))


def ping_once():
    app.enqueue(ping, time.time())


def group(n):
    with app.group(on_complete=NewJob("py.join", 0, queue=QUEUE)) as members:
        app.enqueue_many(NewJob("py.noop", i, queue=QUEUE, group=members.id) for i in range(n))


def start_slow():
    app.enqueue(slow, 0)


if __name__ == "__main__":
    app.run(slots=256)
