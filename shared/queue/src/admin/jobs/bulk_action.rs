//! An action on jobs, one transaction of the caller's after the other: whoever must write down what was done, does it with it.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::PgConnection;

use super::{ActionPlace, ActionProgress, JobAction, JobFilter, Jobs, actions::spread, walk::Walk};
use crate::{Enqueued, JobId, Queue, QueueError, ledger::cancel::CancelRequest};

/// Jobs of one transaction.
const BATCH_SIZE: usize = 500;

/// An action that is under way: see [`Jobs::begin`].
///
/// Until it is over: [`step`](Self::step) in a transaction, commit it, and call [`committed`](Self::committed). When a
/// transaction is rolled back, so is its step: drop this then.
#[must_use = "nothing is done before its first step"]
pub struct BulkAction {
    queue: Queue,
    action: JobAction,
    /// None: there can be no such jobs.
    walk: Option<Walk>,
    starts: Timestamp,
    /// Told to stop, and perhaps running.
    told: Vec<CancelRequest>,
    /// Told to stop, and held by no worker.
    idle: Vec<JobId>,
    /// To be pushed.
    due: Enqueued,
    changed: u64,
    requested: u64,
}

impl Jobs {
    /// Begins an action on the jobs that meet the filter, in transactions of the caller's. Does nothing yet.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn begin(
        &self,
        conn: &mut PgConnection,
        action: JobAction,
        filter: &JobFilter,
        from: Option<ActionPlace>,
    ) -> Result<BulkAction, QueueError> {
        let walk = match action.aim(filter) {
            Some(aim) => Some(Walk::new(self.queue.schema(), conn, &aim, from.map(|from| from.after)).await?),
            None => None,
        };
        Ok(BulkAction {
            queue: self.queue.clone(),
            action,
            walk,
            starts: from.map_or_else(Timestamp::now, |from| from.starts),
            told: Vec::new(),
            idle: Vec::new(),
            due: Enqueued::default(),
            changed: 0,
            requested: 0,
        })
    }
}

impl BulkAction {
    /// Whether there is nothing more to be done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.may_stop() && self.walk.as_ref().is_none_or(Walk::is_over)
    }

    /// Whether the last step has done all that it began: to stop elsewhere leaves it to the sweep.
    #[must_use]
    pub fn may_stop(&self) -> bool {
        self.told.is_empty() && self.idle.is_empty()
    }

    /// What was done by now, and where to go on.
    #[must_use]
    pub fn acted(&self) -> ActionProgress {
        let place = self.walk.as_ref().and_then(Walk::place);
        let next = place.map(|after| ActionPlace { after, starts: self.starts });
        ActionProgress { changed: self.changed, requested: self.requested, next }
    }

    /// Acts on the next slice, in the caller's transaction. `false`: there was nothing to do in it.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn step(&mut self, conn: &mut PgConnection) -> Result<bool, QueueError> {
        if !self.idle.is_empty() {
            let (settled, joins) = self.queue.cancel_held_by_nobody(conn, &std::mem::take(&mut self.idle)).await?;
            self.changed += settled;
            self.requested -= settled;
            self.due.merge(joins);
            return Ok(settled > 0);
        }
        let Some(walk) = &mut self.walk else { return Ok(false) };
        let mut ids = walk.step(conn, BATCH_SIZE).await?;
        if ids.is_empty() {
            return Ok(false);
        }
        let before = self.changed + self.requested;
        match self.action {
            JobAction::Cancel => {
                ids.sort_unstable();
                let (cancelled, requested, joins) =
                    crate::ledger::cancel::request(self.queue.schema(), conn, &ids).await?;
                self.changed += cancelled;
                self.requested += requested.len() as u64;
                self.told = requested;
                self.due.merge(joins);
            }
            JobAction::Redrive { per_second } => {
                // Those enqueued first come first.
                ids.reverse();
                self.redrive(conn, &ids, per_second).await?;
            }
            JobAction::Discard => self.changed += self.queue.discard(conn, &ids).await?,
        }
        Ok(self.changed + self.requested > before)
    }

    /// To be called after the commit of each step: hands to the broker what is due now, and asks it which of the jobs that
    /// were told to stop run. The next step cancels the others. The wish must be committed before: who claims a job later
    /// sees it.
    pub async fn committed(&mut self) {
        self.queue.push(std::mem::take(&mut self.due)).await;
        if !self.told.is_empty() {
            self.idle = self.queue.held_by_nobody(&std::mem::take(&mut self.told)).await;
        }
    }

    /// Brings jobs back, each with its own start. Those that start later are pushed by the sweep when they do.
    async fn redrive(
        &mut self,
        conn: &mut PgConnection,
        ids: &[JobId],
        per_second: Option<f64>,
    ) -> Result<(), QueueError> {
        let mut enqueued = self.queue.redrive(conn, ids).await?;
        enqueued.ids.sort_unstable();
        let delays = spread(enqueued.ids.len(), per_second, &mut self.starts);
        let ready: Vec<JobId> = sqlx::query_scalar(self.queue.schema().sql("with spread as (
                update gristmill.jobs j set redriven = j.redriven + 1,
                    run_at = case when j.gate = 'turn' then j.run_at else now() + s.delay * interval '1 millisecond' end,
                    due_at = case when j.gate = 'turn' then now() + s.delay * interval '1 millisecond' end,
                    state = case when s.delay > 0 or j.gate = 'turn' then 'scheduled' else 'available' end
                from unnest($1::uuid[], $2::bigint[]) as s (id, delay)
                where j.id = s.id and (j.state = 'available' or (j.state = 'scheduled' and j.gate = 'turn'))
                returning j.id, j.state
             )
             select id from spread where state = 'available'"))
        .bind(&enqueued.ids)
        .bind(delays)
        .fetch_all(conn)
        .await?;
        let ready: HashSet<JobId> = ready.into_iter().collect();
        enqueued.messages.retain(|message| ready.contains(&message.id));
        self.changed += enqueued.ids.len() as u64;
        self.due.merge(enqueued);
        Ok(())
    }
}
