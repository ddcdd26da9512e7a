"""A worker process of the tests: its jobs write what they do into the table `effects`."""

from __future__ import annotations

import os
import random
import time
from typing import Any

import psycopg

from gristmill import Context, Gristmill

app = Gristmill(os.environ["GRISTMILL_API"], os.environ["GRISTMILL_KEY"])
DATABASE = os.environ["DATABASE_URL"]


@app.job("pay", queue=os.environ.get("PAY_QUEUE", "pay"))
def pay(ctx: Context, n: int) -> None:
    with psycopg.connect(DATABASE) as conn:
        conn.execute("insert into effects (n, by) values (%s, %s)", (n, os.getpid()))
        time.sleep(random.uniform(0, 0.2))
        ctx.complete_in(conn, {"paid": n})


@app.job("hold", queue=os.environ.get("HOLD_QUEUE", "hold"))
def hold(ctx: Context, n: int, first: float) -> dict[str, int]:
    with psycopg.connect(DATABASE) as conn:
        conn.execute("insert into effects (n, by) values (%s, %s)", (n, os.getpid()))
    if os.environ.get("ROLE") == "first":
        time.sleep(first)
    return {"by": os.getpid(), "attempt": ctx.attempt}


@app.job("stepped", queue=os.environ.get("STEP_QUEUE", "stepped"))
def stepped(ctx: Context, n: int, first: float) -> dict[str, Any]:
    def charge() -> int:
        with psycopg.connect(DATABASE) as conn:
            conn.execute("insert into effects (n, by) values (%s, %s)", (n, os.getpid()))
        return os.getpid()

    charged_by = ctx.step("charge", charge)
    if ctx.cursor is None:
        ctx.save_cursor([n])
    if os.environ.get("ROLE") == "first":
        time.sleep(first)
    return {"charged_by": charged_by, "by": os.getpid(), "cursor": ctx.cursor}


if __name__ == "__main__":
    app.run(slots=4, grace=0.5)
