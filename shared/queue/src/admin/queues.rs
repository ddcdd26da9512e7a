//! Queues: how they stand, paused, drained, limited.

mod broker_sync;
mod steer;
mod view;

pub use steer::{QueueAction, QueueChange};
pub(super) use view::check;
pub use view::{LimitsError, QueueView};

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use crate::{Depth, Queue, QueueError, Schema, broker::Limits, ledger::stats};
use broker_sync::QueueRow;

macro_rules! set_limits {
    () => {
        "insert into gristmill.queues (name, concurrency, rate_per_second, burst, key_concurrency, limits_said, updated_at)
         values ($1, $2, $3, $4, $5, true, clock_timestamp())
         on conflict (name) do update set
            concurrency = excluded.concurrency, rate_per_second = excluded.rate_per_second, burst = excluded.burst,
            key_concurrency = excluded.key_concurrency, limits_said = true, updated_at = excluded.updated_at"
    };
}

/// All queues: see [`Queue::queues`].
#[derive(Clone)]
pub struct Queues {
    queue: Queue,
}

impl Queue {
    /// The queues, to look at and to steer.
    #[must_use]
    pub fn queues(&self) -> Queues {
        Queues { queue: self.clone() }
    }

    pub(crate) async fn tell_seconds_left(&self, depths: &[Depth]) -> Result<(), QueueError> {
        let rows = said(self.schema(), &mut *self.pool().acquire().await?).await?;
        for view in self.queues().views(depths, rows, None).await {
            if let Some(seconds) = view.seconds_left {
                metrics::gauge!("gristmill_queue_seconds_left", "queue" => view.name).set(seconds);
            }
        }
        Ok(())
    }
}

impl Queues {
    /// Every queue that has jobs to do, a worker, or something that was said of it, by name.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails. While Redis does not answer, what
    /// only Redis knows is `None`.
    pub async fn list(&self) -> Result<Vec<QueueView>, QueueError> {
        let mut conn = self.queue.pool().acquire().await?;
        let depths = stats::depths(self.queue.schema(), &mut conn).await?;
        let rows = said(self.queue.schema(), &mut conn).await?;
        drop(conn);
        Ok(self.views(&depths, rows, None).await)
    }

    /// Whether there is anything of a queue: a job to be done or decided, something that was said of it, or a worker. While
    /// the broker is silent its workers are not known.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn is_known(&self, name: &str) -> Result<bool, QueueError> {
        let known: bool = sqlx::query_scalar(self.queue.schema().sql(
            // The states as literals, each by itself: so each is one look at the index of queues.
            "select exists (select from gristmill.queues where name = $1)
                 or exists (select from gristmill.jobs where state = 'available' and queue = $1)
                 or exists (select from gristmill.jobs where state = 'scheduled' and queue = $1)
                 or exists (select from gristmill.jobs where state = 'dead' and queue = $1)
                 or exists (select from gristmill.jobs where state = 'parked' and queue = $1)",
        ))
        .bind(name)
        .fetch_one(self.queue.pool())
        .await?;
        if known {
            return Ok(true);
        }
        let asked = tokio::time::timeout(broker_sync::BROKER_TIMEOUT, self.queue.workers()).await;
        let workers = asked.ok().and_then(Result::ok).unwrap_or_default();
        Ok(workers.iter().flat_map(|worker| &worker.lines).any(|line| line.queue == name))
    }

    /// One of them, as it stands; one that nobody has named yet stands empty.
    ///
    /// # Errors
    /// Returns the errors of [`Queues::list`].
    pub async fn get(&self, name: &str) -> Result<QueueView, QueueError> {
        let mut conn = self.queue.pool().acquire().await?;
        self.get_in(&mut conn, name).await
    }

    /// No job of it is claimed any more; what runs goes on. Takes effect at once, or within a second when the broker
    /// does not answer now.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn pause(&self, name: &str) -> Result<QueueView, QueueError> {
        self.steer(name, QueueAction::Pause).await
    }

    /// Its jobs are claimed again. Also ends a drain.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn resume(&self, name: &str) -> Result<QueueView, QueueError> {
        self.steer(name, QueueAction::Resume).await
    }

    /// Runs what is due now, and pauses the queue within a second after the last of it. Jobs that are enqueued or
    /// become due meanwhile may run too, if their turn comes before. A queue that is paused is resumed for it.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn drain(&self, name: &str) -> Result<QueueView, QueueError> {
        self.steer(name, QueueAction::Drain).await
    }

    /// Pauses, resumes or drains it with the caller's commit. [`Queues::tell`] the broker after it.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable or a statement fails.
    pub async fn steer_in(
        &self,
        conn: &mut PgConnection,
        name: &str,
        action: QueueAction,
    ) -> Result<QueueChange, QueueError> {
        // Before the row is written, and so locked: the broker may take its time to say what runs.
        let mut view = self.get_in(conn, name).await?;
        let row: QueueRow = sqlx::query_as(self.queue.schema().sql(action.sql())).bind(name).fetch_one(conn).await?;
        view.is_said(&row);
        Ok(QueueChange { view, row })
    }

    /// Tells the broker what was committed. What this fails to tell is told by the sweep, within a second.
    pub async fn tell(&self, steered: &QueueChange) {
        self.queue.sync_soon(&steered.row).await;
    }

    /// Holds it to these limits unless somebody has said before what it is held to. Workers see them within seconds.
    ///
    /// # Errors
    /// Returns the errors of [`Queues::set_limits`].
    pub async fn default_limits(&self, name: &str, limits: &Limits) -> Result<(), LimitsError> {
        self.write_limits(name, limits, concat!(set_limits!(), " where not queues.limits_said returning *")).await?;
        Ok(())
    }

    /// Holds it to these limits, over all its workers, in place of those it had. They count for what starts from now
    /// on: what runs is left to run.
    ///
    /// # Errors
    /// Returns [`LimitsError::Unusable`] for a limit of zero or an impossible rate, or an error if Postgres fails.
    pub async fn set_limits(&self, name: &str, limits: &Limits) -> Result<QueueView, LimitsError> {
        self.write_limits(name, limits, concat!(set_limits!(), " returning *")).await?;
        Ok(self.get(name).await?)
    }

    async fn write_limits(&self, name: &str, limits: &Limits, sql: &'static str) -> Result<(), LimitsError> {
        view::check(limits)?;
        let number = |number: Option<u32>| number.map(|number| i32::try_from(number).unwrap_or(i32::MAX));
        let written: Option<QueueRow> = sqlx::query_as(self.queue.schema().sql(sql))
            .bind(name)
            .bind(number(limits.concurrency))
            .bind(limits.rate_per_second)
            .bind(number(limits.burst))
            .bind(number(limits.key_concurrency))
            .fetch_optional(self.queue.pool())
            .await
            .map_err(QueueError::from)?;
        if let Some(row) = written {
            self.queue.sync_soon(&row).await;
        }
        Ok(())
    }

    async fn steer(&self, name: &str, action: QueueAction) -> Result<QueueView, QueueError> {
        let mut conn = self.queue.pool().acquire().await?;
        let steered = self.steer_in(&mut conn, name, action).await?;
        drop(conn);
        self.tell(&steered).await;
        Ok(steered.view)
    }

    async fn get_in(&self, conn: &mut PgConnection, name: &str) -> Result<QueueView, QueueError> {
        let depths = stats::depths(self.queue.schema(), conn).await?;
        let rows = said(self.queue.schema(), conn).await?;
        let views = self.views(&depths, rows, Some(name)).await;
        Ok(views.into_iter().next().unwrap_or_else(|| QueueView::new(name)))
    }

    /// What the ledger knows, with what the broker says while it answers.
    async fn views(&self, depths: &[Depth], rows: Vec<QueueRow>, only: Option<&str>) -> Vec<QueueView> {
        let asked = async { self.queue.workers().await.ok() };
        let workers = tokio::time::timeout(broker_sync::BROKER_TIMEOUT, asked).await.ok().flatten();

        let served = workers.iter().flatten().flat_map(|worker| worker.lines.iter().map(|line| line.queue.as_str()));
        let names: BTreeSet<&str> = depths
            .iter()
            .map(|depth| depth.queue.as_str())
            .chain(rows.iter().map(|row| row.name.as_str()))
            .chain(served)
            .chain(only)
            .filter(|name| only.is_none_or(|only| only == *name))
            .collect();
        let mut views: BTreeMap<String, QueueView> =
            names.into_iter().map(|name| (name.to_owned(), QueueView::new(name))).collect();
        for row in rows {
            if let Some(view) = views.get_mut(&row.name) {
                view.is_said(&row);
            }
        }
        for depth in depths {
            if let Some(view) = views.get_mut(&depth.queue) {
                view.counts(depth);
            }
        }
        let Some(workers) = workers else { return views.into_values().collect() };
        for (name, view) in &mut views {
            let lines = workers.iter().flat_map(|worker| &worker.lines);
            view.slots = lines.filter(|line| line.queue == *name).map(|line| line.concurrency).sum();
            let broker = self.queue.broker_queue(name);
            match tokio::time::timeout(broker_sync::BROKER_TIMEOUT, broker.load()).await {
                Ok(Ok(load)) => view.runs(&load),
                // The others are not waited for.
                Ok(Err(_)) | Err(_) => break,
            }
        }
        views.into_values().collect()
    }
}

async fn said(schema: Schema, conn: &mut PgConnection) -> Result<Vec<QueueRow>, QueueError> {
    Ok(sqlx::query_as(schema.sql("select * from gristmill.queues order by name")).fetch_all(conn).await?)
}
