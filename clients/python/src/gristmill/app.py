"""An application: its jobs, and what enqueues and runs them."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, TypeVar
from urllib.parse import quote, urlencode

from .errors import JobFailed, Refused, WaitTimeout
from .http import Api, Backoff
from .options import Delay, Json, encode, plain, plain_change, seconds
from .worker import Worker

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import Change, Options

F = TypeVar("F", bound=Callable[..., Any])
BATCH_SIZE = 10_000
BATCH_BYTES = 1_000_000
ENDED = ("completed", "dead", "cancelled", "parked")


class Job:
    """A registered job: its function, and what is said of it."""

    def __init__(
        self,
        name: str,
        run: Callable[..., Any],
        queue: str,
        timeout: float,
        max_attempts: int | None,
        backoff: Callable[[int], Delay] | None,
        parse: Callable[[Any], Any] | None,
    ):
        self.name, self.run, self.queue, self.timeout = name, run, queue, timeout
        self.max_attempts, self.backoff, self.parse = max_attempts, backoff, parse
        self.signature = inspect.signature(run)
        self.is_async = inspect.iscoroutinefunction(run)

    def arguments(self, context: Any, payload: Json) -> inspect.BoundArguments:
        """How the function is called. Raises TypeError or ValueError where the payload does not fit it."""
        if self.parse is not None:
            return self.signature.bind(context, self.parse(payload))
        if isinstance(payload, dict):
            return self.signature.bind(context, **payload)
        return self.signature.bind(context, payload)


class NewJob:
    """A job to be enqueued, by `enqueue_many`."""

    def __init__(self, name: str, payload: Json = None, **options: Unpack[Options]):
        self.name, self.payload, self.options = name, payload, options

    def line(self, defaults: Mapping[str, Any] | None = None) -> str:
        """As JSON on one line."""
        job = {"name": self.name, **(defaults or {}), **plain(self.options)}
        payload = encode({} if self.payload is None else self.payload, f"the payload of {self.name}")
        return encode(job, f"job {self.name}")[:-1] + ',"payload":' + payload + "}"


class Gristmill:
    """An application that enqueues jobs through an API of Gristmill, and runs them.

    `url`: such as http://127.0.0.1:8080. `key`: an API key. `patience`: for how many seconds requests are sent again while
    the API is away; a worker goes on for ever.
    """

    def __init__(self, url: str, key: str, *, patience: float = 30.0):
        self._api = Api(url, key, patience)
        self._jobs: dict[str, Job] = {}
        self._worker: Worker | None = None

    # -- jobs

    def job(
        self,
        name: str,
        *,
        queue: str = "default",
        timeout: Delay = 60,
        max_attempts: int | None = None,
        backoff: Callable[[int], Delay] | None = None,
        parse: Callable[[Any], Any] | None = None,
    ) -> Callable[[F], F]:
        """Registers a function, or a coroutine function, as the job `name`.

        It is called with the context and, where the payload is an object, with its fields as keywords: `f(ctx, **payload)`;
        else with the payload: `f(ctx, payload)`. `parse` makes something of the payload first, such as a model of pydantic:
        `f(ctx, parse(payload))`. What it returns is the job's result (JSON, at most 16 KiB); None records nothing.
        `timeout`: how long one attempt may take. `backoff`: the pause after the n-th failed attempt; else the queue's.
        """

        def register(run: F) -> F:
            if name in self._jobs:
                raise ValueError(f"two jobs are called {name}")
            self._jobs[name] = Job(name, run, queue, seconds(timeout), max_attempts, backoff, parse)
            return run

        return register

    def _name(self, job: str | Callable[..., Any]) -> str:
        if isinstance(job, str):
            return job
        for known in self._jobs.values():
            if known.run is job:
                return known.name
        raise ValueError(f"{job!r} is no job of this application: register it with @app.job(name)")

    def _defaults(self, name: str) -> dict[str, Any]:
        """What a job's registration says to its enqueue."""
        job = self._jobs.get(name)
        if job is None:
            return {}
        attempts = {} if job.max_attempts is None else {"max_attempts": job.max_attempts}
        return {"queue": job.queue, **attempts}

    # -- producers

    def enqueue(self, job: str | Callable[..., Any], payload: Json = None, **options: Unpack[Options]) -> str:
        """Enqueues a job: its id, or with a `unique_key` that is taken the id of the job that has it."""
        name = self._name(job)
        body = NewJob(name, payload, **options).line(self._defaults(name)).encode()
        answer = self._post("/v1/jobs", body)
        return str(answer.get("id") or answer["existing"])

    async def enqueue_async(self, job: str | Callable[..., Any], payload: Json = None, **options: Unpack[Options]) -> str:
        """`enqueue`, on a thread."""
        return await asyncio.to_thread(lambda: self.enqueue(job, payload, **options))

    def enqueue_many(self, jobs: Iterable[NewJob]) -> list[str]:
        """Enqueues any number of jobs: their ids, in order. Each 10,000 (or 1 MB) are one request and one transaction.

        Where a `unique_key` is taken, it is the id of the job that has it.
        """
        ids: list[str] = []
        for batch in _batches(job.line(self._defaults(job.name)) for job in jobs):
            answer = self._post("/v1/jobs/batch", batch, kind="application/x-ndjson")
            ids.extend(str(it) for it in answer["ids"])
        return ids

    async def enqueue_many_async(self, jobs: Iterable[NewJob]) -> list[str]:
        """`enqueue_many`, on a thread."""
        return await asyncio.to_thread(self.enqueue_many, jobs)

    def group(
        self,
        name: str | None = None,
        *,
        on_complete: NewJob | None = None,
        on_failure: NewJob | None = None,
        fail_fast: bool = False,
        parent: Group | None = None,
    ) -> Group:
        """Opens a group. Once it is sealed and its last member has ended, `on_complete` is enqueued, or `on_failure` where a
        member failed: one of them, once; of their options, `queue`, `priority`, `max_attempts` and `order_key` can be given.
        `fail_fast`: the first failure stops the others. `parent`: the group that it is a member of.

        As a context manager it seals the group at its end, and cancels it where an error leaves it.
        """
        said: dict[str, Any] = {"policy": "fail_fast" if fail_fast else "continue"}
        if name is not None:
            said["name"] = name
        if parent is not None:
            said["parent"] = parent.id
        for key, join in (("on_complete", on_complete), ("on_failure", on_failure)):
            if join is not None:
                said[key] = json.loads(join.line(self._defaults(join.name)))
        body = encode(said, "the group").encode()
        return Group(self, str(self._post("/v1/groups", body)["id"]))

    def flow(
        self,
        stages: Iterable[Stage],
        *,
        name: str | None = None,
        on_complete: NewJob | None = None,
        on_failure: NewJob | None = None,
    ) -> Flow:
        """Enqueues stages of jobs that wait for each other, in one transaction: a chain, or any graph without a circle.

        When all stages have ended, `on_complete` is enqueued, or `on_failure` where one failed.
        """
        said: dict[str, Any] = {"stages": [stage.wire(self._defaults) for stage in stages]}
        if name is not None:
            said["name"] = name
        for key, join in (("on_complete", on_complete), ("on_failure", on_failure)):
            if join is not None:
                said[key] = json.loads(join.line(self._defaults(join.name)))
        answer = self._post("/v1/flows", encode(said, "the flow").encode())
        return Flow(self, answer)

    def members(self, id: str, stage: str | None = None) -> Iterator[dict[str, Any]]:
        """What the jobs before a job came to (`id`, `name`, `state`, `result`): of a job of a flow those of the stages that it
        waited for, or of the one of this name; of a join its members. Asks for a thousand at a time.
        """
        query = {"limit": "1000"} if stage is None else {"limit": "1000", "stage": stage}
        while True:
            items = self._api.call("GET", f"/v1/jobs/{quote(id)}/members?{urlencode(query)}")["items"]
            yield from items
            if len(items) < 1000:
                return
            query["after"] = items[-1]["id"]

    def change(self, id: str, **change: Unpack[Change]) -> dict[str, Any]:
        """Changes a job that waits (one that is scheduled, dead, parked or cancelled): the job as it is then."""
        body = encode(plain_change(change), "the change").encode()
        changed: dict[str, Any] = self._api.call("PATCH", f"/v1/jobs/{quote(id)}", body)
        return changed

    def promote(self, id: str) -> None:
        """Runs a scheduled job now."""
        self._post(f"/v1/jobs/{quote(id)}/promote")

    def retry(self, id: str, payload: Json = None) -> None:
        """Runs a job again that is dead, parked or cancelled, with another payload where there is one."""
        body = None if payload is None else encode({"payload": payload}, "the payload").encode()
        self._post(f"/v1/jobs/{quote(id)}/redrive", body)

    def get(self, id: str) -> dict[str, Any]:
        """Everything about a job: state, result, attempts, group, … Raises Refused where there is none."""
        found: dict[str, Any] = self._api.call("GET", f"/v1/jobs/{quote(id)}")
        return found

    def wait(self, id: str, timeout: Delay = 60) -> Json:
        """The result of a job, once it is completed. Raises JobFailed where it ends otherwise, WaitTimeout in its time."""
        until, backoff = time.monotonic() + seconds(timeout), Backoff(longest=1.0)
        while True:
            job = self.get(id)
            if job["state"] == "completed":
                return job["result"]
            if job["state"] in ENDED:
                raise JobFailed(id, job["state"], job.get("last_error"))
            pause = backoff.pause()
            if time.monotonic() + pause > until:
                raise WaitTimeout(f"job {id} is {job['state']} after {timeout} of waiting")
            time.sleep(pause)

    def cancel(self, id: str) -> None:
        """Cancels a job: one that waits never runs, one that runs is asked to stop."""
        self._post(f"/v1/jobs/{quote(id)}/cancel")

    def signal(self, id: str, name: str, payload: Json = None) -> None:
        """Sends a job a signal: its next `ctx.wait_for` of this name receives it, once. Raises Refused where it has ended."""
        body = encode({"payload": payload}, f"the signal {name}").encode()
        self._post(f"/v1/jobs/{quote(id)}/signals/{quote(name, safe='')}", body)

    def logs(self, id: str) -> list[dict[str, Any]]:
        """What the attempts of a job have said: `[{"attempt", "dropped", "lines": [{"at", "level", "message"}, …]}, …]`."""
        found: list[dict[str, Any]] = self._api.call("GET", f"/v1/jobs/{quote(id)}/logs")["items"]
        return found

    def _post(self, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        return self._api.call("POST", path, body, kind=kind, headers={"idempotency-key": str(uuid.uuid4())})

    # -- workers

    def run(self, slots: int | Mapping[str, int] = 8, *, grace: float = 20.0, label: str | None = None) -> None:
        """Runs this application's jobs until SIGTERM or SIGINT: functions on threads, coroutines on an event loop.

        `slots`: how many at a time, for each queue of its jobs, or by queue. After the signal, running jobs have `grace`
        seconds to end; the rest is handed back and runs elsewhere at once. `label` names the worker in lists.
        """
        self._worker = Worker(self._api, self._jobs, slots, grace, label)
        self._worker.run()

    async def run_async(self, slots: int | Mapping[str, int] = 8, *, grace: float = 20.0, label: str | None = None) -> None:
        """`run` in an event loop that is there: coroutines run on it. It ends like `run`, or when its task is cancelled."""
        self._worker = Worker(self._api, self._jobs, slots, grace, label)
        await self._worker.run_async()

    def stop(self) -> None:
        """Stops `run` as SIGTERM does; from any thread."""
        if self._worker is not None:
            self._worker.stop()


class Stage:
    """Jobs of a flow that begin together, when all stages that they wait for have ended.

    `after`: the names of these stages. `after_failure`: "cancel" (it is cancelled when one of them has failed) or "continue".
    `fail_fast`: the first failure stops the other jobs. A job has no `group` and no `unique_key`; its `delay` counts from
    when the stage begins.
    """

    def __init__(
        self,
        name: str,
        jobs: Iterable[NewJob],
        *,
        after: Iterable[str] = (),
        after_failure: str = "cancel",
        fail_fast: bool = False,
    ):
        self.name, self.jobs, self.after = name, list(jobs), list(after)
        self.after_failure, self.fail_fast = after_failure, fail_fast

    def wire(self, defaults: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """As the wire has it."""
        return {
            "name": self.name,
            "after": self.after,
            "after_failure": self.after_failure,
            "policy": "fail_fast" if self.fail_fast else "continue",
            "jobs": [json.loads(job.line(defaults(job.name))) for job in self.jobs],
        }


class Flow:
    """A flow that was enqueued: the group `id`, and the ids of the jobs of each stage."""

    def __init__(self, app: Gristmill, answer: dict[str, Any]):
        self.id: str = answer["id"]
        self.jobs: dict[str, list[str]] = {stage["name"]: stage["jobs"] for stage in answer["stages"]}
        self._app = app

    def get(self) -> dict[str, Any]:
        """Its state, and its `stages` with theirs."""
        found: dict[str, Any] = self._app._api.call("GET", f"/v1/groups/{self.id}")
        return found

    def cancel(self) -> None:
        """Cancels it and everything in it."""
        self._app._post(f"/v1/groups/{self.id}/cancel")


class Group:
    """An open group of jobs."""

    def __init__(self, app: Gristmill, id: str):
        self.id = id
        self._app = app

    def enqueue(self, job: str | Callable[..., Any], payload: Json = None, **options: Unpack[Options]) -> str:
        """Enqueues a member."""
        return self._app.enqueue(job, payload, **_in_group(options, self.id))

    def enqueue_many(self, jobs: Iterable[NewJob]) -> list[str]:
        """Enqueues any number of members."""
        return self._app.enqueue_many(NewJob(it.name, it.payload, **_in_group(it.options, self.id)) for it in jobs)

    def seal(self) -> None:
        """Says that there are no more members: with the last one's end the group ends."""
        self._app._post(f"/v1/groups/{self.id}/seal")

    def cancel(self) -> None:
        """Cancels the group and everything in it."""
        self._app._post(f"/v1/groups/{self.id}/cancel")

    def get(self) -> dict[str, Any]:
        """Its counts and state."""
        found: dict[str, Any] = self._app._api.call("GET", f"/v1/groups/{self.id}")
        return found

    def __enter__(self) -> Group:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.seal()
            return
        try:
            self.cancel()
        except Refused:
            pass  # the error that led here says more


def _in_group(options: Options, group: str) -> Options:
    member = options.copy()
    member["group"] = group
    return member


def _batches(lines: Iterable[str]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for line in lines:
        encoded = line.encode() + b"\n"
        if held and (len(held) == BATCH_SIZE or size + len(encoded) > BATCH_BYTES):
            yield b"".join(held)
            held, size = [], 0
        held.append(encoded)
        size += len(encoded)
    if held:
        yield b"".join(held)
