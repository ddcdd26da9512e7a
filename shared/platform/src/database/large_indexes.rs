//! Indexes of tables that may be large, made before the migration that needs them.
//!
//! A migration runs in a transaction, so an index that it makes keeps everybody from writing to the table until it is
//! there: on a table of ten million rows for ten seconds and more. Made here first, concurrently, nobody waits for it, and
//! the migration finds it. It may be stopped at any moment and run again: an index that is there stays, and one that was
//! not finished is made again.

use std::time::Duration;

use sqlx::PgConnection;

/// An index that a migration of that version names, on `table (columns)`; all of these are unique.
struct LargeIndex {
    version: i64,
    name: &'static str,
    table: &'static str,
    columns: &'static str,
}

const LARGE_INDEXES: &[LargeIndex] = &[
    index(20_261_130_120_000, "debts_by_client", "debts", "client_id, debt_id"),
    index(20_261_130_120_000, "transactions_by_client", "transactions", "client_id, transaction_id"),
    index(20_261_130_120_000, "messages_by_client", "messages", "client_id, message_key"),
    index(20_261_130_120_000, "claim_lines_by_client", "claim_lines", "client_id, line_id"),
    index(20_261_130_120_000, "debt_payments_by_client", "debt_payments", "client_id, debt_id"),
    index(20_261_130_140_000, "debts_by_upload", "debts", "upload_id, debt_id"),
    index(20_261_130_140_000, "transactions_by_upload", "transactions", "upload_id, transaction_id"),
    index(20_261_130_140_000, "messages_by_upload", "messages", "upload_id, message_key"),
];

const fn index(version: i64, name: &'static str, table: &'static str, columns: &'static str) -> LargeIndex {
    LargeIndex { version, name, table, columns }
}

/// Of several processes one makes them. This is any number that nobody else uses; sqlx' own lock would not do, as the
/// statement by which another process waits for it is one that `concurrently` waits for in turn.
const LOCK: i64 = 0x6772_6973_7469_6478;
/// How often a process that waits looks again.
const PAUSE: Duration = Duration::from_millis(500);

/// Makes what is missing of them, on a connection that is in no transaction.
///
/// # Errors
/// When Postgres cannot be reached or refuses.
pub(super) async fn prepare(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    while !locked(&mut *conn).await? {
        tokio::time::sleep(PAUSE).await;
    }
    let made = make(&mut *conn).await;
    sqlx::query("select pg_advisory_unlock($1)").bind(LOCK).execute(conn).await?;
    made
}

async fn locked(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(conn).await
}

async fn make(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    for LargeIndex { version, name, table, columns } in LARGE_INDEXES {
        if !is_needed(&mut *conn, *version, table).await? {
            continue;
        }
        match is_whole(&mut *conn, name).await? {
            Some(true) => continue,
            Some(false) => {
                tracing::info!("the index {name} was not finished: it is made again");
                sqlx::query(&format!("drop index concurrently if exists {name}")).execute(&mut *conn).await?;
            }
            None => {}
        }
        tracing::info!("making the index {name} on {table} ({columns}) while others go on");
        let create = format!("create unique index concurrently {name} on {table} ({columns})");
        sqlx::query(&create).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Whether the migration is still to come, on a table that has rows. An empty one costs it nothing.
async fn is_needed(conn: &mut PgConnection, version: i64, table: &str) -> Result<bool, sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null and to_regclass($1) is not null")
            .bind(table)
            .fetch_one(&mut *conn)
            .await?;
    if !there {
        return Ok(false);
    }
    sqlx::query_scalar(&format!(
        "select not exists (select from _sqlx_migrations where version = $1 and success) and exists (select from {table})"
    ))
    .bind(version)
    .fetch_one(conn)
    .await
}

/// Whether an index is whole; `None`: there is none of that name.
async fn is_whole(conn: &mut PgConnection, name: &str) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar("select indisvalid from pg_index where indexrelid = to_regclass($1)")
        .bind(name)
        .fetch_optional(conn)
        .await
}
