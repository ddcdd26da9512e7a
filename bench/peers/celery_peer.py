"""The exercise for Celery: tasks, and the driver's four questions (see run.py)."""

import os
import time

import redis
from celery import Celery, chord

URL = os.environ["PEER_REDIS"]
app = Celery("celery_peer", broker=URL, backend=URL)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=16,
    # the settings by which Celery does not lose a task with its worker: its default acknowledges before it runs
    task_acks_late=True,
    task_reject_on_worker_lost=True,
)
store = redis.Redis.from_url(URL)
WORKER = ["celery", "-A", "celery_peer", "worker", "--concurrency", "1", "--loglevel", "error", "--without-gossip",
          "--without-mingle"]


@app.task
def noop(_n):
    pass


@app.task
def ping(at):
    store.rpush("peer:waits", time.time() - at)


@app.task
def slow():
    store.rpush("peer:starts", f"{time.time()} {os.getpid()}")
    time.sleep(3)


@app.task(ignore_result=False)
def member(_n):
    return 0


@app.task
def join(_results):
    store.set("peer:joined", time.time())


def enqueue(n):
    with app.producer_pool.acquire(block=True) as producer:
        for i in range(n):
            noop.apply_async((i,), producer=producer)


def left():
    return store.llen("celery") + store.hlen("unacked")


def ping_once():
    ping.delay(time.time())


def group(n):
    chord(member.s(i) for i in range(n))(join.s())


def start_slow():
    slow.delay()
