//! Keys that let in one job for a time, or while it is in some states.

mod replace;

pub(crate) use replace::{Replacement, replace};

use sqlx::PgConnection;

use super::millis;
use crate::{JobId, Schema, Unique};

/// Of the advisory locks, those of keys.
const LOCK_NAMESPACE: i64 = 0x6b65_7973;

/// Who holds the key. When nobody does, nobody else can take it before the end of the caller's transaction.
pub(crate) async fn holder(
    schema: Schema,
    conn: &mut PgConnection,
    unique: &Unique,
) -> Result<Option<JobId>, sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, $2))")
        .bind(&unique.key)
        .bind(LOCK_NAMESPACE)
        .execute(&mut *conn)
        .await?;
    // A statement of its own: it sees what was committed while we waited for the lock.
    sqlx::query_scalar(schema.sql(
        "select k.job_id from gristmill.job_keys k left join gristmill.jobs j on j.id = k.job_id
         where k.key = $1 and (k.until > clock_timestamp() or j.state = any($2))",
    ))
    .bind(&unique.key)
    .bind(unique.states.iter().map(<&str>::from).collect::<Vec<_>>())
    .fetch_optional(conn)
    .await
}

pub(crate) async fn take(
    schema: Schema,
    conn: &mut PgConnection,
    unique: &Unique,
    job: JobId,
) -> Result<(), sqlx::Error> {
    let window = unique.window.unwrap_or_default();
    sqlx::query(schema.sql("insert into gristmill.job_keys (key, job_id, until) values ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
         on conflict (key) do update set job_id = excluded.job_id, until = excluded.until"))
    .bind(&unique.key)
    .bind(job)
    .bind(millis(window))
    .execute(conn)
    .await?;
    Ok(())
}

/// Who holds this key among the jobs that wait.
pub(crate) async fn waiting(schema: Schema, conn: &mut PgConnection, key: &str) -> Result<Option<JobId>, sqlx::Error> {
    sqlx::query_scalar(
        schema.sql("select id from gristmill.jobs where unique_key = $1 and state in ('available', 'scheduled')"),
    )
    .bind(key)
    .fetch_optional(conn)
    .await
}
