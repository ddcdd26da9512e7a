"""What can be said of a job when it is enqueued, and how that is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

if TYPE_CHECKING:
    from typing_extensions import Required

Json = Any
"""What `json.dumps` writes, without NUL characters."""

Delay = Union[int, float, timedelta, str]
"""Seconds, a timedelta, or text such as "90s", "5m", "2h", "7d"."""


class _Fixed(TypedDict):
    type: Literal["fixed"]
    delay: Delay


class _Exponential(TypedDict, total=False):
    type: Required[Literal["exponential"]]
    delay: Required[Delay]
    limit: Delay
    """The longest wait: an hour unless given."""


Backoff = Union[_Fixed, _Exponential]
"""How long a job waits after a failed attempt: as long each time, or twice as long each time."""


class Options(TypedDict, total=False):
    """All are optional; what is left out is as the queue has it."""

    queue: str
    """The queue it waits in: the job's own where it is registered, else "default"."""
    delay: Delay
    """How long after `run_at`, or after now, it may start."""
    run_at: datetime
    """When it may start, with a time zone."""
    priority: int
    """0 is the most urgent, 9 the least."""
    max_attempts: int
    """Failed attempts until it is dead."""
    timeout: Delay
    """How long one attempt may take."""
    backoff: Backoff
    """How long to wait between attempts: in place of the worker's."""
    expires_in: Delay
    """A job that has not started so long after it was due is cancelled."""
    unique_key: str
    """While a job with this key waits, no other is taken."""
    unique_mode: Literal["keep", "replace", "debounce"]
    """What it does to the job that waits with its unique key: nothing, take its place, or put it off, too."""
    order_key: str
    """Jobs with this key run one at a time, in the order in which they were enqueued."""
    fair_key: str
    """Jobs of a queue take turns by this key."""
    group: str
    """The id of the open group that it is a member of."""
    tags: Sequence[str]
    """Words to find it by."""
    retain: Delay
    """How long it is kept when it has ended."""


class Change(TypedDict, total=False):
    """What a job that waits is to be from now on; what is left out stays."""

    payload: Json
    """What it is given."""
    queue: str
    """The queue it waits in."""
    priority: int
    """0 is the most urgent, 9 the least."""
    max_attempts: int
    """Failed attempts until it is dead, those it has had among them."""
    run_at: datetime
    """When it may start, with a time zone."""
    timeout: Delay
    """How long one attempt may take."""
    tags: Sequence[str]
    """Words to find it by, in place of those it has."""


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATIONS = {"delay", "timeout", "expires_in", "retain"}


def seconds(delay: Delay) -> float:
    """A delay in seconds. Raises ValueError for what is none."""
    if isinstance(delay, timedelta):
        found = delay.total_seconds()
    elif isinstance(delay, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", delay)
        if match is None:
            raise ValueError(f'{delay!r} is no duration: write seconds, or a number and ms, s, m, h or d, such as "5m"')
        found = float(match[1]) * _UNITS[match[2]]
    else:
        found = float(delay)
    if not 0 <= found < float("inf"):
        raise ValueError(f"a duration cannot be {delay!r}")
    return found


def _backoff(backoff: Mapping[str, Any]) -> dict[str, Any]:
    kind, times = backoff.get("type"), {key: value for key, value in backoff.items() if key != "type"}
    known = {"fixed": {"delay"}, "exponential": {"delay", "limit"}}.get(str(kind))
    if known is None or "delay" not in times or not times.keys() <= known:
        raise ValueError(
            f'{dict(backoff)!r} is no backoff: write such as {{"type": "fixed", "delay": "5s"}} or '
            '{"type": "exponential", "delay": "1s", "limit": "10m"}'
        )
    return {"type": kind, **{f"{key}_ms": round(seconds(value) * 1000) for key, value in times.items()}}


def encode(value: Json, what: str) -> str:
    """`value` as JSON that Postgres stores. Raises TypeError or ValueError with `what` in its text."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what} is no JSON: {error}") from error
    # an escaped backslash before it means that it is no NUL
    if "\\u0000" in text and re.search(r"(?<!\\)(?:\\\\)*\\u0000", text):
        raise ValueError(f"{what} has a NUL character (\\u0000), which Postgres cannot store: leave it out, or encode it")
    return text


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the wire has them. Raises TypeError for an unknown one, ValueError for a value that cannot be."""
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        known = ", ".join(Options.__annotations__)
        raise TypeError(f"no option is called {', '.join(sorted(unknown))}: there are {known}")
    found: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name in _DURATIONS:
            found[name] = seconds(value)
        elif name == "run_at":
            if value.tzinfo is None:
                raise ValueError("run_at has no time zone: write datetime.now(timezone.utc) + …")
            found[name] = value.isoformat()
        elif name == "backoff":
            found[name] = _backoff(value)
        elif name == "tags":
            found[name] = list(value)
        else:
            found[name] = value
    return found


def plain_change(change: Mapping[str, Any]) -> dict[str, Any]:
    """A change as the wire has it. Raises TypeError for what cannot be changed, ValueError for a value that cannot be."""
    unknown = change.keys() - Change.__annotations__.keys()
    if unknown:
        known = ", ".join(Change.__annotations__)
        raise TypeError(f"{', '.join(sorted(unknown))} of a job cannot be changed: there are {known}")
    found = plain({name: value for name, value in change.items() if name != "payload"})
    return found if change.get("payload") is None else {**found, "payload": change["payload"]}
