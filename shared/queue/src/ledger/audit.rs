//! What an observer asks of the ledger, and what keeps it small.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;

use crate::QueueError;

/// Jobs of one queue in one state.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Depth {
    /// The queue.
    pub queue: String,
    /// `available`, `scheduled`, `dead` or `parked`.
    pub state: String,
    /// How many.
    pub jobs: i64,
    /// How many seconds the oldest of them is due (not positive when none is yet), or dead, or parked.
    pub oldest_seconds: f64,
}

/// A group whose counters do not say what its members say.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Miscounted {
    /// The group.
    pub id: Uuid,
    /// Members counted by the group, and members there are.
    pub total: i64,
    /// See `total`.
    pub members: i64,
    /// Finished members counted by the group.
    pub counted: i64,
    /// Finished members there are.
    pub finished: i64,
}

/// What [`crate::Queue::prune`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Finished jobs.
    pub jobs: u64,
    /// Closed groups.
    pub groups: u64,
    /// Ticks of schedules.
    pub ticks: u64,
}

pub(crate) async fn depths(pool: &PgPool) -> Result<Vec<Depth>, QueueError> {
    Ok(sqlx::query_as(
        // One arm for each partial index: together they would read the whole table.
        "select queue, state, count(*) as jobs, extract(epoch from now() - min(since))::float8 as oldest_seconds
         from (select queue, state, run_at as since from jobs where state = 'available'
               union all
               select queue, state, run_at from jobs where state = 'scheduled'
               union all
               select queue, state, coalesce(finished_at, run_at) from jobs where state in ('dead', 'parked')) j
         group by queue, state order by queue, state",
    )
    .fetch_all(pool)
    .await?)
}

/// Open groups older than `age` whose counters are wrong, or that should have closed. A nested group is a member. Of a
/// group that was open before, members may be pruned: there only the unfinished ones must agree.
pub(crate) async fn miscounted(pool: &PgPool, age: Duration, limit: i64) -> Result<Vec<Miscounted>, QueueError> {
    Ok(sqlx::query_as(
        "select * from (
            select g.id, g.total, j.members + n.members as members, g.completed + g.failed + g.cancelled as counted,
                   j.finished + n.finished as finished, g.sealed, g.completions
            from (select * from groups where finished_at is null and created_at < now() - $1 * interval '1 millisecond'
                  order by id limit $2) g,
            lateral (select count(*) as members, count(*) filter (where state in ('completed', 'dead', 'cancelled')) as finished
                     from jobs where group_id = g.id) j,
            lateral (select count(*) as members, count(finished_at) as finished from groups where parent_id = g.id) n
         ) c
         where (completions = 0 and total <> members) or total - counted <> members - finished
            or (sealed and counted = total)",
    )
    .bind(i64::try_from(age.as_millis()).unwrap_or(i64::MAX / 2))
    .bind(limit)
    .fetch_all(pool)
    .await?)
}

/// Of these ids, those the ledger does not know as still to be done.
pub(crate) async fn not_due(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>, QueueError> {
    Ok(sqlx::query_scalar(
        "select i.id from unnest($1::uuid[]) as i (id)
         where not exists (select from jobs j where j.id = i.id and j.state = 'available')",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?)
}

/// Of these ids, those that are not to be done (any more, or yet), and whether the ledger knows them at all.
pub(crate) async fn ended(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<(Uuid, bool)>, QueueError> {
    Ok(sqlx::query_as(
        "select i.id, j.id is not null from unnest($1::uuid[]) as i (id) left join jobs j on j.id = i.id
         where j.state is distinct from 'available'",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?)
}

/// Removes jobs and groups that finished at least `age` ago, in slices of `slice` rows. Members go with their group;
/// dead jobs stay until somebody redrives or discards them, and keep their group. A nested group goes with the outermost. Ticks
/// go too, but for each schedule's last one and its last one that became a job.
pub(crate) async fn prune(pool: &PgPool, age: Duration, slice: i64) -> Result<Pruned, QueueError> {
    let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX / 2);
    let mut pruned = Pruned::default();
    let mut cursor = Uuid::nil();
    // What finished by then was created by then, and ids are in order of creation.
    let newest: f64 = sqlx::query_scalar("select extract(epoch from now() - $1 * interval '1 millisecond')::float8")
        .bind(millis)
        .fetch_one(pool)
        .await?;
    let last = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, newest.max(0.0) as u64 + 1, 0));
    loop {
        let seen: Vec<(Uuid, bool)> = sqlx::query_as(
            "with page as (
                select id, group_id, finished_at, retain_seconds from jobs where id > $1 and id <= $2 order by id limit $3
             ), gone as (
                delete from jobs using page
                where jobs.id = page.id and jobs.state <> 'dead' and page.group_id is null and page.retain_seconds is null
                  and page.finished_at <= now() - $4 * interval '1 millisecond'
                returning jobs.id
             )
             select page.id, gone.id is not null from page left join gone on gone.id = page.id order by page.id",
        )
        .bind(cursor)
        .bind(last)
        .bind(slice)
        .bind(millis)
        .fetch_all(pool)
        .await?;
        pruned.jobs += seen.iter().filter(|(_, gone)| *gone).count() as u64;
        match seen.last() {
            Some((id, _)) if seen.len() as i64 == slice => cursor = *id,
            _ => break,
        }
    }
    pruned.jobs += in_slices(
        pool,
        "delete from jobs where id in (
            select id from jobs where retain_seconds is not null and group_id is null and state in ('completed', 'cancelled')
            and finished_at <= now() - retain_seconds * interval '1 second' limit $1)",
        slice,
        None,
    )
    .await?;
    pruned.jobs += in_slices(
        pool,
        "delete from jobs where id in (
            select j.id from groups g left join groups r on r.id = g.root_id join jobs j on j.group_id = g.id
            where g.finished_at <= now() - $2 * interval '1 millisecond'
              and (g.root_id is null or r.finished_at <= now() - $2 * interval '1 millisecond') and j.state <> 'dead' limit $1)",
        slice,
        Some(millis),
    )
    .await?;
    // From the inside out: a group goes when nothing is left in it.
    pruned.groups = in_slices(
        pool,
        "delete from groups where id in (
            select g.id from groups g left join groups r on r.id = g.root_id
            where g.finished_at <= now() - $2 * interval '1 millisecond'
              and (g.root_id is null or r.finished_at <= now() - $2 * interval '1 millisecond')
              and not exists (select from jobs j where j.group_id = g.id)
              and not exists (select from groups i where i.parent_id = g.id) limit $1)",
        slice,
        Some(millis),
    )
    .await?;
    pruned.ticks = in_slices(
        pool,
        "delete from schedule_ticks where (schedule, fire_at) in (
            select t.schedule, t.fire_at from schedule_ticks t
            where t.created_at <= now() - $2 * interval '1 millisecond' and exists (
                select from schedule_ticks l where l.schedule = t.schedule and l.fire_at > t.fire_at
                  and (l.cause <> 'missed' or t.cause = 'missed')) limit $1)",
        slice,
        Some(millis),
    )
    .await?;
    in_slices(
        pool,
        "delete from job_keys where key in (
            select key from job_keys k where until < now()
            and not exists (select from jobs j where j.id = k.job_id) limit $1)",
        slice,
        None,
    )
    .await?;
    Ok(pruned)
}

/// Runs a statement of a limit, and an age in milliseconds if it asks for one, until it removes nothing any more.
async fn in_slices(pool: &PgPool, sql: &'static str, slice: i64, millis: Option<i64>) -> Result<u64, sqlx::Error> {
    let mut all = 0;
    loop {
        let query = sqlx::query(sql).bind(slice);
        let query = if let Some(millis) = millis { query.bind(millis) } else { query };
        let gone = query.execute(pool).await?.rows_affected();
        all += gone;
        if gone == 0 {
            return Ok(all);
        }
    }
}
