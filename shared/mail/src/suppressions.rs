//! Addresses that take no mail: found out by sending, or reported as bounces.

use gristmill_core::ClientId;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// An address that a client's mails do not go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Suppression {
    /// In small letters.
    pub address: String,
    /// What was said about it.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// A mail that came back, as whoever received that tells it.
#[derive(Debug, Clone)]
pub struct Bounce {
    /// The address.
    pub recipient: String,
    /// It will never take mail: no more is sent there.
    pub hard: bool,
    /// Which mail it was.
    pub message_id: Option<String>,
    /// What was said.
    pub reason: Option<String>,
}

/// Notes a bounce at its mail, if that is known, and suppresses the address of a hard one. Answers which mail it was.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn bounced(
    conn: &mut PgConnection,
    client_id: ClientId,
    bounce: &Bounce,
) -> Result<Option<Uuid>, sqlx::Error> {
    let kind = if bounce.hard { "hard" } else { "soft" };
    let mail = sqlx::query_scalar(
        "update mails set bounce = $4, bounced_at = clock_timestamp(), last_error = coalesce($5, last_error)
         where client_id = $1 and lower(recipient) = lower($2) and trim(both '<>' from message_id) = trim(both '<> ' from $3)
         returning id",
    )
    .bind(client_id)
    .bind(&bounce.recipient)
    .bind(&bounce.message_id)
    .bind(kind)
    .bind(&bounce.reason)
    .fetch_optional(&mut *conn)
    .await?;
    if bounce.hard {
        sqlx::query(
            "insert into mail_suppressions (client_id, address, reason) values ($1, lower($2), $3) on conflict do nothing",
        )
        .bind(client_id)
        .bind(&bounce.recipient)
        .bind(bounce.reason.as_deref().unwrap_or("reported as a hard bounce"))
        .execute(conn)
        .await?;
    }
    Ok(mail)
}

/// A client's suppressed addresses in their order, those after `after`, at most `limit`.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    after: &str,
    limit: i64,
) -> Result<Vec<Suppression>, sqlx::Error> {
    let rows: Vec<(String, String, SqlTimestamp)> = sqlx::query_as(
        "select address, reason, since from mail_suppressions
         where client_id = $1 and address > $2 order by address limit $3",
    )
    .bind(client_id)
    .bind(after)
    .bind(limit)
    .fetch_all(on)
    .await?;
    let shown =
        |(address, reason, since): (_, _, SqlTimestamp)| Suppression { address, reason, since: since.to_jiff() };
    Ok(rows.into_iter().map(shown).collect())
}

/// Lets mails go to an address again; those that were not sent meanwhile stay unsent. `false`: it was not suppressed.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn lift(on: impl PgExecutor<'_>, client_id: ClientId, address: &str) -> Result<bool, sqlx::Error> {
    sqlx::query("delete from mail_suppressions where client_id = $1 and address = lower($2)")
        .bind(client_id)
        .bind(address.trim())
        .execute(on)
        .await
        .map(|done| done.rows_affected() > 0)
}
