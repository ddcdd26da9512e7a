"""Polars reads and checks the file, `COPY` loads it."""

import io
import time
import uuid

import polars as pl
import psycopg

import database
import rules


def run(url, file):
    with psycopg.connect(url) as connection:
        since = time.perf_counter()
        counts = load(connection, file)
        connection.commit()
        return {"seconds": time.perf_counter() - since, **counts}


def load(connection, file):
    schema = {column: pl.String for column in [*rules.COLUMNS, "more"]}
    read = pl.read_csv(file, has_header=False, skip_rows=1, schema=schema, missing_columns="insert", truncate_ragged_lines=True, encoding="utf8-lossy",
                       row_index_name="line")
    field = {column: pl.col(column).str.strip_chars() for column in rules.COLUMNS}
    minor = (field["amount"].cast(pl.Float64, strict=False) * 100).round().cast(pl.Int64)
    day = field["due_date"].str.to_date("%Y-%m-%d", strict=False)
    clean = pl.all_horizontal(~pl.col(column).str.contains("[\\x00\ufffd]") for column in rules.COLUMNS)
    good = (
        pl.col("more").is_null()
        & clean
        & field["name"].str.len_chars().is_between(1, rules.MAX_NAME)
        & field["government_id"].str.len_chars().is_between(1, rules.MAX_GOVERNMENT_ID)
        & ~field["government_id"].str.contains(rules.EXPONENT)
        & field["email"].str.contains(rules.EMAIL)
        & field["amount"].str.contains(rules.AMOUNT)
        & ~field["amount"].str.contains(rules.THOUSANDS)
        & minor.is_between(1, rules.MAX_AMOUNT_MINOR)
        & field["due_date"].str.contains(rules.DATE)
        & day.is_not_null()
        & field["debt_id"].str.contains(rules.UUID)
    ).fill_null(False)
    upload = str(uuid.uuid4())
    read = read.with_columns(good=good)
    values = [field["debt_id"].str.to_lowercase(), pl.lit(upload).alias("upload_id"), pl.col("line"), minor.alias("amount_minor"),
              day.alias("due_date"), field["name"], field["government_id"], field["email"]]
    checked = read.filter("good").select(values)
    rows = checked.unique("debt_id", keep="first", maintain_order=True)
    bad = read.filter(~pl.col("good"))

    def copy(table):
        buffer = io.BytesIO()
        rows.write_csv(buffer, include_header=False)
        with connection.cursor().copy(f"copy {table} from stdin (format csv)") as into:
            into.write(buffer.getbuffer())
        return rows.height

    accepted = database.load(connection, copy)
    record = pl.concat_str([pl.col(column).fill_null("") for column in rules.COLUMNS], separator=",").str.replace_all("\0", "")
    with connection.cursor().copy("copy rejects from stdin (format csv)") as into:
        buffer = io.BytesIO()
        bad.select(pl.lit(upload).alias("upload_id"), "line", pl.lit("bad").alias("code"), record.alias("record")).write_csv(
            buffer, include_header=False)
        into.write(buffer.getbuffer())
    return {"accepted": accepted, "rejected": bad.height, "duplicate": checked.height - accepted}
