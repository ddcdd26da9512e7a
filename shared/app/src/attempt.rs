//! One attempt of a job, as layers see it.

use std::{
    any::Any,
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use apalis_core::task::{Task, builder::TaskBuilder, extensions::Extensions, task_id::TaskId};
use gristmill_queue::{Context, Job, JobError, Source};
use tower::util::BoxCloneSyncService;

use crate::{Client, tx::TxSlot};

/// The request of a layer: one attempt of one job. It is a task of apalis, so that its layers and extractors work on it:
/// id, number of the attempt and of the last one, and a map by type with the [`Context`] and what the application was
/// given by [`App::data`](crate::App::data).
pub type Attempt = Task<Payload>;

/// What layers wrap: a service of [`Attempt`]s that answers with nothing (a job's result goes into the ledger) or with a boxed
/// error, in which a [`JobError`] is a [`JobFailure`](gristmill_queue::JobFailure).
pub type AttemptService = BoxCloneSyncService<Attempt, (), Source>;

/// The job of an [`Attempt`], which its handler takes out. Clones are of the same job, so that a layer can try it again.
#[derive(Clone)]
pub struct Payload(Arc<Mutex<Held>>);

enum Held {
    Job(Box<dyn Any + Send>),
    Json(String),
    Taken,
}

impl Payload {
    fn new<J: Job>(job: J) -> Self {
        Self(Arc::new(Mutex::new(Held::Job(Box::new(job)))))
    }

    /// The job, for its handler. Only where a layer holds a clone, a copy stays for the next call.
    pub(crate) fn take<J: Job>(&self) -> Result<J, JobError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *held, Held::Taken) {
            Held::Job(job) => {
                let job = job.downcast::<J>().map_err(|_| JobError::discard("the handler is of another job"))?;
                if Arc::strong_count(&self.0) > 1 {
                    *held = Held::Json(serde_json::to_string(&*job)?);
                }
                Ok(*job)
            }
            Held::Json(json) => {
                let job = serde_json::from_str(&json)?;
                *held = Held::Json(json);
                Ok(job)
            }
            Held::Taken => Err(JobError::retry(
                "the job was handed to its handler before: a layer that calls it again has to clone the attempt first",
            )),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").finish_non_exhaustive()
    }
}

/// What an attempt has with it, in its map.
pub(crate) struct Run {
    pub(crate) context: Context,
    pub(crate) client: Client,
    pub(crate) tx: TxSlot,
    /// Its handler is the one for lost workers.
    pub(crate) lost: bool,
}

/// The attempt that begins with this context.
pub(crate) fn new<J: Job>(context: Context, job: J, client: Client, lost: bool, data: &Extensions) -> Attempt {
    let run = Arc::new(Run { context: context.clone(), client, tx: TxSlot::default(), lost });
    TaskBuilder::new(Payload::new(job))
        .with_data(data.clone())
        .task_id(TaskId::from_string(context.claim.id.to_string()))
        .attempt(context.attempt as usize)
        .max_attempts(context.max_attempts as usize)
        .data(context)
        .data(run)
        .build()
}

/// What was put in by [`new`], unless a layer has made an attempt of its own.
pub(crate) fn run_of(attempt: &Attempt) -> Result<&Arc<Run>, JobError> {
    attempt.data().get::<Arc<Run>>().ok_or_else(|| {
        JobError::discard("a layer made an attempt of its own: pass on the one that it was given, or a clone of it")
    })
}
