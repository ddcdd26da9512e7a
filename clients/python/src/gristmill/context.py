"""What a running job knows of itself."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, deque
from collections.abc import Awaitable
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from .errors import Cancelled, Discard, Sleeping
from .options import Delay, Json, encode, seconds

if TYPE_CHECKING:
    from .sql import DbConnection

RESULT_LIMIT = 16 * 1024
LOG_LINES = 500

current: ContextVar[Context | None] = ContextVar("gristmill", default=None)
"""Of the job that runs here."""


class Tick(NamedTuple):
    """The tick of a schedule that enqueued a job."""

    schedule: str
    at: datetime
    """When it was to be: a report of "yesterday" is of the day before it, however late it runs."""
    cause: str
    """Why it is there: "due", "caught_up" or "run_now"."""


class Context:
    """One attempt of a job: what it is, whether it is still wanted, and how far it is."""

    def __init__(self, delivery: dict[str, Any], tell: Callable[[Context, str, dict[str, Any]], str | None] | None = None):
        self.id: str = delivery["id"]
        """The job."""
        self.delivery: int = delivery["delivery"]
        """How often the broker has handed the job over, from 1."""
        self.name: str = delivery["name"]
        self.attempt: int = delivery["attempt"]
        """Which attempt this is, from 1."""
        self.max_attempts: int = delivery["max_attempts"]
        self.payload: Json = delivery["payload"]
        self.traceparent: str | None = delivery.get("traceparent")
        """The W3C trace that the job is part of."""
        tick = delivery.get("tick")
        self.tick: Tick | None = Tick(tick["schedule"], _time(tick["at"]), tick["cause"]) if tick else None
        """The tick of a schedule that enqueued it, if one did."""
        self._has_backoff = delivery.get("backoff") is not None
        self._stop = threading.Event()
        self._why: str | None = None
        self._progress: tuple[int, int] | None = None
        self._completed_in = False
        self._tell = tell
        self._lines: deque[dict[str, Any]] = deque(maxlen=LOG_LINES)
        self._said = 0
        self._steps: dict[str, Json] = delivery.get("steps", {})
        self._cursor: Json = delivery.get("cursor")
        self._slept: set[int] = set(delivery.get("slept", ()))
        self._received = {(it["signal"], it["n"]): it.get("payload") for it in delivery.get("received", ())}
        self._met: set[str] = set()
        self._waits: Counter[str] = Counter()
        self._sleeps = 0

    @property
    def cancelled(self) -> str | None:
        """Why the job should stop: "cancelled", "lost" (another worker has it), "timed out" or "stopping"; or None."""
        return self._why

    def check(self) -> None:
        """Raises Cancelled where the job should stop. Call it between the steps of a long job."""
        if self._why is not None:
            raise Cancelled(self._why)

    def wait(self, seconds: float) -> None:
        """Sleeps; raises Cancelled as soon as the job should stop. In a coroutine, use asyncio.sleep: it is cancelled."""
        self._stop.wait(seconds)
        self.check()

    def progress(self, done: int, total: int) -> None:
        """Says how far the job is. It is sent with the next heartbeat."""
        self._progress = (done, total)

    def log(self, message: str, level: str = "info") -> None:
        """Keeps a line with this attempt; the last 500 are. `level`: error, warn, info, debug or trace.

        Lines are sent with the next report. `gristmill.LogHandler` does this with all that is logged in a job.
        """
        at = datetime.now(timezone.utc).isoformat()
        self._said += 1
        self._lines.append(
            {"id": self.id, "delivery": self.delivery, "at": at, "level": level, "message": message.replace("\0", "\\0")}
        )

    def _take_lines(self) -> list[dict[str, Any]]:
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        dropped, self._said = self._said - len(lines), 0
        if dropped > 0:
            lines.insert(0, {**lines[0], "level": "warn", "message": f"{dropped} lines before these were dropped"})
        return lines

    # -- what outlives an attempt

    def step(self, name: str, run: Callable[[], Json]) -> Json:
        """Does something once, however often the job runs: `ctx.step("charge", lambda: charge(order))`.

        Its result (JSON, at most 16 KiB) is recorded before this returns, and a retry gets it in place of doing it again. A
        step that raises is not recorded. Each has a name of its own. In a coroutine, use `step_async`.
        """
        if self._is_done(name):
            return self._steps[name]
        return self._step_done(name, run())

    async def step_async(self, name: str, run: Callable[[], Awaitable[Json]]) -> Json:
        """`step` for a coroutine function: `await ctx.step_async("charge", lambda: charge(order))`."""
        if self._is_done(name):
            return self._steps[name]
        return await asyncio.to_thread(self._step_done, name, await run())

    @property
    def cursor(self) -> Json:
        """Where a run before this one has come to by `save_cursor`; or None."""
        return self._cursor

    def save_cursor(self, cursor: Json) -> None:
        """Records how far the job is (JSON, at most 16 KiB): the next run finds it in `cursor`. Each call is a request."""
        self._cursor = self._record("cursor", "cursor", cursor, {})

    async def save_cursor_async(self, cursor: Json) -> None:
        """`save_cursor` in a coroutine."""
        await asyncio.to_thread(self.save_cursor, cursor)

    def sleep(self, delay: Delay) -> None:
        """Sleeps without a worker: the job ends here, and comes again after the delay. That is no failed attempt.

        It raises Sleeping, which no `except Exception` catches: let it through. When the job comes again, steps that are done
        are not done again, and this returns at once. Sleeps are known by their order: a job comes to the same ones each time.
        """
        self._sleeps += 1
        if self._sleeps not in self._slept:
            raise Sleeping("sleeping", {"n": self._sleeps, "delay": seconds(delay)})

    def wait_for(self, signal: str, timeout: Delay) -> Json:
        """Waits for a signal (`app.signal`) without a worker, as `sleep` does: its payload, or None when none came in the time.

        Each signal is received once, in the order in which they were sent; one that was sent before is received, too.
        """
        self._waits[signal] += 1
        key = (signal, self._waits[signal])
        if key not in self._received:
            raise Sleeping("waiting", {"signal": signal, "n": key[1], "timeout": seconds(timeout)})
        return self._received[key]

    def _is_done(self, name: str) -> bool:
        if name in self._met:
            raise Discard(f"two steps of a job are called {name}: a step is done once, so give each a name of its own")
        self._met.add(name)
        return name in self._steps

    def _step_done(self, name: str, result: Json) -> Json:
        self._steps[name] = self._record("steps", "result", result, {"name": name})
        return self._steps[name]

    def _record(self, kind: str, field: str, value: Json, more: dict[str, Any]) -> Json:
        what = f"the step {more['name']}" if more else "the cursor"
        encoded = encode(value, what)
        if len(encoded) > RESULT_LIMIT:
            raise Discard(f"{what} has {len(encoded)} bytes: at most {RESULT_LIMIT} are kept")
        # as a retry will get it
        value = json.loads(encoded)
        if self._tell is None:
            raise Discard(f"{what} cannot be recorded: this context is not of a worker's run")
        refused = self._tell(self, kind, {**more, field: value})
        if refused is not None:
            raise Discard(refused)
        return value

    def complete_in(self, conn: DbConnection, result: Json = None, *, schema: str = "gristmill") -> None:
        """Completes this job in the transaction of `conn`: see `gristmill.complete_in`."""
        from .sql import complete_in  # noqa: PLC0415 (each knows the other)

        complete_in(conn, self, result, schema=schema)

    async def complete_in_async(self, conn: Any, result: Json = None, *, schema: str = "gristmill") -> None:
        """Completes this job in the transaction of an asynchronous connection of psycopg 3."""
        from .sql import complete_in_async  # noqa: PLC0415

        await complete_in_async(conn, self, result, schema=schema)

    def _cancel(self, why: str) -> None:
        if self._why is None:
            self._why = why
        self._stop.set()


def _time(text: str) -> datetime:
    """A time as the API writes it: in UTC, with any number of digits of a second."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    time = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return time.replace(microsecond=int(fraction[:6].ljust(6, "0")) if fraction else 0)
