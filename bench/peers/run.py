#!/usr/bin/env python3
"""Gristmill and its peers at one exercise, on one Redis, in one run.

usage: run.py [--write FILE] [--only NAME,…] [--jobs N]

Four questions to each, with two worker processes:
  throughput  no-op jobs, all queued before the workers start: jobs / (workers started → nothing left)
  idle        300 jobs to an idle queue, one by one: enqueue called → body started
  group       10,000 no-op members: enqueue called → the join's body started
  recovery    kill -9 of the worker that runs a job: kill → the job's body starts again

The first two questions are asked twice: with the append-only file flushed every second (Redis' and the peers' usual setting:
a crash of the machine loses up to a second of accepted jobs), and before each answer (nothing is lost). Gristmill's jobs are
on disk in Postgres before the enqueue returns, either way.

Celery, Dramatiq and BullMQ are installed by pip and npm below target/peers; who cannot be installed is left out.
"""

import argparse
import importlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "peers"
PYTHON = WORK / "venv" / "bin"
RELEASE = ROOT / "target" / "release"
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def install():
    """Installs the peers; returns the names of those that are there."""
    there = []
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        if not (PYTHON / "celery").exists():
            subprocess.run([sys.executable, "-m", "venv", WORK / "venv"], check=True)
            subprocess.run([PYTHON / "pip", "-q", "install", "celery[redis]", "dramatiq[redis]"], check=True)
        there += ["celery", "dramatiq"]
    except (OSError, subprocess.CalledProcessError) as error:
        say(f"no Celery, no Dramatiq: {error}")
    try:
        if not (WORK / "node_modules" / "bullmq").exists():
            (WORK / "package.json").write_text("{}")
            subprocess.run(["npm", "install", "--silent", "bullmq", "ioredis"], cwd=WORK, check=True)
        there.append("bullmq")
    except (OSError, subprocess.CalledProcessError) as error:
        say(f"no BullMQ: {error}")
    return there


def reexec_in_venv():
    """The Python peers are driven from this process, so it has to run where they are installed."""
    python = PYTHON / "python"
    if python.exists() and pathlib.Path(sys.prefix) != WORK / "venv":
        os.execv(python, [str(python), *sys.argv])


class Python:
    """Celery or Dramatiq: their driver's functions are called in this process."""

    def __init__(self, name, environment):
        sys.path.insert(0, str(HERE))
        os.environ.update(environment)
        self.module = importlib.import_module(f"{name}_peer")
        self.environment = {**os.environ, "PATH": f"{PYTHON}:{os.environ['PATH']}"}

    def ask(self, name, *arguments):
        return getattr(self.module, name)(*arguments)

    def start_worker(self, number):
        command = list(self.module.WORKER)
        if command[0] == "celery":
            command += ["-n", f"w{number}"]
        return subprocess.Popen(command, cwd=HERE, env=self.environment, start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        pass


class Piped:
    """A driver in a process of its own that answers commands: BullMQ, Gristmill."""

    def __init__(self, command, environment, *more):
        self.command, self.more, self.environment = command, list(more), {**os.environ, **environment}
        self.driver = subprocess.Popen([*command, "drive", *more], env=self.environment, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, name, *arguments):
        self.driver.stdin.write(" ".join([name, *map(str, arguments)]) + "\n")
        self.driver.stdin.flush()
        return json.loads(self.driver.stdout.readline())

    def start_worker(self, _number):
        return subprocess.Popen([*self.command, "worker", *self.more], env=self.environment, start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        self.driver.stdin.close()
        self.driver.wait()


class Package(Python):
    """Gristmill's Python package: nothing of Celery's kind, so it asks the broker how much is left through another driver."""

    def __init__(self, environment):
        sys.path.insert(0, str(ROOT / "clients" / "python" / "src"))
        super().__init__("gristmill_python", environment)
        self.environment["PYTHONPATH"] = str(ROOT / "clients" / "python" / "src")
        self.counter = Piped([str(RELEASE / "gristmill-peer")], {**environment, "PEER_NAMESPACE": "gm"})

    def ask(self, name, *arguments):
        return self.counter.ask("left", "python") if name == "left" else super().ask(name, *arguments)

    def close(self):
        self.counter.close()


def stop(worker, how=signal.SIGTERM):
    """The whole session: a worker may have children that run the jobs."""
    try:
        os.killpg(worker.pid, how)
        worker.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    except ProcessLookupError:
        worker.wait()


def until(what, timeout, every=0.02):
    deadline = time.time() + timeout
    while time.time() < deadline:
        answer = what()
        if answer:
            return answer
        time.sleep(every)
    return None


def throughput(peer, jobs):
    peer.ask("enqueue", jobs)
    # Some answer before the last of them is with their broker: what comes later would be taken for what was done.
    if not until(lambda: peer.ask("left") >= jobs, 60):
        raise SystemExit(f"of {jobs} jobs that were enqueued, {peer.ask('left')} wait")
    workers = [peer.start_worker(n) for n in range(2)]
    # a worker's start is no throughput: the clock runs from the first job done
    before = until(lambda: (left if (left := peer.ask("left")) < jobs else None), 60, 0.01)
    started, first = time.time(), before or 0
    until(lambda: peer.ask("left") == 0, 300, 0.02)
    spent = time.time() - started
    for worker in workers:
        stop(worker)
    return first / spent


def with_workers(peer, store, question):
    workers = [peer.start_worker(n) for n in range(2)]
    time.sleep(4)
    for key in ("peer:waits", "peer:starts", "peer:joined"):
        store.delete(key)
    try:
        return question(peer, store, workers)
    finally:
        for worker in workers:
            stop(worker, signal.SIGKILL)


def idle(peer, store, _workers):
    for _ in range(300):
        peer.ask("ping_once")
        time.sleep(0.02)
    until(lambda: store.llen("peer:waits") >= 300, 10)
    waits = sorted(float(wait) * 1000 for wait in store.lrange("peer:waits", 0, -1))
    return statistics.median(waits), waits[int(len(waits) * 0.99)]


def group(peer, store, _workers):
    started = time.time()
    peer.ask("group", 10_000)
    joined = until(lambda: store.get("peer:joined"), 120)
    return float(joined) - started if joined else None


def recovery(peer, store, workers):
    peer.ask("start_slow")
    first = until(lambda: store.lrange("peer:starts", 0, -1), 20)
    pid = int(first[0].split()[1])
    victim = next(worker for worker in workers if os.getpgid(pid) == worker.pid)
    killed = time.time()
    os.killpg(victim.pid, signal.SIGKILL)
    again = until(lambda: len(starts := store.lrange("peer:starts", 0, -1)) > 1 and starts[1], 100)
    return float(again.split()[0]) - killed if again else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--write", help="the file whose table is replaced")
    arguments.add_argument("--only", default="")
    arguments.add_argument("--jobs", type=int, default=100_000, help="for the fast ones; the slow ones get a tenth")
    options = arguments.parse_args()
    there = install()
    reexec_in_venv()
    import redis

    data = WORK / "data"
    shutil.rmtree(data, ignore_errors=True)
    up = subprocess.Popen([RELEASE / "gristmill", "up", "--workers", "0", "--addr", "127.0.0.1:0", "--data-dir", data],
                          stdout=subprocess.DEVNULL)
    try:
        said = until(lambda: (data / "up.json").exists() and json.loads((data / "up.json").read_text()), 60)
        store = redis.Redis.from_url(said["redis_url"], decode_responses=True)
        environment = {"PEER_REDIS": said["redis_url"], "PEER_DATABASE": said["database_url"],
                       "PEER_MODULES": str(WORK), "PEER_API": said["api"], "PEER_KEY": (data / "dev.key").read_text().strip()}
        fleet = {
            "gristmill": lambda: Piped([str(RELEASE / "gristmill-peer")], environment),
            "gristmill, Postgres alone": lambda: Piped([str(RELEASE / "gristmill-peer")], environment, "postgres"),
            "gristmill, Python by HTTP": lambda: Package(environment),
            "bullmq": lambda: Piped(["node", str(HERE / "bullmq_peer.mjs")], environment),
            "dramatiq": lambda: Python("dramatiq", environment),
            "celery": lambda: Python("celery", environment),
        }
        wanted = [name for name in fleet if name.startswith("gristmill") or name in there]
        if options.only:
            wanted = [name for name in wanted if name.split(",")[0] in options.only.split(",")]
        table = []
        for name in wanted:
            peer = fleet[name]()
            jobs = options.jobs // 10 if name in ("celery", "dramatiq") else options.jobs
            store.config_set("appendfsync", "everysec")
            usual = throughput(peer, jobs)
            store.config_set("appendfsync", "always")
            durable = throughput(peer, jobs // 4)
            _, flushed = with_workers(peer, store, idle)
            store.config_set("appendfsync", "everysec")
            p50, p99 = with_workers(peer, store, idle)
            joined = with_workers(peer, store, group)
            recovered = with_workers(peer, store, recovery)
            peer.close()
            seconds = lambda value, limit: f"{value:.1f} s" if value is not None else f"not within {limit} s"
            row = [name, f"{usual:,.0f}", f"{durable:,.0f}", f"{p50:.1f} ms", f"{p99:.1f} ms", f"{flushed:.1f} ms", seconds(joined, 120),
                   seconds(recovered, 100)]
            say(row)
            table.append(row)
    finally:
        up.terminate()
        up.wait()
    head = ["", "no-op jobs/s", "… Redis flushes each write", "idle p50", "idle p99", "… Redis flushes each write", "10,000 members → join",
            "kill -9 → runs again"]
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *table]]
    text = "\n".join(lines)
    print(text)
    if options.write:
        file = pathlib.Path(options.write)
        before, rest = file.read_text().split(BEGIN)
        _, after = rest.split(END)
        file.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
