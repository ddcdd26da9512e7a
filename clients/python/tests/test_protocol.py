"""Edge cases of the wire, against a server that answers as it is told; all else is tested against a real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from fake import Fake, fake_api

import gristmill
from gristmill import Context, Gristmill, NewJob
from gristmill.options import encode, plain, seconds
from gristmill.sql import complete_statement, enqueue_many_statement, enqueue_statement

PROBLEM = {"type": "/problems/x", "title": "No", "detail": "because", "errors": [{"field": "queue", "detail": "too long"}]}


def delivery(**more: Any) -> dict[str, Any]:
    return {
        "id": "0194f000-0000-7000-8000-000000000001",
        "delivery": 1,
        "name": "thumb",
        "attempt": 1,
        "max_attempts": 8,
        "payload": {"id": 7},
        "lease_ms": 6000,
        **more,
    }


@pytest.fixture
def fake() -> Iterator[Fake]:
    with fake_api() as fake:
        given = iter([[delivery()]])

        def claims(_: Any) -> tuple[int, Any]:
            found = next(given, None)
            if found is None:
                time.sleep(0.2)
            return 200, found or []

        fake.answers["/v1/work/claims"] = claims
        fake.answers["/v1/work/reports"] = lambda _: (200, {"lost": [], "cancel": [], "drain": False})
        yield fake


@contextmanager
def running(app: Gristmill, **options: Any) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=lambda: app.run(**options))
    thread.start()
    try:
        yield thread
    finally:
        app.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_a_report_that_failed_is_sent_again_with_all_that_is_in_it(fake: Fake) -> None:
    app = Gristmill(fake.url, "key")
    faults = iter([503, 500, 502])

    def reports(body: Any) -> tuple[int, Any]:
        status = next(faults, 200) if body.get("done") else 200
        return (200, {}) if status == 200 else (status, PROBLEM)

    fake.answers["/v1/work/reports"] = reports

    @app.job("thumb", queue="thumbs")
    def thumb(ctx: Context, id: int) -> dict[str, int]:
        return {"made": id}

    with running(app, slots=2):
        fake.find(lambda path, _: sum(bool(body and "done" in body) for _, _, body in list(fake.requests)) == 4)
    claim = fake.find(lambda path, _: path == "/v1/work/claims")
    assert claim["queues"] == {"thumbs": 2} and claim["names"] == ["thumb"] and claim["language"] == "python"
    done = [body["done"] for _, _, body in fake.requests if body and "done" in body]
    assert done == [[{"id": delivery()["id"], "delivery": 1, "result": {"made": 7}}]] * 4
    assert fake.requests[-1][2]["leaving"] is True


def test_a_key_that_is_refused_ends_the_worker_with_the_reason(fake: Fake) -> None:
    fake.answers["/v1/work/claims"] = lambda _: (403, PROBLEM)
    app = Gristmill(fake.url, "key")
    app.job("thumb")(lambda ctx: None)
    with pytest.raises(gristmill.Refused, match=r"403 No: because \(queue: too long\)"):
        app.run()


def test_a_job_that_is_lost_is_stopped_and_not_reported(fake: Fake) -> None:
    app = Gristmill(fake.url, "key")
    seen: list[str] = []

    @app.job("thumb")
    def thumb(ctx: Context, id: int) -> str:
        fake.answers["/v1/work/reports"] = lambda _: (200, {"lost": [ctx.id], "cancel": [], "drain": False})
        try:
            ctx.wait(20)
        finally:
            seen.append(str(ctx.cancelled))
        return "late"

    with running(app):
        deadline = time.monotonic() + 20
        while not seen and time.monotonic() < deadline:
            time.sleep(0.05)
    assert seen == ["lost"]
    assert not any("done" in body or "failed" in body for _, _, body in fake.requests)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_heartbeat_does_not_wait_for_the_code_of_jobs(fake: Fake, asynchronous: bool) -> None:
    app = Gristmill(fake.url, "key")
    let_go = threading.Event()

    def hog(ctx: Context, id: int) -> None:
        ctx.progress(1, 2)
        let_go.wait(30)

    async def hog_async(ctx: Context, id: int) -> None:
        hog(ctx, id)  # it blocks the event loop

    app.job("thumb")(hog_async if asynchronous else hog)
    with running(app):
        fake.find(lambda path, body: path == "/v1/work/reports" and body.get("progress", [{}])[0].get("done") == 1)
        let_go.set()
        fake.find(lambda path, body: "done" in body)


def test_what_a_job_raises_is_what_is_reported(fake: Fake) -> None:
    def fail(error: BaseException) -> None:
        raise error

    endings: list[tuple[Any, dict[str, Any]]] = [
        (gristmill.Retry("soon", after="5m"), {"failed": [{"error": "soon", "retry_in": 300.0}]}),
        (gristmill.Discard("never"), {"failed": [{"error": "never", "discard": True}]}),
        (gristmill.Snooze(timedelta(seconds=2)), {"snoozed": [{"delay": 2.0}]}),
        (gristmill.AlreadyDone("it is"), {"done": [{}]}),
    ]
    for n, (error, reported) in enumerate(endings):
        given = iter([[delivery(delivery=n + 10)]])

        def claims(_: Any, given: Iterator[Any] = given) -> tuple[int, Any]:
            time.sleep(0.05)
            return 200, next(given, [])

        fake.answers["/v1/work/claims"] = claims
        app = Gristmill(fake.url, "key")
        app.job("thumb")(lambda ctx, id, error=error: fail(error))
        (kind, entries) = next(iter(reported.items()))
        with running(app):
            body = fake.find(lambda _, body, kind=kind, n=n: (body.get(kind) or [{}])[0].get("delivery") == n + 10)  # type: ignore[misc]
        assert body[kind] == [{"id": delivery()["id"], "delivery": n + 10, **entries[0]}]


def test_an_enqueue_is_sent_again_by_the_same_idempotency_key(fake: Fake) -> None:
    faults = iter([503, 429, 201])
    fake.answers["/v1/jobs"] = lambda _: (status := next(faults), {"id": "1"} if status == 201 else PROBLEM)
    app = Gristmill(fake.url, "secret")
    app.job("thumb", queue="thumbs", max_attempts=3)(lambda ctx: None)
    assert app.enqueue("thumb", {"id": 1}, delay="5m", tags=("a", "b"), priority=0) == "1"
    assert {body["name"] for _, _, body in fake.requests} == {"thumb"}
    assert len({headers["idempotency-key"] for _, headers, _ in fake.requests}) == 1
    assert {headers["authorization"] for _, headers, _ in fake.requests} == {"Bearer secret"}
    assert fake.requests[0][2] == {
        "name": "thumb",
        "queue": "thumbs",
        "max_attempts": 3,
        "delay": 300.0,
        "tags": ["a", "b"],
        "priority": 0,
        "payload": {"id": 1},
    }


def test_an_api_that_is_away_is_an_error_when_patience_ends() -> None:
    with fake_api() as fake:
        url = fake.url
    with pytest.raises(gristmill.Unreachable, match="POST /v1/jobs"):
        Gristmill(url, "key", patience=0.3).enqueue("thumb")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"que": "x"}, TypeError, "no option is called que: there are queue, delay"),
        ({"run_at": datetime(2026, 1, 1)}, ValueError, "no time zone"),
        ({"delay": "5 minutes"}, ValueError, "no duration"),
        ({"timeout": -1}, ValueError, "cannot be -1"),
        ({"backoff": {"type": "linear", "delay": 1}}, ValueError, "is no backoff: write such as"),
        ({"backoff": {"type": "fixed", "delay": 1, "limit": 2}}, ValueError, "is no backoff"),
        ({"backoff": {"type": "fixed"}}, ValueError, "is no backoff"),
    ],
)
def test_options_that_cannot_be_are_refused(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        plain(options)


def test_payloads_that_cannot_be_are_refused_before_they_are_sent() -> None:
    app = Gristmill("http://127.0.0.1:1", "key")
    for payload, text in [({"a": "x\0y"}, "NUL"), ({"a": float("nan")}, "no JSON"), ({"a": object()}, "no JSON")]:
        with pytest.raises((TypeError, ValueError), match=text):
            app.enqueue("thumb", payload)
    assert encode({"a": "\\u0000"}, "it") == '{"a":"\\\\u0000"}'  # a backslash and letters are no NUL
    with pytest.raises(ValueError, match="address"):
        Gristmill("127.0.0.1:8080", "key")
    with pytest.raises(ValueError, match="register a job"):
        app.run()


def test_durations() -> None:
    assert [seconds(it) for it in (2, 0.5, "90s", "5m", "1.5h", "7d", "250ms", timedelta(minutes=1))] == [
        2,
        0.5,
        90,
        300,
        5400,
        604800,
        0.25,
        60,
    ]


def test_statements() -> None:
    statement, values = enqueue_statement(
        "gristmill",
        "thumb",
        {"id": 1},
        {"queue": "thumbs", "delay": "5m", "backoff": {"type": "fixed", "delay": "5s"}, "unique_key": "k"},
    )
    assert statement == (
        'select "gristmill".enqueue("name" => %s, "payload" => %s::jsonb, "queue" => %s,'
        ' "delay" => make_interval(secs => %s), "backoff" => %s::jsonb, "unique_key" => %s)'
    )
    assert values == ["thumb", '{"id":1}', "thumbs", 300.0, '{"type": "fixed", "delay_ms": 5000}', "k"]
    assert plain({"backoff": {"type": "exponential", "delay": 1.5, "limit": "10m"}}) == {
        "backoff": {"type": "exponential", "delay_ms": 1500, "limit_ms": 600_000}
    }
    assert complete_statement("q", "1", None) == ('select "q".complete(%s::uuid, %s::jsonb)', ["1", None])
    _, (jobs, _) = enqueue_many_statement("q", [NewJob("a", [1]), NewJob("b", priority=1)])
    assert jobs == '[{"name":"a","payload":[1]},{"name":"b","priority":1,"payload":{}}]'
