//! Changing a job that waits, or one that ended badly before it runs again.

use std::time::Duration;

use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;

use super::Jobs;
use crate::ledger::{flows::held_until, redrive, timeout_millis};
use crate::{Enqueued, JobDetail, JobId, JobState, PayloadError, QueueError, codec, payload};

/// What a job is to be from now on; what is not named stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobChange {
    /// What it is given. A worker must be able to read it as the job's payload.
    pub payload: Option<serde_json::Value>,
    /// The queue it waits in.
    pub queue: Option<String>,
    /// 0 is the most urgent, 9 the least.
    pub priority: Option<u8>,
    /// Failed attempts until it is dead, those it has had among them.
    pub max_attempts: Option<u16>,
    /// Not before this time. A time that has passed promotes it: it runs now, by Postgres' clock.
    pub run_at: Option<jiff::Timestamp>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Words to find it by, in place of those it has.
    pub tags: Option<Vec<String>>,
}

/// Why a job cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is none of this id.
    #[error("there is no job {0}")]
    NotFound(JobId),
    /// It is being run, or may be in a moment; or it is done.
    #[error("job {id} is {state}: only a job that is scheduled, dead, parked or cancelled can be changed")]
    State {
        /// The job.
        id: JobId,
        /// What it is.
        state: JobState,
    },
    /// It does not wait for its time.
    #[error(
        "job {id} is {state}: only one that is scheduled can be promoted, and one that is dead, parked or cancelled can be retried"
    )]
    NotScheduled {
        /// The job.
        id: JobId,
        /// What it is.
        state: JobState,
    },
    /// It has not ended badly.
    #[error("job {id} is {state}: only one that is dead, parked or cancelled can be retried")]
    NotEnded {
        /// The job.
        id: JobId,
        /// What it is.
        state: JobState,
    },
    /// It is of a stage that waits for others.
    #[error("job {0} waits for the stages before its own, and has no time until these have ended")]
    Held(JobId),
    /// It has ended badly, and cannot run again now.
    #[error("job {0} cannot run again: another job has its unique key, or its group is stopping")]
    NotAgain(JobId),
    /// A new payload would be kept as it is, in the place of one that is encrypted.
    #[error(
        "the payload of job {id} is encrypted with key `{key}`, and this process has no keys to encrypt a new one: set GRISTMILL_PAYLOAD_KEYS for it"
    )]
    Encrypted {
        /// The job.
        id: JobId,
        /// The id of the key.
        key: String,
    },
    /// A value that no job has.
    #[error("the {field} {problem}")]
    Value {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A payload that the ledger cannot hold.
    #[error("the payload {0}")]
    Payload(#[from] PayloadError),
    /// The ledger failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl From<sqlx::Error> for ChangeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Queue(error.into())
    }
}

impl JobChange {
    /// Runs it now, whenever it was to run. One that has ended is not brought back by it.
    #[must_use]
    pub fn promote() -> Self {
        Self { run_at: Some(jiff::Timestamp::UNIX_EPOCH), ..Self::default() }
    }

    fn check(&self, payload_limit: usize) -> Result<Option<String>, ChangeError> {
        let wrong = |field, problem| Err(ChangeError::Value { field, problem });
        if self.queue.as_ref().is_some_and(|queue| queue.is_empty() || queue.contains('\0')) {
            return wrong("queue", "is empty, or has a NUL character in it");
        }
        if self.priority.is_some_and(|priority| priority > 9) {
            return wrong("priority", "is more than 9");
        }
        if self.max_attempts == Some(0) {
            return wrong("number of attempts", "is zero");
        }
        if self.timeout == Some(Duration::ZERO) {
            return wrong("timeout", "is zero");
        }
        if self.tags.iter().flatten().any(|tag| tag.contains('\0')) {
            return wrong("tag", "has a NUL character in it");
        }
        let Some(payload) = &self.payload else { return Ok(None) };
        let json = payload.to_string();
        if json.len() > payload_limit {
            return Err(PayloadError::TooLarge { bytes: json.len(), limit: payload_limit }.into());
        }
        payload::storable(json.as_bytes())?;
        Ok(Some(json))
    }
}

impl Jobs {
    /// Changes a job that is scheduled (for later, or for its next attempt), dead, parked or cancelled. One that has ended
    /// runs again only by a redrive: [`Jobs::retry_with`] does both.
    ///
    /// # Errors
    /// Returns an error if there is no such job, it is in another state, or a value is impossible.
    pub async fn change(&self, id: JobId, change: &JobChange) -> Result<JobDetail, ChangeError> {
        let mut tx = self.queue.pool().begin().await?;
        self.change_in(&mut tx, id, change).await?;
        tx.commit().await?;
        self.get(id).await?.ok_or(ChangeError::NotFound(id))
    }

    /// Changes a job that has ended badly, and runs it again with all its attempts before it, in one transaction.
    ///
    /// # Errors
    /// Returns the errors of [`Jobs::change`], and [`ChangeError::NotAgain`].
    pub async fn retry_with(&self, id: JobId, change: &JobChange) -> Result<JobDetail, ChangeError> {
        let mut tx = self.queue.pool().begin().await?;
        let jobs = self.retry_in(&mut tx, id, change).await?;
        tx.commit().await?;
        self.queue.push(jobs).await;
        self.get(id).await?.ok_or(ChangeError::NotFound(id))
    }

    /// The same in the caller's transaction: push the answer after the commit.
    ///
    /// # Errors
    /// Returns the errors of [`Jobs::retry_with`]. Then the transaction is to be rolled back.
    pub async fn retry_in(
        &self,
        conn: &mut PgConnection,
        id: JobId,
        change: &JobChange,
    ) -> Result<Enqueued, ChangeError> {
        match self.apply(conn, id, change).await {
            Ok(state @ JobState::Scheduled) | Err(ChangeError::State { state, .. }) => {
                return Err(ChangeError::NotEnded { id, state });
            }
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        let jobs = redrive::redrive(self.queue.schema(), conn, &[id]).await?;
        if !jobs.ids().contains(&id) {
            return Err(ChangeError::NotAgain(id));
        }
        sqlx::query(self.queue.schema().sql("update gristmill.jobs set redriven = redriven + 1 where id = any($1)"))
            .bind(jobs.ids())
            .execute(conn)
            .await?;
        Ok(jobs)
    }

    /// As [`Jobs::change`], in the caller's transaction.
    ///
    /// # Errors
    /// Returns the errors of [`Jobs::change`].
    pub async fn change_in(&self, conn: &mut PgConnection, id: JobId, change: &JobChange) -> Result<(), ChangeError> {
        self.apply(conn, id, change).await.map(|_| ())
    }

    /// Runs a job now that is scheduled for later, or for its next attempt, in the caller's transaction.
    ///
    /// # Errors
    /// Returns an error if there is no such job, or it is not scheduled. Then the transaction is to be rolled back.
    pub async fn promote_in(&self, conn: &mut PgConnection, id: JobId) -> Result<(), ChangeError> {
        match self.apply(conn, id, &JobChange::promote()).await {
            Ok(JobState::Scheduled) => Ok(()),
            Ok(state) | Err(ChangeError::State { state, .. }) => Err(ChangeError::NotScheduled { id, state }),
            Err(error) => Err(error),
        }
    }

    /// Returns the state that it is in.
    async fn apply(&self, conn: &mut PgConnection, id: JobId, change: &JobChange) -> Result<JobState, ChangeError> {
        let intake = self.queue.config().intake();
        let payload = change.check(intake.limit)?;
        let found: Option<(String, JobState, Option<String>, bool)> = sqlx::query_as(self.queue.schema().sql(concat!(
            "select name, state, payload->'$encrypted'->>'key', state = 'scheduled' and coalesce(due_at, run_at) >= ",
            held_until!(),
            " from gristmill.jobs where id = $1 for update"
        )))
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
        let (name, state, key, held) = found.ok_or(ChangeError::NotFound(id))?;
        if !matches!(state, JobState::Scheduled | JobState::Dead | JobState::Parked | JobState::Cancelled) {
            return Err(ChangeError::State { id, state });
        }
        if held && change.run_at.is_some() {
            return Err(ChangeError::Held(id));
        }
        if let (Some(json), Some(key), None) = (&payload, key, intake.codec)
            && codec::key_of(json).is_none()
        {
            return Err(ChangeError::Encrypted { id, key });
        }
        let payload = payload.map(|json| intake.encode(&name, json)).transpose().map_err(|error| match error {
            QueueError::Payload { problem, .. } => ChangeError::Payload(problem),
            error => error.into(),
        })?;
        // With the commit the sweep hears of one that is due now.
        sqlx::query(self.queue.schema().sql(
            "update gristmill.jobs set payload = coalesce($2::jsonb, payload), queue = coalesce($3, queue),
                priority = coalesce($4, priority), max_attempts = coalesce($5, max_attempts),
                run_at = case when $6::timestamptz is null or due_at is not null then run_at else greatest($6, now()) end,
                due_at = case when due_at is not null then coalesce($6, due_at) end,
                timeout_ms = coalesce($7, timeout_ms), tags = case when $8::text[] is null then tags else nullif($8, '{}') end
             where id = $1",
        ))
        .bind(id)
        .bind(payload)
        .bind(&change.queue)
        .bind(change.priority.map(i16::from))
        .bind(change.max_attempts.map(i32::from))
        .bind(change.run_at.map(jiff::Timestamp::to_sqlx))
        .bind(change.timeout.map(timeout_millis))
        .bind(&change.tags)
        .execute(&mut *conn)
        .await?;
        sqlx::query("select pg_notify($1, 'jobs')").bind(self.queue.schema().name()).execute(conn).await?;
        Ok(state)
    }
}
