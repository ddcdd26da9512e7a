//! A mail that went wrong, or nowhere, goes out once more because somebody asked for it.

use gristmill_core::ClientId;
use gristmill_queue::{Enqueued, Options, Queue, QueueError};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{State, jobs::SendMail, read::Mail};

/// What became of the wish.
#[derive(Debug)]
pub enum ResendOutcome {
    /// It will be sent: how it stands now, and its job, to be pushed after the commit.
    Again(Box<Mail>, Enqueued),
    /// It is on its way as it is.
    Sending,
    /// The mail server has it: only who insists sends it twice.
    Sent,
    /// Its address takes no mail.
    Suppressed,
    /// The client has no such mail.
    None,
}

/// Has a client's mail written anew and sent, with a `Message-ID` of its own: one that failed, was kept for want of a server, or
/// whose address takes mail again. `force`: also one that was sent; and one that is suppressed, which goes out if the address
/// that counts by now is another one. What it is about may have changed too: one that has nothing to say any more fails, and
/// says so.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn resend(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    id: Uuid,
    force: bool,
) -> Result<ResendOutcome, QueueError> {
    // Two who ask at once wait for each other here: the second one finds it on its way.
    let found: Option<Mail> =
        sqlx::query_as("select * from mails where id = $2 and client_id is not distinct from $1 for update")
            .bind(client_id)
            .bind(id)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(mail) = found else { return Ok(ResendOutcome::None) };
    match mail.state {
        State::Sending => return Ok(ResendOutcome::Sending),
        State::Sent if !force && !mail.went_nowhere() => return Ok(ResendOutcome::Sent),
        State::Suppressed if !force && is_suppressed(conn, client_id, &mail.recipient).await? => {
            return Ok(ResendOutcome::Suppressed);
        }
        State::Sent | State::Failed | State::Suppressed => {}
    }
    // What was kept of it stays until the new one takes its place.
    let mail: Mail = sqlx::query_as(
        "update mails set state = 'sending', gave_up = false, message_id = $2, attempts = 0, last_error = null,
                          bounce = null, bounced_at = null, sent_at = null, claimed_by = null, claimed_until = null
         where id = $1 returning *",
    )
    .bind(id)
    .bind(fresh(&mail.message_id))
    .fetch_one(&mut *conn)
    .await?;
    let job = SendMail { client_id, kind: mail.kind, reference: mail.reference.clone() };
    let options = Options { client_id: Some(client_id), ..Options::default() };
    let jobs = queue.enqueue(conn, &job, &options).await?;
    Ok(ResendOutcome::Again(Box::new(mail), jobs))
}

async fn is_suppressed(conn: &mut PgConnection, client_id: ClientId, recipient: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from mail_suppressions where client_id = $1 and address = lower($2))")
        .bind(client_id)
        .bind(recipient)
        .fetch_one(conn)
        .await
}

/// Another `Message-ID` of the same domain: receivers drop what they have seen.
fn fresh(before: &str) -> String {
    let domain = before.rsplit_once('@').map_or("gristmill>", |(_, domain)| domain);
    format!("<{}@{domain}", Uuid::new_v4().simple())
}
