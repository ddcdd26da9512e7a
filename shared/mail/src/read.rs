//! Mails, as the API shows them.

use gristmill_core::ClientId;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use serde::Serialize;
use sqlx::{FromRow, PgExecutor, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{Kind, State};

/// A mail and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Mail {
    /// Version 7: sorted by time of creation.
    pub id: Uuid,
    /// What it is about.
    pub kind: Kind,
    /// About which: the id of an upload, a bill or a payment.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Whom it goes to.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// The same however often it is tried; another one when it is sent again because somebody asked for that.
    pub message_id: String,
    /// Where it stands.
    pub state: State,
    /// How often the mail server was talked to about it.
    pub attempts: i32,
    /// Why the last attempt did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// `hard` or `soft`: it came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounce: Option<String>,
    /// When that was reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounced_at: Option<Timestamp>,
    /// Whether `/eml` has it, as it was sent.
    pub kept: bool,
    /// When it was first to be sent.
    pub created_at: Timestamp,
    /// When the mail server said that it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

impl Mail {
    /// It counts as sent, and went nowhere: there was no mail server, so it was kept.
    #[must_use]
    pub fn went_nowhere(&self) -> bool {
        self.state == State::Sent && self.attempts == 0
    }
}

impl FromRow<'_, PgRow> for Mail {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let time =
            |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<SqlTimestamp>, _>(name)?.map(SqlTimestamp::to_jiff));
        Ok(Self {
            id: row.try_get("id")?,
            kind: row.try_get("kind")?,
            reference: row.try_get("ref")?,
            recipient: row.try_get("recipient")?,
            subject: row.try_get("subject")?,
            message_id: row.try_get("message_id")?,
            state: row.try_get("state")?,
            attempts: row.try_get("attempts")?,
            last_error: row.try_get("last_error")?,
            bounce: row.try_get("bounce")?,
            bounced_at: time("bounced_at")?,
            kept: row.try_get("kept")?,
            created_at: row.try_get::<SqlTimestamp, _>("created_at")?.to_jiff(),
            sent_at: time("sent_at")?,
        })
    }
}

/// Which mails.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// In this state.
    pub state: Option<State>,
    /// To this address, in whatever capitals.
    pub recipient: Option<String>,
    /// Older than this one.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: u32,
}

/// A client's mails, newest first.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(on: impl PgExecutor<'_>, client_id: ClientId, filter: &Filter) -> Result<Vec<Mail>, sqlx::Error> {
    let mut sql = QueryBuilder::<Postgres>::new("select * from mails where client_id = ");
    sql.push_bind(client_id);
    if let Some(kind) = filter.kind {
        sql.push(" and kind = ").push_bind(<&str>::from(kind));
    }
    if let Some(state) = filter.state {
        sql.push(" and state = ").push_bind(<&str>::from(state));
        if state != State::Sent {
            // As the index on those says it.
            sql.push(" and state <> 'sent'");
        }
    }
    if let Some(recipient) = &filter.recipient {
        sql.push(" and lower(recipient) = lower(").push_bind(recipient).push(")");
    }
    if let Some(before) = filter.before {
        sql.push(" and id < ").push_bind(before);
    }
    sql.push(" order by id desc limit ").push_bind(i64::from(filter.limit));
    sql.build_query_as().fetch_all(on).await
}

/// The mails of a client about one of its bills and what was paid of it, in their order. `id` and `next` are the ids of
/// that bill and of the one with the next number: references begin with the bill's, so those in between are read alone.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn of_bill(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    id: Uuid,
    next: Uuid,
) -> Result<Vec<Mail>, sqlx::Error> {
    sqlx::query_as(
        "select * from mails
         where client_id = $1 and kind in ('bill_new', 'bill_reminder', 'bill_overdue', 'payment_receipt')
           and ref >= $2 and ref < $3 and starts_with(ref, $2)
         order by id",
    )
    .bind(client_id)
    .bind(id.to_string())
    .bind(next.to_string())
    .fetch_all(on)
    .await
}

/// One mail of a client, and its text where it was kept.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    id: Uuid,
) -> Result<Option<(Mail, Option<String>)>, sqlx::Error> {
    // No index serves the client: the key does, whatever is believed of how many mails it has.
    let row =
        sqlx::query("select * from mails where id = $2 and client_id is not distinct from $1").bind(client_id).bind(id);
    let Some(row) = row.fetch_optional(on).await? else { return Ok(None) };
    Ok(Some((Mail::from_row(&row)?, row.try_get("text")?)))
}
