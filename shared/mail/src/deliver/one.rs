//! One mail on its way.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Fate, fate::Told};
use crate::{
    Letter, Mailer, keep,
    letter::{ComposeError, Composed, compose},
    mailer::Way,
    rate::Slot,
    rows::Taken,
    smtp::Outcome,
};

pub(super) struct Errand {
    pub(super) mailer: Mailer,
    pub(super) row: Taken,
    /// Begin nothing more.
    pub(super) stop: CancellationToken,
    pub(super) tell: mpsc::Sender<Told>,
    /// The rows are held as long as somebody has this.
    pub(super) alive: Arc<AbortOnDropHandle<()>>,
}

impl Errand {
    pub(super) async fn run(self, letter: Letter) {
        let (kind, reference, address) = (letter.kind(), letter.reference.clone(), letter.address.trim().to_owned());
        let fate = self.fate(letter).await;
        if let Fate::Unreachable(_) = fate {
            self.stop.cancel();
        }
        metrics::counter!("gristmill_mails_total", "kind" => <&str>::from(kind), "outcome" => fate.as_str())
            .increment(1);
        // The recorder outlives every errand.
        let _ = self.tell.send(Told { id: self.row.id, kind, reference, address, fate }).await;
        drop(self.alive);
    }

    async fn fate(&self, letter: Letter) -> Fate {
        if let Some(reason) = &self.row.suppressed {
            return Fate::Suppressed(reason.clone());
        }
        let domain = letter.address.rsplit('@').next().unwrap_or_default().trim();
        let wait = match self.mailer.rate().reserve(domain).await {
            Ok(Slot::In(wait)) => wait,
            Ok(Slot::Full(wait)) => return Fate::Later(wait),
            Err(error) => {
                tracing::warn!(%error, "the limit of mails a second cannot be asked for");
                return Fate::Left;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.cancelled() => return Fate::Left,
        }
        // Mails are written as fast as they are sent, not faster.
        let Ok(_ready) = self.mailer.ready().acquire().await else { return Fate::Left };
        if self.stop.is_cancelled() {
            return Fate::Left;
        }
        match self.written(letter).await {
            Ok(mail) => self.sent(mail).await,
            Err(error @ ComposeError::Stopped(_)) => Fate::Deferred(said(&error)),
            // The same letter will not be written by a later attempt either.
            Err(error) => Fate::Failed(said(&error)),
        }
    }

    async fn written(&self, letter: Letter) -> Result<Composed, ComposeError> {
        let (mailer, message_id) = (self.mailer.clone(), self.row.message_id.clone());
        let writing = tokio::task::spawn_blocking(move || {
            let mut mail = compose(letter, mailer.from(), &message_id)?;
            if let Some(dkim) = mailer.dkim() {
                mail.raw = dkim.sign(&mail.raw);
            }
            Ok(mail)
        });
        writing.await.unwrap_or_else(|error| Err(ComposeError::Stopped(error)))
    }

    async fn sent(&self, mail: Composed) -> Fate {
        let Composed { to, raw, text } = mail;
        let outcome = match self.mailer.way() {
            Way::Smtp(smtp) => smtp.send(&self.mailer.from().email, &to, &raw).await,
            Way::Store => Outcome::Sent,
        };
        if outcome != Outcome::Sent {
            return Fate::of(outcome, None);
        }
        if !self.mailer.keeps() {
            // What was kept is not what was sent now.
            if self.row.kept
                && let Err(error) = keep::drop(self.mailer.store(), self.row.id).await
            {
                tracing::warn!(mail = %self.row.id, %error, "what was kept of a mail that is sent now could not be deleted");
            }
            return Fate::Sent(None);
        }
        match (keep::put(self.mailer.store(), self.row.id, raw).await, self.mailer.way()) {
            (Ok(()), Way::Smtp(_)) => Fate::Sent(Some(text)),
            // There it was the whole way.
            (Ok(()), Way::Store) => Fate::Kept(text),
            (Err(error), Way::Store) => Fate::Unreachable(error.to_string()),
            (Err(error), Way::Smtp(_)) => {
                tracing::warn!(mail = %self.row.id, %error, "a mail that was sent could not be kept");
                Fate::Sent(None)
            }
        }
    }
}

/// An error with its causes.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
