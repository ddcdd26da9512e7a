//! What the sweep reads and moves.

use std::time::Duration;

use sqlx::PgPool;

use super::millis;
use crate::{JobId, QueueError, Schema, envelope::JobRow};

/// Scheduled jobs that have become due are made available. Several sweepers share the work.
pub(crate) async fn promote_due(schema: Schema, pool: &PgPool, limit: i64) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as(schema.sql("select * from gristmill.promote_due($1)")).bind(limit).fetch_all(pool).await
}

/// How long until the next scheduled job is due.
pub(crate) async fn until_next_due(schema: Schema, pool: &PgPool) -> Result<Option<Duration>, sqlx::Error> {
    let seconds: Option<f64> =
        sqlx::query_scalar(schema.sql(
            "select extract(epoch from min(run_at) - now())::float8 from gristmill.jobs where state = 'scheduled'",
        ))
        .fetch_one(pool)
        .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

/// A page of the ids after `cursor` that have been available for at least `age`.
pub(crate) async fn available_after(
    schema: Schema,
    pool: &PgPool,
    cursor: JobId,
    age: Duration,
    limit: i64,
) -> Result<Vec<(JobId, String, bool)>, sqlx::Error> {
    sqlx::query_as(schema.sql(
        "select id, queue, run_at <= now() - $2 * interval '1 millisecond' from gristmill.jobs
         where state = 'available' and id > $1 order by id limit $3",
    ))
    .bind(cursor)
    .bind(millis(age))
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// The rows of these jobs that are still to be done.
pub(crate) async fn rows(schema: Schema, pool: &PgPool, ids: &[JobId]) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as(schema.sql(
        "select id, name, queue, priority, payload::text, version, client_id, trace_parent, fair_key,
                (extract(epoch from run_at) * 1000)::bigint as due
         from gristmill.jobs where id = any($1) and state = 'available' order by id",
    ))
    .bind(ids)
    .fetch_all(pool)
    .await
}

/// The rows of these jobs that are still to be done and do not wait for a place in the broker.
pub(crate) async fn rows_not_waiting(schema: Schema, pool: &PgPool, ids: &[JobId]) -> Result<Vec<JobRow>, sqlx::Error> {
    sqlx::query_as(schema.sql(
        "select id, name, queue, priority, payload::text, version, client_id, trace_parent, fair_key,
                (extract(epoch from run_at) * 1000)::bigint as due
         from gristmill.jobs j where id = any($1) and state = 'available' and not exists (
             select from gristmill.waiting_room w where w.queue = j.queue and w.priority = j.priority
                                          and w.fair_key = coalesce(j.fair_key, '') and w.job_id = j.id)
         order by id",
    ))
    .bind(ids)
    .fetch_all(pool)
    .await
}

/// Of these ids, those of jobs that are not to be done (any more, or yet), and whether the ledger knows them at all.
pub(crate) async fn ended(schema: Schema, pool: &PgPool, ids: &[JobId]) -> Result<Vec<(JobId, bool)>, QueueError> {
    Ok(sqlx::query_as(schema.sql(
        "select i.id, j.id is not null from unnest($1::uuid[]) as i (id)
             left join lateral (select j.id, j.state from gristmill.jobs j where j.id = i.id limit 1) j on true
         where j.state is distinct from 'available'",
    ))
    .bind(ids)
    .fetch_all(pool)
    .await?)
}
