"""Jobs of a Gristmill queue: enqueue them, run them, and have their effects exactly once.

app = Gristmill("http://127.0.0.1:8080", key="…")

@app.job("thumb", queue="thumbs", timeout=30)
def thumb(ctx: Context, id: int) -> None: ...

app.enqueue(thumb, {"id": 7})
app.run(slots=8)
"""

from .app import Flow, Gristmill, Group, Job, NewJob, Stage
from .context import Context, Tick
from .errors import (
    AlreadyDone,
    ApiError,
    Cancelled,
    Discard,
    Error,
    JobFailed,
    Refused,
    Retry,
    Sleeping,
    Snooze,
    Unreachable,
    WaitTimeout,
)
from .logs import LogHandler
from .options import Backoff, Change, Delay, Json, Options
from .sql import complete_in, complete_in_async, enqueue_in, enqueue_in_async, enqueue_many_in, enqueue_many_in_async

__all__ = [
    "AlreadyDone",
    "ApiError",
    "Backoff",
    "Cancelled",
    "Change",
    "Context",
    "Delay",
    "Discard",
    "Error",
    "Flow",
    "Gristmill",
    "Group",
    "Job",
    "JobFailed",
    "Json",
    "LogHandler",
    "NewJob",
    "Options",
    "Refused",
    "Retry",
    "Sleeping",
    "Snooze",
    "Stage",
    "Tick",
    "Unreachable",
    "WaitTimeout",
    "complete_in",
    "complete_in_async",
    "enqueue_in",
    "enqueue_in_async",
    "enqueue_many_in",
    "enqueue_many_in_async",
]
