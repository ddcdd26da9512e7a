//! Workers in other processes and languages, for whoever lets them in (by HTTP: `gristmill-http`).
//!
//! A remote worker claims jobs with [`Remote::claim`], a long poll, and says with [`Remote::report`] what it still holds, what
//! it has done, and what failed. It is a worker like any other: the same leases, fences, limits, strikes and roster. Nothing
//! that a job's outcome depends on is kept here, so a worker may talk to another process at each call, and each may restart.
//!
//! A delivery is known by the job's id and a number. The number is never used for two deliveries of a job; it means nothing
//! else to a worker. Whoever has lost the delivery is told so, and what it says of it changes nothing.

mod claim;
mod keeper;
mod lookup;
mod report;
mod resume;
mod sessions;
mod ticket;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::value::RawValue;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Backoff, ClientId, JobId, LogLine, Progress, Queue, QueueError, TickView, broker::LeaseThread, run::known::Roster,
};
use keeper::Line;
pub use resume::{Received, RemoteSleep, RemoteStep, RemoteWait, Resume};
use sessions::Sessions;
pub use ticket::Ticket;

/// The most that one call claims.
pub const MAX_CLAIM: usize = 500;
/// The longest wait of a call for a job.
pub const MAX_WAIT: Duration = Duration::from_secs(60);
/// How often the namespace in Redis is held: each time for a minute.
const HOLD_INTERVAL: Duration = Duration::from_secs(20);
/// The shortest lease: a worker that reports three times in it may lose two reports on the way.
const MIN_LEASE: Duration = Duration::from_secs(6);

/// Serves remote workers. Cheap to clone; clones share what they know of the workers. One for each [`Queue`] of a process.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

pub(crate) struct Inner {
    queue: Queue,
    lease: Duration,
    sessions: Sessions,
    lines: Mutex<HashMap<String, Arc<Line>>>,
    roster: Roster,
    /// When the broker's namespace was last held for this ledger.
    namespace_held: Mutex<Option<Instant>>,
    /// Wakes those that wait for jobs; started by the first that does.
    thread: Mutex<Option<Arc<LeaseThread>>>,
    stop: CancellationToken,
    _stop: DropGuard,
}

/// Who a remote worker says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteWorker {
    /// Its name for people, and what its calls are known by: each process needs its own.
    pub name: String,
    /// What it is written in.
    pub language: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The host that it runs on.
    pub host: Option<String>,
    /// The id of its process there.
    pub pid: Option<u32>,
}

/// What a remote worker wants.
#[derive(Debug, Clone)]
pub struct RemoteClaim {
    /// Who it is.
    pub worker: RemoteWorker,
    /// Its queues, and how many more jobs of each it has room for; [`MAX_CLAIM`] in all are given at most.
    pub queues: BTreeMap<String, usize>,
    /// The jobs that it can run. It is given no others.
    pub names: Vec<String>,
    /// How long to wait for a job where none is there, [`MAX_WAIT`] at most.
    pub wait: Duration,
}

/// What a remote worker is given.
#[derive(Debug)]
#[non_exhaustive]
pub struct RemoteJobs {
    /// None: none came in the time.
    pub deliveries: Vec<RemoteDelivery>,
    /// How long it has them without a report.
    pub lease: Duration,
    /// It is to take no more jobs and to finish those that it has. It is given none.
    pub drain: bool,
}

/// A job that a remote worker is to run.
#[derive(Debug)]
#[non_exhaustive]
pub struct RemoteDelivery {
    /// What it is reported by.
    pub ticket: Ticket,
    /// The queue it came from.
    pub queue: String,
    /// What it does.
    pub name: String,
    /// The shape of its payload.
    pub version: u16,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The number of the last attempt.
    pub max_attempts: u32,
    /// What it is given.
    pub payload: Box<RawValue>,
    /// The client that it was enqueued for.
    pub client_id: Option<ClientId>,
    /// The W3C trace that it is part of.
    pub trace_parent: Option<String>,
    /// How long an attempt may take, where its producer said so: the worker ends it then, and reports that it has failed. Of one
    /// that does not, the attempt has failed some seconds later all the same.
    pub timeout: Option<Duration>,
    /// What runs before this one have recorded.
    pub resume: Resume,
    /// How long it waits between attempts, where its producer said so: the worker has none of its own for it then.
    pub backoff: Option<Backoff>,
    /// The schedule that enqueued it, and its tick.
    pub tick: Option<(String, TickView)>,
}

/// What a remote worker has to say. Send one at least three times within a lease as long as it holds a job.
#[derive(Debug, Clone, Default)]
pub struct RemoteReport {
    /// Who it is.
    pub worker: RemoteWorker,
    /// What it goes on with: their leases begin anew.
    pub held: Vec<Ticket>,
    /// What it has done, with the result as JSON.
    pub done: Vec<(Ticket, Option<String>)>,
    /// What has failed.
    pub failed: Vec<RemoteFailure>,
    /// What is to come again after this long; not an attempt.
    pub snoozed: Vec<(Ticket, Duration)>,
    /// What it has not begun, or gives up to be done by another worker from the start; not an attempt.
    pub released: Vec<Ticket>,
    /// How far it is with what it holds.
    pub progress: Vec<(Ticket, Progress)>,
    /// What it says of what it holds or ends by this report, in its order. A line that is sent again with the same time is kept once.
    pub logs: Vec<(Ticket, LogLine)>,
    /// Steps that are done of what it holds or ends by this report: recorded before anything else of it.
    pub steps: Vec<RemoteStep>,
    /// How far it is, as JSON: the next run of the job goes on there.
    pub cursors: Vec<(Ticket, String)>,
    /// What sleeps, without a worker; not an attempt.
    pub sleeping: Vec<RemoteSleep>,
    /// What waits for a signal, without a worker; not an attempt.
    pub waiting: Vec<RemoteWait>,
    /// It ends: the roster need not wait for its silence.
    pub leaving: bool,
}

/// A failed attempt of a remote worker.
#[derive(Debug, Clone)]
pub struct RemoteFailure {
    /// Of which delivery.
    pub ticket: Ticket,
    /// Why, for people.
    pub error: String,
    /// Until the next attempt, in place of the backoff.
    pub retry_in: Option<Duration>,
    /// There is no use in another attempt: the job is dead at once.
    pub discard: bool,
    /// It stopped because it was told to cancel it.
    pub cancelled: bool,
}

/// The answer to a report.
#[derive(Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteOrders {
    /// Not this worker's any more: what it said of them changed nothing. Stop them.
    pub lost: Vec<JobId>,
    /// Nobody wants these any more: stop them, and report them as failed and cancelled. In five seconds they are lost.
    pub cancel: Vec<JobId>,
    /// Done, but with a result that cannot be kept: the attempt has failed, for this reason. Or a step or a cursor that cannot be
    /// kept: it was not.
    pub refused: Vec<(JobId, String)>,
    /// It is to take no more jobs and to finish those that it has.
    pub drain: bool,
}

impl Remote {
    /// Serves the workers of this queue.
    #[must_use]
    pub fn new(queue: &Queue) -> Self {
        let stop = CancellationToken::new();
        Self(Arc::new(Inner {
            queue: queue.clone(),
            lease: queue.config().lease.max(MIN_LEASE),
            sessions: Sessions::default(),
            lines: Mutex::default(),
            roster: Roster::default(),
            namespace_held: Mutex::default(),
            thread: Mutex::default(),
            _stop: stop.clone().drop_guard(),
            stop,
        }))
    }

    /// How long a worker has its jobs without a report.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.0.lease
    }

    /// Gives a worker as many jobs as it has room for; where there are none, it waits for the first ones.
    ///
    /// # Errors
    /// Returns an error if the broker or Postgres did not answer until the end of the wait, and
    /// [`QueueError::NamespaceTaken`] if another ledger uses the broker's namespace.
    pub async fn claim(&self, wanted: RemoteClaim) -> Result<RemoteJobs, QueueError> {
        self.0.hold_namespace().await?;
        self.0.claim(wanted).await
    }

    /// Takes a worker's report: renews, completes, fails, snoozes, and says what has become of what it holds. A report may be
    /// sent again: what it has done already it does not do twice.
    ///
    /// # Errors
    /// Returns an error if the broker or Postgres does not answer: send the report again. And
    /// [`QueueError::NamespaceTaken`] if another ledger uses the broker's namespace.
    pub async fn report(&self, report: RemoteReport) -> Result<RemoteOrders, QueueError> {
        self.0.hold_namespace().await?;
        self.0.report(report).await
    }
}

impl Inner {
    /// Of another ledger's jobs this one would say that they are not to be done.
    async fn hold_namespace(&self) -> Result<(), QueueError> {
        if lock(&self.namespace_held).is_some_and(|at| at.elapsed() < HOLD_INTERVAL) {
            return Ok(());
        }
        self.queue.hold_namespace().await?;
        *lock(&self.namespace_held) = Some(Instant::now());
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
