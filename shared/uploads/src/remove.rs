use std::time::Duration;

use gristmill_core::ClientId;
use gristmill_pipelines::Kind;
use gristmill_queue::QueueError;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::{
    OnDuplicate, State, Upload, UploadId, UploadRef, UploadService, read, replaced,
    segments::lock_client,
    state::{self, End},
};

/// How long it is waited for who holds one of the uploads whose rows come back.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// What a client's wish to be rid of an upload came to.
#[derive(Debug)]
pub enum RemoveOutcome {
    /// It was running and is cancelled.
    Cancelled(Upload),
    /// It was completed and is undone: its rows no longer count and are being removed.
    Undone(Upload),
}

/// Why an upload cannot be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The client has no such upload.
    #[error("there is no such upload")]
    NotFound,
    /// It has ended without rows, so there is nothing to cancel or undo.
    #[error("the upload is {state} already: nothing of it is left to remove")]
    Over {
        /// Where it stands.
        state: State,
    },
    /// Its debts are billed, or are being billed at this moment.
    #[error("the upload is billed: its debts cannot be taken back")]
    Billed,
    /// Debts that it has replaced would come back unbilled, as their uploads were billed since, or are being billed at this moment.
    #[error(
        "the upload has replaced debts of uploads that were billed since: were it undone, those debts would come back and never be billed"
    )]
    ReplacedAreBilled,
    /// It was completed, and its rows were kept for long enough.
    #[error("the rows of the upload were kept for long enough and are dropped: nothing of it is left to remove")]
    RowsDropped,
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The queue did not do it.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl UploadService {
    /// Cancels an upload that is running, undoes one that is completed.
    ///
    /// Rows that other uploads reported as duplicates of an undone one stay reported: sending those files again brings them
    /// in.
    pub async fn remove(&self, client_id: ClientId, id: UploadId) -> Result<RemoveOutcome, RemoveError> {
        loop {
            let mut tx = self.pool.begin().await?;
            // As long as the upload has claims to take back, or rows to give back.
            sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
            let found = read::find(&mut *tx, client_id, id).await?.ok_or(RemoveError::NotFound)?;
            let gives_back = found.on_duplicate == OnDuplicate::Replace && found.state == State::Completed;
            let ended = match gives_back && !hold(&mut tx, client_id, &found).await? {
                true => None,
                false => self.end(tx, client_id, found, gives_back).await?,
            };
            match ended {
                Some(outcome) => return Ok(outcome),
                None => tokio::time::sleep(RETRY_DELAY).await,
            }
        }
    }

    /// `None`: it was completed meanwhile, and has rows to give back, for which nothing is held yet.
    async fn end(
        &self,
        mut tx: Transaction<'static, Postgres>,
        client_id: ClientId,
        found: Upload,
        gives_back: bool,
    ) -> Result<Option<RemoveOutcome>, RemoveError> {
        let id = found.id;
        let cancel = End {
            from: &[State::Receiving, State::Processing],
            to: State::Cancelled,
            reason: "cancelled",
            detail: "cancelled by its client",
        };
        let undo = End { from: &[State::Completed], reason: "undone", detail: "undone by its client", ..cancel };
        let (mut jobs, undone) = match state::end(&mut tx, &self.queue, self.hooks, id, cancel).await? {
            Some(jobs) => (jobs, false),
            None => {
                let jobs = state::end(&mut tx, &self.queue, self.hooks, id, undo).await?;
                (jobs.ok_or(RemoveError::Over { state: found.state })?, true)
            }
        };
        // Who bills an upload marks it while holding it, so the mark is there to be seen once the upload is ended. Who drops its
        // rows marks it while it is completed.
        let (billed, dropped): (bool, bool) =
            sqlx::query_as("select billed_by is not null, rows_dropped_at is not null from uploads where id = $1")
                .bind(id)
                .fetch_one(&mut *tx)
                .await?;
        if undone && dropped {
            return Err(RemoveError::RowsDropped);
        }
        if undone && billed {
            return Err(RemoveError::Billed);
        }
        if undone && !gives_back && found.on_duplicate == OnDuplicate::Replace {
            return Ok(None);
        }
        if undone && gives_back {
            if found.kind == Kind::Debts && replaced::are_billed(&mut *tx, id).await? {
                return Err(RemoveError::ReplacedAreBilled);
            }
            replaced::give_back(&mut tx, found.kind.table(), client_id, id).await?;
        } else if undone && found.kind.table().segments {
            // What later uploads have replaced of it does not come back.
            replaced::forget(&mut *tx, found.kind.table(), &[id]).await?;
        }
        if undone {
            // What a kind's rows have brought about goes with them.
            let upload = UploadRef { id, client_id };
            jobs.merge((self.hooks.of)(found.kind).on_undo(&mut tx, &self.queue, upload).await?);
        }
        let upload = read::find(&mut *tx, client_id, id).await?.ok_or(RemoveError::NotFound)?;
        tx.commit().await?;
        self.queue.push(jobs).await;
        self.events.publish_state(&upload).await;
        Ok(Some(if undone { RemoveOutcome::Undone(upload) } else { RemoveOutcome::Cancelled(upload) }))
    }
}

/// Keeps others from what an undo gives back: those that add rows of the client's, and those that end or bill the uploads whose rows these are.
/// `false`: one of these is being ended or billed at this moment, by somebody who may wait for this.
async fn hold(conn: &mut PgConnection, client_id: ClientId, upload: &Upload) -> Result<bool, sqlx::Error> {
    lock_client(&mut *conn, upload.kind.table().name, client_id, true).await?;
    let mut uploads = replaced::owners(&mut *conn, upload.id).await?;
    uploads.push(upload.id);
    state::try_lock_alone(conn, &uploads).await
}
