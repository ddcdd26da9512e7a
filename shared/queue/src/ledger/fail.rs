//! Settling attempts that did not succeed, and what a final failure does to a group.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use super::{
    complete::micros_since,
    group_completion::{self, Counts},
};
use crate::{Enqueued, GroupId, JobId, QueueError};

/// How one attempt ended, other than well.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Until the next attempt, if there is one.
    pub(crate) delay: Duration,
    pub(crate) error: Option<String>,
}

/// No job waits for longer: what is added to a time must leave one that the ledger can hold.
const MAX_DELAY: Duration = Duration::from_hours(10 * 365 * 24);

/// As the history names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Outcome {
    Retried,
    TimedOut,
    Panicked,
    LostWorker,
    Discarded,
    Cancelled,
    Snoozed,
    Parked,
}

impl Outcome {
    /// Again, as long as there are attempts left.
    pub(crate) fn after(self, delay: Duration, error: String) -> Verdict {
        Verdict { outcome: self, delay: delay.min(MAX_DELAY), error: Some(error) }
    }

    /// The end, or at least until somebody looks.
    pub(crate) fn because(self, error: impl Into<String>) -> Verdict {
        self.after(Duration::ZERO, error.into())
    }
}

impl Verdict {
    pub(crate) const CANCELLED: Self = Self { outcome: Outcome::Cancelled, delay: Duration::ZERO, error: None };

    pub(crate) fn snooze(delay: Duration) -> Self {
        Self { outcome: Outcome::Snoozed, delay: delay.min(MAX_DELAY), error: None }
    }
}

/// A verdict on a job, and on which run of it. Without a run (it was cancelled before one) the history is silent.
#[derive(Debug, Clone)]
pub(crate) struct Settle {
    pub(crate) id: JobId,
    pub(crate) verdict: Verdict,
    pub(crate) run: Option<Run>,
}

/// One delivery, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) delivery: u64,
    pub(crate) worker: Option<std::sync::Arc<str>>,
    pub(crate) started: Option<Instant>,
    /// Failed attempts before it; another number by now means that another run has failed since, and this one does not count.
    pub(crate) attempt: Option<i32>,
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettledState {
    Scheduled,
    Parked,
    Dead,
    Cancelled,
}

/// A job that somebody wants cancelled has no further attempt. The snoozes of one attempt are one line of the history, from
/// the first to the last: a join that waits for hours comes back every moment.
const SETTLE: &str = include_str!("settle.sql");

/// Needs a transaction. Returns what became of each job that was still to be done, and joins that became due.
/// `reader` is who parks: see `run::known`.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    reader: &str,
    verdicts: &[Settle],
) -> Result<(Vec<(JobId, SettledState)>, Enqueued), QueueError> {
    fn column<'a, T>(verdicts: &'a [Settle], value: impl Fn(&'a Settle) -> T) -> Vec<T> {
        verdicts.iter().map(value).collect()
    }
    let run = |settle: &Settle| settle.run.clone().unwrap_or_default();
    let rows: Vec<(JobId, String, Option<GroupId>)> = sqlx::query_as(SETTLE)
        .bind(column(verdicts, |settle| settle.id))
        .bind(column(verdicts, |settle| <&str>::from(settle.verdict.outcome)))
        .bind(column(verdicts, |settle| i64::try_from(settle.verdict.delay.as_millis()).unwrap_or(i64::MAX / 2)))
        .bind(column(verdicts, |settle| settle.verdict.error.as_deref().map(storable)))
        .bind(column(verdicts, |settle| settle.run.as_ref().map(|run| run.delivery.cast_signed())))
        .bind(column(verdicts, |settle| run(settle).worker.map(|worker| worker.to_string())))
        .bind(column(verdicts, |settle| run(settle).started.map(micros_since)))
        .bind(reader)
        .bind(column(verdicts, |settle| settle.run.as_ref().and_then(|run| run.attempt)))
        .fetch_all(&mut *conn)
        .await?;

    let mut settled = Vec::with_capacity(rows.len());
    let mut waiting: Vec<(JobId, GroupId)> = Vec::new();
    let mut counts = Counts::default();
    for (id, state, group) in rows {
        let outcome = match state.as_str() {
            "dead" => SettledState::Dead,
            "cancelled" => SettledState::Cancelled,
            "parked" => SettledState::Parked,
            _ => SettledState::Scheduled,
        };
        settled.push((id, outcome));
        match (group, outcome) {
            (Some(group), SettledState::Scheduled | SettledState::Parked) => waiting.push((id, group)),
            (Some(group), SettledState::Dead | SettledState::Cancelled) => counts.add(group, &state, 1),
            (None, _) => {}
        }
    }
    cancel_waiting_of_stopped(conn, &waiting, &mut counts, &mut settled).await?;
    Ok((settled, group_completion::count(conn, counts).await?))
}

/// Lines of the history for deliveries (job, number, why) whose worker was lost, once for each: no verdict on the attempt,
/// which another delivery goes on with.
pub(crate) async fn lost(pool: &PgPool, ids: &[JobId], numbers: &[i64], errors: &[&str]) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    // Who finds one tells of it, and so does whoever gets the job next: one after the other.
    sqlx::query("select pg_advisory_xact_lock(hashtext('gristmill lost deliveries'))").execute(&mut *tx).await?;
    sqlx::query(
        "insert into job_attempts (job_id, attempt, delivery, outcome, error)
         select j.id, j.attempt + (j.state = 'available')::int, i.delivery, 'lost_worker', i.error
         from (select distinct on (1, 2) * from unnest($1::uuid[], $2::bigint[], $3::text[]) as i (id, delivery, error)) i
              join jobs j on j.id = i.id
         where not exists (select from job_attempts a where a.job_id = i.id and a.delivery = i.delivery
                                                        and a.error = i.error)",
    )
    .bind(ids)
    .bind(numbers)
    .bind(errors)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// A member may not wait for another attempt in a group that has stopped meanwhile. The lock on the
/// group orders this against the statement that stops it: one of the two sees the other.
async fn cancel_waiting_of_stopped(
    conn: &mut PgConnection,
    waiting: &[(JobId, GroupId)],
    counts: &mut Counts,
    settled: &mut [(JobId, SettledState)],
) -> Result<(), QueueError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let mut groups: Vec<GroupId> = waiting.iter().map(|(_, group)| *group).collect();
    groups.extend(counts.groups());
    group_completion::lock(conn, &groups).await?;
    let rows: Vec<(GroupId, bool)> = sqlx::query_as("select id, state <> 'open' from groups where id = any($1)")
        .bind(&groups)
        .fetch_all(&mut *conn)
        .await?;
    let stopped: Vec<GroupId> = rows.into_iter().filter_map(|(id, stopped)| stopped.then_some(id)).collect();
    let victims: Vec<(JobId, GroupId)> = waiting.iter().copied().filter(|(_, group)| stopped.contains(group)).collect();
    if victims.is_empty() {
        return Ok(());
    }
    let ids: Vec<JobId> = victims.iter().map(|(id, _)| *id).collect();
    sqlx::query("update jobs set state = 'cancelled', finished_at = now(), parked_by = null where id = any($1)")
        .bind(&ids)
        .execute(conn)
        .await?;
    for (_, group) in &victims {
        counts.add(*group, "cancelled", 1);
    }
    for (id, outcome) in settled.iter_mut() {
        if ids.contains(id) {
            *outcome = SettledState::Cancelled;
        }
    }
    Ok(())
}

/// Postgres stores no NUL in a text, and nobody reads an error of a megabyte.
fn storable(error: &str) -> String {
    error.chars().filter(|c| *c != '\0').take(4_000).collect()
}
