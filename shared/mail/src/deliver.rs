//! Letters go out: any number of one client's, several at a time, each once.

mod one;
mod outcome;
mod record;

use std::{sync::Arc, time::Duration};

use gristmill_core::ClientId;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use crate::{
    Email, Kind, Mailer,
    rows::{self, CLAIM},
};
use one::SendTask;
use outcome::SendOutcome;
use record::Recorder;

/// Whose letters they are, and how much time there is.
#[derive(Debug, Clone)]
pub struct SendContext {
    /// The client.
    pub client_id: ClientId,
    /// What cannot be sent now will not be tried again.
    pub last: bool,
    /// Once it is cancelled no further mail is begun; those that are being sent go on.
    pub cancel: CancellationToken,
}

/// What became of letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Sent now.
    pub sent: usize,
    /// Sent, failed or suppressed before: nothing was done.
    pub done: usize,
    /// Not sent, because the address takes no mail.
    pub suppressed: usize,
    /// Refused by the server for good.
    pub failed: usize,
    /// Put off by the server: to be tried again.
    pub deferred: Vec<(Kind, String)>,
    /// Not begun, or broken off: to be tried again.
    pub left: usize,
    /// Being sent by another run.
    pub held: usize,
    /// The last error.
    pub error: Option<String>,
    /// The server is away: no use in trying more.
    pub unreachable: bool,
    /// Some were not begun because their domain takes no more for now: how long to wait.
    pub later: Option<Duration>,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The rows could not be written.
    #[error("the mails cannot be entered")]
    Database(#[from] sqlx::Error),
}

impl Mailer {
    /// Sends what nobody has sent of these letters. When this future is dropped, mails that are being sent still are, as
    /// long as the process lives, and what became of them is written down.
    ///
    /// # Errors
    /// When the rows cannot be written; then nothing was sent.
    pub async fn deliver(&self, turn: &SendContext, letters: Vec<Email>) -> Result<Report, DeliverError> {
        if letters.is_empty() {
            return Ok(Report::default());
        }
        let run = Uuid::new_v4();
        let wanted = rows::wanted(&letters);
        let mut begun = rows::begin(self.pool(), turn.client_id, run, &wanted, self.domain()).await?;
        let before = Report { done: begun.done, held: begun.held, ..Report::default() };
        let ids = begun.ids();
        if ids.is_empty() {
            return Ok(before);
        }
        let begun_count = ids.len();
        let alive = Arc::new(AbortOnDropHandle::new(tokio::spawn(stay_alive(self.clone(), run, ids))));
        let (tell, told) = mpsc::channel(256);
        let recorder = Recorder { pool: self.pool().clone(), client_id: turn.client_id, run, last: turn.last };
        let recording = tokio::spawn(recorder.run(told, before));
        let stop = turn.cancel.child_token();
        let _stop = stop.clone().drop_guard();
        for letter in letters {
            let Some(row) = begun.take(&letter) else { continue };
            let errand = SendTask {
                mailer: self.clone(),
                row,
                stop: stop.clone(),
                tell: tell.clone(),
                alive: Arc::clone(&alive),
            };
            // On their own: to drop one in the middle of its dialogue would leave open whether it was sent.
            tokio::spawn(errand.run(letter));
        }
        drop(tell);
        let mut report = recording.await.unwrap_or_default();
        let told = report.sent + report.suppressed + report.failed + report.deferred.len() + report.left;
        // One that panicked has told nothing.
        report.left += begun_count.saturating_sub(told);
        Ok(report)
    }
}

/// Holds on to the rows until it is aborted.
async fn stay_alive(mailer: Mailer, run: Uuid, ids: Vec<Uuid>) {
    loop {
        tokio::time::sleep(CLAIM / 3).await;
        if let Err(error) = rows::renew(mailer.pool(), run, &ids).await {
            tracing::warn!(%error, "mails that are being sent could not be held");
        }
    }
}
