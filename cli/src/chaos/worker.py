"""A worker in Python: it does `chaos.effect` and `chaos.plain` as the ones in Rust do, over an API and a database that are hurt."""

import logging
import os
import time

import psycopg
from gristmill import AlreadyDone, Context, Discard, Gristmill

LABEL = os.environ["CHAOS_LABEL"]
app = Gristmill(os.environ["CHAOS_API"], os.environ["CHAOS_KEY"])


def connect() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5)


def begin(ctx: Context) -> None:
    """Says who runs it, outside of any transaction of the job's."""
    with connect() as conn:
        conn.execute("insert into chaos_runs (job, worker) values (%s, %s)", (ctx.id, LABEL))


@app.job("chaos.plain", queue="chaos", timeout=30)
def plain(ctx: Context, n: int) -> None:
    begin(ctx)


@app.job("chaos.effect", queue="chaos", timeout=30)
def effect(ctx: Context, n: int, millis: int, end: str) -> None:
    begin(ctx)
    if end == "discard":
        raise Discard("it was to fail")
    if end == "second_attempt" and ctx.attempt == 1:
        raise RuntimeError("the first attempt was to fail")
    try:
        with connect() as conn:
            if n % 2 == 0:  # half of them look first; the others find out at the end
                ctx.complete_in(conn)
            time.sleep(millis / 1000)
            conn.execute("insert into chaos_effects (job, n, worker) values (%s, %s, %s)", (ctx.id, n, LABEL))
            if n % 2 == 1:
                ctx.complete_in(conn)
    except AlreadyDone:
        with connect() as conn:
            conn.execute("update chaos_runs set fenced = true where job = %s and worker = %s", (ctx.id, LABEL))
        raise


logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
app.run(slots=8, label=LABEL)
