//! Finishing jobs, and with the last member its group.

use std::{
    collections::{BTreeMap, HashSet},
    time::Instant,
};

use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};

use super::group_completion::{self, Counts, JoinRow};
use crate::{Enqueued, GroupId, JobId, Queue, QueueError, Schema};

/// A job whose body succeeded.
#[derive(Debug, Clone)]
pub(crate) struct FinishedJob {
    pub(crate) id: JobId,
    /// When its body began, if it is known.
    pub(crate) started: Option<Instant>,
    /// JSON.
    pub(crate) result: Option<String>,
    /// Whether it may be in a group, which has to count it.
    pub(crate) grouped: bool,
    /// Whether its group may be inside another: then the end of the group is counted there.
    pub(crate) nested: bool,
}

/// Which of the jobs were finished by this call, and the joins that became due. Give the jobs sorted by id:
/// two statements that lock the same rows then do so in the same order. Nested ones need a transaction.
pub(crate) async fn complete(
    schema: Schema,
    conn: &mut PgConnection,
    worker: Option<&str>,
    jobs: &[FinishedJob],
) -> Result<(Vec<JobId>, Enqueued), QueueError> {
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    if jobs.iter().any(|job| job.nested) {
        lock_roots(schema, conn, &ids).await?;
    }
    let ran: BTreeMap<JobId, i64> = jobs.iter().filter_map(|job| Some((job.id, micros_since(job.started?)))).collect();
    let results = jobs.iter().filter_map(|job| Some((job.id, serde_json::from_str(job.result.as_deref()?))));
    let results =
        results.map(|(id, json)| Ok((id, json?))).collect::<Result<BTreeMap<JobId, &RawValue>, serde_json::Error>>();
    let results = results.map_err(|error| sqlx::Error::Encode(error.into()))?;
    if !jobs.iter().any(|job| job.grouped) {
        let done = sqlx::query_scalar(schema.sql("select gristmill.complete_jobs($1, $2, $3, $4)"))
            .bind(&ids)
            .bind(worker)
            .bind(Json(ran))
            .bind(Json(results))
            .fetch_one(conn)
            .await?;
        return Ok((done, Enqueued::default()));
    }
    let rows: Vec<JoinRow> = sqlx::query_as(schema.sql("select * from gristmill.complete_members($1, $2, $3, $4, $5)"))
        .bind(&ids)
        .bind(worker)
        .bind(Json(ran))
        .bind(Json(results))
        .bind(group_completion::fresh_ids(ids.len()))
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
    joins.merge(group_completion::count(schema, conn, parents).await?);
    Ok((done, joins))
}

/// The same in a transaction of its own where it needs one, and what became due by it is pushed. In any order.
pub(crate) async fn complete_alone(
    queue: &Queue,
    worker: Option<&str>,
    jobs: &mut [FinishedJob],
) -> Result<HashSet<JobId>, QueueError> {
    jobs.sort_unstable_by_key(|job| job.id);
    let (done, joins) = if jobs.iter().any(|job| job.nested) {
        let mut tx = queue.pool().begin().await?;
        let ended = complete(queue.schema(), &mut tx, worker, jobs).await?;
        tx.commit().await?;
        ended
    } else {
        let mut conn = queue.pool().acquire().await?;
        complete(queue.schema(), &mut conn, worker, jobs).await?
    };
    queue.push_later(joins);
    Ok(done.into_iter().collect())
}

/// Members of nested groups: their rows, then the outermost groups, before anything in between.
pub(crate) async fn lock_roots(schema: Schema, conn: &mut PgConnection, jobs: &[JobId]) -> Result<(), sqlx::Error> {
    let groups: Vec<Option<GroupId>> =
        sqlx::query_scalar(schema.sql(
            "select group_id from gristmill.jobs where id = any($1) and state = 'available' order by id for update",
        ))
        .bind(jobs)
        .fetch_all(&mut *conn)
        .await?;
    let groups: Vec<GroupId> = groups.into_iter().flatten().collect();
    sqlx::query(schema.sql("select from gristmill.groups where id in (select root_id from gristmill.groups where id = any($1) and root_id is not null)
         order by id for no key update"))
    .bind(&groups)
    .execute(conn)
    .await?;
    Ok(())
}

/// As Postgres' clock shall subtract it: the clocks of the workers are not asked.
pub(crate) fn micros_since(started: Instant) -> i64 {
    i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX)
}
