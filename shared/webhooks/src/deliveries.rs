//! What became of deliveries, and sending them again.

use std::collections::HashMap;

use gristmill_core::{ClientId, string_enum};
use gristmill_queue::{Enqueued, Options, Queue, QueueError};
use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    deliver::message_id,
    jobs::{Deliver, ReplayDeliveries},
    publish::to,
};

string_enum! {
    /// Where a delivery stands.
    #[derive(utoipa::ToSchema)]
    #[schema(as = DeliveryState)]
    pub enum State {
        /// To be tried, for the first time or again.
        Pending,
        /// Its endpoint has taken it.
        Delivered,
        /// Its endpoint has not taken it, in all attempts.
        Failed,
        /// Its endpoint was disabled or deleted, or its job cancelled, before it was taken.
        Cancelled,
    }
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct Delivery {
    /// Version 7: sorted by time of creation.
    pub id: Uuid,
    /// What its receiver knows the event by: the header `webhook-id`, the same at every attempt and replay.
    #[schema(example = "msg_019a4b1e8c5d7e309a415f6d2c7b8e90")]
    pub message_id: String,
    /// What has happened.
    #[schema(example = "upload.completed")]
    pub r#type: String,
    /// Where it stands.
    pub state: State,
    /// Each call, the first one first.
    pub attempts: Vec<Attempt>,
    /// When the event happened.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// One call of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = WebhookAttempt)]
pub struct Attempt {
    /// From 1.
    pub number: i32,
    /// When it was over.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub latency_ms: i32,
    /// What was answered; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i16>,
    /// Why the event does not count as delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The first KiB of the answer's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

#[derive(FromRow)]
struct DeliveryRow {
    id: Uuid,
    event_id: Uuid,
    #[sqlx(rename = "type")]
    kind: String,
    state: State,
    created_at: SqlTimestamp,
    finished_at: Option<SqlTimestamp>,
}

#[derive(FromRow)]
struct AttemptRow {
    delivery_id: Uuid,
    no: i32,
    at: SqlTimestamp,
    millis: i32,
    status: Option<i16>,
    error: Option<String>,
    answer: Option<Vec<u8>>,
}

/// Deliveries to an endpoint, the newest first.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(
    pool: &PgPool,
    endpoint_id: Uuid,
    state: Option<State>,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Delivery>, sqlx::Error> {
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "select id, event_id, type, state, created_at, finished_at from webhook_deliveries
         where endpoint_id = $1 and ($2::text is null or state = $2) and ($3::uuid is null or id < $3)
         order by id desc limit $4",
    )
    .bind(endpoint_id)
    .bind(state.map(<&str>::from))
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let attempts: Vec<AttemptRow> =
        sqlx::query_as("select * from webhook_attempts where delivery_id = any($1) order by delivery_id, no")
            .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
            .fetch_all(pool)
            .await?;
    let mut by_delivery: HashMap<Uuid, Vec<Attempt>> = HashMap::new();
    for row in attempts {
        by_delivery.entry(row.delivery_id).or_default().push(Attempt {
            number: row.no,
            at: row.at.to_jiff(),
            latency_ms: row.millis,
            status: row.status,
            error: row.error,
            answer: row.answer.map(|answer| String::from_utf8_lossy(&answer).into_owned()),
        });
    }
    let delivery = |row: DeliveryRow| Delivery {
        attempts: by_delivery.remove(&row.id).unwrap_or_default(),
        id: row.id,
        message_id: message_id(row.event_id),
        r#type: row.kind,
        state: row.state,
        created_at: row.created_at.to_jiff(),
        finished_at: row.finished_at.map(SqlTimestamp::to_jiff),
    };
    Ok(rows.into_iter().map(delivery).collect())
}

/// What a replay of one delivery came to.
#[derive(Debug)]
pub enum ReplayOutcome {
    /// It is sent again; push this after the commit.
    Again(Enqueued),
    /// It has not ended yet.
    Pending,
    /// The endpoint has no such delivery.
    None,
}

/// Sends a delivery that has ended once more, with all its attempts before it.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn replay(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    endpoint_id: Uuid,
    id: Uuid,
) -> Result<ReplayOutcome, QueueError> {
    let jobs = again(conn, queue, client_id, endpoint_id, &[id]).await?;
    if !jobs.is_empty() {
        return Ok(ReplayOutcome::Again(jobs));
    }
    let there: bool = sqlx::query_scalar(
        "select exists (select from webhook_deliveries where id = $1 and endpoint_id is not distinct from $2)",
    )
    .bind(id)
    .bind(endpoint_id)
    .fetch_one(conn)
    .await?;
    Ok(if there { ReplayOutcome::Pending } else { ReplayOutcome::None })
}

/// Begins to send these deliveries again, slice by slice. Push what it returns after the commit.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn replay_all(
    conn: &mut PgConnection,
    queue: &Queue,
    job: &ReplayDeliveries,
) -> Result<Enqueued, QueueError> {
    let options = Options { client_id: Some(job.client_id), ..Options::default() };
    queue.enqueue(conn, job, &options).await
}

/// Which deliveries are sent again.
#[derive(Debug, Clone, Copy)]
pub struct Which {
    /// That stand like this; not [`State::Pending`].
    pub state: State,
    /// Made then or later.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
    /// Those behind this one, the oldest first.
    pub after: Uuid,
}

/// Sends the next of these deliveries again, at most `limit`; also returns the last one, behind which there may be more.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn replay_some(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    endpoint_id: Uuid,
    which: &Which,
    limit: i64,
) -> Result<(Enqueued, Option<Uuid>), QueueError> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from webhook_deliveries
         where endpoint_id = $1 and state = $2 and id > $3
           and ($4::timestamptz is null or created_at >= $4) and ($5::timestamptz is null or created_at < $5)
         order by id limit $6",
    )
    .bind(endpoint_id)
    .bind(<&str>::from(which.state))
    .bind(which.after)
    .bind(which.since.map(Timestamp::to_sqlx))
    .bind(which.until.map(Timestamp::to_sqlx))
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    let more = (ids.len() as i64 == limit).then(|| ids.last().copied()).flatten();
    Ok((again(conn, queue, client_id, endpoint_id, &ids).await?, more))
}

async fn again(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    endpoint_id: Uuid,
    ids: &[Uuid],
) -> Result<Enqueued, QueueError> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        // No index serves the endpoint: the key does, whatever is believed of how many deliveries it has.
        "update webhook_deliveries set state = 'pending', finished_at = null
         where id = any($1) and endpoint_id is not distinct from $2 and state <> 'pending' returning id",
    )
    .bind(ids)
    .bind(endpoint_id)
    .fetch_all(&mut *conn)
    .await?;
    let jobs: Vec<Deliver> = ids.into_iter().map(|delivery_id| Deliver { delivery_id }).collect();
    queue.enqueue_all(conn, &jobs, &to(client_id, endpoint_id)).await
}

/// Ends deliveries that wait, without a call: each with its state, not [`State::Pending`], and why, which becomes an attempt.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn end(conn: &mut PgConnection, ends: &[(Uuid, State, String)]) -> Result<(), sqlx::Error> {
    if ends.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "with t as materialized (select * from unnest($1::uuid[], $2::text[], $3::text[]) as t (id, state, error)),
              moved as (
            update webhook_deliveries d set attempts = d.attempts + 1, state = t.state, finished_at = now()
            from t where d.id = any($1) and d.id = t.id and d.state = 'pending' returning d.id, d.attempts, t.error
         )
         insert into webhook_attempts (delivery_id, no, at, millis, error)
         select id, attempts, now(), 0, error from moved on conflict do nothing",
    )
    .bind(ends.iter().map(|(id, ..)| *id).collect::<Vec<_>>())
    .bind(ends.iter().map(|(_, state, _)| <&str>::from(*state)).collect::<Vec<_>>())
    .bind(ends.iter().map(|(.., error)| error.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes deliveries that ended so long ago, with their attempts: at most `limit`. Returns how many.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn prune(pool: &PgPool, keep: std::time::Duration, limit: i64) -> Result<u64, sqlx::Error> {
    // By id, which begins with the time it was made: what has ended can only be older.
    let removed = sqlx::query(
        "with old as (
            select id from webhook_deliveries where id < $1 and state <> 'pending' order by id limit $2
         ), attempts as (
            delete from webhook_attempts where delivery_id in (select id from old)
         )
         delete from webhook_deliveries where id in (select id from old)",
    )
    .bind(gristmill_core::ids::younger_than(keep))
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(removed.rows_affected())
}
