//! The handle by which jobs are enqueued and waited for.

use std::{fmt, sync::Arc, time::Duration};

use gristmill_queue::{Flow, Job, JobId, JobState, Queue};
use serde::de::DeserializeOwned;

#[cfg(feature = "testing")]
use crate::inline::Inline;
use crate::{
    Error, Transaction, WaitError,
    enqueue::{Enqueue, Many, One},
    extract::Tick,
    flow::EnqueueFlow,
    hook::Hooks,
};

/// Enqueues jobs and waits for them. Cheap to clone: keep one in the state of a web application. A running application gives
/// it ([`Running`](crate::Running)), one that only enqueues has it from [`App::connect`](crate::App::connect), and a handler takes it as an
/// argument.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    mode: Mode,
    hooks: Hooks,
}

pub(crate) enum Mode {
    /// With Postgres and a broker.
    Engines(Queue),
    /// In this process' memory.
    #[cfg(feature = "testing")]
    Inline(Inline),
}

impl Client {
    pub(crate) fn new(mode: Mode, hooks: Hooks) -> Self {
        Self(Arc::new(Inner { mode, hooks }))
    }

    pub(crate) fn mode(&self) -> &Mode {
        &self.0.mode
    }

    pub(crate) fn hooks(&self) -> &Hooks {
        &self.0.hooks
    }

    /// The queue, or an error that says what is not there.
    #[cfg_attr(not(feature = "testing"), expect(unused_variables, reason = "only an App without engines needs it"))]
    pub(crate) fn engines(&self, what: &'static str) -> Result<&Queue, Error> {
        match &self.0.mode {
            Mode::Engines(queue) => Ok(queue),
            #[cfg(feature = "testing")]
            Mode::Inline(_) => Err(Error::Inline(what)),
        }
    }

    /// What a job without engines knows of its schedule: `None` where there are engines.
    #[cfg_attr(not(feature = "testing"), expect(unused_variables, reason = "only an App without engines needs it"))]
    pub(crate) fn inline_tick(&self, id: JobId) -> Option<Option<Tick>> {
        match &self.0.mode {
            Mode::Engines(_) => None,
            #[cfg(feature = "testing")]
            Mode::Inline(inline) => Some(inline.tick_of(id)),
        }
    }

    /// Enqueues a job: `client.enqueue(Greet { name }).delay(Duration::from_secs(60)).await?`. With the answer it is in the
    /// ledger; in a transaction of the caller's (`.in_(&mut tx)`) with its commit.
    pub fn enqueue<'a, J: Job>(&self, job: J) -> Enqueue<'a, One<J>> {
        Enqueue::new(self.clone(), One(job))
    }

    /// Enqueues any number of jobs of one kind by one statement. Every option counts for each of them.
    pub fn enqueue_all<'a, J: Job>(&self, jobs: impl IntoIterator<Item = J>) -> Enqueue<'a, Many<J>> {
        Enqueue::new(self.clone(), Many(jobs.into_iter().collect()))
    }

    /// Enqueues a flow: stages of jobs that wait for each other. What is enqueued is all of it, or nothing.
    ///
    /// ```no_run
    /// # use gristmill::{Flow, NewJob, Stage, prelude::*};
    /// # #[derive(Serialize, Deserialize, Job)] struct Fetch { url: String }
    /// # #[derive(Serialize, Deserialize, Job)] struct Load { part: u32 }
    /// # async fn import(client: &Client) -> gristmill::Result {
    /// let parts = (0..10).map(|part| NewJob::from_job(&Load { part })).collect::<Result<Vec<_>, _>>()?;
    /// let flow = Flow::new()
    ///     .stage(Stage::new("fetch").job(NewJob::from_job(&Fetch { url: "https://example.com".into() })?))
    ///     .stage(Stage::new("load").after(["fetch"]).jobs(parts));
    /// client.enqueue_flow(flow).await?;
    /// # Ok(()) }
    /// ```
    pub fn enqueue_flow<'a>(&self, flow: Flow) -> EnqueueFlow<'a> {
        EnqueueFlow::new(self.clone(), flow)
    }

    /// Begins a transaction on the application's pool that pushes, after its commit, the jobs that were enqueued in it.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable, or there is none.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        Transaction::begin(self).await
    }

    /// Waits until a job has ended, and returns its result: what its handler returned. `()` takes any.
    ///
    /// # Errors
    /// Returns [`WaitError::Timeout`] if it has not ended by then, [`WaitError::Failed`] if it is dead, cancelled or parked, and
    /// [`WaitError::Result`] if its result is of another type.
    pub async fn wait<T: DeserializeOwned + 'static>(&self, id: JobId, timeout: Duration) -> Result<T, WaitError> {
        let ended = tokio::time::timeout(timeout, self.ended(id)).await;
        let (state, result, error) = ended.map_err(|_| WaitError::Timeout { id, waited: timeout })??;
        if state != JobState::Completed {
            let error = error.unwrap_or_else(|| "there is no error with it".to_owned());
            return Err(WaitError::Failed { id, state, error });
        }
        let any = std::any::TypeId::of::<T>() == std::any::TypeId::of::<()>();
        let result = if any { serde_json::Value::Null } else { result.unwrap_or_default() };
        serde_json::from_value(result).map_err(|source| WaitError::Result { id, source })
    }

    /// Looks again and again, less and less often.
    async fn ended(&self, id: JobId) -> Result<Ended, WaitError> {
        let mut pause = FIRST_LOOK;
        loop {
            let found = match &self.0.mode {
                Mode::Engines(queue) => {
                    let found = queue.jobs().outcome(id).await?;
                    found.map(|outcome| (outcome.state, outcome.result, outcome.error))
                }
                #[cfg(feature = "testing")]
                Mode::Inline(inline) => inline.outcome(id),
            };
            let (state, result, error) = found.ok_or(WaitError::Gone(id))?;
            if !matches!(state, JobState::Available | JobState::Scheduled) {
                return Ok((state, result, error));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    /// The queue itself, for what this handle does not do: groups, limits, schedules, lists of jobs.
    ///
    /// # Errors
    /// Returns [`Error::Inline`] where there is none.
    pub fn queue(&self) -> Result<&Queue, Error> {
        self.engines("the queue")
    }
}

/// State, result, last error.
pub(crate) type Ended = (JobState, Option<serde_json::Value>, Option<String>);

const FIRST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(250);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
