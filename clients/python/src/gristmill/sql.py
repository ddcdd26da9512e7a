"""Enqueue, and complete, in a transaction of your own: by any driver of Postgres that writes parameters as %s (psycopg,
psycopg2, pg8000, Django's and SQLAlchemy's connections)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

from .errors import AlreadyDone
from .options import Json, encode, plain

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .app import NewJob
    from .context import Context
    from .options import Options


class Cursor(Protocol):
    """What a cursor of DB-API 2.0 has of it."""

    def execute(self, operation: Any, parameters: Any = ..., /) -> Any:
        """Runs a statement."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> Any:
        """All rows."""

    def close(self) -> Any:
        """Ends it."""


class DbConnection(Protocol):
    """What a connection of DB-API 2.0 has of it."""

    def cursor(self) -> Any:
        """A new cursor."""


Statement = tuple[str, list[Any]]


def enqueue_in(
    conn: DbConnection, name: str, payload: Json = None, *, schema: str = "gristmill", **options: Unpack[Options]
) -> str | None:
    """Enqueues a job in the transaction of `conn`: it exists if and when that commits, and starts milliseconds later.

    The id of the job; None where `unique_key` was taken, so that no job was made. `schema` is the queue's.
    """
    return _id(_one(conn, enqueue_statement(schema, name, payload, options)))


async def enqueue_in_async(
    conn: Any, name: str, payload: Json = None, *, schema: str = "gristmill", **options: Unpack[Options]
) -> str | None:
    """`enqueue_in` for an asynchronous connection of psycopg 3."""
    return _id(await _one_async(conn, enqueue_statement(schema, name, payload, options)))


def enqueue_many_in(conn: DbConnection, jobs: Iterable[NewJob], *, schema: str = "gristmill") -> list[str | None]:
    """Enqueues jobs in the transaction of `conn`, by one statement. Their ids, in order; None where a key was taken."""
    with closing(conn.cursor()) as cursor:
        cursor.execute(*enqueue_many_statement(schema, jobs))
        return [_id(_value(row)) for row in cursor.fetchall()]


async def enqueue_many_in_async(conn: Any, jobs: Iterable[NewJob], *, schema: str = "gristmill") -> list[str | None]:
    """`enqueue_many_in` for an asynchronous connection of psycopg 3."""
    async with conn.cursor() as cursor:
        await cursor.execute(*enqueue_many_statement(schema, jobs))
        return [_id(_value(row)) for row in await cursor.fetchall()]


def complete_in(conn: DbConnection, job: Context | str, result: Json = None, *, schema: str = "gristmill") -> None:
    """Completes a job in the transaction of `conn`, so that what else the transaction does happens exactly once.

    Raises AlreadyDone where another run was first: let it through, so that your transaction is rolled back. Best called
    first in the transaction: it locks the job's row, so that two runs never work at the same time.
    """
    _completed(job, _one(conn, complete_statement(schema, job, result)))


async def complete_in_async(conn: Any, job: Context | str, result: Json = None, *, schema: str = "gristmill") -> None:
    """`complete_in` for an asynchronous connection of psycopg 3."""
    _completed(job, await _one_async(conn, complete_statement(schema, job, result)))


def enqueue_statement(schema: str, name: str, payload: Json, options: Mapping[str, Any]) -> Statement:
    """`select gristmill.enqueue(…)` with the options that are given, and its parameters."""
    values: list[tuple[str, str, Any]] = [
        ('"name"', "%s", name),
        ('"payload"', "%s::jsonb", encode({} if payload is None else payload, f"the payload of {name}")),
    ]
    for option, value in plain(options).items():
        sent = json.dumps(value) if option == "backoff" else value
        values.append((f'"{option}"', _WRITTEN.get(option, "%s"), sent))
    arguments = ", ".join(f"{argument} => {written}" for argument, written, _ in values)
    return f"select {_quoted(schema)}.enqueue({arguments})", [value for _, _, value in values]


# how the function's argument of the same name is written
_WRITTEN = {
    "delay": "make_interval(secs => %s)",
    "run_at": "%s::timestamptz",
    "timeout": "make_interval(secs => %s)",
    "backoff": "%s::jsonb",
    "expires_in": "make_interval(secs => %s)",
    "group": "%s::uuid",
    "tags": "%s::text[]",
    "retain": "make_interval(secs => %s)",
}


def enqueue_many_statement(schema: str, jobs: Iterable[NewJob]) -> Statement:
    """`select gristmill.enqueue_many(…)` and its parameter: the jobs as the API's batch has them."""
    lines = "[" + ",".join(it.line() for it in jobs) + "]"
    statement = (
        "select given.id from generate_series(1, jsonb_array_length(%s::jsonb)) as n"
        f" left join {_quoted(schema)}.enqueue_many(%s::jsonb) as given using (n) order by n"
    )
    return statement, [lines, lines]


def complete_statement(schema: str, job: Context | str, result: Json) -> Statement:
    """`select gristmill.complete(…)` and its parameters."""
    id = job if isinstance(job, str) else job.id
    encoded = None if result is None else encode(result, f"the result of job {id}")
    return f"select {_quoted(schema)}.complete(%s::uuid, %s::jsonb)", [id, encoded]


def _quoted(schema: str) -> str:
    return '"' + schema.replace('"', '""') + '"'


def _one(conn: DbConnection, statement: Statement) -> Any:
    with closing(conn.cursor()) as cursor:
        cursor.execute(*statement)
        return _value(cursor.fetchone())


async def _one_async(conn: Any, statement: Statement) -> Any:
    async with conn.cursor() as cursor:
        await cursor.execute(*statement)
        return _value(await cursor.fetchone())


def _value(row: Any) -> Any:
    """The only column, of a row that is a tuple or a mapping."""
    return next(iter(row.values())) if isinstance(row, Mapping) else row[0]


def _id(found: Any) -> str | None:
    return None if found is None else str(found)


def _completed(job: Context | str, done: Any) -> None:
    id = job if isinstance(job, str) else job.id
    if not done:
        raise AlreadyDone(f"job {id} is no longer to be done: another run has completed it, or it was cancelled")
    if not isinstance(job, str):
        job._completed_in = True
