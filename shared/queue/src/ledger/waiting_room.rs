//! Jobs that are due and that the broker has no place for.

use sqlx::PgPool;

use crate::{JobId, Schema, envelope::Message};

/// Jobs that take their turns together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
pub(crate) struct Line {
    pub(crate) queue: String,
    pub(crate) priority: i16,
    pub(crate) fair_key: String,
}

/// Writes down who waits. Those that do already stay.
pub(crate) async fn enter(schema: Schema, pool: &PgPool, waiting: &[Message]) -> Result<(), sqlx::Error> {
    let column = |value: fn(&Message) -> &str| waiting.iter().map(value).collect::<Vec<_>>();
    sqlx::query(schema.sql(
        "insert into gristmill.waiting_room (queue, priority, fair_key, job_id)
         select * from unnest($1::text[], $2::smallint[], $3::text[], $4::uuid[]) order by 1, 2, 3, 4
         on conflict do nothing",
    ))
    .bind(column(|job| &job.queue))
    .bind(waiting.iter().map(|job| i16::from(job.priority)).collect::<Vec<_>>())
    .bind(column(|job| &job.fair_key))
    .bind(waiting.iter().map(|job| job.id).collect::<Vec<_>>())
    .execute(pool)
    .await
    .map(drop)
}

/// The lines that wait, at most `limit` after `last`: one look at the index for each, however long it is.
pub(crate) async fn lines(
    schema: Schema,
    pool: &PgPool,
    last: Option<&Line>,
    limit: i64,
) -> Result<Vec<Line>, sqlx::Error> {
    let from = last.cloned().unwrap_or(Line { queue: String::new(), priority: -1, fair_key: String::new() });
    sqlx::query_as(schema.sql(
        "with recursive line as (
            (select queue, priority, fair_key, 1 as n from gristmill.waiting_room
             where (queue, priority, fair_key) > ($1, $2, $3) order by queue, priority, fair_key limit 1)
            union all
            select next.*, line.n + 1 from line cross join lateral (
                select queue, priority, fair_key from gristmill.waiting_room w
                where (w.queue, w.priority, w.fair_key) > (line.queue, line.priority, line.fair_key)
                order by queue, priority, fair_key limit 1) next
            where line.n < $4
         )
         select queue, priority, fair_key from line",
    ))
    .bind(from.queue)
    .bind(from.priority)
    .bind(from.fair_key)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// The first ones of a line.
pub(crate) async fn first(schema: Schema, pool: &PgPool, line: &Line, limit: i64) -> Result<Vec<JobId>, sqlx::Error> {
    sqlx::query_scalar(schema.sql("select job_id from gristmill.waiting_room where queue = $1 and priority = $2 and fair_key = $3 order by job_id limit $4"))
    .bind(&line.queue)
    .bind(line.priority)
    .bind(&line.fair_key)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// These wait no longer.
pub(crate) async fn leave(schema: Schema, pool: &PgPool, line: &Line, ids: &[JobId]) -> Result<(), sqlx::Error> {
    sqlx::query(schema.sql(
        "delete from gristmill.waiting_room where queue = $1 and priority = $2 and fair_key = $3 and job_id = any($4)",
    ))
    .bind(&line.queue)
    .bind(line.priority)
    .bind(&line.fair_key)
    .bind(ids)
    .execute(pool)
    .await
    .map(drop)
}
