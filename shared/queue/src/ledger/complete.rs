//! Finishing jobs, and with the last member its group.

use std::time::Instant;

use sqlx::PgConnection;

use super::group_completion::{self, Counts, JoinRow, joins_of_ended};
use crate::{Enqueued, GroupId, JobId, QueueError};

/// A job whose body succeeded.
#[derive(Debug, Clone)]
pub(crate) struct FinishedJob {
    pub(crate) id: JobId,
    /// When its body began, if it is known.
    pub(crate) started: Option<Instant>,
    /// JSON.
    pub(crate) result: Option<String>,
    /// Whether its group may be inside another: then the end of the group is counted there.
    pub(crate) nested: bool,
}

/// Jobs that are still to be done become completed; groups count them; a sealed group whose last
/// member this was closes and its join is inserted. One statement, so that a completion costs one
/// round trip inside the effect's transaction. `$2` holds ids for joins, made by us (version 7).
const COMPLETE: &str = concat!(
    "with done as (
        update jobs j set state = 'completed', finished_at = now(), worker = $3,
            started_at = clock_timestamp() - i.ran * interval '1 microsecond', result = i.result::jsonb
        from unnest($1::uuid[], $4::bigint[], $5::text[]) as i (id, ran, result)
        where j.id = any($1) and j.id = i.id and j.state = 'available'
        returning j.id, j.group_id
     ), members as (
        select group_id as id, count(*) as n from done where group_id is not null group by group_id
     ), counted as (
        update groups g set
            completed = g.completed + m.n,
            state = case when not (g.sealed and g.finished_at is null and g.completed + m.n + g.failed + g.cancelled = g.total) then g.state
                         when g.failed > 0 or g.state = 'failing' then 'failed' else 'completed' end,
            completions = g.completions +
                (g.sealed and g.finished_at is null and g.completed + m.n + g.failed + g.cancelled = g.total)::int,
            finished_at = case when g.sealed and g.completed + m.n + g.failed + g.cancelled = g.total then coalesce(g.finished_at, now())
                               else g.finished_at end
        from members m where g.id = m.id
        returning g.*
     ), ended as (
        select * from counted where state in ('completed', 'failed')
     ), ",
    joins_of_ended!(),
    " union all
      select 'done', id, '', '', 0::smallint, '', 0::smallint, null, null, null, 0 from done"
);

/// Which of the jobs were finished by this call, and the joins that became due. Give the jobs sorted by id:
/// two statements that lock the same rows then do so in the same order. Nested ones need a transaction.
pub(crate) async fn complete(
    conn: &mut PgConnection,
    worker: Option<&str>,
    jobs: &[FinishedJob],
) -> Result<(Vec<JobId>, Enqueued), QueueError> {
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    if jobs.iter().any(|job| job.nested) {
        lock_roots(conn, &ids).await?;
    }
    let rows: Vec<JoinRow> = sqlx::query_as(COMPLETE)
        .bind(&ids)
        .bind(group_completion::fresh_ids(ids.len()))
        .bind(worker)
        .bind(jobs.iter().map(|job| job.started.map(micros_since)).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.result.as_deref()).collect::<Vec<_>>())
        .fetch_all(&mut *conn)
        .await?;
    let mut done = Vec::with_capacity(rows.len());
    let mut joins = Enqueued::default();
    let mut parents = Counts::default();
    for row in rows {
        if row.kind == "done" {
            done.push(row.job.id);
        } else {
            row.take(&mut joins, &mut parents);
        }
    }
    joins.merge(group_completion::count(conn, parents).await?);
    Ok((done, joins))
}

/// Members of nested groups: their rows, then the outermost groups, before anything in between.
pub(crate) async fn lock_roots(conn: &mut PgConnection, jobs: &[JobId]) -> Result<(), sqlx::Error> {
    let groups: Vec<Option<GroupId>> = sqlx::query_scalar(
        "select group_id from jobs where id = any($1) and state = 'available' order by id for update",
    )
    .bind(jobs)
    .fetch_all(&mut *conn)
    .await?;
    let groups: Vec<GroupId> = groups.into_iter().flatten().collect();
    sqlx::query(
        "select from groups where id in (select root_id from groups where id = any($1) and root_id is not null)
         order by id for no key update",
    )
    .bind(&groups)
    .execute(conn)
    .await?;
    Ok(())
}

/// As Postgres' clock shall subtract it: the clocks of the workers are not asked.
pub(crate) fn micros_since(started: Instant) -> i64 {
    i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX)
}
