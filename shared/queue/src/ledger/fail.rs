//! Settling attempts that did not succeed, and what a final failure does to a group.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sqlx::{PgConnection, PgPool, types::Json};

use super::{
    complete::micros_since,
    group_completion::{self, Counts},
    millis,
};
use crate::{Enqueued, GroupId, JobId, Queue, QueueError, Schema};

/// How one attempt ended, other than well.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Until the next attempt, if there is one.
    pub(crate) delay: Duration,
    pub(crate) error: Option<String>,
    /// The signal that ends the delay at once.
    pub(crate) waits_for: Option<String>,
}

/// No job waits for longer: what is added to a time must leave one that the ledger can hold.
pub(crate) const MAX_DELAY: Duration = Duration::from_hours(10 * 365 * 24);

/// As the history names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, serde::Serialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
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
        Verdict { outcome: self, delay: delay.min(MAX_DELAY), error: Some(error), waits_for: None }
    }

    /// The end, or at least until somebody looks.
    pub(crate) fn because(self, error: impl Into<String>) -> Verdict {
        self.after(Duration::ZERO, error.into())
    }
}

impl Verdict {
    pub(crate) const CANCELLED: Self =
        Self { outcome: Outcome::Cancelled, delay: Duration::ZERO, error: None, waits_for: None };

    /// Of a job that was to start before now.
    pub(crate) fn expired() -> Self {
        Outcome::Cancelled.because("expired: it had not started in its time")
    }

    /// Of a job that has used up its deliveries.
    pub(crate) fn lost(deliveries: u64) -> Self {
        Outcome::LostWorker.because(format!("lost_worker: {deliveries} workers were lost with it"))
    }

    pub(crate) fn snooze(delay: Duration) -> Self {
        Self::asleep(delay, None)
    }

    /// Of a job that comes again after this long, or as soon as it is sent the signal.
    pub(crate) fn asleep(delay: Duration, waits_for: Option<String>) -> Self {
        Self { outcome: Outcome::Snoozed, delay: delay.min(MAX_DELAY), error: None, waits_for }
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
    /// The job's round when it began; another number by now means that another run has ended since, and this one does not count.
    pub(crate) round: Option<i32>,
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettledState {
    Scheduled,
    Parked,
    Dead,
    Cancelled,
}

impl SettledState {
    /// What is counted of an attempt that has ended like this.
    pub(crate) fn counted_as(self, outcome: Outcome) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Parked => Outcome::Parked.into(),
            Self::Scheduled => outcome.into(),
        }
    }
}

/// A job that somebody wants cancelled has no further attempt. The snoozes of one attempt are one line of the history, from
/// the first to the last: a join that waits for hours comes back every moment.
const SETTLE: &str = "select * from gristmill.settle_jobs($1, $2, $3)";

/// What is said of a job to the statement.
#[derive(serde::Serialize)]
struct Said<'a> {
    outcome: Outcome,
    /// In milliseconds.
    delay: i64,
    error: Option<String>,
    delivery: Option<i64>,
    worker: Option<&'a str>,
    /// How long, in microseconds.
    ran: Option<i64>,
    round: Option<i32>,
    waits_for: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn of(settle: &'a Settle) -> Self {
        let (verdict, run) = (&settle.verdict, settle.run.as_ref());
        Self {
            outcome: verdict.outcome,
            delay: millis(verdict.delay),
            error: verdict.error.as_deref().map(storable),
            delivery: run.map(|run| run.delivery.cast_signed()),
            worker: run.and_then(|run| run.worker.as_deref()),
            ran: run.and_then(|run| run.started).map(micros_since),
            round: run.and_then(|run| run.round),
            waits_for: verdict.waits_for.as_deref(),
        }
    }
}

/// Needs a transaction. Returns what became of each job that was still to be done, and joins that became due.
/// `reader` is who parks: see `run::known`.
pub(crate) async fn settle(
    schema: Schema,
    conn: &mut PgConnection,
    reader: &str,
    verdicts: &[Settle],
) -> Result<(Vec<(JobId, SettledState)>, Enqueued), QueueError> {
    let mut said: BTreeMap<JobId, Said<'_>> = BTreeMap::new();
    for settle in verdicts {
        // Of two runs of a job the first one's word counts.
        said.entry(settle.id).or_insert_with(|| Said::of(settle));
    }
    let rows: Vec<(JobId, String, Option<GroupId>)> = sqlx::query_as(schema.sql(SETTLE))
        .bind(said.keys().copied().collect::<Vec<_>>())
        .bind(Json(&said))
        .bind(reader)
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
    let asleep: Vec<JobId> =
        verdicts.iter().filter(|settle| settle.verdict.waits_for.is_some()).map(|settle| settle.id).collect();
    wake_signalled(schema, conn, &asleep).await?;
    cancel_waiting_of_stopped(schema, conn, &waiting, &mut counts, &mut settled).await?;
    Ok((settled, group_completion::count(schema, conn, counts).await?))
}

/// Of these jobs, which are to wait for a signal, those that were sent it in the meantime come at once. Their rows are locked, as
/// whoever sends one locks them: what was not seen here is sent to a job that is seen to wait.
async fn wake_signalled(schema: Schema, conn: &mut PgConnection, ids: &[JobId]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let woken = sqlx::query(schema.sql(
        "update gristmill.jobs j set run_at = now() where j.id = any($1) and j.state = 'scheduled' and exists (
            select from gristmill.job_signals s where s.job_id = j.id and s.name = j.waits_for and s.taken_at is null)",
    ))
    .bind(ids)
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if woken > 0 {
        sqlx::query("select pg_notify($1, 'jobs')").bind(schema.name()).execute(conn).await?;
    }
    Ok(())
}

/// The same in a transaction of its own, and what became due by it is pushed.
pub(crate) async fn settle_alone(
    queue: &Queue,
    reader: &str,
    verdicts: &[Settle],
) -> Result<Vec<(JobId, SettledState)>, QueueError> {
    let mut tx = queue.pool().begin().await?;
    let (settled, joins) = settle(queue.schema(), &mut tx, reader, verdicts).await?;
    tx.commit().await?;
    queue.push_later(joins);
    Ok(settled)
}

/// Lines of the history for deliveries (job, number, why) whose worker was lost, once for each: no verdict on the attempt,
/// which another delivery goes on with.
pub(crate) async fn lost(
    schema: Schema,
    pool: &PgPool,
    ids: &[JobId],
    numbers: &[i64],
    errors: &[&str],
) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    // Who finds one tells of it, and so does whoever gets the job next: one after the other.
    sqlx::query("select pg_advisory_xact_lock(hashtext('gristmill lost deliveries'))").execute(&mut *tx).await?;
    sqlx::query(schema.sql("insert into gristmill.job_attempts (job_id, attempt, delivery, outcome, error)
         select j.id, j.attempt + (j.state = 'available')::int, i.delivery, 'lost_worker', i.error
         from (select distinct on (1, 2) * from unnest($1::uuid[], $2::bigint[], $3::text[]) as i (id, delivery, error)) i
              join gristmill.jobs j on j.id = i.id
         where not exists (select from gristmill.job_attempts a where a.job_id = i.id and a.delivery = i.delivery
                                                        and a.error = i.error)"))
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
    schema: Schema,
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
    group_completion::lock(schema, conn, &groups).await?;
    let rows: Vec<(GroupId, bool)> =
        sqlx::query_as(schema.sql("select id, state <> 'open' from gristmill.groups where id = any($1)"))
            .bind(&groups)
            .fetch_all(&mut *conn)
            .await?;
    let stopped: Vec<GroupId> = rows.into_iter().filter_map(|(id, stopped)| stopped.then_some(id)).collect();
    let victims: Vec<(JobId, GroupId)> = waiting.iter().copied().filter(|(_, group)| stopped.contains(group)).collect();
    if victims.is_empty() {
        return Ok(());
    }
    let ids: Vec<JobId> = victims.iter().map(|(id, _)| *id).collect();
    sqlx::query(schema.sql(
        "update gristmill.jobs set state = 'cancelled', finished_at = now(), parked_by = null where id = any($1)",
    ))
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
