//! What a kind of files brings about beyond its rows, and who announces how an upload ended. The subjects that have such
//! consequences implement these traits; whoever puts a process together hands over all of them as one [`Hooks`].

use std::fmt;

use futures::future::BoxFuture;
use gristmill_core::ClientId;
use gristmill_pipelines::Kind;
use gristmill_queue::{Enqueued, Queue, QueueError};
use sqlx::{PgConnection, PgPool};

use crate::{State, UploadId};

/// What a hook returns: it runs in the caller's transaction, so an error of it undoes what it is called for.
pub type HookFuture<'a, T> = BoxFuture<'a, Result<T, QueueError>>;

/// The upload that a hook is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadRef {
    /// The upload.
    pub id: UploadId,
    /// Whose it is.
    pub client_id: ClientId,
}

/// What a kind brings about beyond its rows. By default nothing.
///
/// Each hook is called in the very transaction of what it is named for; the jobs that it returns are pushed after the commit.
pub trait KindHooks: Send + Sync {
    /// The upload is closed, so its rows begin to count.
    fn on_complete<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        queue: &'a Queue,
        upload: UploadRef,
    ) -> HookFuture<'a, Enqueued> {
        let _ = (conn, queue, upload);
        Box::pin(async { Ok(Enqueued::default()) })
    }

    /// The upload was completed and is undone, so its rows cease to count.
    fn on_undo<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        queue: &'a Queue,
        upload: UploadRef,
    ) -> HookFuture<'a, Enqueued> {
        let _ = (conn, queue, upload);
        Box::pin(async { Ok(Enqueued::default()) })
    }

    /// The rows of an upload that ended are removed, or were kept for long enough: what the kind keeps beside them goes too.
    fn on_purge<'a>(&'a self, conn: &'a mut PgConnection, upload_id: UploadId) -> HookFuture<'a, ()> {
        let _ = (conn, upload_id);
        Box::pin(async { Ok(()) })
    }

    /// The names of the kind's own jobs whose payload has an `upload_id`: while the upload needs them, nobody else ends them.
    fn owned_jobs(&self) -> &'static [&'static str] {
        &[]
    }

    /// Removes what the kind has kept for long enough. A scheduler calls it every minute.
    fn prune<'a>(&'a self, pool: &'a PgPool) -> HookFuture<'a, ()> {
        let _ = pool;
        Box::pin(async { Ok(()) })
    }
}

/// The hooks of a kind whose rows bring about nothing else.
#[derive(Debug)]
pub struct RowsOnly;

impl KindHooks for RowsOnly {}

/// Tells clients and their operators how an upload ended.
pub trait Announcer: Send + Sync {
    /// Called in the transaction that ends the upload, with [`State::Completed`] or [`State::Failed`]. The jobs that it returns
    /// are pushed after the commit.
    fn announce<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        queue: &'a Queue,
        upload: UploadRef,
        end: State,
    ) -> HookFuture<'a, Enqueued>;
}

/// The hooks of every kind and of every end. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// The hooks of a kind.
    pub of: fn(Kind) -> &'static dyn KindHooks,
    /// Who announces ends.
    pub announcer: &'static dyn Announcer,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooks")
    }
}

impl Hooks {
    /// What follows from an upload's close, in the transaction that closes it: it is announced, and its rows have their
    /// consequences. Push what it returns after the commit.
    ///
    /// # Errors
    /// When the ledger cannot be reached or refuses a statement.
    pub async fn complete(
        &self,
        conn: &mut PgConnection,
        queue: &Queue,
        kind: Kind,
        upload: UploadRef,
    ) -> Result<Enqueued, QueueError> {
        let mut jobs = self.announcer.announce(&mut *conn, queue, upload, State::Completed).await?;
        jobs.merge((self.of)(kind).on_complete(conn, queue, upload).await?);
        Ok(jobs)
    }
}
