//! What deliveries that have not ended wait for.

use std::collections::HashMap;

use gristmill_queue::Job as _;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::jobs::Deliver;

/// What a delivery waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A worker: it is due.
    Worker,
    /// Its next attempt, after so many that failed.
    Attempt {
        /// How many have failed.
        failed: i32,
        /// When it is made.
        at: Timestamp,
    },
    /// Its endpoint, which has failed so often lately that it is left alone: no attempt is made before then.
    Endpoint {
        /// When it is looked at again.
        at: Timestamp,
    },
}

#[derive(FromRow)]
struct Row {
    delivery_id: Uuid,
    scheduled: bool,
    attempt: i32,
    run_at: SqlTimestamp,
}

/// What these deliveries to an endpoint wait for; those that wait for nothing are left out.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn of(pool: &PgPool, endpoint_id: Uuid, deliveries: &[Uuid]) -> Result<HashMap<Uuid, Wait>, sqlx::Error> {
    if deliveries.is_empty() {
        return Ok(HashMap::new());
    }
    // The partial indexes on jobs that have not ended serve it; a replay's job is younger than its delivery.
    let rows: Vec<Row> = sqlx::query_as(
        "select (payload->>'delivery_id')::uuid as delivery_id, state = 'scheduled' as scheduled, attempt, run_at
         from gristmill.jobs
         where state in ('available', 'scheduled') and name = $1 and fair_key = $2 and payload->>'delivery_id' = any($3)",
    )
    .bind(Deliver::NAME)
    .bind(endpoint_id.to_string())
    .bind(deliveries.iter().map(Uuid::to_string).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let wait = |row: &Row| match (row.scheduled, row.attempt) {
        (false, _) => Wait::Worker,
        (true, 0) => Wait::Endpoint { at: row.run_at.to_jiff() },
        (true, failed) => Wait::Attempt { failed, at: row.run_at.to_jiff() },
    };
    Ok(rows.iter().map(|row| (row.delivery_id, wait(row))).collect())
}
