//! The transaction of a handler's effect, and one that pushes what was enqueued in it.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use gristmill_queue::{Completion, Context, Enqueued, Fence, JobError, Source};
use sqlx::{PgConnection, Postgres};

use crate::{
    Client, Error,
    attempt::{Attempt, run_of},
    extract::FromAttempt,
};

/// A transaction that holds the job's fence: the handler's effect and the end of its job are one commit, so the effect happens
/// once, however often the job is delivered.
///
/// The row of the job is locked before the handler runs. When the handler returns `Ok`, its job is completed in the transaction,
/// with its result, and the transaction is committed; on an error, a panic or a timeout it is rolled back. A job that is done
/// already, or was cancelled, does not reach the handler. What is enqueued in it by `.in_(&mut tx)` is pushed after the commit.
///
/// ```
/// # use gristmill::prelude::*;
/// # #[derive(Serialize, Deserialize, Job)] struct Pay { account: i64, cents: i64 }
/// async fn pay(job: Pay, mut tx: Tx) -> Result<(), sqlx::Error> {
///     sqlx::query("update accounts set cents = cents + $2 where id = $1")
///         .bind(job.account)
///         .bind(job.cents)
///         .execute(&mut *tx)
///         .await?;
///     Ok(())
/// }
/// # fn app(app: App) -> App { app.job(pay) }
/// ```
///
/// It is a connection of the pool for as long as the handler runs: give the pool as many as there are slots
/// (`GRISTMILL_DATABASE_POOL`), and do what is slow before, in a job of its own.
pub struct Tx {
    inner: Option<Inner>,
    slot: TxSlot,
}

struct Inner {
    transaction: sqlx::Transaction<'static, Postgres>,
    enqueued: Enqueued,
}

impl FromAttempt for Tx {
    async fn from_attempt(attempt: &Attempt) -> Result<Self, JobError> {
        let run = run_of(attempt)?;
        run.client.engines("Tx").map_err(|error| JobError::discard(error.to_string()))?;
        let queue = &run.context.queue;
        let mut transaction = queue.pool().begin().await?;
        // Of a job that is not this run's to finish the runner hears by its claim; the error ends the call.
        if queue.lock(&mut transaction, &run.context.claim).await? == Fence::AlreadyDone {
            return Err(JobError::Cancelled);
        }
        if !run.tx.give() {
            return Err(JobError::discard("a handler has one transaction: it takes `Tx` twice"));
        }
        Ok(Self { inner: Some(Inner { transaction, enqueued: Enqueued::default() }), slot: run.tx.clone() })
    }
}

const HELD: &str = "it is there until it is dropped";

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner.as_ref().expect(HELD).transaction
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner.as_mut().expect(HELD).transaction
    }
}

/// Gives the transaction back to whoever commits it.
impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            self.slot.put(inner);
        }
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}

/// Where an attempt's transaction comes back to.
#[derive(Clone, Default)]
pub(crate) struct TxSlot(Arc<Mutex<Slot>>);

#[derive(Default)]
enum Slot {
    /// Nobody asked for one.
    #[default]
    None,
    Given,
    Back(Inner),
}

impl TxSlot {
    /// Whether there was none before.
    fn give(&self) -> bool {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = matches!(*slot, Slot::None);
        *slot = Slot::Given;
        first
    }

    fn put(&self, inner: Inner) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Back(inner);
    }

    /// Ends the transaction as its handler has ended, if there is one.
    pub(crate) async fn end(&self, context: &Context, ended: Result<(), Source>) -> Result<(), Source> {
        let slot = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let Inner { mut transaction, mut enqueued } = match (slot, &ended) {
            (Slot::Back(inner), _) => inner,
            (Slot::None, _) | (Slot::Given, Err(_)) => return ended,
            (Slot::Given, Ok(())) => {
                let error = "the handler has returned and kept its `Tx`, so nothing can be committed: let the transaction end with it";
                return Err(JobError::discard(error).into());
            }
        };
        if let Err(error) = ended {
            transaction.rollback().await?;
            return Err(error);
        }
        match context.queue.complete(&mut transaction, &context.claim).await? {
            Completion::Done(joins) => {
                transaction.commit().await?;
                enqueued.merge(joins);
                context.queue.push(enqueued).await;
            }
            Completion::AlreadyDone => transaction.rollback().await?,
        }
        Ok(())
    }
}

/// A transaction that pushes, after its commit, what was enqueued in it: see [`Client::begin`].
pub struct Transaction {
    transaction: sqlx::Transaction<'static, Postgres>,
    client: Client,
    enqueued: Enqueued,
}

impl Transaction {
    pub(crate) async fn begin(client: &Client) -> Result<Self, Error> {
        let queue = client.engines("a transaction")?;
        let transaction = queue.pool().begin().await?;
        Ok(Self { transaction, client: client.clone(), enqueued: Enqueued::default() })
    }

    /// Commits it, and hands its jobs to the broker: workers start them at once.
    ///
    /// # Errors
    /// Returns an error if Postgres does not commit.
    pub async fn commit(self) -> Result<(), Error> {
        self.transaction.commit().await?;
        self.client.engines("a transaction")?.push(self.enqueued).await;
        Ok(())
    }

    /// Undoes it; so does dropping it.
    ///
    /// # Errors
    /// Returns an error if Postgres is unreachable.
    pub async fn rollback(self) -> Result<(), Error> {
        Ok(self.transaction.rollback().await?)
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// What jobs can be enqueued in: a [`Tx`], a [`Transaction`], or a transaction or connection of sqlx.
pub trait EnqueueIn: Send {
    /// Where statements run.
    fn connection(&mut self) -> &mut PgConnection;

    /// Keeps what is to be pushed after the commit, or gives it back to the caller, who knows of the commit.
    fn keep(&mut self, enqueued: Enqueued) -> Option<Enqueued>;
}

impl EnqueueIn for Tx {
    fn connection(&mut self) -> &mut PgConnection {
        self
    }

    fn keep(&mut self, enqueued: Enqueued) -> Option<Enqueued> {
        self.inner.as_mut().expect(HELD).enqueued.merge(enqueued);
        None
    }
}

impl EnqueueIn for Transaction {
    fn connection(&mut self) -> &mut PgConnection {
        self
    }

    fn keep(&mut self, enqueued: Enqueued) -> Option<Enqueued> {
        self.enqueued.merge(enqueued);
        None
    }
}

impl EnqueueIn for PgConnection {
    fn connection(&mut self) -> &mut PgConnection {
        self
    }

    fn keep(&mut self, enqueued: Enqueued) -> Option<Enqueued> {
        Some(enqueued)
    }
}

impl EnqueueIn for sqlx::Transaction<'_, Postgres> {
    fn connection(&mut self) -> &mut PgConnection {
        self
    }

    fn keep(&mut self, enqueued: Enqueued) -> Option<Enqueued> {
        Some(enqueued)
    }
}
