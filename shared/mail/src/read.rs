//! Mails, as the API shows them.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use serde::Serialize;
use sqlx::{FromRow, PgExecutor, Row, postgres::PgRow};
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
    /// The same however often it is tried.
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
/// The database's.
pub async fn list(on: impl PgExecutor<'_>, client_id: i32, filter: &Filter) -> Result<Vec<Mail>, sqlx::Error> {
    sqlx::query_as(
        "select * from mails
         where client_id = $1 and ($2::text is null or kind = $2) and ($3::text is null or state = $3)
           and ($4::text is null or lower(recipient) = lower($4)) and ($5::uuid is null or id < $5)
         order by id desc limit $6",
    )
    .bind(client_id)
    .bind(filter.kind.map(<&str>::from))
    .bind(filter.state.map(<&str>::from))
    .bind(&filter.recipient)
    .bind(filter.before)
    .bind(i64::from(filter.limit))
    .fetch_all(on)
    .await
}

/// One mail of a client, and its text where it was kept.
///
/// # Errors
/// The database's.
pub async fn find(
    on: impl PgExecutor<'_>,
    client_id: i32,
    id: Uuid,
) -> Result<Option<(Mail, Option<String>)>, sqlx::Error> {
    let row = sqlx::query("select * from mails where client_id = $1 and id = $2").bind(client_id).bind(id);
    let Some(row) = row.fetch_optional(on).await? else { return Ok(None) };
    Ok(Some((Mail::from_row(&row)?, row.try_get("text")?)))
}
