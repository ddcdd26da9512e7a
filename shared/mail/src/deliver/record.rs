//! What became of mails is written down: one statement for all that have ended while the last one ran.

use std::time::Duration;

use gristmill_core::ClientId;
use sqlx::PgPool;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Report, SendOutcome, outcome::MailOutcome};

const BATCH_SIZE: usize = 200;

pub(super) struct Recorder {
    pub(super) pool: PgPool,
    pub(super) client_id: ClientId,
    pub(super) run: Uuid,
    pub(super) last: bool,
}

impl Recorder {
    /// Until every mail has told.
    pub(super) async fn run(self, mut told: mpsc::Receiver<MailOutcome>, mut report: Report) -> Report {
        let mut batch = Vec::with_capacity(BATCH_SIZE);
        while told.recv_many(&mut batch, BATCH_SIZE).await > 0 {
            self.insist(&batch).await;
            batch.drain(..).for_each(|told| count(&mut report, told));
        }
        report
    }

    /// What the server has said must not be forgotten: it is tried until the database takes it.
    async fn insist(&self, batch: &[MailOutcome]) {
        let mut pause = Duration::from_millis(100);
        while let Err(error) = self.write(batch).await {
            tracing::warn!(%error, mails = batch.len(), "what became of mails could not be written; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    async fn write(&self, batch: &[MailOutcome]) -> Result<(), sqlx::Error> {
        // Attempts are those with a server.
        let tried = |fate: &SendOutcome| {
            !matches!(
                fate,
                SendOutcome::Kept(_) | SendOutcome::Left | SendOutcome::Later(_) | SendOutcome::Suppressed(_)
            )
        };
        // What comes again all the same, for it was only put off, takes its row again.
        let over = |fate: &SendOutcome| {
            matches!(
                fate,
                SendOutcome::Deferred(_) | SendOutcome::Unreachable(_) | SendOutcome::Left | SendOutcome::Later(_)
            )
        };
        let gave_up = |fate: &SendOutcome| self.last && over(fate);
        let state = |fate: &SendOutcome| match fate {
            SendOutcome::Sent(_) | SendOutcome::Kept(_) => "sent",
            SendOutcome::Suppressed(_) | SendOutcome::Dead(_) => "suppressed",
            SendOutcome::Failed(_) => "failed",
            fate if gave_up(fate) => "failed",
            SendOutcome::Deferred(_) | SendOutcome::Unreachable(_) | SendOutcome::Left | SendOutcome::Later(_) => {
                "sending"
            }
        };
        let text = |fate: &SendOutcome| match fate {
            SendOutcome::Sent(text) => text.clone(),
            SendOutcome::Kept(text) => Some(text.clone()),
            _ => None,
        };
        let fates = || batch.iter().map(|told| &told.fate);
        let mut tx = self.pool.begin().await?;
        sqlx::query(
            // A run that has lost a mail to another one may still say that it was sent, and nothing else.
            "update mails m
             set state = t.state,
                 last_error = coalesce(t.error, case when t.state = 'sending' or t.gave_up then m.last_error end,
                                       case when t.gave_up then 'the last attempt ended before its turn came' end),
                 attempts = m.attempts + t.tried::int, gave_up = t.gave_up, claimed_by = null, claimed_until = null,
                 text = case when t.state = 'sent' then t.text else m.text end,
                 kept = case when t.state = 'sent' then t.text is not null else m.kept end, sent_at = case when t.state = 'sent' then clock_timestamp() end
             from unnest($2::uuid[], $3::text[], $4::text[], $5::bool[], $6::bool[], $7::text[])
                  as t (id, state, error, tried, gave_up, text)
             where m.id = t.id and m.state <> 'sent' and (t.state = 'sent' or m.claimed_by = $1)",
        )
        .bind(self.run)
        .bind(batch.iter().map(|told| told.id).collect::<Vec<_>>())
        .bind(fates().map(state).collect::<Vec<_>>())
        .bind(fates().map(SendOutcome::error).collect::<Vec<_>>())
        .bind(fates().map(tried).collect::<Vec<_>>())
        .bind(fates().map(gave_up).collect::<Vec<_>>())
        .bind(fates().map(text).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
        let dead: Vec<&MailOutcome> = batch.iter().filter(|told| matches!(told.fate, SendOutcome::Dead(_))).collect();
        if !dead.is_empty() {
            sqlx::query(
                "insert into mail_suppressions (client_id, address, reason)
                 select $1, lower(address), reason from unnest($2::text[], $3::text[]) as t (address, reason)
                 on conflict do nothing",
            )
            .bind(self.client_id)
            .bind(dead.iter().map(|told| told.address.clone()).collect::<Vec<_>>())
            .bind(dead.iter().map(|told| told.fate.error()).collect::<Vec<_>>())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await
    }
}

fn count(report: &mut Report, told: MailOutcome) {
    if let Some(error) = told.fate.error() {
        report.error = Some(error.to_owned());
    }
    match told.fate {
        SendOutcome::Sent(_) | SendOutcome::Kept(_) => report.sent += 1,
        SendOutcome::Suppressed(_) | SendOutcome::Dead(_) => report.suppressed += 1,
        SendOutcome::Failed(_) => report.failed += 1,
        SendOutcome::Deferred(_) => report.deferred.push((told.kind, told.reference)),
        SendOutcome::Unreachable(_) => {
            report.unreachable = true;
            report.left += 1;
        }
        SendOutcome::Left => report.left += 1,
        SendOutcome::Later(wait) => {
            report.left += 1;
            report.later = Some(report.later.map_or(wait, |other| other.min(wait)));
        }
    }
}
