"""DuckDB reads and checks the file, and loads it by its extension for Postgres."""

import pathlib
import time
import uuid

import duckdb
import duckdb_extension_postgres_scanner

import rules

CHECKED = f"""
create temporary table checked as
select *,
    coalesce(more is null
        and not regexp_matches(concat(name, government_id, email, amount, due_date, debt_id), '[\\x00]')
        and length(name) between 1 and {rules.MAX_NAME}
        and length(government_id) between 1 and {rules.MAX_GOVERNMENT_ID}
        and not regexp_matches(government_id, '{rules.EXPONENT}')
        and regexp_matches(email, '{rules.EMAIL}')
        and regexp_matches(amount, '{rules.AMOUNT}')
        and not regexp_matches(amount, '{rules.THOUSANDS}')
        and try_cast(amount as decimal(14, 2)) between 0.01 and {rules.MAX_AMOUNT_MINOR / 100}
        and regexp_matches(due_date, '{rules.DATE}') and try_cast(due_date as date) is not null
        and regexp_matches(debt_id, '{rules.UUID}'), false) as good
from (
    select row_number() over () as line, trim(name) as name, trim(government_id) as government_id, trim(email) as email,
        trim(amount) as amount, trim(due_date) as due_date, trim(debt_id) as debt_id, more
    from read_csv(?, header = false, skip = 1, delim = ',', quote = '"', escape = '"', null_padding = true, strict_mode = false,
        ignore_errors = true, store_rejects = true, auto_detect = false, columns = {{'name': 'varchar', 'government_id': 'varchar', 'email': 'varchar',
        'amount': 'varchar', 'due_date': 'varchar', 'debt_id': 'varchar', 'more': 'varchar'}}))
"""
ROWS = """
    select distinct on (debt_id) cast(debt_id as uuid), cast(? as uuid), line, cast(cast(amount as decimal(14, 2)) * 100 as bigint),
        cast(due_date as date), name, government_id, email
    from checked where good
"""


def run(url, file):
    extensions = pathlib.Path(duckdb_extension_postgres_scanner.__file__).parent
    extension = next(extensions.rglob("postgres_scanner.duckdb_extension"))
    connection = duckdb.connect()
    connection.execute(f"load '{extension}'")
    connection.execute(f"attach '{url}' as pg (type postgres)")
    since = time.perf_counter()
    connection.execute(CHECKED, [file])
    upload = str(uuid.uuid4())

    def one(sql):
        return connection.execute(sql).fetchone()[0]

    read, good = one("select count(*) from checked"), one("select count(*) from checked where good")
    unread = one("select count(distinct line) from reject_errors")
    connection.execute("begin")
    try:
        accepted = connection.execute(f"insert into pg.debts {ROWS}", [upload]).fetchone()[0]
    except duckdb.Error:
        connection.execute("rollback; begin")
        connection.execute("create table pg.staged as from pg.debts limit 0")
        connection.execute(f"insert into pg.staged {ROWS}", [upload])
        before = one("select n from postgres_query('pg', 'select count(*) as n from debts')")
        connection.execute("call postgres_execute('pg', 'insert into debts select * from staged on conflict do nothing')")
        accepted = one("select n from postgres_query('pg', 'select count(*) as n from debts')") - before
        connection.execute("drop table pg.staged")
    connection.execute("""insert into pg.rejects select cast(? as uuid), line, 'bad', replace(concat_ws(',', name, government_id, email,
        amount, due_date, debt_id), chr(0), '') from checked where not good""", [upload])
    connection.execute("insert into pg.rejects select cast(? as uuid), line, 'unread', '' from reject_errors", [upload])
    connection.execute("commit")
    seconds = time.perf_counter() - since
    return {"seconds": seconds, "accepted": accepted, "rejected": read - good + unread, "duplicate": good - accepted}
