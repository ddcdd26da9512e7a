//! The right to finish one delivery of a job, and what its run says of itself meanwhile.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use serde::Serialize;

use crate::{
    Context, JobId, PayloadError, Queue, QueueError,
    ledger::{complete::FinishedJob, fail::Run},
    payload,
    redis::{publish_progress, versioned},
};

/// The right to finish one delivery of a job.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job.
    pub id: JobId,
    /// Which delivery this is, from 1.
    pub delivery: u64,
    run: Option<RunInfo>,
    said: Arc<RunReport>,
}

#[derive(Debug, Clone)]
struct RunInfo {
    worker: Arc<str>,
    started: Instant,
    nested: bool,
}

/// What a run has said so far.
#[derive(Debug, Default)]
struct RunReport {
    completed: AtomicBool,
    fenced_off: AtomicBool,
    result: Mutex<Option<String>>,
    done: AtomicU64,
    total: AtomicU64,
    progressed: AtomicBool,
}

/// How far a job is, in units of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units there are.
    pub total: u64,
}

/// Why a result cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// A result is no place for content.
    #[error("a result of {0} bytes is too large: at most {limit} are kept", limit = RESULT_LIMIT)]
    TooLarge(usize),
    /// It does not serialize.
    #[error("the result does not serialize")]
    Encode(#[from] serde_json::Error),
    /// Postgres stores no such JSON.
    #[error("the result {0}")]
    Unstorable(#[from] PayloadError),
}

const RESULT_LIMIT: usize = 16 * 1024;

impl Claim {
    /// A claim made by hand, for tests and tools: the ledger's fence works the same.
    #[must_use]
    pub fn new(id: JobId, delivery: u64) -> Self {
        Self { id, delivery, run: None, said: Arc::default() }
    }

    /// Of a run that begins now.
    pub(crate) fn of_run(id: JobId, delivery: u64, worker: Arc<str>, nested: bool) -> Self {
        let run = Some(RunInfo { worker, started: Instant::now(), nested });
        Self { id, delivery, run, said: Arc::default() }
    }

    pub(crate) fn is_completed(&self) -> bool {
        self.said.completed.load(Ordering::Acquire)
    }

    pub(crate) fn set_completed(&self) {
        self.said.completed.store(true, Ordering::Release);
    }

    /// The ledger said last that the job is not this run's to finish: no verdict of it counts.
    pub(crate) fn is_fenced_off(&self) -> bool {
        self.said.fenced_off.load(Ordering::Acquire)
    }

    pub(crate) fn set_fenced_off(&self, fenced_off: bool) {
        self.said.fenced_off.store(fenced_off, Ordering::Release);
    }

    pub(crate) fn worker(&self) -> Option<&str> {
        self.run.as_ref().map(|run| &*run.worker)
    }

    /// For the completion. Of a claim made by hand nobody knows whether its group is nested: it may be.
    pub(crate) fn finished(&self) -> FinishedJob {
        FinishedJob {
            id: self.id,
            started: self.run.as_ref().map(|run| run.started),
            result: self.said.result.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            nested: self.run.as_ref().is_none_or(|run| run.nested),
        }
    }

    /// For the history.
    pub(crate) fn run(&self) -> Run {
        Run {
            delivery: self.delivery,
            worker: self.run.as_ref().map(|run| Arc::clone(&run.worker)),
            started: self.run.as_ref().map(|run| run.started),
            attempt: None,
        }
    }

    /// What was said since the last call.
    pub(crate) fn new_progress(&self) -> Option<Progress> {
        self.said.progressed.swap(false, Ordering::AcqRel).then(|| Progress {
            done: self.said.done.load(Ordering::Relaxed),
            total: self.said.total.load(Ordering::Relaxed),
        })
    }
}

impl Context {
    /// Keeps a small value with the job when it completes, as long as the job is kept. The last call counts.
    ///
    /// # Errors
    /// Returns an error if the result is larger than 16 KiB of JSON, or if Postgres cannot store it.
    pub fn set_result(&self, result: &impl Serialize) -> Result<(), ResultError> {
        let json = serde_json::to_string(result)?;
        if json.len() > RESULT_LIMIT {
            return Err(ResultError::TooLarge(json.len()));
        }
        payload::storable(json.as_bytes())?;
        *self.claim.said.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(json);
        Ok(())
    }

    /// Says how far this job is. Costs nothing: what was said last is sent to the broker three times a second.
    pub fn progress(&self, done: u64, total: u64) {
        let said = &self.claim.said;
        said.done.store(done, Ordering::Relaxed);
        said.total.store(total, Ordering::Relaxed);
        said.progressed.store(true, Ordering::Release);
    }
}

/// A job that says nothing new is still heard of for so long.
const PROGRESS_SECONDS: u64 = 600;

impl Queue {
    fn progress_key(&self, id: JobId) -> String {
        format!("{{{}}}:progress:{id}", versioned(&self.config().namespace))
    }

    /// What a running job last said by [`Context::progress`]; forgotten ten minutes after.
    ///
    /// # Errors
    /// Returns an error if Redis does not answer.
    pub async fn progress(&self, id: JobId) -> Result<Option<Progress>, QueueError> {
        let said: Option<String> = ::redis::cmd("GET")
            .arg(self.progress_key(id))
            .query_async(&mut self.conn())
            .await
            .map_err(QueueError::BrokerUnavailable)?;
        Ok(said.and_then(|said| serde_json::from_str(&said).ok()))
    }

    pub(crate) async fn tell_progress(&self, said: &[(JobId, Progress)]) -> ::redis::RedisResult<()> {
        let texts = said.iter().map(|(id, progress)| {
            let json = format!("{{\"done\":{},\"total\":{}}}", progress.done, progress.total);
            (self.progress_key(*id), json)
        });
        publish_progress(&mut self.conn(), PROGRESS_SECONDS, texts).await
    }
}
