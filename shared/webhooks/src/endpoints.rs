//! A client's endpoints: made, changed, their keys replaced, taken away.

use gristmill_core::ClientId;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::{EventType, NoRandomness, Scheme, signature};

/// Where a client wants to receive events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Webhook)]
pub struct Endpoint {
    /// Version 7: sorted by time of creation.
    pub id: Uuid,
    /// What is called.
    #[schema(example = "https://example.com/hooks")]
    pub url: String,
    /// Events that it gets.
    pub events: Vec<EventType>,
    /// A note of its client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How its deliveries are signed.
    pub signature: Scheme,
    /// What deliveries are verified with, where they are signed by `ed25519`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "whpk_iY+YHkC6BI0iWmN3u1h0b0Ck8mE3cQ2m0vYJ8zUq0yM=")]
    pub public_key: Option<String>,
    /// Whether it is called.
    pub enabled: bool,
    /// Why it is not: `client` (its client has said so), `gone` (it has answered 410) or `failing` (for five days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// When the first call failed since the last one that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An endpoint to be made.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// What is called. [`crate::outbound::Outbound::check`] says whether it may be.
    pub url: String,
    /// Events that it gets.
    pub events: Vec<EventType>,
    /// A note.
    pub description: Option<String>,
    /// How its deliveries are signed.
    pub scheme: Scheme,
    /// Whether it gets the old API's callback instead of Standard Webhooks' payload.
    pub old_callback: bool,
}

/// What is changed of an endpoint; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// What is called.
    pub url: Option<String>,
    /// Events that it gets.
    pub events: Option<Vec<EventType>>,
    /// A note.
    pub description: Option<String>,
    /// Whether it is called.
    pub enabled: Option<bool>,
}

/// Why an endpoint is not made.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// A client has so many already.
    #[error("there are {LIMIT} webhooks already, and no more can be made: delete one")]
    TooMany,
    /// No secret can be made.
    #[error(transparent)]
    Secret(#[from] NoRandomness),
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Endpoints of a client: each event becomes a delivery to each of them.
const LIMIT: i64 = 32;

#[derive(FromRow)]
struct Row {
    id: Uuid,
    url: String,
    events: Vec<String>,
    description: Option<String>,
    scheme: Scheme,
    secret: Vec<u8>,
    disabled_reason: Option<String>,
    failing_since: Option<SqlTimestamp>,
    created_at: SqlTimestamp,
    updated_at: SqlTimestamp,
}

impl TryFrom<Row> for Endpoint {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let events = row.events.iter().map(|event| event.parse()).collect::<Result<_, _>>();
        Ok(Self {
            id: row.id,
            url: row.url,
            events: events.map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            description: row.description,
            signature: row.scheme,
            public_key: (row.scheme == Scheme::Ed25519).then(|| row.scheme.verifies_with(&row.secret)),
            enabled: row.disabled_reason.is_none(),
            disabled_reason: row.disabled_reason,
            failing_since: row.failing_since.map(SqlTimestamp::to_jiff),
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        })
    }
}

/// Makes an endpoint. Returns it with what its deliveries are verified with: of an HMAC that is the secret, which is not
/// shown again.
///
/// # Errors
/// Why it is not made.
pub async fn create(
    db: impl PgExecutor<'_>,
    client_id: ClientId,
    new: &NewEndpoint,
) -> Result<(Endpoint, String), EndpointError> {
    let secret = signature::generate()?;
    let row: Option<Row> = sqlx::query_as(
        "insert into webhook_endpoints (id, client_id, url, events, description, scheme, secret, shape)
         select $1, $2, $3, $4, $5, $6, $7, case when $8 then 'merchant' else 'standard' end
         where (select count(*) from webhook_endpoints where client_id = $2) < $9
         returning *",
    )
    .bind(Uuid::now_v7())
    .bind(client_id)
    .bind(&new.url)
    .bind(words(&new.events))
    .bind(&new.description)
    .bind(new.scheme)
    .bind(&secret)
    .bind(new.old_callback)
    .bind(LIMIT)
    .fetch_optional(db)
    .await?;
    let endpoint = Endpoint::try_from(row.ok_or(EndpointError::TooMany)?)?;
    Ok((endpoint, new.scheme.verifies_with(&secret)))
}

/// A client's endpoints, the newest first.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(db: impl PgExecutor<'_>, client_id: ClientId) -> Result<Vec<Endpoint>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as("select * from webhook_endpoints where client_id = $1 order by id desc")
        .bind(client_id)
        .fetch_all(db)
        .await?;
    rows.into_iter().map(Endpoint::try_from).collect()
}

/// One of a client's endpoints.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(db: impl PgExecutor<'_>, client_id: ClientId, id: Uuid) -> Result<Option<Endpoint>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as("select * from webhook_endpoints where client_id = $1 and id = $2")
        .bind(client_id)
        .bind(id)
        .fetch_optional(db)
        .await?;
    row.map(Endpoint::try_from).transpose()
}

/// Changes an endpoint. What waits for it goes to where it is then; when it is enabled again, its failures are forgotten.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn change(
    db: impl PgExecutor<'_>,
    client_id: ClientId,
    id: Uuid,
    change: &Change,
) -> Result<Option<Endpoint>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "update webhook_endpoints set
            url = coalesce($3, url), events = coalesce($4, events), description = coalesce($5, description),
            disabled_at = case when $6 then null when not $6 then coalesce(disabled_at, now()) else disabled_at end,
            disabled_reason = case when $6 then null when not $6 then coalesce(disabled_reason, 'client') else disabled_reason end,
            failing_since = case when $6 and disabled_at is not null then null else failing_since end, updated_at = now()
         where client_id = $1 and id = $2 returning *",
    )
    .bind(client_id)
    .bind(id)
    .bind(&change.url)
    .bind(change.events.as_deref().map(words))
    .bind(&change.description)
    .bind(change.enabled)
    .fetch_optional(db)
    .await?;
    row.map(Endpoint::try_from).transpose()
}

/// Gives an endpoint another key. The one it had signs beside it for a day.
///
/// # Errors
/// Why it has none.
pub async fn rotate(
    db: impl PgExecutor<'_>,
    client_id: ClientId,
    id: Uuid,
) -> Result<Option<(Endpoint, String)>, EndpointError> {
    let secret = signature::generate()?;
    let row: Option<Row> = sqlx::query_as(
        "update webhook_endpoints
         set old_secret = secret, old_secret_until = now() + interval '24 hours', secret = $3, updated_at = now()
         where client_id = $1 and id = $2 returning *",
    )
    .bind(client_id)
    .bind(id)
    .bind(&secret)
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let shown = row.scheme.verifies_with(&secret);
    Ok(Some((row.try_into()?, shown)))
}

/// Takes an endpoint away. What waits for it is cancelled when its turn comes; what became of others stays to be read
/// as long as it is kept.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn delete(db: impl PgExecutor<'_>, client_id: ClientId, id: Uuid) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("delete from webhook_endpoints where client_id = $1 and id = $2")
        .bind(client_id)
        .bind(id)
        .execute(db)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

fn words(events: &[EventType]) -> Vec<&'static str> {
    events.iter().map(<&str>::from).collect()
}
