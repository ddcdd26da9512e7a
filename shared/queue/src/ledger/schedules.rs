//! Ticks of schedules: written down, and turned into jobs, in one transaction. Postgres' clock counts, not ours.

use std::time::Duration;

use jiff_sqlx::{Timestamp, ToSqlx as _};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    JobId, Schema,
    cron::{CatchUp, Cause, Overlap},
};

/// A schedule whose time has come, locked.
#[derive(sqlx::FromRow)]
pub(crate) struct DueSchedule {
    pub(crate) name: String,
    pub(crate) cron: String,
    pub(crate) time_zone: String,
    pub(crate) catch_up: CatchUp,
    pub(crate) overlap: Overlap,
    /// The job of an earlier tick has not ended.
    pub(crate) busy: bool,
    pub(crate) jitter_seconds: i32,
    pub(crate) starts_at: Option<Timestamp>,
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) ticked_until: Timestamp,
    pub(crate) now: Timestamp,
}

/// A tick to be written down.
pub(crate) struct NewTick {
    pub(crate) schedule: String,
    pub(crate) fire_at: jiff::Timestamp,
    pub(crate) cause: Cause,
    /// When its job starts; none for a missed one.
    pub(crate) run_at: Option<jiff::Timestamp>,
}

/// A schedule that was looked at.
pub(crate) struct Dealt {
    pub(crate) schedule: String,
    pub(crate) ticked_until: jiff::Timestamp,
    pub(crate) next_at: Option<jiff::Timestamp>,
}

/// How long until the next tick; zero when one is due.
pub(crate) async fn until_next(schema: Schema, pool: &PgPool) -> Result<Option<Duration>, sqlx::Error> {
    let seconds: Option<f64> = sqlx::query_scalar(schema.sql(
        "select extract(epoch from min(next_at) - clock_timestamp())::float8 from gristmill.schedules where not paused",
    ))
    .fetch_one(pool)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}

/// Locks schedules that are due. What another scheduler holds is its business; should it be frozen in the middle,
/// Postgres ends its transaction after five seconds.
pub(crate) async fn lock_due(
    schema: Schema,
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Vec<DueSchedule>, sqlx::Error> {
    sqlx::query("select set_config('idle_in_transaction_session_timeout', '5000', true)").execute(&mut *conn).await?;
    sqlx::query_as(schema.sql("select name, cron, time_zone, catch_up, overlap, jitter_seconds, starts_at, ends_at, ticked_until, now() as now,
                overlap = 'skip' and exists (
                    select from gristmill.schedule_ticks t join gristmill.jobs j on j.id = t.job_id
                    where t.schedule = s.name and j.state in ('available', 'scheduled', 'parked')) as busy
         from gristmill.schedules s where not paused and next_at <= now() order by next_at limit $1 for update of s skip locked"))
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Writes the ticks that are not there yet, with their jobs. Returns the causes of the new ones, and the jobs.
pub(crate) async fn record(
    schema: Schema,
    conn: &mut PgConnection,
    ticks: &[NewTick],
) -> Result<(Vec<Cause>, Vec<JobId>), sqlx::Error> {
    let ids: Vec<Option<JobId>> = ticks.iter().map(|tick| tick.run_at.map(|_| JobId::from(Uuid::now_v7()))).collect();
    let new: Vec<(Cause, Option<JobId>)> = sqlx::query_as(schema.sql(
        "insert into gristmill.schedule_ticks (schedule, fire_at, cause, job_id)
         select * from unnest($1::text[], $2::timestamptz[], $3::text[], $4::uuid[])
         on conflict do nothing
         returning cause, job_id",
    ))
    .bind(ticks.iter().map(|tick| tick.schedule.as_str()).collect::<Vec<_>>())
    .bind(ticks.iter().map(|tick| tick.fire_at.to_sqlx()).collect::<Vec<_>>())
    .bind(ticks.iter().map(|tick| <&str>::from(tick.cause)).collect::<Vec<_>>())
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    let causes = new.iter().map(|(cause, _)| *cause).collect();
    let jobs: Vec<JobId> = new.into_iter().filter_map(|(_, id)| id).collect();
    if jobs.is_empty() {
        return Ok((causes, jobs));
    }
    // A job that starts late starts now: how long it was due before is the tick's matter.
    sqlx::query(schema.sql("insert into gristmill.jobs (id, name, queue, priority, payload, version, retain_seconds, state, max_attempts, run_at, client_id, fair_key,
                               order_key)
         select i.id, s.job->>'name', s.job->>'queue', (s.job->>'priority')::smallint, s.job->'payload',
                coalesce((s.job->>'version')::smallint, 1), (s.job->>'retain_seconds')::int,
                case when i.run_at > now() then 'scheduled' else 'available' end, (s.job->>'max_attempts')::int,
                greatest(i.run_at, now()), (s.job->>'client_id')::int, s.job->>'client_id',
                s.job->>'order_key'
         from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as i (id, schedule, run_at)
         join gristmill.schedules s on s.name = i.schedule
         where i.id = any($4)"))
    .bind(&ids)
    .bind(ticks.iter().map(|tick| tick.schedule.as_str()).collect::<Vec<_>>())
    .bind(ticks.iter().map(|tick| tick.run_at.map(jiff::Timestamp::to_sqlx)).collect::<Vec<_>>())
    .bind(&jobs)
    .execute(conn)
    .await?;
    Ok((causes, jobs))
}

pub(crate) async fn deal(schema: Schema, conn: &mut PgConnection, dealt: &[Dealt]) -> Result<(), sqlx::Error> {
    sqlx::query(schema.sql(
        "update gristmill.schedules s set ticked_until = d.ticked_until, next_at = d.next_at
         from unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) as d (name, ticked_until, next_at)
         where s.name = d.name",
    ))
    .bind(dealt.iter().map(|dealt| dealt.schedule.as_str()).collect::<Vec<_>>())
    .bind(dealt.iter().map(|dealt| dealt.ticked_until.to_sqlx()).collect::<Vec<_>>())
    .bind(dealt.iter().map(|dealt| dealt.next_at.map(jiff::Timestamp::to_sqlx)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
