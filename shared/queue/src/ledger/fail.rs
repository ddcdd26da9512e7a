//! Settling attempts that did not succeed, and what a final failure does to a group.

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Enqueued, QueueError, ledger::complete, ledger::groups};

/// How one attempt ended, other than well.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    Retry { delay: Duration, error: String },
    Snooze { delay: Duration },
    Discard { error: String },
    Cancelled,
}

impl Verdict {
    fn parts(&self) -> (&'static str, i64, Option<&str>) {
        let millis = |delay: &Duration| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX / 2);
        match self {
            Self::Retry { delay, error } => ("retry", millis(delay), Some(error)),
            Self::Snooze { delay } => ("snooze", millis(delay), None),
            Self::Discard { error } => ("discard", 0, Some(error)),
            Self::Cancelled => ("cancelled", 0, None),
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Scheduled,
    Dead,
    Cancelled,
}

const SETTLE: &str = "
with input as (
    select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[]) as i (id, verdict, delay, error)
), held as (
    select j.id from jobs j join input i on i.id = j.id where j.state = 'available' order by j.id for update of j
)
update jobs j set
    attempt = j.attempt + v.attempts,
    state = v.state,
    last_error = coalesce(v.error, j.last_error),
    run_at = case when v.state = 'scheduled' then now() + v.delay * interval '1 millisecond' else j.run_at end,
    finished_at = case when v.state = 'scheduled' then null else now() end
from (
    select i.id, i.delay, i.error,
           case when i.verdict in ('retry', 'discard') then 1 else 0 end as attempts,
           case when i.verdict = 'cancelled' then 'cancelled'
                when i.verdict = 'discard' or (i.verdict = 'retry' and r.attempt + 1 >= r.max_attempts) then 'dead'
                else 'scheduled' end as state
    from input i join held using (id) join jobs r using (id)
) v
where j.id = v.id
returning j.id, j.state, j.group_id";

/// Needs a transaction. Returns what became of each job that was still to be done, and joins that became due.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    verdicts: &[(Uuid, Verdict)],
) -> Result<(Vec<(Uuid, Settled)>, Enqueued), QueueError> {
    let ids: Vec<Uuid> = verdicts.iter().map(|(id, _)| *id).collect();
    let parts: Vec<_> = verdicts.iter().map(|(_, verdict)| verdict.parts()).collect();
    let rows: Vec<(Uuid, String, Option<Uuid>)> = sqlx::query_as(SETTLE)
        .bind(&ids)
        .bind(parts.iter().map(|part| part.0).collect::<Vec<_>>())
        .bind(parts.iter().map(|part| part.1).collect::<Vec<_>>())
        .bind(parts.iter().map(|part| part.2.map(storable)).collect::<Vec<_>>())
        .fetch_all(&mut *conn)
        .await?;

    let mut settled = Vec::with_capacity(rows.len());
    let mut waiting: Vec<(Uuid, Uuid)> = Vec::new();
    let mut counts: BTreeMap<Uuid, Counts> = BTreeMap::new();
    for (id, state, group) in rows {
        let outcome = match state.as_str() {
            "dead" => Settled::Dead,
            "cancelled" => Settled::Cancelled,
            _ => Settled::Scheduled,
        };
        settled.push((id, outcome));
        let Some(group) = group else { continue };
        match outcome {
            Settled::Scheduled => waiting.push((id, group)),
            Settled::Dead => counts.entry(group).or_default().failed += 1,
            Settled::Cancelled => counts.entry(group).or_default().cancelled += 1,
        }
    }
    cancel_waiting_of_stopped(conn, &waiting, &mut counts, &mut settled).await?;
    let joins = if counts.is_empty() { Enqueued::default() } else { count(conn, &counts).await? };
    Ok((settled, joins))
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    failed: i64,
    cancelled: i64,
}

/// A member may not wait for another attempt in a group that has stopped meanwhile. The share lock on the
/// group orders this against the statement that stops it: one of the two sees the other.
async fn cancel_waiting_of_stopped(
    conn: &mut PgConnection,
    waiting: &[(Uuid, Uuid)],
    counts: &mut BTreeMap<Uuid, Counts>,
    settled: &mut [(Uuid, Settled)],
) -> Result<(), QueueError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let groups: Vec<Uuid> = waiting.iter().map(|(_, group)| *group).collect();
    let rows: Vec<(Uuid, bool)> =
        sqlx::query_as("select id, state <> 'open' from groups where id = any($1) order by id for share")
            .bind(&groups)
            .fetch_all(&mut *conn)
            .await?;
    let stopped: Vec<Uuid> = rows.into_iter().filter_map(|(id, stopped)| stopped.then_some(id)).collect();
    let victims: Vec<(Uuid, Uuid)> = waiting.iter().copied().filter(|(_, group)| stopped.contains(group)).collect();
    if victims.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = victims.iter().map(|(id, _)| *id).collect();
    sqlx::query("update jobs set state = 'cancelled', finished_at = now() where id = any($1)")
        .bind(&ids)
        .execute(conn)
        .await?;
    for (_, group) in &victims {
        counts.entry(*group).or_default().cancelled += 1;
    }
    for (id, outcome) in settled.iter_mut() {
        if ids.contains(id) {
            *outcome = Settled::Cancelled;
        }
    }
    Ok(())
}

/// Counts the members; the first final failure of a `fail_fast` group stops the rest of it.
async fn count(conn: &mut PgConnection, counts: &BTreeMap<Uuid, Counts>) -> Result<Enqueued, QueueError> {
    let ids: Vec<Uuid> = counts.keys().copied().collect();
    sqlx::query("select from groups where id = any($1) order by id for no key update")
        .bind(&ids)
        .execute(&mut *conn)
        .await?;
    let failing: Vec<Option<Uuid>> = sqlx::query_scalar(
        "update groups g set
            failed = g.failed + c.failed,
            cancelled = g.cancelled + c.cancelled,
            sealed = g.sealed or (g.policy = 'fail_fast' and c.failed > 0),
            state = case when g.state = 'open' and g.policy = 'fail_fast' and c.failed > 0 then 'failing' else g.state end
         from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as c (id, failed, cancelled)
         where g.id = c.id
         returning case when g.state = 'failing' and c.failed > 0 then g.id end",
    )
    .bind(&ids)
    .bind(counts.values().map(|count| count.failed).collect::<Vec<_>>())
    .bind(counts.values().map(|count| count.cancelled).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let failing: Vec<Uuid> = failing.into_iter().flatten().collect();
    if !failing.is_empty() {
        groups::cancel_members(conn, &failing).await?;
    }
    complete::close_groups(conn, &ids).await
}

/// Postgres stores no NUL in a text, and nobody reads an error of a megabyte.
fn storable(error: &str) -> String {
    error.chars().filter(|c| *c != '\0').take(4_000).collect()
}
