use gristmill_core::ClientId;
use gristmill_queue::QueueError;

use crate::{
    State, Upload, UploadId, UploadRef, UploadService, read,
    state::{self, End},
};

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
        let mut tx = self.pool.begin().await?;
        // As long as the upload has claims to take back.
        sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
        let found = read::find(&mut *tx, client_id, id).await?.ok_or(RemoveError::NotFound)?;
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
        if undone {
            // What a kind's rows have brought about goes with them.
            let upload = UploadRef { id, client_id };
            jobs.merge((self.hooks.of)(found.kind).on_undo(&mut tx, &self.queue, upload).await?);
        }
        let upload = read::find(&mut *tx, client_id, id).await?.ok_or(RemoveError::NotFound)?;
        tx.commit().await?;
        self.queue.push(jobs).await;
        self.events.publish_state(&upload).await;
        Ok(if undone { RemoveOutcome::Undone(upload) } else { RemoveOutcome::Cancelled(upload) })
    }
}
