//! One mail on its way.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{SendOutcome, outcome::MailOutcome};
use crate::{
    Email, Mailer, archive,
    email::{ComposeError, ComposedEmail, compose},
    mailer::Way,
    rate::Slot,
    rows::ClaimedMail,
    smtp::Outcome,
};

pub(super) struct SendTask {
    pub(super) mailer: Mailer,
    pub(super) row: ClaimedMail,
    /// Begin nothing more.
    pub(super) stop: CancellationToken,
    pub(super) tell: mpsc::Sender<MailOutcome>,
    /// The rows are held as long as somebody has this.
    pub(super) alive: Arc<AbortOnDropHandle<()>>,
}

impl SendTask {
    pub(super) async fn run(self, letter: Email) {
        let (kind, reference, address) = (letter.kind(), letter.reference.clone(), letter.address.trim().to_owned());
        let fate = self.fate(letter).await;
        if let SendOutcome::Unreachable(_) = fate {
            self.stop.cancel();
        }
        metrics::counter!("gristmill_mails_total", "kind" => <&str>::from(kind), "outcome" => fate.as_str())
            .increment(1);
        // The recorder outlives every errand.
        let _ = self.tell.send(MailOutcome { id: self.row.id, kind, reference, address, fate }).await;
        drop(self.alive);
    }

    async fn fate(&self, letter: Email) -> SendOutcome {
        if let Some(reason) = &self.row.suppressed {
            return SendOutcome::Suppressed(reason.clone());
        }
        let domain = letter.address.rsplit('@').next().unwrap_or_default().trim();
        let wait = match self.mailer.rate().reserve(domain).await {
            Ok(Slot::In(wait)) => wait,
            Ok(Slot::Full(wait)) => return SendOutcome::Later(wait),
            Err(error) => {
                tracing::warn!(%error, "the limit of mails a second cannot be asked for");
                return SendOutcome::Left;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.cancelled() => return SendOutcome::Left,
        }
        // Mails are written as fast as they are sent, not faster.
        let Ok(_ready) = self.mailer.ready().acquire().await else { return SendOutcome::Left };
        if self.stop.is_cancelled() {
            return SendOutcome::Left;
        }
        match self.written(letter).await {
            Ok(mail) => self.sent(mail).await,
            Err(error @ ComposeError::Stopped(_)) => SendOutcome::Deferred(said(&error)),
            // The same letter will not be written by a later attempt either.
            Err(error) => SendOutcome::Failed(said(&error)),
        }
    }

    async fn written(&self, letter: Email) -> Result<ComposedEmail, ComposeError> {
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

    async fn sent(&self, mail: ComposedEmail) -> SendOutcome {
        let ComposedEmail { to, raw, text } = mail;
        let outcome = match self.mailer.way() {
            Way::Smtp(smtp) => smtp.send(&self.mailer.from().email, &to, &raw).await,
            Way::Store => Outcome::Sent,
        };
        if outcome != Outcome::Sent {
            return SendOutcome::of(outcome, None);
        }
        if !self.mailer.keeps() {
            // What was kept is not what was sent now.
            if self.row.kept
                && let Err(error) = archive::drop(self.mailer.store(), self.row.id).await
            {
                tracing::warn!(mail = %self.row.id, %error, "what was kept of a mail that is sent now could not be deleted");
            }
            return SendOutcome::Sent(None);
        }
        match (archive::put(self.mailer.store(), self.row.id, raw).await, self.mailer.way()) {
            (Ok(()), Way::Smtp(_)) => SendOutcome::Sent(Some(text)),
            // There it was the whole way.
            (Ok(()), Way::Store) => SendOutcome::Kept(text),
            (Err(error), Way::Store) => SendOutcome::Unreachable(error.to_string()),
            (Err(error), Way::Smtp(_)) => {
                tracing::warn!(mail = %self.row.id, %error, "a mail that was sent could not be kept");
                SendOutcome::Sent(None)
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
