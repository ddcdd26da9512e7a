//! Requests: taken with their jobs in one transaction, answered once.

use std::time::Duration;

use gristmill_core::ClientId;
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
#[schema(as = NormalizationState)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum State {
    /// It will be answered.
    Queued,
    /// It is answered.
    Completed,
    /// The client's own heuristic did not answer, however often it was asked, or its job was ended before.
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
    pub client_id: ClientId,
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

/// Takes requests, each with its job, which follows the trace that runs here unless one is given for it. Push what it returns
/// after the commit.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn create(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    new: &[New],
    trace_parents: Vec<Option<String>>,
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
    let options = Options { client_id: Some(client_id), trace_parents, ..Options::default() };
    let enqueued = queue.enqueue_all(conn, &jobs, &options).await?;
    Ok((ids, enqueued))
}

/// A request, whoever's.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(on: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Request>, sqlx::Error> {
    let one = &format!("{SELECT} where id = $1");
    sqlx::query_as(one).bind(id).fetch_optional(on).await
}

/// A client's requests, the newest first.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Request>, sqlx::Error> {
    let page = format!("{SELECT} where client_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3");
    sqlx::query_as(&page).bind(client_id).bind(before).bind(limit).fetch_all(on).await
}

/// A request that is to be answered, and how its client wants that done.
#[derive(Debug, Clone, FromRow)]
pub struct PendingRequest {
    /// The request.
    #[sqlx(flatten)]
    pub request: Request,
    /// The version of the client's rules.
    pub rules_version: i64,
    /// The client's own heuristic, where that is to be asked.
    pub heuristic_url: Option<String>,
}

/// Those of these requests that there are, in any order.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn wanted(on: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<Vec<PendingRequest>, sqlx::Error> {
    sqlx::query_as("select * from normalizations_wanted($1)").bind(ids).fetch_all(on).await
}

/// Answers requests, or says why there is no answer, by one statement.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn answer(conn: &mut PgConnection, answers: &[(Uuid, &Result<Answer, String>)]) -> Result<(), sqlx::Error> {
    let nobody = Answer::default();
    let found: Vec<&Answer> = answers.iter().map(|(_, answer)| answer.as_ref().unwrap_or(&nobody)).collect();
    let state = |answer: &Result<_, _>| if answer.is_ok() { State::Completed } else { State::Failed };
    sqlx::query("select answer_normalizations($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
        .bind(answers.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(answers.iter().map(|(_, answer)| state(answer).to_string()).collect::<Vec<_>>())
        .bind(answers.iter().map(|(_, answer)| answer.as_ref().err()).collect::<Vec<_>>())
        .bind(found.iter().map(|answer| answer.merchant.as_ref()).collect::<Vec<_>>())
        .bind(found.iter().map(|answer| answer.matched.as_ref()).collect::<Vec<_>>())
        .bind(found.iter().map(|answer| answer.rule_id).collect::<Vec<_>>())
        .bind(found.iter().map(|answer| answer.score).collect::<Vec<_>>())
        .bind(found.iter().map(|answer| answer.mcc.as_ref()).collect::<Vec<_>>())
        .bind(found.iter().map(|answer| answer.category.as_ref()).collect::<Vec<_>>())
        .bind(found.iter().map(|answer| answer.wikidata.as_ref()).collect::<Vec<_>>())
        .execute(conn)
        .await
        .map(drop)
}

/// Has requests fail that wait for their answer, each with the reason. Returns those that did, with their clients.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn end(conn: &mut PgConnection, ends: &[(Uuid, String)]) -> Result<Vec<(Uuid, ClientId)>, sqlx::Error> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(
        "update normalizations n set state = 'failed', detail = t.detail, completed_at = now()
         from unnest($1::uuid[], $2::text[]) as t (id, detail)
         where n.id = any($1) and n.id = t.id and n.state = 'queued' returning n.id, n.client_id",
    )
    .persistent(false)
    .bind(ends.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(ends.iter().map(|(_, detail)| detail.as_str()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
}

/// Removes requests that were answered at least `age` ago, at most `slice`; returns how many.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn prune(on: impl PgExecutor<'_>, age: Duration, slice: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "delete from normalizations where id in (
            select id from normalizations where id < $1 and completed_at < now() - $2 * interval '1 second' order by id limit $3)",
    )
    .bind(gristmill_core::ids::younger_than(age))
    .bind(age.as_secs_f64())
    .bind(slice)
    .execute(on)
    .await?;
    Ok(done.rows_affected())
}
