//! What a handler can take beside its job.

use std::any::{TypeId, type_name};

use apalis_core::task::{attempt::Attempt as AttemptNumber, from_request::FromRequest, task_id::TaskId};
use gristmill_queue::{Cause, Claim, Context, JobError};
use jiff::Timestamp;
use sqlx::PgPool;

use crate::{
    Client,
    attempt::{Attempt, run_of},
};

/// What the application was given by [`App::data`](crate::App::data), by its type. It is apalis' own, so its `Data` layer gives
/// it, too.
pub use apalis_core::task::data::Data;

/// What a handler's argument needs the application to have been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

impl Need {
    /// A [`Data<T>`](Data).
    #[must_use]
    pub fn data<T: 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}

/// An argument of a handler that is made of the attempt: implement it for your own.
///
/// ```
/// use gristmill::{Attempt, Context, FromAttempt, JobError, prelude::Client};
///
/// /// Whether the job will be tried no more after this.
/// struct LastChance(bool);
///
/// impl FromAttempt for LastChance {
///     async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
///         let context = Context::from_attempt(attempt).await?;
///         Ok(Self(context.attempt == context.max_attempts))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an argument of a handler",
    note = "there are Data<T>, Context, Claim, Tx, Tick, Client, PgPool, Apalis<T>, and Option<…> of Data<T> and Tick"
)]
pub trait FromAttempt: Sized + Send {
    /// What the application must have been given for it: looked at before anything is claimed.
    fn needs() -> Option<Need> {
        None
    }

    /// Makes it.
    ///
    /// # Errors
    /// Returns how the attempt ends, if it cannot be made; the handler does not run then.
    fn from_attempt(attempt: &Attempt) -> impl Future<Output = Result<Self, JobError>> + Send;
}

/// An argument of which there may be none: `Option<…>` of it is [`FromAttempt`].
pub trait OptionalFromAttempt: Sized + Send {
    /// Makes it, if there is one.
    ///
    /// # Errors
    /// Returns how the attempt ends, if that cannot be known.
    fn from_attempt(attempt: &Attempt) -> impl Future<Output = Result<Option<Self>, JobError>> + Send;
}

impl<T: OptionalFromAttempt> FromAttempt for Option<T> {
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        T::from_attempt(attempt).await
    }
}

impl<T: Clone + Send + Sync + 'static> FromAttempt for Data<T> {
    fn needs() -> Option<Need> {
        Some(Need::data::<T>())
    }

    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        let found = <Option<Self> as FromAttempt>::from_attempt(attempt).await?;
        found.ok_or_else(|| JobError::retry(format!("a layer took away `Data<{}>`", type_name::<T>())))
    }
}

impl<T: Clone + Send + Sync + 'static> OptionalFromAttempt for Data<T> {
    async fn from_attempt(attempt: &Attempt) -> Result<Option<Self>, JobError> {
        Ok(attempt.data().get::<T>().cloned().map(Self))
    }
}

/// The attempt: its number, the token that says that it was cancelled, progress.
impl FromAttempt for Context {
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        Ok(run_of(attempt)?.context.clone())
    }
}

/// The right to finish this delivery of the job, and its id.
impl FromAttempt for Claim {
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        Ok(run_of(attempt)?.context.claim.clone())
    }
}

/// To enqueue further jobs.
impl FromAttempt for Client {
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        Ok(run_of(attempt)?.client.clone())
    }
}

/// The application's own pool.
impl FromAttempt for PgPool {
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        let run = run_of(attempt)?;
        run.client.engines("PgPool").map_err(|error| JobError::discard(error.to_string()))?;
        Ok(run.context.queue.pool().clone())
    }
}

/// The tick of the schedule that enqueued the job. `Option<Tick>` is none for a job that was enqueued otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// The schedule's name.
    pub schedule: String,
    /// The time of the tick: a report of "yesterday" is the day before it, however late it runs.
    pub at: Timestamp,
    /// Why it fired.
    pub cause: Cause,
}

impl FromAttempt for Tick {
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        let tick = <Option<Self> as FromAttempt>::from_attempt(attempt).await?;
        tick.ok_or_else(|| {
            JobError::discard(
                "no schedule enqueued this job, and its handler takes a `Tick`: let it take an `Option<Tick>`",
            )
        })
    }
}

impl OptionalFromAttempt for Tick {
    async fn from_attempt(attempt: &Attempt) -> Result<Option<Self>, JobError> {
        let run = run_of(attempt)?;
        if let Some(tick) = run.client.inline_tick(run.context.claim.id) {
            return Ok(tick);
        }
        let found = run.context.queue.schedules().tick_of(run.context.claim.id).await?;
        Ok(found.map(|(schedule, tick)| Self { schedule, at: tick.fire_at, cause: tick.cause }))
    }
}

/// An extractor of apalis: anything that is `apalis_core`'s `FromRequest<Task<Payload>>`.
#[derive(Debug, Clone, Copy)]
pub struct Apalis<T>(pub T);

impl<T> FromAttempt for Apalis<T>
where
    T: FromRequest<Attempt> + Send,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        Ok(Self(T::from_request(attempt).await?))
    }
}

impl FromAttempt for TaskId {
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        let Apalis(id) = Apalis::from_attempt(attempt).await?;
        Ok(id)
    }
}

impl FromAttempt for AttemptNumber {
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        let Apalis(number) = Apalis::from_attempt(attempt).await?;
        Ok(number)
    }
}
