//! What is read before a call, and written after it.

use std::{collections::HashMap, time::Duration};

use gristmill_core::ClientId;
use gristmill_mail::{Kind, operator};
use gristmill_queue::{Claim, Queue, QueueError};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::CallResult;
use crate::Scheme;

/// A delivery that is to be made.
#[derive(Debug, Clone)]
pub(super) struct DueDelivery {
    pub(super) id: Uuid,
    pub(super) endpoint_id: Uuid,
    pub(super) event_id: Uuid,
    pub(super) payload: String,
    /// None: it is disabled or deleted.
    pub(super) endpoint: Option<Endpoint>,
}

#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) scheme: Scheme,
    pub(super) secret: Vec<u8>,
    pub(super) old_secret: Option<Vec<u8>>,
    failing: bool,
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    endpoint_id: Uuid,
    event_id: Uuid,
    payload: String,
    url: Option<String>,
    scheme: Option<Scheme>,
    secret: Option<Vec<u8>>,
    old_secret: Option<Vec<u8>>,
    failing: bool,
}

/// Deliveries with their endpoints as they are at this moment, so that no copy of them can be out of date. In the order
/// of the ids.
pub(super) async fn due(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Option<DueDelivery>>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as("select * from webhook_deliveries_due($1)").bind(ids).fetch_all(pool).await?;
    let mut found: HashMap<Uuid, DueDelivery> = rows.into_iter().map(|row| (row.id, row.into())).collect();
    Ok(ids.iter().map(|id| found.remove(id)).collect())
}

impl From<Row> for DueDelivery {
    fn from(row: Row) -> Self {
        let endpoint = row.url.zip(row.scheme).zip(row.secret).map(|((url, scheme), secret)| Endpoint {
            url,
            scheme,
            secret,
            old_secret: row.old_secret,
            failing: row.failing,
        });
        Self { id: row.id, endpoint_id: row.endpoint_id, event_id: row.event_id, payload: row.payload, endpoint }
    }
}

/// What is written down.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    delivery_id: Uuid,
    endpoint_id: Uuid,
    state: &'static str,
    at: Timestamp,
    millis: i32,
    status: Option<i16>,
    error: Option<String>,
    answer: Option<Vec<u8>>,
    /// What it says of the endpoint.
    says: Says,
    /// The job, where it ends with this.
    ends: Option<Claim>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Nothing,
    Recovered,
    Failing,
    Gone,
}

impl Attempt {
    pub(super) fn of(
        due: &DueDelivery,
        called: &CallResult,
        error: Option<String>,
        ends: Option<&Claim>,
        latency: Duration,
    ) -> Self {
        let says = match (&error, super::is_gone(called)) {
            (_, true) => Says::Gone,
            (Some(_), _) => Says::Failing,
            (None, _) if due.endpoint.as_ref().is_some_and(|endpoint| endpoint.failing) => Says::Recovered,
            (None, _) => Says::Nothing,
        };
        let answer = called.as_ref().ok();
        Self {
            delivery_id: due.id,
            endpoint_id: due.endpoint_id,
            state: match (&error, ends) {
                (None, _) => "delivered",
                (Some(_), None) => "pending",
                (Some(_), Some(_)) => "failed",
            },
            at: Timestamp::now(),
            millis: i32::try_from(latency.as_millis()).unwrap_or(i32::MAX),
            status: answer.and_then(|answer| i16::try_from(answer.status.as_u16()).ok()),
            error,
            answer: answer.map(|answer| answer.body.clone()),
            says,
            ends: ends.cloned(),
        }
    }

    pub(super) fn cancelled(due: &DueDelivery, job: &Claim, why: &str) -> Self {
        Self {
            delivery_id: due.id,
            endpoint_id: due.endpoint_id,
            state: "cancelled",
            at: Timestamp::now(),
            millis: 0,
            status: None,
            error: Some(why.to_owned()),
            answer: None,
            says: Says::Nothing,
            ends: Some(job.clone()),
        }
    }
}

pub(super) async fn record(queue: &Queue, attempts: &[Attempt]) -> Result<(), QueueError> {
    let of = |says| {
        let endpoints = attempts.iter().filter(move |attempt| attempt.says == says);
        endpoints.map(|attempt| attempt.endpoint_id).collect::<Vec<_>>()
    };
    let (recovered, failing, gone) = (of(Says::Recovered), of(Says::Failing), of(Says::Gone));
    let ended: Vec<Claim> = attempts.iter().filter_map(|attempt| attempt.ends.clone()).collect();
    let mut tx = queue.pool().begin().await?;
    // Jobs' rows come before those of deliveries, as with who cancels jobs. What was called is written down, whoever has
    // ended the job: the delivery's own state says whether this still counts.
    let (_, mut enqueued) = queue.complete_each(&mut tx, &ended).await?;
    enter(&mut tx, attempts).await?;
    if !recovered.is_empty() {
        sqlx::query(
            "update webhook_endpoints set failing_since = null where id = any($1) and failing_since is not null",
        )
        .bind(&recovered)
        .execute(&mut *tx)
        .await?;
    }
    if !failing.is_empty() {
        sqlx::query("update webhook_endpoints set failing_since = now() where id = any($1) and failing_since is null")
            .bind(&failing)
            .execute(&mut *tx)
            .await?;
        for (endpoint_id, client_id) in disable(&mut tx, &failing, "failing").await? {
            // Each time that the endpoint is disabled is a mail of its own.
            let reference = format!("{endpoint_id}/{}", Timestamp::now().as_second());
            enqueued.merge(operator::tell(&mut tx, queue, client_id, Kind::WebhookDisabled, reference).await?);
        }
    }
    if !gone.is_empty() {
        disable(&mut tx, &gone, "gone").await?;
    }
    tx.commit().await?;
    queue.push(enqueued).await;
    Ok(())
}

async fn enter(conn: &mut PgConnection, attempts: &[Attempt]) -> Result<(), sqlx::Error> {
    sqlx::query("select enter_webhook_attempts($1, $2, $3, $4, $5, $6, $7)")
        .bind(attempts.iter().map(|attempt| attempt.delivery_id).collect::<Vec<_>>())
        .bind(attempts.iter().map(|attempt| attempt.state).collect::<Vec<_>>())
        .bind(attempts.iter().map(|attempt| attempt.at.to_sqlx()).collect::<Vec<_>>())
        .bind(attempts.iter().map(|attempt| attempt.millis).collect::<Vec<_>>())
        .bind(attempts.iter().map(|attempt| attempt.status).collect::<Vec<_>>())
        .bind(attempts.iter().map(|attempt| attempt.error.as_deref()).collect::<Vec<_>>())
        .bind(attempts.iter().map(|attempt| attempt.answer.as_deref()).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// Disables endpoints that are gone, or have failed for five days; returns which, and whose they are.
async fn disable(
    conn: &mut PgConnection,
    endpoints: &[Uuid],
    reason: &str,
) -> Result<Vec<(Uuid, ClientId)>, sqlx::Error> {
    let disabled: Vec<(Uuid, ClientId)> = sqlx::query_as(
        "update webhook_endpoints set disabled_at = now(), disabled_reason = $2, updated_at = now()
         where id = any($1) and disabled_at is null and ($2 = 'gone' or failing_since < now() - interval '5 days')
         returning id, client_id",
    )
    .bind(endpoints)
    .bind(reason)
    .fetch_all(conn)
    .await?;
    for (endpoint_id, client_id) in &disabled {
        tracing::warn!(%endpoint_id, client_id = client_id.get(), reason, "a webhook's endpoint is disabled");
        metrics::counter!("gristmill_webhook_endpoints_disabled_total", "reason" => reason.to_owned()).increment(1);
    }
    Ok(disabled)
}
