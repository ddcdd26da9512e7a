"""A worker: claims jobs, runs them, reports.

Threads of its own claim (one per queue) and report, so that no job's code delays a heartbeat. Functions run on threads,
coroutines on an event loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import secrets
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable

from .context import Context, current
from .errors import AlreadyDone, ApiError, Cancelled, Discard, Error, Refused, Retry, Sleeping, Snooze, Unreachable
from .http import Api, Backoff
from .options import encode, seconds

if TYPE_CHECKING:
    from .app import Job

log = logging.getLogger("gristmill")

WAIT = 20.0
"""How long a claim waits for a job, in seconds."""
BEAT = 2.0
"""How often running jobs are reported at least, in seconds; their leases are three times as long or more."""
ABANDONED = 5.0
"""How long a cancelled job may take to stop, in seconds, until its end is no longer waited for."""
RESULT_LIMIT = 16 * 1024
ERROR_LIMIT = 4 * 1024
REPORT_BYTES = 1_000_000
REPORT_SIZE = 2_000
REPORT_LINES = 1_000
MAX_CLAIM = 500


class Run:
    """A job that runs here."""

    def __init__(self, job: Job, context: Context, queue: str, timeout: float):
        self.job, self.context, self.queue = job, context, queue
        self.key = (context.id, context.delivery)
        self.deadline = time.monotonic() + timeout
        self.timeout = timeout
        self.settled = False
        self.task: asyncio.Task[Any] | None = None


class Worker:
    """Runs the jobs of an application until it is stopped. See `Gristmill.run`."""

    def __init__(
        self,
        api: Api,
        jobs: Mapping[str, Job],
        slots: int | Mapping[str, int],
        grace: float,
        label: str | None,
    ):
        if not jobs:
            raise ValueError("there is nothing to run: register a job with @app.job(name)")
        queues = {job.queue for job in jobs.values()}
        self._slots = dict.fromkeys(queues, slots) if isinstance(slots, int) else dict(slots)
        if not self._slots or any(count < 1 for count in self._slots.values()):
            raise ValueError(f"each queue needs at least one slot, not {slots}")
        self._api, self._jobs, self._grace = api, dict(jobs), grace
        self.name = f"{label or socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        # one lock for what is below; it is notified when a slot gets free and when the worker stops
        self._changed = threading.Condition()
        self._busy = dict.fromkeys(self._slots, 0)
        self._running: dict[tuple[str, int], Run] = {}
        self._outbox: list[tuple[str, dict[str, Any]]] = []
        self._lines: list[dict[str, Any]] = []
        self._to_report = threading.Event()
        self._beat = BEAT
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._over = threading.Event()
        self._draining = False
        self._fault: Exception | None = None
        self._about = {"worker": self.name, "language": "python", "host": socket.gethostname(), "pid": os.getpid()}
        self._ready: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- its life

    def run(self) -> None:
        """Runs until `stop`, SIGTERM or SIGINT. Raises what makes its work impossible, such as a key that is refused."""
        with _signals(self.stop):
            if any(job.is_async for job in self._jobs.values()):
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="gristmill-loop", daemon=True).start()
            try:
                self._work()
            finally:
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(self._loop.stop)

    async def run_async(self) -> None:
        """The same in an event loop that is there."""
        self._loop = asyncio.get_running_loop()
        with _signals(self.stop):
            work = asyncio.ensure_future(asyncio.to_thread(self._work))
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                self.stop()
                await work
                raise

    def stop(self) -> None:
        """Claims no more; running jobs have their grace. The second call ends that at once."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def _work(self) -> None:
        claims = [threading.Thread(target=self._claims, args=it, daemon=True) for it in self._connections()]
        reports = threading.Thread(target=self._reports, name="gristmill-report", daemon=True)
        watch = threading.Thread(target=self._watch, name="gristmill-watch", daemon=True)
        threads = sum(self._slots.values()) if any(not job.is_async for job in self._jobs.values()) else 0
        bodies = [threading.Thread(target=self._bodies, name=f"gristmill-{n}", daemon=True) for n in range(threads)]
        for thread in [*claims, reports, watch, *bodies]:
            thread.start()
        log.info("worker %s runs %s for queues %s", self.name, sorted(self._jobs), self._slots)
        while not self._stopping.wait(0.5):
            pass
        with self._changed:
            self._changed.notify_all()
        self._join(claims)
        end = time.monotonic() + self._grace
        while self._running and time.monotonic() < end and not self._hurry.is_set():
            self._hurry.wait(0.02)
        self._hand_back()
        self._over.set()
        self._to_report.set()
        reports.join()
        if self._fault is not None:
            raise self._fault

    def _join(self, claims: list[threading.Thread]) -> None:
        """A claim that the server is just answering brings jobs to hand back; one that waits is given up."""
        end = time.monotonic() + 1
        for thread in claims:
            thread.join(max(0.0, end - time.monotonic()))
        for connection in self._claiming:
            connection.abort()
        for thread in claims:
            thread.join(5)

    def _connections(self) -> Iterator[tuple[str, int, Any]]:
        self._claiming = []
        for name, slots in self._slots.items():
            self._claiming.append(self._api.connect())
            yield name, slots, self._claiming[-1]

    def _hand_back(self) -> None:
        """What still runs shall stop, and runs elsewhere."""
        with self._changed:
            left = list(self._running.values())
        for run in left:
            self._cancel(run, "stopping")
        end = time.monotonic() + 1
        while self._running and time.monotonic() < end:
            time.sleep(0.02)
        for run in left:
            self._settle(run, "released", {})

    # -- claims

    def _claims(self, name: str, slots: int, connection: Any) -> None:
        names = sorted(it.name for it in self._jobs.values())
        backoff = Backoff()
        while True:
            with self._changed:
                while self._busy[name] >= slots and not self._stopping.is_set():
                    self._changed.wait(1)
                free = slots - self._busy[name]
            if self._stopping.is_set():
                return
            asked = {**self._about, "queues": {name: min(free, MAX_CLAIM)}, "names": names, "wait_ms": int(WAIT * 1000)}
            begun = time.monotonic()
            try:
                _, content = connection.request("POST", "/v1/work/claims", json.dumps(asked).encode(), timeout=WAIT + 10)
                deliveries = [json.loads(line) for line in content.splitlines() if line]
                for delivery in deliveries:
                    self._start(name, delivery)
                if not deliveries and time.monotonic() - begun < 1:
                    self._stopping.wait(0.5)  # it is drained
                backoff = Backoff()
            except Refused as error:
                self._fail(error)
                return
            except (ApiError, Unreachable, ValueError) as error:
                if not self._stopping.is_set():
                    log.warning("claims for queue %s: %s", name, error)
                    self._stopping.wait(backoff.pause())

    def _fail(self, error: Exception) -> None:
        """Its work is impossible: it ends with this."""
        if self._fault is None:
            self._fault = error
        self._stopping.set()

    def _start(self, queue: str, delivery: dict[str, Any]) -> None:
        context, job = Context(delivery, self._record), self._jobs[delivery["name"]]
        self._beat = min(self._beat, delivery["lease_ms"] / 3000)
        timeout = delivery["timeout_ms"] / 1000 if delivery.get("timeout_ms") else job.timeout
        run = Run(job, context, queue, timeout)
        with self._changed:
            self._running[run.key] = run
            self._busy[queue] += 1
        if not job.is_async:
            self._ready.put(run)
            return
        loop = self._loop
        assert loop is not None

        def begin() -> None:
            run.task = loop.create_task(self._body_async(run))

        loop.call_soon_threadsafe(begin)

    # -- bodies

    def _bodies(self) -> None:
        while True:
            run = self._ready.get()
            current.set(run.context)
            try:
                if self._wanted(run):
                    arguments = run.job.arguments(run.context, run.context.payload)
                    self._succeed(run, run.job.run(*arguments.args, **arguments.kwargs))
            except BaseException as error:  # SystemExit, too, is no more than the end of the job
                self._end(run, error)
            finally:
                current.set(None)
                self._free(run)

    async def _body_async(self, run: Run) -> None:
        current.set(run.context)
        try:
            if self._wanted(run):
                arguments = run.job.arguments(run.context, run.context.payload)
                self._succeed(run, await run.job.run(*arguments.args, **arguments.kwargs))
        except asyncio.CancelledError:
            self._end(run, Cancelled(run.context.cancelled or "its task was cancelled"))
        except BaseException as error:
            self._end(run, error)
        finally:
            self._free(run)

    def _wanted(self, run: Run) -> bool:
        """Whether it is still to be begun."""
        run.deadline = time.monotonic() + run.timeout
        run.context.check()
        return not run.settled

    def _free(self, run: Run) -> None:
        with self._changed:
            self._busy[run.queue] -= 1
            self._changed.notify_all()

    def _succeed(self, run: Run, result: Any) -> None:
        if run.context._completed_in:
            # It stands by its own transaction. Where that was not committed, this report has the job run again; else the
            # job is no longer to be done, and the report changes nothing.
            self._settle(run, "failed", {"error": "complete_in was called, but its transaction was not committed"})
            return
        if result is None:
            self._settle(run, "done", {})
            return
        encoded = encode(result, f"the result of {run.job.name}")
        if len(encoded) > RESULT_LIMIT:
            raise ValueError(f"the result of {run.job.name} has {len(encoded)} bytes: at most {RESULT_LIMIT} are kept")
        self._settle(run, "done", {"result": result})

    def _end(self, run: Run, error: BaseException) -> None:
        why = run.context.cancelled
        try:
            if isinstance(error, AlreadyDone):
                self._settle(run, "done", {})
            elif isinstance(error, Sleeping):
                self._settle(run, error.kind, error.said)
            elif isinstance(error, Snooze):
                self._settle(run, "snoozed", {"delay": seconds(error.delay)})
            elif isinstance(error, Discard):
                self._settle(run, "failed", {"error": _text(error), "discard": True})
            elif why == "stopping":
                self._settle(run, "released", {})
            elif why == "cancelled":
                self._settle(run, "failed", {"error": _text(error), "cancelled": True})
            elif why == "timed out":
                self._settle(run, "failed", self._timed_out(run))
            else:
                log.warning("job %s (%s) failed", run.context.id, run.job.name, exc_info=error)
                after = error.after if isinstance(error, Retry) else None
                self._settle(run, "failed", self._failure(run, error, after))
        except Exception as fault:  # a backoff of the application's own, or a delay that is none
            self._settle(run, "failed", {"error": f"{_text(error)}\n{_text(fault)}"[:ERROR_LIMIT]})

    def _failure(self, run: Run, error: BaseException, after: Any = None) -> dict[str, Any]:
        if after is None and run.job.backoff is not None and not run.context._has_backoff:
            after = run.job.backoff(run.context.attempt)
        pause = {} if after is None else {"retry_in": seconds(after)}
        return {"error": _text(error), **pause}

    def _timed_out(self, run: Run) -> dict[str, Any]:
        return self._failure(run, Cancelled(f"timed out after {run.timeout:g} s"))

    def _settle(self, run: Run, kind: str, said: dict[str, Any]) -> None:
        """Says how it ended, once: the first one counts."""
        with self._changed:
            if run.settled:
                return
            run.settled = True
            del self._running[run.key]
            self._lines.extend(run.context._take_lines())
            if run.context.cancelled != "lost":
                self._outbox.append((kind, {"id": run.key[0], "delivery": run.key[1], **said}))
        self._to_report.set()

    def _cancel(self, run: Run, why: str) -> None:
        run.context._cancel(why)
        task, loop = run.task, self._loop
        if task is not None and loop is not None:
            loop.call_soon_threadsafe(task.cancel)

    # -- timeouts

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            now = time.monotonic()
            with self._changed:
                late = [run for run in self._running.values() if run.deadline <= now]
            for run in late:
                why = run.context.cancelled
                if why is None:
                    self._cancel(run, "timed out")
                    run.deadline = now + ABANDONED
                elif why == "timed out":
                    self._settle(run, "failed", self._timed_out(run))
                elif why == "cancelled":
                    self._settle(run, "failed", {"error": "did not stop in time", "cancelled": True})
                else:
                    self._settle(run, "released", {})

    # -- reports

    def _reports(self) -> None:
        """Heartbeat, renewal, and how jobs ended; what was not received is sent again."""
        connection, backoff, next_beat = self._api.connect(), Backoff(2.0), 0.0
        give_up: float | None = None
        while True:
            self._to_report.wait(max(0.0, next_beat - time.monotonic()))
            self._to_report.clear()
            over = self._over.is_set()
            if over and give_up is None:
                give_up = time.monotonic() + 5
            beat = time.monotonic() >= next_beat
            report, sent, lines = self._report(beat, over)
            if sent or lines or beat or over:
                try:
                    _, content = connection.request("POST", "/v1/work/reports", report, timeout=10)
                    self._heed(json.loads(content))
                    backoff = Backoff(2.0)
                    if beat:
                        next_beat = time.monotonic() + self._beat
                except Refused as error:
                    if error.status in (401, 403):
                        self._fail(error)
                    log.error("a report was refused, and these ends of jobs with it: %s: %s", sent, error)
                except (ApiError, Unreachable, ValueError) as error:
                    with self._changed:
                        self._outbox[:0] = sent
                        self._lines[:0] = lines
                    if give_up is not None and time.monotonic() > give_up:
                        log.error("%d ends of jobs could not be reported; they run again: %s", len(sent), error)
                        return
                    log.warning("report: %s", error)
                    time.sleep(backoff.pause())
            with self._changed:
                if self._outbox or self._lines:
                    self._to_report.set()
                elif over:
                    return

    def _report(self, beat: bool, over: bool) -> tuple[bytes, list[tuple[str, dict[str, Any]]], list[dict[str, Any]]]:
        """The next report, and the ends of jobs and the lines in it."""
        with self._changed:
            size, count = 0, 0
            for kind, said in self._outbox:
                size += len(kind) + len(json.dumps(said))
                if count == REPORT_SIZE or (count and size > REPORT_BYTES):
                    break
                count += 1
            sent, self._outbox = self._outbox[:count], self._outbox[count:]
            running = list(self._running.values()) if beat else []
            for run in running:
                self._lines.extend(run.context._take_lines())
            lines, self._lines = self._lines[:REPORT_LINES], self._lines[REPORT_LINES:]
        # Lines are taken of what the report speaks of.
        held = {run.key for run in running} | {(line["id"], line["delivery"]) for line in lines}
        report: dict[str, Any] = {**self._about, "held": [list(key) for key in held]}
        if lines:
            report["logs"] = lines
        if over and not (self._outbox or self._lines):
            report["leaving"] = True
        for kind, said in sent:
            entry = [said["id"], said["delivery"]] if kind == "released" else said
            report.setdefault(kind, []).append(entry)
        progress = [
            {"id": run.key[0], "delivery": run.key[1], "done": run.context._progress[0], "total": run.context._progress[1]}
            for run in running
            if run.context._progress is not None
        ]
        if progress:
            report["progress"] = progress
        return json.dumps(report).encode(), sent, lines

    def _record(self, context: Context, kind: str, said: dict[str, Any]) -> str | None:
        """Reports a step or a cursor at once, until it is received; why it is refused, if it is."""
        key = {"id": context.id, "delivery": context.delivery}
        held = [[context.id, context.delivery]]
        body = json.dumps({**self._about, "held": held, kind: [{**key, **said}]}).encode()
        while True:
            try:
                answer = self._api.call("POST", "/v1/work/reports", body)
                break
            except Refused as error:
                return str(error)
            except (ApiError, Unreachable) as error:
                log.warning("recording of job %s: %s", context.id, error)
                context.check()
        if context.id in answer.get("lost", ()):
            self._heed(answer)
            raise Cancelled("lost")
        return next((str(it["error"]) for it in answer.get("refused", ()) if it["id"] == context.id), None)

    def _heed(self, answer: dict[str, Any]) -> None:
        lost, cancelled = set(answer.get("lost", ())), set(answer.get("cancel", ()))
        if lost or cancelled:
            with self._changed:
                running = list(self._running.values())
            for run in running:
                if run.key[0] in lost:
                    log.warning("job %s (%s) was lost: another worker has it", run.key[0], run.job.name)
                    self._cancel(run, "lost")
                    self._settle(run, "lost", {})
                elif run.key[0] in cancelled and run.context.cancelled is None:
                    run.deadline = time.monotonic() + ABANDONED
                    self._cancel(run, "cancelled")
        for it in answer.get("refused", ()):
            log.error("the result of job %s was refused, so its attempt has failed: %s", it["id"], it["error"])
        if answer.get("drain") and not self._draining:
            log.info("worker %s is drained: it is given no more jobs", self.name)
        self._draining = bool(answer.get("drain"))


def _text(error: BaseException) -> str:
    """An error with where it came from, for the job's history."""
    if isinstance(error, Error):
        text = str(error)
    else:
        text = "".join(traceback.format_exception_only(type(error), error)).strip()
        frames = traceback.extract_tb(error.__traceback__)[-5:]
        text += "".join(f"\n  at {it.name} ({it.filename}:{it.lineno})" for it in reversed(frames))
    return text.replace("\0", "\\0")[:ERROR_LIMIT]


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT stop it, where it runs on the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = (signal.SIGTERM, signal.SIGINT)
    before = {it: signal.signal(it, lambda *_: stop()) for it in wanted}
    try:
        yield
    finally:
        for it, handler in before.items():
            signal.signal(it, handler)
