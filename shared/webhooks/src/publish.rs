//! Events into the ledger, in the transaction of what they tell of.

use gristmill_core::ClientId;
use gristmill_queue::{Enqueued, Options, Queue, QueueError};
use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{Event, EventType, jobs::Deliver};

#[derive(FromRow)]
struct Subscriber {
    id: Uuid,
    shape: String,
    events: Vec<String>,
}

/// Whether anybody wants to be told: saves making an event that nobody gets. One look at an index.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn wanted(db: impl PgExecutor<'_>, client_id: ClientId, event: EventType) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from webhook_endpoints where client_id = $1 and disabled_at is null and $2 = any(events))",
    )
    .bind(client_id)
    .bind(<&str>::from(event))
    .fetch_one(db)
    .await
}

/// How many deliveries a client still has before it, counted up to `limit`.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn pending(db: impl PgExecutor<'_>, client_id: ClientId, limit: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*) from (select from webhook_deliveries where client_id = $1 and state = 'pending' limit $2) p",
    )
    .bind(client_id)
    .bind(limit)
    .fetch_one(db)
    .await
}

/// Tells every enabled endpoint of the client that wants this event. Push what it returns after the commit.
///
/// For a client without such endpoints it costs one look at an index.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn publish(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    event: &Event,
) -> Result<Enqueued, QueueError> {
    publish_all(conn, queue, client_id, std::slice::from_ref(event), &[]).await
}

/// The same for many events of one client, by two statements for each endpoint. The deliveries of each event follow the
/// trace that runs here, unless one is given for it.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn publish_all(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    events: &[Event],
    trace_parents: &[Option<String>],
) -> Result<Enqueued, QueueError> {
    let mut kinds: Vec<&str> = events.iter().map(|event| <&str>::from(event.kind())).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let subscribers: Vec<Subscriber> = sqlx::query_as("select * from webhook_subscribers($1, $2)")
        .bind(client_id)
        .bind(&kinds)
        .fetch_all(&mut *conn)
        .await?;
    if subscribers.is_empty() {
        return Ok(Enqueued::default());
    }
    let now = Timestamp::now();
    let traces = trace_parents.iter().cloned().chain(std::iter::repeat(None));
    let events: Vec<_> = events.iter().zip(traces).map(|(event, trace)| (Uuid::now_v7(), event, trace)).collect();
    let mut enqueued = Enqueued::default();
    for subscriber in subscribers {
        enqueued.merge(enter(conn, queue, client_id, &subscriber, &events, now).await?);
    }
    Ok(enqueued)
}

async fn enter(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    subscriber: &Subscriber,
    events: &[(Uuid, &Event, Option<String>)],
    now: Timestamp,
) -> Result<Enqueued, QueueError> {
    let (mut jobs, mut ids, mut kinds, mut bodies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut trace_parents = Vec::new();
    for (id, event, trace_parent) in events {
        let kind = <&str>::from(event.kind());
        if !subscriber.events.iter().any(|wanted| wanted == kind) {
            continue;
        }
        let body = if subscriber.shape == "merchant" { event.callback() } else { Some(event.body(now)) };
        let Some(body) = body else { continue };
        bodies.push(body.map_err(QueueError::Encode)?);
        jobs.push(Deliver { delivery_id: Uuid::now_v7() });
        ids.push(*id);
        kinds.push(kind);
        trace_parents.push(trace_parent.clone());
    }
    if jobs.is_empty() {
        return Ok(Enqueued::default());
    }
    sqlx::query(
        "insert into webhook_deliveries (id, endpoint_id, client_id, event_id, type, payload)
         select id, $1, $2, event_id, type, payload
         from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[]) as t (id, event_id, type, payload)",
    )
    .bind(subscriber.id)
    .bind(client_id)
    .bind(jobs.iter().map(|job| job.delivery_id).collect::<Vec<_>>())
    .bind(&ids)
    .bind(&kinds)
    .bind(&bodies)
    .execute(&mut *conn)
    .await?;
    let options = Options { trace_parents, ..to(client_id, subscriber.id) };
    queue.enqueue_all(conn, &jobs, &options).await
}

/// Deliveries take turns by endpoint, so that none waits for another's.
pub(crate) fn to(client_id: ClientId, endpoint_id: Uuid) -> Options {
    Options { client_id: Some(client_id), fair_key: Some(endpoint_id.to_string()), ..Options::default() }
}

/// The type of [`test()`]'s event.
pub const TEST: &str = "webhook.test";

/// Sends an endpoint something to try it with, whatever it is told of. Returns the delivery, and what to push after the
/// commit; `None` when the client has no such endpoint that is enabled.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn test(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    endpoint_id: Uuid,
) -> Result<Option<(Uuid, Enqueued)>, QueueError> {
    let shape: Option<String> = sqlx::query_scalar(
        "select shape from webhook_endpoints where id = $1 and client_id = $2 and disabled_at is null",
    )
    .bind(endpoint_id)
    .bind(client_id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(shape) = shape else { return Ok(None) };
    let (delivery_id, event_id) = (Uuid::now_v7(), Uuid::now_v7());
    let payload = if shape == "merchant" {
        serde_json::json!({ "merchant": { "name": "n/a" }, "request_id": event_id })
    } else {
        serde_json::json!({ "type": TEST, "timestamp": Timestamp::now(), "data": { "webhook_id": endpoint_id } })
    };
    sqlx::query(
        "insert into webhook_deliveries (id, endpoint_id, client_id, event_id, type, payload) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(delivery_id)
    .bind(endpoint_id)
    .bind(client_id)
    .bind(event_id)
    .bind(TEST)
    .bind(payload.to_string())
    .execute(&mut *conn)
    .await?;
    let jobs = queue.enqueue(conn, &Deliver { delivery_id }, &to(client_id, endpoint_id)).await?;
    Ok(Some((delivery_id, jobs)))
}
