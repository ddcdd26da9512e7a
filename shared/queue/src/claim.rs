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
    BrokerError, Codec, CodecError, Content, ContentKind, Context, JobId, PayloadError, Queue, QueueError, codec,
    ledger::{complete::FinishedJob, fail::Run, fence::Runnable},
    payload,
    steps::Steps,
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
    /// It is of no ledger's job.
    in_memory: bool,
}

#[derive(Debug, Clone)]
struct RunInfo {
    worker: Arc<str>,
    started: Instant,
    grouped: bool,
    nested: bool,
    resumes: bool,
    /// The former name that it was enqueued by, if it was.
    alias: Option<Arc<str>>,
}

/// What a run has said so far.
#[derive(Debug, Default)]
struct RunReport {
    completed: AtomicBool,
    fenced_off: AtomicBool,
    result: Mutex<Option<RunResult>>,
    done: AtomicU64,
    total: AtomicU64,
    progressed: AtomicBool,
    steps: Steps,
}

/// What a job came to, as JSON.
#[derive(Debug, Clone)]
struct RunResult {
    said: String,
    /// As it is kept, where that is not as it was said.
    encoded: Option<String>,
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
    /// The same of what it becomes.
    #[error("a result that has {0} bytes when it is encrypted is too large: at most {limit} are kept", limit = RESULT_LIMIT)]
    TooLargeEncrypted(usize),
    /// It does not serialize.
    #[error("the result does not serialize")]
    Encode(#[from] serde_json::Error),
    /// The queue's codec does not take it.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Postgres stores no such JSON.
    #[error("the result {0}")]
    Unstorable(#[from] PayloadError),
}

pub(crate) const RESULT_LIMIT: usize = 16 * 1024;

/// `json`, which is well-formed, can be kept as a result.
pub(crate) fn check_result(json: &str) -> Result<(), ResultError> {
    if json.len() > RESULT_LIMIT {
        return Err(ResultError::TooLarge(json.len()));
    }
    Ok(payload::storable(json.as_bytes())?)
}

/// The same as it is kept.
pub(crate) fn encode_result(
    codec: Option<&dyn Codec>,
    content: Content<'_>,
    json: String,
) -> Result<String, ResultError> {
    check_result(&json)?;
    if codec.is_none() {
        return Ok(json);
    }
    let encoded = codec::encode(codec, content, json)?;
    if encoded.len() > RESULT_LIMIT {
        return Err(ResultError::TooLargeEncrypted(encoded.len()));
    }
    check_result(&encoded)?;
    Ok(encoded)
}

impl Claim {
    /// A claim made by hand, for tests and tools: the ledger's fence works the same.
    #[must_use]
    pub fn new(id: JobId, delivery: u64) -> Self {
        Self { id, delivery, run: None, said: Arc::default(), in_memory: false }
    }

    /// A claim of a job that is in no ledger: an application's that runs jobs in memory.
    #[must_use]
    pub fn in_memory(id: JobId, delivery: u64) -> Self {
        Self { in_memory: true, ..Self::new(id, delivery) }
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// Of a run that begins now; without what the ledger says of the job, it is one that ends before its body runs.
    pub(crate) fn of_run(id: JobId, delivery: u64, worker: Arc<str>, job: Option<&Runnable>) -> Self {
        let alias = None;
        let is = |what: fn(&Runnable) -> bool| job.is_some_and(what);
        let (grouped, nested, resumes) = (is(|job| job.grouped), is(|job| job.nested), is(|job| job.resumes));
        let run = Some(RunInfo { worker, started: Instant::now(), grouped, nested, resumes, alias });
        Self { id, delivery, run, said: Arc::default(), in_memory: false }
    }

    /// The same of a job that was enqueued by this name, and is called `name` by now.
    pub(crate) fn enqueued_as(mut self, enqueued: &str, name: &str) -> Self {
        if let Some(run) = self.run.as_mut().filter(|_| enqueued != name) {
            run.alias = Some(enqueued.into());
        }
        self
    }

    /// Whether runs before this one may have recorded something.
    pub(crate) fn may_resume(&self) -> bool {
        self.run.as_ref().is_none_or(|run| run.resumes)
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.said.steps
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

    /// What [`Context::set_result`] was given last, as JSON.
    #[must_use]
    pub fn result(&self) -> Option<String> {
        self.last_result().map(|result| result.said)
    }

    fn last_result(&self) -> Option<RunResult> {
        self.said.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn worker(&self) -> Option<&str> {
        self.run.as_ref().map(|run| &*run.worker)
    }

    /// For the completion. Of a claim made by hand nobody knows whether it is in a group, and a nested one: it may be.
    pub(crate) fn finished(&self) -> FinishedJob {
        FinishedJob {
            id: self.id,
            started: self.run.as_ref().map(|run| run.started),
            result: self.last_result().map(|result| result.encoded.unwrap_or(result.said)),
            grouped: self.run.as_ref().is_none_or(|run| run.grouped),
            nested: self.run.as_ref().is_none_or(|run| run.nested),
        }
    }

    /// For the history.
    pub(crate) fn run(&self) -> Run {
        Run {
            delivery: self.delivery,
            worker: self.run.as_ref().map(|run| Arc::clone(&run.worker)),
            started: self.run.as_ref().map(|run| run.started),
            round: None,
        }
    }

    /// What was said since the last call.
    pub(crate) fn new_progress(&self) -> Option<Progress> {
        self.said.progressed.swap(false, Ordering::AcqRel).then(|| Progress {
            done: self.said.done.load(Ordering::Relaxed),
            total: self.said.total.load(Ordering::Relaxed),
        })
    }

    /// The broker did not take what was said last: [`Claim::new_progress`] gives it again.
    pub(crate) fn repeat_progress(&self) {
        self.said.progressed.store(true, Ordering::Release);
    }
}

impl Context {
    /// Keeps a small value with the job when it completes, as long as the job is kept. The last call counts.
    ///
    /// # Errors
    /// Returns an error if the result is larger than 16 KiB of JSON, or if Postgres cannot store it.
    pub fn set_result(&self, result: &impl Serialize) -> Result<(), ResultError> {
        let said = serde_json::to_string(result)?;
        check_result(&said)?;
        let encoded = match self.queue.config().codec() {
            Some(codec) => Some(encode_result(Some(codec), self.content(ContentKind::Result), said.clone())?),
            None => None,
        };
        let result = RunResult { said, encoded };
        *self.claim.said.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        Ok(())
    }

    /// Something of this job, which is encoded by the name that the ledger has.
    pub(crate) fn content(&self, kind: ContentKind) -> Content<'_> {
        let alias = self.claim.run.as_ref().and_then(|run| run.alias.as_deref());
        Content::new(alias.unwrap_or(&self.name), kind)
    }

    /// Says how far this job is. Costs nothing: what was said last is sent to the broker three times a second.
    pub fn progress(&self, done: u64, total: u64) {
        let said = &self.claim.said;
        said.done.store(done, Ordering::Relaxed);
        said.total.store(total, Ordering::Relaxed);
        said.progressed.store(true, Ordering::Release);
    }
}

impl Queue {
    /// What a running job last said by [`Context::progress`]; forgotten ten minutes after.
    ///
    /// # Errors
    /// Returns an error if the broker does not answer.
    pub async fn progress(&self, id: JobId) -> Result<Option<Progress>, QueueError> {
        Ok(self.broker().progress(id).await?)
    }

    pub(crate) async fn tell_progress(&self, said: &[(JobId, Progress)]) -> Result<(), BrokerError> {
        self.broker().publish_progress(said).await
    }
}
