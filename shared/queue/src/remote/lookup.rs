//! What the ledger knows of the jobs of a report.

use std::{collections::HashMap, time::Duration};

use crate::{Backoff, JobId, Queue};

/// A job as it is in this moment.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Known {
    id: JobId,
    pub(super) queue: String,
    pub(super) name: String,
    /// Attempts that have failed.
    pub(super) attempt: i32,
    /// As of [`crate::ledger::fence::Runnable`].
    pub(super) round: i32,
    /// Still to be done.
    pub(super) open: bool,
    /// It is in a group.
    pub(super) grouped: bool,
    /// Its group is inside another one.
    pub(super) nested: bool,
    /// Nobody wants it any more.
    pub(super) stopped: bool,
    backoff: Option<String>,
    timeout_ms: Option<i32>,
}

impl Known {
    /// How long to wait between attempts, where its producer said so.
    pub(super) fn backoff(&self) -> Option<Backoff> {
        Backoff::of_ledger(self.id, self.backoff.as_deref())
    }

    /// How long an attempt may take, where its producer said so.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(|millis| Duration::from_millis(u64::from(millis.unsigned_abs())))
    }
}

/// The jobs of these ids, as far as there are any.
pub(super) async fn lookup(queue: &Queue, ids: &[JobId]) -> Result<HashMap<JobId, Known>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Known> = sqlx::query_as(queue.schema().sql(
        "select j.id, j.queue, j.name, j.attempt, j.attempt + j.rounds as round,
                j.state = 'available' as open, j.group_id is not null as grouped, g.root_id is not null as nested,
                j.cancel_requested_at is not null or coalesce(g.state, 'open') <> 'open' as stopped,
                j.backoff::text, j.timeout_ms
         from gristmill.jobs j left join gristmill.groups g on g.id = j.group_id where j.id = any($1)",
    ))
    .bind(ids)
    .fetch_all(queue.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}
