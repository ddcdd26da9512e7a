//! Removes finished jobs, groups and ticks of schedules after their retention.

use std::time::Duration;

use sqlx::PgPool;

use super::millis;
use crate::{QueueError, Schema};

/// How much [`crate::Queue::prune`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Finished jobs.
    pub jobs: u64,
    /// Closed groups.
    pub groups: u64,
    /// Ticks of schedules.
    pub ticks: u64,
    /// Schedules that are over.
    pub schedules: u64,
}

/// Removes jobs and groups that finished at least `age` ago, in slices of `slice` rows. Members go with their group;
/// dead jobs stay, and keep their group: see [`prune_dead`]. A nested group goes with the outermost. Ticks
/// go too, but for each schedule's last one and its last one that became a job. So does a schedule that is over.
pub(crate) async fn prune(schema: Schema, pool: &PgPool, age: Duration, slice: i64) -> Result<PruneReport, QueueError> {
    let age_millis = millis(age);
    let mut pruned = PruneReport::default();
    pruned.jobs += in_slices(schema,
        pool,
        "delete from gristmill.jobs where id = any(array(
            select id from gristmill.jobs where state in ('completed', 'cancelled') and group_id is null and retain_seconds is null
            and finished_at <= now() - $2 * interval '1 millisecond' order by finished_at limit $1))",
        slice,
        Some(age_millis),
    )
    .await?;
    pruned.jobs += in_slices(schema,
        pool,
        "delete from gristmill.jobs where id = any(array(
            select id from gristmill.jobs where retain_seconds is not null and group_id is null and state in ('completed', 'cancelled')
            and finished_at <= now() - retain_seconds * interval '1 second' order by id limit $1))",
        slice,
        None,
    )
    .await?;
    pruned.jobs += in_slices(
        schema,
        pool,
        "delete from gristmill.jobs where id = any(array(
            select j.id from gristmill.groups g left join gristmill.groups r on r.id = g.root_id cross join lateral (
                select id from gristmill.jobs where group_id = g.id
                  and state in ('completed', 'cancelled', 'parked', 'available', 'scheduled') limit $1) j
            where g.finished_at <= now() - $2 * interval '1 millisecond'
              and (g.root_id is null or r.finished_at <= now() - $2 * interval '1 millisecond') limit $1))",
        slice,
        Some(age_millis),
    )
    .await?;
    // From the inside out: a group goes when nothing is left in it.
    pruned.groups = in_slices(
        schema,
        pool,
        "delete from gristmill.groups where id in (
            select g.id from gristmill.groups g left join gristmill.groups r on r.id = g.root_id
            where g.finished_at <= now() - $2 * interval '1 millisecond'
              and (g.root_id is null or r.finished_at <= now() - $2 * interval '1 millisecond')
              and not exists (select from gristmill.jobs j where j.group_id = g.id)
              and not exists (select from gristmill.groups i where i.parent_id = g.id) limit $1)",
        slice,
        Some(age_millis),
    )
    .await?;
    pruned.ticks = in_slices(
        schema,
        pool,
        "delete from gristmill.schedule_ticks where (schedule, fire_at) in (
            select t.schedule, t.fire_at from gristmill.schedule_ticks t
            where t.created_at <= now() - $2 * interval '1 millisecond' and exists (
                select from gristmill.schedule_ticks l where l.schedule = t.schedule and l.fire_at > t.fire_at
                  and (l.cause <> 'missed' or t.cause = 'missed')) limit $1)",
        slice,
        Some(age_millis),
    )
    .await?;
    pruned.schedules = in_slices(
        schema,
        pool,
        "delete from gristmill.schedules where name in (
            select name from gristmill.schedules where next_at is null and not paused
              and ticked_until <= now() - $2 * interval '1 millisecond' limit $1)",
        slice,
        Some(age_millis),
    )
    .await?;
    in_slices(
        schema,
        pool,
        "delete from gristmill.job_keys where key in (
            select key from gristmill.job_keys k where until < now()
            and not exists (select from gristmill.jobs j where j.id = k.job_id) limit $1)",
        slice,
        None,
    )
    .await?;
    Ok(pruned)
}

/// Removes jobs that have been dead for `age`, but for members of a group that is open, or around which one is: these are
/// still counted. What they kept goes with the next [`prune`].
pub(crate) async fn prune_dead(schema: Schema, pool: &PgPool, age: Duration, slice: i64) -> Result<u64, QueueError> {
    let gone = in_slices(schema,
        pool,
        "delete from gristmill.jobs where id = any(array(
            select j.id from gristmill.jobs j left join gristmill.groups g on g.id = j.group_id left join gristmill.groups r on r.id = g.root_id
            where j.state = 'dead' and j.finished_at <= now() - $2 * interval '1 millisecond'
              and (g.id is null or g.finished_at is not null) and (r.id is null or r.finished_at is not null)
            order by j.finished_at limit $1))",
        slice,
        Some(millis(age)),
    );
    Ok(gone.await?)
}

/// Runs a statement of a limit, and an age in milliseconds if it asks for one, until it removes nothing any more.
async fn in_slices(
    schema: Schema,
    pool: &PgPool,
    sql: &'static str,
    slice: i64,
    millis: Option<i64>,
) -> Result<u64, sqlx::Error> {
    let mut all = 0;
    loop {
        let query = sqlx::query(schema.sql(sql)).bind(slice);
        let query = if let Some(millis) = millis { query.bind(millis) } else { query };
        let gone = query.execute(pool).await?.rows_affected();
        all += gone;
        if gone == 0 {
            return Ok(all);
        }
    }
}
