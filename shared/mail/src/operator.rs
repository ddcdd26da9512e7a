//! Who is told of what happens to a client's uploads and webhooks.

use gristmill_bills::Language;
use gristmill_core::ClientId;
use gristmill_queue::{Enqueued, Options, Queue, QueueError};
use sqlx::PgConnection;

use crate::{Kind, jobs::SendMail};

/// A client's operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Where mails go.
    pub address: String,
    /// What language they are written in.
    pub language: Language,
}

/// The operator of a client, where its settings name one.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(on: &mut PgConnection, client_id: ClientId) -> Result<Option<Operator>, sqlx::Error> {
    let found: Option<(String, String)> = sqlx::query_as(
        "select operator_email, language from client_settings where client_id = $1 and operator_email is not null",
    )
    .bind(client_id)
    .fetch_optional(on)
    .await?;
    let Some((address, language)) = found else { return Ok(None) };
    let language = language.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Some(Operator { address, language }))
}

/// Has a client's operator told by mail, where its settings name one: what of, and about which. Push what it returns after
/// the commit.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn tell(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    kind: Kind,
    reference: String,
) -> Result<Enqueued, QueueError> {
    if find(conn, client_id).await?.is_none() {
        return Ok(Enqueued::default());
    }
    let job = SendMail { client_id, kind, reference };
    queue.enqueue(conn, &job, &Options { client_id: Some(client_id), ..Options::default() }).await
}
