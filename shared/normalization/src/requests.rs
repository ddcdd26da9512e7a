//! Requests: taken with their jobs in one transaction, answered once.

use std::time::Duration;

use gristmill_queue::{Enqueued, Options, Queue, QueueError};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{Answer, jobs::Normalize};

/// Characters of a descriptor.
pub const MAX_DESCRIPTION: usize = 500;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum State {
    /// It will be answered.
    Queued,
    /// It is answered.
    Completed,
    /// The client's own heuristic did not answer, however often it was asked.
    Failed,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Completed => "completed",
            Self::Failed => "failed",
        })
    }
}

/// A transaction whose merchant is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct New {
    /// Its day.
    pub date: Date,
    /// As the statement shows it.
    pub description: String,
    /// In hundredths.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: Option<String>,
}

/// A request.
#[derive(Debug, Clone, FromRow)]
pub struct Request {
    /// The request's id.
    pub id: Uuid,
    /// Whose it is.
    pub client_id: i32,
    /// The transaction's day.
    pub date: jiff_sqlx::Date,
    /// As the statement shows it.
    pub description: String,
    /// In hundredths.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Why it failed.
    pub detail: Option<String>,
    /// When it came.
    pub created_at: jiff_sqlx::Timestamp,
    /// When it was answered.
    pub completed_at: Option<jiff_sqlx::Timestamp>,
    /// What was found.
    #[sqlx(flatten)]
    pub answer: Answer,
}

const SELECT: &str =
    "select id, client_id, date, description, amount_minor, currency, state, detail, created_at, completed_at,
    merchant, matched, rule_id, score, mcc, category, wikidata from normalizations";

/// Takes requests, each with its job; the trace is the one that runs here unless another one is given. Push what it returns after the commit.
///
/// # Errors
/// The ledger's.
pub async fn create(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: i32,
    trace_parent: Option<String>,
    new: &[New],
) -> Result<(Vec<Uuid>, Enqueued), QueueError> {
    let jobs: Vec<Normalize> = new.iter().map(|_| Normalize { request_id: Uuid::now_v7() }).collect();
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.request_id).collect();
    sqlx::query(
        "insert into normalizations (id, client_id, date, description, amount_minor, currency)
         select id, $1, date, description, amount_minor, currency
         from unnest($2::uuid[], $3::date[], $4::text[], $5::bigint[], $6::text[])
              as t (id, date, description, amount_minor, currency)",
    )
    .bind(client_id)
    .bind(&ids)
    .bind(new.iter().map(|new| jiff_sqlx::Date::from(new.date)).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.description.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.amount_minor).collect::<Vec<_>>())
    .bind(new.iter().map(|new| new.currency.as_deref()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    let options = Options { client_id: Some(client_id), trace_parent, ..Options::default() };
    let enqueued = queue.enqueue_all(conn, &jobs, &options).await?;
    Ok((ids, enqueued))
}

/// A request, whoever's.
///
/// # Errors
/// The database's.
pub async fn find(on: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Request>, sqlx::Error> {
    let one = sqlx::AssertSqlSafe(format!("{SELECT} where id = $1"));
    sqlx::query_as(one).bind(id).fetch_optional(on).await
}

/// A client's requests, the newest first.
///
/// # Errors
/// The database's.
pub async fn list(
    on: impl PgExecutor<'_>,
    client_id: i32,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Request>, sqlx::Error> {
    let page = format!("{SELECT} where client_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3");
    sqlx::query_as(sqlx::AssertSqlSafe(page)).bind(client_id).bind(before).bind(limit).fetch_all(on).await
}

/// Answers a request, or says why there is no answer.
///
/// # Errors
/// The database's.
pub async fn answer(conn: &mut PgConnection, id: Uuid, answer: &Result<Answer, String>) -> Result<(), sqlx::Error> {
    let (state, detail) = match answer {
        Ok(_) => (State::Completed, None),
        Err(detail) => (State::Failed, Some(detail)),
    };
    let nobody = Answer::default();
    let found = answer.as_ref().unwrap_or(&nobody);
    sqlx::query(
        "update normalizations set state = $2, detail = $3, merchant = $4, matched = $5, rule_id = $6, score = $7, mcc = $8,
             category = $9, wikidata = $10, completed_at = now()
         where id = $1",
    )
    .bind(id)
    .bind(state)
    .bind(detail)
    .bind(&found.merchant)
    .bind(&found.matched)
    .bind(found.rule_id)
    .bind(found.score)
    .bind(&found.mcc)
    .bind(&found.category)
    .bind(&found.wikidata)
    .execute(conn)
    .await
    .map(drop)
}

/// Removes requests that were answered at least `age` ago, at most `slice`; returns how many.
///
/// # Errors
/// The database's.
pub async fn prune(on: impl PgExecutor<'_>, age: Duration, slice: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "delete from normalizations where id in (
            select id from normalizations where id < $1 and completed_at < now() - $2 * interval '1 second' order by id limit $3)",
    )
    .bind(gristmill_platform::ids::younger_than(age))
    .bind(age.as_secs_f64())
    .bind(slice)
    .execute(on)
    .await?;
    Ok(done.rows_affected())
}
