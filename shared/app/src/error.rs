//! What can go wrong with an application.

use std::{fmt, time::Duration};

use gristmill_queue::{JobId, JobState, LimitsError, QueueError, ScheduleError, WorkerError};

/// What `main` returns: `async fn main() -> gristmill::Result`.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why an application does not start, or what it cannot do. Its `Debug` is written for people, as `main` prints it: the
/// whole chain of causes, and what to do.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot be read.
    #[error("{name}={value} cannot be used: {problem}")]
    Setting {
        /// Its variable.
        name: &'static str,
        /// What it is.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No database.
    #[error("no database was given: set DATABASE_URL, such as postgres://user:password@host/database")]
    NoDatabase,
    /// A Redis that answers and cannot be used, or a URL that no queue can connect to.
    #[error("the broker of REDIS_URL cannot be used; {advice}", advice = .0.advice())]
    Redis(#[from] gristmill_queue::redis::fitness::Refused),
    /// The database cannot be reached.
    #[error("Postgres cannot be reached: start it, or correct DATABASE_URL")]
    Database(#[source] sqlx::Error),
    /// A statement failed.
    #[error("Postgres failed")]
    Statement(#[from] sqlx::Error),
    /// The queue's tables could not be brought up to date.
    #[error("the queue's tables could not be brought up to date")]
    Migrate(#[from] gristmill_queue::MigrateError),
    /// The queue's tables are not there, or are those of another version.
    #[error(
        "{0} migrations of the queue have not run: start the App without `.migrate(false)`, or run `gristmill migrate`"
    )]
    Pending(usize),
    /// A handler takes what the application was not given.
    #[error(
        "the handler of job `{job}` takes `Data<{data}>`, and the App has none of that type: write `.data(…)` with a `{data}` \
         before the App starts"
    )]
    MissingData {
        /// The job.
        job: &'static str,
        /// The type.
        data: &'static str,
    },
    /// Two handlers for one job.
    #[error("job `{0}` has two handlers: register one, or give one of the jobs another NAME")]
    Twice(&'static str),
    /// A codec beside the queue's.
    #[error(
        "the App is on a queue of the program's own, which encodes by its own codec: give it this one by `QueueConfig::codec`, and \
         leave `App::codec` out"
    )]
    CodecOfQueue,
    /// An application that is to do nothing.
    #[error("{0}")]
    Nothing(&'static str),
    /// A schedule.
    #[error("the schedule `{name}` cannot be made")]
    Schedule {
        /// Its name.
        name: String,
        /// Why.
        source: ScheduleError,
    },
    /// The limits of a queue.
    #[error("the queue `{queue}` cannot be held to its limits")]
    Limits {
        /// Its name.
        queue: String,
        /// Why.
        source: LimitsError,
    },
    /// The limits of a job.
    #[error("jobs `{job}` cannot be held to their limits")]
    JobLimits {
        /// Its name.
        job: &'static str,
        /// Why.
        source: LimitsError,
    },
    /// A pool of slots.
    #[error("the pool of slots `{pool}` cannot be made")]
    Pool {
        /// Its name.
        pool: String,
        /// Why.
        source: LimitsError,
    },
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A flow that is none.
    #[error(transparent)]
    Flow(#[from] gristmill_queue::FlowError),
    /// The worker.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// Logs and metrics.
    #[error(transparent)]
    Telemetry(#[from] gristmill_telemetry::TelemetryError),
    /// The port that answers for the process' health.
    #[error(transparent)]
    Monitor(#[from] gristmill_service::ServeError),
    /// A port, a signal, a thread.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A part of the application ended by itself.
    #[error("the {0} ended: that is a fault of this library; please report it with the log")]
    Ended(&'static str),
    /// What is only there with engines.
    #[error(
        "{0} needs Postgres and Redis, and this is an App without engines: use `App::test` in place of `App::inline`"
    )]
    Inline(&'static str),
    /// The dashboard.
    #[cfg(feature = "board")]
    #[error(transparent)]
    Board(#[from] gristmill_board::BoardError),
    /// Private engines.
    #[cfg(feature = "testing")]
    #[error("private engines for the test do not start")]
    Engines(#[from] gristmill_engines::EngineError),
    /// A test's jobs.
    #[error(transparent)]
    Drain(#[from] gristmill_queue::DrainError),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Why the result of a job cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It has not ended yet.
    #[error("job {id} has not ended within {waited:?}")]
    Timeout {
        /// The job.
        id: JobId,
        /// For how long it was waited.
        waited: Duration,
    },
    /// It ended without a result.
    #[error("job {id} is {state}: {error}", state = <&str>::from(*state))]
    Failed {
        /// The job.
        id: JobId,
        /// `dead`, `cancelled` or `parked`.
        state: JobState,
        /// Its last error.
        error: String,
    },
    /// It is not in the ledger.
    #[error("there is no job {0}: it was pruned, or its transaction has not been committed")]
    Gone(JobId),
    /// Its result is of another type.
    #[error("the result of job {id} is not of the type that was asked for")]
    Result {
        /// The job.
        id: JobId,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It could not be enqueued, or the ledger does not answer.
    #[error(transparent)]
    App(#[from] Error),
}

impl From<QueueError> for WaitError {
    fn from(error: QueueError) -> Self {
        Self::App(error.into())
    }
}
