"""Against a real stack: see `stack.py`."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from stack import Stack, eventually, free_port

import gristmill
from gristmill import Context, Gristmill, NewJob, Stage


@contextmanager
def running(app: Gristmill, **options: Any) -> Iterator[None]:
    faults: list[BaseException] = []

    def run() -> None:
        try:
            app.run(**options)
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        app.stop()
        thread.join(60)
        assert not thread.is_alive()
        assert not faults, faults


@pytest.fixture
def effects(live: Stack) -> Iterator[psycopg.Connection[Any]]:
    """A connection, with an empty table `effects`."""
    with psycopg.connect(live.database, autocommit=True) as conn:
        conn.execute("create table if not exists effects (n int not null, by int not null)")
        conn.execute("truncate effects")
        yield conn


def outcomes(app: Gristmill, id: str) -> list[str]:
    """How the attempts of a job ended that did not succeed; `lost_worker`: its lease ran out."""
    return [it["outcome"] for it in app.get(id)["attempts"]]


def count(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute("select count(*) from effects").fetchone()
    assert row is not None
    return int(row[0])


def test_a_job_runs_and_its_result_is_kept(live: Stack) -> None:
    app = live.app()

    @app.job("add", queue="py-add")
    def add(ctx: Context, a: int, b: int = 1) -> dict[str, Any]:
        return {"sum": a + b, "attempt": ctx.attempt}

    @app.job("add.async", queue="py-add")
    async def add_async(ctx: Context, a: int) -> int:
        await asyncio.sleep(0.01)
        return a + 1

    @app.job("list", queue="py-add", parse=lambda payload: [int(it) for it in payload])
    def total(ctx: Context, numbers: list[int]) -> int:
        return sum(numbers)

    with running(app):
        first = app.enqueue(add, {"a": 1, "b": 2})
        second = app.enqueue("add.async", {"a": 41}, priority=0, tags=["x"], fair_key="k")
        third = app.enqueue(total, ["1", "2"])
        assert app.wait(first) == {"sum": 3, "attempt": 1}
        assert app.wait(second) == 42
        assert app.wait(third) == 3
    job = app.get(second)
    assert (job["name"], job["queue"], job["priority"], job["fair_key"]) == ("add.async", "py-add", 0, "k")


def test_run_async_runs_on_the_loop_that_is_there(live: Stack) -> None:
    app = live.app()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        @app.job("where", queue="py-where")
        async def where(ctx: Context) -> bool:
            return asyncio.get_running_loop() is loop

        worker = asyncio.ensure_future(app.run_async(slots=2))
        id = await app.enqueue_async(where)
        assert await asyncio.to_thread(app.wait, id) is True
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker

    asyncio.run(main())


def test_retry_discard_and_snooze(live: Stack) -> None:
    app = live.app()
    runs: Counter[str] = Counter()

    @app.job("flaky", queue="py-ends", backoff=lambda attempt: 0.05)
    def flaky(ctx: Context) -> int:
        runs["flaky"] += 1
        if ctx.attempt == 1:
            raise gristmill.Retry("not yet", after=0.05)
        if ctx.attempt == 2:
            raise OSError("away")
        return ctx.attempt

    @app.job("hopeless", queue="py-ends")
    def hopeless(ctx: Context) -> None:
        raise gristmill.Discard("no such order")

    @app.job("later", queue="py-ends")
    def later(ctx: Context) -> int:
        runs["later"] += 1
        if runs["later"] == 1:
            raise gristmill.Snooze(0.1)
        return ctx.attempt

    @app.job("twice", queue="py-ends", max_attempts=2, backoff=lambda attempt: 0)
    def twice(ctx: Context) -> None:
        raise ValueError("always")

    with running(app):
        ids = [app.enqueue(it) for it in (flaky, hopeless, later, twice)]
        assert app.wait(ids[0]) == 3
        with pytest.raises(gristmill.JobFailed, match=r"is dead: .*no such order"):
            app.wait(ids[1])
        assert app.wait(ids[2]) == 1, "a snooze is no attempt"
        with pytest.raises(gristmill.JobFailed, match="ValueError: always"):
            app.wait(ids[3])
    first = app.get(ids[0])["attempts"]
    assert [it["outcome"] for it in first] == ["retried", "retried"]
    assert first[0]["error"] == "not yet" and "OSError: away\n  at flaky (" in first[1]["error"]


@pytest.mark.parametrize("kind", ["function", "coroutine", "deaf"])
def test_a_running_job_is_cancelled(live: Stack, kind: str) -> None:
    app = live.app()
    started, let_go = threading.Event(), threading.Event()

    def function(ctx: Context) -> None:
        started.set()
        ctx.wait(60)

    async def coroutine(ctx: Context) -> None:
        started.set()
        await asyncio.sleep(60)

    def deaf(ctx: Context) -> None:
        started.set()
        let_go.wait(60)

    bodies: dict[str, Any] = {"function": function, "coroutine": coroutine, "deaf": deaf}
    app.job("long", queue=f"py-cancel-{kind}")(bodies[kind])
    with running(app):
        id = app.enqueue("long")
        assert started.wait(30)
        app.cancel(id)
        with pytest.raises(gristmill.JobFailed, match="is cancelled"):
            app.wait(id, timeout=20)
        let_go.set()


def test_a_job_that_takes_too_long_has_failed(live: Stack) -> None:
    app = live.app()

    @app.job("slow", queue="py-slow", timeout=0.3, max_attempts=1)
    def slow(ctx: Context) -> None:
        ctx.wait(60)

    with running(app), pytest.raises(gristmill.JobFailed, match=r"timed out after 0.3 s"):
        app.wait(app.enqueue(slow))


def test_payloads_and_results_that_do_not_fit(live: Stack) -> None:
    app = live.app()

    @app.job("strict", queue="py-strict", max_attempts=1)
    def strict(ctx: Context, id: int) -> None:
        return None

    @app.job("large", queue="py-strict", max_attempts=1)
    def large(ctx: Context, result: str) -> Any:
        return {"big": "x" * 20_000, "nul": "\0", "set": {1}}[result]

    wrong: list[tuple[Any, Any, str]] = [
        (strict, {"ident": 1}, "missing a required argument: 'id'"),
        (strict, {"id": 1, "more": 2}, "unexpected keyword argument 'more'"),
        (large, {"result": "big"}, "20002 bytes: at most 16384"),
        (large, {"result": "nul"}, "NUL"),
        (large, {"result": "set"}, "is no JSON"),
    ]
    with running(app):
        ids = [app.enqueue(job, payload) for job, payload, _ in wrong]
        for id, (_, _, text) in zip(ids, wrong):
            with pytest.raises(gristmill.JobFailed, match=text):
                app.wait(id)
    for name, options, text in [
        ("", {}, "name"),
        ("thumb", {"priority": 10}, "priority"),
        ("thumb", {"queue": "x" * 300}, "queue"),
        ("thumb", {"max_attempts": 0}, "max_attempts"),
        ("thumb", {"group": "no"}, "group"),
    ]:
        with pytest.raises(gristmill.Refused, match=text):
            app.enqueue(name, {}, **options)  # type: ignore[arg-type]
    with pytest.raises(gristmill.Refused, match="401"):
        Gristmill(live.url, "wrong").enqueue("thumb")


def test_a_worker_is_given_only_the_jobs_that_it_knows(live: Stack) -> None:
    app, other = live.app(), live.app()
    app.job("known", queue="py-shared")(lambda ctx: "app")
    other.job("foreign", queue="py-shared")(lambda ctx: "other")
    with running(app):
        foreign = app.enqueue("foreign", queue="py-shared")
        assert app.wait(app.enqueue("known")) == "app"
        assert app.get(foreign)["state"] in ("available", "scheduled")
        with running(other):
            assert app.wait(foreign) == "other"


def test_ten_thousand_in_a_batch(live: Stack) -> None:
    ids = live.app().enqueue_many(NewJob("member", {"n": n}, queue="py-nobody") for n in range(10_000))
    assert len(set(ids)) == 10_000


def test_many_members_and_the_join_of_their_group(live: Stack) -> None:
    app, members = live.app(), 2_000
    runs: Counter[int] = Counter()
    joined = threading.Event()

    @app.job("member", queue="py-group")
    def member(ctx: Context, n: int) -> None:
        runs[n] += 1

    @app.job("join", queue="py-join")
    def join(ctx: Context, of: str) -> str:
        joined.set()
        return of

    with running(app, slots=100):
        with app.group("many", on_complete=NewJob("join", {"of": "members"})) as group:
            ids = group.enqueue_many(NewJob("member", {"n": n}) for n in range(members))
        assert len(set(ids)) == members
        assert joined.wait(120)
    assert set(runs) == set(range(members))
    said = eventually(lambda: (it := group.get())["state"] == "completed" and it)
    assert said["total"] == said["completed"] == members


def test_a_group_with_a_failure_and_one_that_is_left(live: Stack) -> None:
    app = live.app()
    app.job("ok", queue="py-fails")(lambda ctx: None)

    @app.job("bad", queue="py-fails")
    def bad(ctx: Context) -> None:
        raise gristmill.Discard("bad")

    failed = threading.Event()
    app.job("failed", queue="py-fails")(lambda ctx: failed.set())
    with running(app):
        with app.group(on_complete=NewJob("ok"), on_failure=NewJob("failed")) as group:
            group.enqueue("ok")
            group.enqueue(bad)
        assert failed.wait(60)
        with pytest.raises(RuntimeError), app.group() as left:
            raise RuntimeError("the producer fails")
        assert left.get()["state"] == "cancelled"


def test_a_flow_runs_stage_after_stage_and_hands_results_on(live: Stack) -> None:
    app = live.app()
    broken = threading.Event()
    broken.set()

    @app.job("part", queue="py-flow")
    def part(ctx: Context, n: int) -> int:
        if n == 13 and broken.is_set():
            raise gristmill.Discard("thirteen")
        return n

    @app.job("sum", queue="py-flow")
    def add_up(ctx: Context) -> int:
        return sum(it["result"] for it in app.members(ctx.id) if it["result"] is not None)

    with running(app):
        flow = app.flow(
            [
                Stage("parts", [NewJob("part", {"n": n}) for n in range(10)]),
                Stage("sum", [NewJob("sum")], after=["parts"]),
                Stage("again", [NewJob("sum")], after=["parts", "sum"]),
            ],
            name="sums",
        )
        assert app.wait(flow.jobs["again"][0]) == 90
        assert [it["id"] for it in app.members(flow.jobs["again"][0], "sum")] == flow.jobs["sum"]
        eventually(lambda: flow.get()["state"] == "completed")
        # A failure cancels what waits for it; mended, all of it runs.
        bad = app.flow([Stage("bad", [NewJob("part", {"n": 13})]), Stage("sum", [NewJob("sum")], after=["bad"])])
        eventually(lambda: bad.get()["state"] == "failed")
        assert app.get(bad.jobs["sum"][0])["state"] == "cancelled"
        app.retry(bad.jobs["bad"][0], {"n": 14})
        assert app.wait(bad.jobs["sum"][0]) == 14
    with pytest.raises(gristmill.Refused, match="waits for `none`"):
        app.flow([Stage("a", [NewJob("part")], after=["none"])])
    waits = app.flow([Stage("a", [NewJob("part", queue="py-nobody")])])
    waits.cancel()
    assert waits.get()["state"] == "cancelled"


def test_a_job_that_waits_is_changed_and_promoted(live: Stack) -> None:
    app = live.app()
    app.job("late", queue="py-late")(lambda ctx, n: n)
    id = app.enqueue("late", {"n": 1}, delay="1h", tags=["first"])
    changed = app.change(id, payload={"n": 2}, priority=0, tags=["second"], timeout="5m")
    told = [changed[name] for name in ("payload", "priority", "tags", "timeout_ms")]
    assert told == [{"n": 2}, 0, ["second"], 300_000]
    with pytest.raises(TypeError, match="name of a job cannot be changed"):
        app.change(id, name="other")  # type: ignore[call-arg]
    with running(app):
        app.promote(id)
        assert app.wait(id) == 2
    with pytest.raises(gristmill.Refused, match="completed"):
        app.promote(id)


def test_the_job_of_a_killed_worker_runs_elsewhere(live: Stack, effects: psycopg.Connection[Any]) -> None:
    app = live.app()
    with live.worker(ROLE="first", HOLD_QUEUE="py-kill", PAY_QUEUE="py-none") as first:
        id = app.enqueue("hold", {"n": 1, "first": 600}, queue="py-kill")
        eventually(lambda: count(effects) == 1)
        with live.worker(HOLD_QUEUE="py-kill", PAY_QUEUE="py-none") as second:
            time.sleep(2)  # it waits for jobs by then
            first.kill()
            assert app.wait(id, timeout=30)["by"] == second.pid
    assert "lost_worker" in outcomes(app, id)


def test_an_effect_happens_once_however_often_workers_are_killed(live: Stack, effects: psycopg.Connection[Any]) -> None:
    app, jobs = live.app(), 200
    ids = app.enqueue_many(NewJob("pay", {"n": n}, queue="py-pay", max_attempts=100) for n in range(jobs))
    deadline = time.monotonic() + 90
    kills = 0
    while count(effects) < jobs:
        assert time.monotonic() < deadline, f"{count(effects)} of {jobs} after {kills} kills"
        with live.worker(PAY_QUEUE="py-pay", HOLD_QUEUE="py-none") as one:
            seen = count(effects)
            # it has run some, and is in the middle of others
            eventually(lambda seen=seen: count(effects) >= min(seen + 20, jobs))  # type: ignore[misc]
            one.send_signal(signal.SIGKILL)
            kills += 1
    with live.worker(PAY_QUEUE="py-pay", HOLD_QUEUE="py-none"):
        for id in ids:
            assert app.wait(id)["paid"] >= 0
    row = effects.execute("select count(*), count(distinct n) from effects").fetchone()
    assert row == (jobs, jobs) and kills >= 5


def test_sigterm_hands_back_what_still_runs(live: Stack, effects: psycopg.Connection[Any]) -> None:
    app = live.app()
    with live.worker(ROLE="first", HOLD_QUEUE="py-term", PAY_QUEUE="py-none") as first:
        id = app.enqueue("hold", {"n": 1, "first": 600}, queue="py-term")
        eventually(lambda: count(effects) == 1)
        with live.worker(HOLD_QUEUE="py-term", PAY_QUEUE="py-none") as second:
            time.sleep(1)
            first.terminate()
            assert app.wait(id) == {"by": second.pid, "attempt": 1}
            assert first.wait(60) == 0
    assert "lost_worker" not in outcomes(app, id), "handed back, not lost"


def test_a_worker_outlives_the_api(live: Stack) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    app, go = Gristmill(url, live.key), threading.Event()

    @app.job("over", queue="py-restart")
    def over(ctx: Context) -> int:
        go.wait(60)
        return ctx.attempt

    started = threading.Event()
    app.job("probe", queue="py-restart")(lambda ctx: started.set())
    with ExitStack() as end:
        with live.api(port):
            before = app.enqueue(over)
            end.enter_context(running(app))
            app.wait(app.enqueue("probe"))
        # it is gone: the job ends meanwhile, and its end cannot be reported
        go.set()
        time.sleep(1)
        with live.api(port):
            assert app.wait(before) == 1, "it has run once"
            assert app.wait(app.enqueue(over)) == 1
            app.stop()
            end.close()
    assert started.is_set()


def test_what_a_job_logs_is_kept_with_its_attempt(live: Stack) -> None:
    app = live.app()
    handler = gristmill.LogHandler()
    logger = logging.getLogger("shop")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)

    @app.job("talk", queue="py-logs", backoff=lambda attempt: 0)
    def talk(ctx: Context, lines: int) -> None:
        for n in range(lines):
            logger.info("line %d", n)
        ctx.log("not \0 well", "warn")
        if ctx.attempt == 1:
            raise OSError("away")

    @app.job("talk.async", queue="py-logs")
    async def talk_async(ctx: Context) -> None:
        await asyncio.sleep(0)
        logger.error("from a coroutine")

    with running(app):
        ids = [app.enqueue(talk, {"lines": 2}), app.enqueue(talk, {"lines": 700}), app.enqueue("talk.async")]
        for id in ids:
            app.wait(id)
    logger.info("nobody's")
    logger.removeHandler(handler)
    first, many, last = ([[line["message"] for line in it["lines"]] for it in app.logs(id)] for id in ids)
    assert first == [["line 0", "line 1", "not \\0 well"]] * 2
    assert len(many[0]) == 500 and many[0][-1] == "not \\0 well"
    assert last == [["from a coroutine"]] and app.logs(ids[2])[0]["lines"][0]["level"] == "error"


def test_a_killed_worker_leaves_its_steps_and_its_cursor(live: Stack, effects: psycopg.Connection[Any]) -> None:
    app = live.app()
    with live.worker(ROLE="first", STEP_QUEUE="py-steps", PAY_QUEUE="py-none", HOLD_QUEUE="py-none") as first:
        id = app.enqueue("stepped", {"n": 1, "first": 600}, queue="py-steps")
        eventually(lambda: count(effects) == 1)
        eventually(lambda: app.get(id)["cursor"] is not None)
        with live.worker(STEP_QUEUE="py-steps", PAY_QUEUE="py-none", HOLD_QUEUE="py-none") as second:
            first.kill()
            said = app.wait(id)
    assert said == {"charged_by": first.pid, "by": second.pid, "cursor": [1]}
    assert count(effects) == 1, "the step was done once"


def test_a_job_sleeps_and_waits_without_a_worker(live: Stack) -> None:
    app = live.app()
    steps: Counter[str] = Counter()

    def once(name: str) -> str:
        steps[name] += 1
        return name

    @app.job("order", queue="py-sleep")
    def order(ctx: Context) -> Any:
        ctx.step("charge", lambda: once("charge"))
        ctx.sleep("300ms")
        first = ctx.wait_for("approved", "1h")
        ctx.step("ship", lambda: once("ship"))
        try:
            never = ctx.wait_for("never", 0.2)
        except Exception:  # it is not caught
            raise AssertionError from None
        return [first, never, ctx.attempt]

    @app.job("order.async", queue="py-sleep")
    async def order_async(ctx: Context) -> Any:
        async def charge() -> tuple[int, int]:
            steps["async"] += 1
            return 1, 2

        charged = await ctx.step_async("charge", charge)
        await ctx.save_cursor_async({"at": 7})
        ctx.sleep(0.1)
        return [charged, ctx.cursor]

    @app.job("twice", queue="py-sleep")
    def twice(ctx: Context) -> None:
        ctx.step("one", lambda: 1)
        ctx.step("one", lambda: 2)

    @app.job("large", queue="py-sleep")
    def large(ctx: Context) -> None:
        ctx.step("large", lambda: "x" * 20_000)

    with running(app, slots=1):
        id = app.enqueue(order)
        eventually(lambda: app.get(id)["waits_for"] == "approved")
        app.signal(id, "approved", {"by": "ana"})
        assert app.wait(id) == [{"by": "ana"}, None, 1]
        assert app.wait(app.enqueue("order.async")) == [[1, 2], {"at": 7}]
        with pytest.raises(gristmill.JobFailed, match="two steps of a job are called one"):
            app.wait(app.enqueue(twice))
        with pytest.raises(gristmill.JobFailed, match="the step large has 20002 bytes"):
            app.wait(app.enqueue(large))
    assert steps == {"charge": 1, "ship": 1, "async": 1}
    assert [it["kind"] for it in app.get(id)["steps"]].count("step") == 2
    with pytest.raises(gristmill.Refused, match="is completed and receives no signal"):
        app.signal(id, "approved")


def test_enqueue_in_a_transaction(live: Stack) -> None:
    app = live.app()
    starts: dict[str, float] = {}

    @app.job("mail", queue="py-mail")
    def mail(ctx: Context, to: str) -> str:
        starts[to] = time.monotonic()
        return to

    with running(app, slots=4), psycopg.connect(live.database) as conn:
        app.wait(app.enqueue(mail, {"to": "warm"}))
        gristmill.enqueue_in(conn, "mail", {"to": "rolled back"}, queue="py-mail")
        conn.rollback()
        latencies = []
        for n in range(20):
            id = gristmill.enqueue_in(conn, "mail", {"to": str(n)}, queue="py-mail", max_attempts=3)
            assert id is not None
            assert str(n) not in starts
            conn.commit()
            committed = time.monotonic()
            eventually(lambda n=n: str(n) in starts)  # type: ignore[misc]
            latencies.append(starts[str(n)] - committed)
        assert id is not None and app.wait(id) == "19" and app.get(id)["max_attempts"] == 3
        key = {"queue": "py-mail", "unique_key": "py-mail-once", "delay": "1h"}
        assert gristmill.enqueue_in(conn, "mail", {"to": "once"}, **key) is not None  # type: ignore[arg-type]
        assert gristmill.enqueue_in(conn, "mail", {"to": "once"}, **key) is None  # type: ignore[arg-type]
        conn.rollback()
        many = gristmill.enqueue_many_in(conn, [NewJob("mail", {"to": f"m{n}"}, queue="py-mail") for n in range(100)])
        conn.commit()
        assert len({app.wait(str(it)) for it in many}) == 100
    assert "rolled back" not in starts
    print(f"commit to start: median {sorted(latencies)[10] * 1000:.1f} ms, most {max(latencies) * 1000:.1f} ms")


def test_complete_in_a_transaction(live: Stack) -> None:
    app = live.app()
    runs: Counter[str] = Counter()

    @app.job("effect", queue="py-effect", backoff=lambda attempt: 0.05)
    def effect(ctx: Context, how: str) -> None:
        runs[how] += 1
        with psycopg.connect(live.database) as conn:
            ctx.complete_in(conn, {"how": how})
            if how == "rolled back" and runs[how] == 1:
                conn.rollback()  # and the job ends as if all were well

    @app.job("effect.async", queue="py-effect")
    async def effect_async(ctx: Context) -> None:
        async with await psycopg.AsyncConnection.connect(live.database) as conn:
            await ctx.complete_in_async(conn, {"how": "async"})

    with running(app):
        assert app.wait(app.enqueue(effect, {"how": "committed"})) == {"how": "committed"}
        assert app.wait(app.enqueue(effect_async)) == {"how": "async"}
        again = app.enqueue(effect, {"how": "rolled back"})
        assert app.wait(again) == {"how": "rolled back"}
    assert runs == {"committed": 1, "rolled back": 2}
    assert ["complete_in" in it["error"] for it in app.get(again)["attempts"]] == [True]
    with psycopg.connect(live.database) as conn, pytest.raises(gristmill.AlreadyDone):
        gristmill.complete_in(conn, again)


def test_a_backoff_of_the_producer_goes_before_the_workers(live: Stack) -> None:
    app = live.app()

    @app.job("flaky", queue="py-backoff", backoff=lambda _: 3_600)
    def flaky(ctx: Context) -> int:
        if ctx.attempt < 3:
            raise RuntimeError("not yet")
        return ctx.attempt

    with running(app):
        assert app.wait(app.enqueue(flaky, backoff={"type": "fixed", "delay": "50ms"})) == 3


def test_a_job_of_a_schedule_knows_its_tick(live: Stack) -> None:
    app = live.app()
    job = {"name": "nightly", "queue": "py-tick", "payload": {}}
    app._api.call("PUT", "/v1/schedules/py-nightly", json.dumps({"cron": "0 3 * * *", "job": job}).encode())
    found: list[Any] = []

    @app.job("nightly", queue="py-tick")
    def nightly(ctx: Context) -> None:
        found.append(ctx.tick)

    with running(app):
        app._api.call("POST", "/v1/schedules/py-nightly/run", b"")
        eventually(lambda: found)
    tick = found[0]
    assert (tick.schedule, tick.cause, tick.at.utcoffset()) == ("py-nightly", "run_now", timedelta(0))
    assert abs((datetime.now(timezone.utc) - tick.at).total_seconds()) < 120
