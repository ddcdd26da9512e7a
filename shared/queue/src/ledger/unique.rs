//! Keys that let in one job for a time, or while it is in some states.

use sqlx::PgConnection;

use crate::{JobId, Unique};

/// Of the advisory locks, those of keys.
const LOCK_NAMESPACE: i64 = 0x6b65_7973;

/// Who holds the key. When nobody does, nobody else can take it before the end of the caller's transaction.
pub(crate) async fn holder(conn: &mut PgConnection, unique: &Unique) -> Result<Option<JobId>, sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, $2))")
        .bind(&unique.key)
        .bind(LOCK_NAMESPACE)
        .execute(&mut *conn)
        .await?;
    // A statement of its own: it sees what was committed while we waited for the lock.
    sqlx::query_scalar(
        "select k.job_id from job_keys k left join jobs j on j.id = k.job_id
         where k.key = $1 and (k.until > clock_timestamp() or j.state = any($2))",
    )
    .bind(&unique.key)
    .bind(unique.states.iter().map(<&str>::from).collect::<Vec<_>>())
    .fetch_optional(conn)
    .await
}

pub(crate) async fn take(conn: &mut PgConnection, unique: &Unique, job: JobId) -> Result<(), sqlx::Error> {
    let window = unique.window.unwrap_or_default();
    sqlx::query(
        "insert into job_keys (key, job_id, until) values ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
         on conflict (key) do update set job_id = excluded.job_id, until = excluded.until",
    )
    .bind(&unique.key)
    .bind(job)
    .bind(i64::try_from(window.as_millis()).unwrap_or(i64::MAX / 2))
    .execute(conn)
    .await?;
    Ok(())
}

/// Who holds this key among the jobs that wait.
pub(crate) async fn waiting(conn: &mut PgConnection, key: &str) -> Result<Option<JobId>, sqlx::Error> {
    sqlx::query_scalar("select id from jobs where unique_key = $1 and state in ('available', 'scheduled')")
        .bind(key)
        .fetch_optional(conn)
        .await
}
