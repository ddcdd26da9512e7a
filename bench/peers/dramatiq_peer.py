"""The exercise for Dramatiq: actors, and the driver's four questions (see run.py)."""

import os
import time

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend

URL = os.environ["PEER_REDIS"]
broker = RedisBroker(url=URL)
broker.add_middleware(GroupCallbacks(RedisBackend(url=URL)))
dramatiq.set_broker(broker)
store = redis.Redis.from_url(URL)
WORKER = ["dramatiq", "dramatiq_peer", "--processes", "1", "--threads", "4"]


@dramatiq.actor
def noop(_n):
    pass


@dramatiq.actor
def ping(at):
    store.rpush("peer:waits", time.time() - at)


@dramatiq.actor
def slow():
    store.rpush("peer:starts", f"{time.time()} {os.getpid()}")
    time.sleep(3)


@dramatiq.actor
def join():
    store.set("peer:joined", time.time())


def enqueue(n):
    for i in range(n):
        noop.send(i)


def left():
    pending = sum(store.scard(key) for key in store.scan_iter("dramatiq:__acks__.*"))
    return store.llen("dramatiq:default") + pending


def ping_once():
    ping.send(time.time())


def group(n):
    members = dramatiq.group(noop.message(i) for i in range(n))
    members.add_completion_callback(join.message())
    members.run()


def start_slow():
    slow.send()
