"""What can go wrong, and how a job says how its attempt ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import Delay


class Error(Exception):
    """Any error of this package."""


class Unreachable(Error):
    """The API did not answer: the request may or may not have had its effect."""


class ApiError(Error):
    """The API answered with an error."""

    def __init__(self, method: str, path: str, status: int, title: str, detail: str, errors: list[dict[str, Any]]):
        fields = "; ".join(f"{it.get('field')}: {it.get('detail')}" for it in errors)
        super().__init__(f"{method} {path}: {status} {title}: {detail}{f' ({fields})' if fields else ''}")
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = errors


class Refused(ApiError):
    """The API will never take this request (a status of 400 to 499): change it, or the key."""


class JobFailed(Error):
    """The job that was waited for has ended without success."""

    def __init__(self, job: str, state: str, error: str | None):
        super().__init__(f"job {job} is {state}: {error or 'no error is recorded'}")
        self.job = job
        self.state = state
        self.error = error


class WaitTimeout(Error):
    """The job that was waited for has not ended in time; it goes on."""


class Retry(Error):
    """Raise it in a job: this attempt has failed, try again. `after`: seconds, or the queue's backoff where None."""

    def __init__(self, message: str = "to be tried again", *, after: Delay | None = None):
        super().__init__(message)
        self.after = after


class Discard(Error):
    """Raise it in a job: it can never succeed, so it is dead at once, whatever attempts it has left."""


class Snooze(Error):
    """Raise it in a job: run it again later. That is no failed attempt."""

    def __init__(self, delay: Delay):
        super().__init__(f"snoozed for {delay}")
        self.delay = delay


class Sleeping(BaseException):
    """Raised by `Context.sleep` and `Context.wait_for`: the job comes again later. Let it through; `finally` runs as ever."""

    def __init__(self, kind: str, said: dict[str, Any]):
        super().__init__(f"the job is {kind}: let this through, it comes again")
        self.kind = kind
        self.said = said


class Cancelled(Error):
    """Raised by `Context.check`: the job was cancelled or lost, it ran out of time, or the worker gives it back."""


class AlreadyDone(Error):
    """Raised by `complete_in`: another run has completed the job, or it was cancelled. Roll back, and let it through."""
