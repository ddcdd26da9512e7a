//! Billing runs: made by the schedule or by a request, looked at, approved, cancelled.

use gristmill_core::{ClientId, string_enum};
use gristmill_queue::{Enqueued, GroupId, Job as _, Options, Queue, QueueError};
use jiff_sqlx::{Date, Timestamp};
use sqlx::{FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{
    Sum,
    jobs::{FailRun, PlanRun},
};

string_enum! {
    /// Who wanted a run.
    #[derive(utoipa::ToSchema)]
    #[schema(as = BillingRunCause)]
    pub enum Cause {
        /// The clock.
        Schedule,
        /// A person or a program, by the API.
        Request,
    }
}

string_enum! {
    /// How a run stands.
    #[derive(utoipa::ToSchema)]
    #[schema(as = BillingRunState)]
    pub enum State {
        /// Waits to be planned, behind the client's earlier runs.
        Queued,
        /// It would make far more bills than usual, and asks.
        Held,
        /// Its bills are being made.
        Running,
        /// All its bills are there.
        Completed,
        /// Stopped by its client; what was billed by then stays billed.
        Cancelled,
        /// A shard could not be billed, or another job of it died; what was billed by then stays billed.
        Failed,
    }
}

/// A run.
#[derive(Debug, Clone, FromRow)]
pub struct Run {
    /// Version 7.
    pub id: Uuid,
    /// Whose debts it bills.
    pub client_id: ClientId,
    /// Who wanted it.
    pub cause: Cause,
    /// Whether it only says what it would do.
    pub dry_run: bool,
    /// How it stands.
    pub state: State,
    /// Why it is held, was cancelled or failed, and what of its bills was not announced.
    pub detail: Option<String>,
    /// The date its bills have.
    pub issued_on: Option<Date>,
    /// Debts due up to here are billed.
    pub cutoff: Option<Date>,
    /// The shards.
    pub group_id: Option<GroupId>,
    /// How many bills it is expected to make, once planned.
    pub planned: Option<i64>,
    /// How many it made; of a dry run, would make.
    pub bills: i64,
    /// What they come to, in the currency's minor unit.
    #[sqlx(try_from = "String")]
    pub amount_minor: Sum,
    /// ISO 4217.
    pub currency: String,
    /// How many of its bills nothing can carry, once it has ended; they are not mailed. Of a dry run, would be.
    pub unpayable: Option<i64>,
    /// How many of its bills are mailed, once it has ended.
    pub mails: Option<i64>,
    /// Of a dry run: the first bills there would be.
    pub sample: Option<serde_json::Value>,
    /// When it was wanted.
    pub created_at: Timestamp,
    /// When its shards began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, client_id, cause, dry_run, state, detail, issued_on, cutoff, group_id, planned, bills,
    amount_minor::text as amount_minor, unpayable, mails, sample,
    coalesce(currency, (select currency from client_settings s where s.client_id = billing_runs.client_id), 'BRL') as currency,
    created_at, started_at, finished_at";

/// Makes a run and enqueues its planning. Push what it returns after the commit.
///
/// # Errors
/// The database's or the queue's.
pub async fn create(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    cause: Cause,
    dry_run: bool,
    settle_seconds: u32,
) -> Result<(Run, Enqueued), QueueError> {
    let id = Uuid::now_v7();
    let sql = format!(
        "insert into billing_runs (id, client_id, cause, dry_run, state) values ($1, $2, $3, $4, 'queued') returning {COLUMNS}"
    );
    let run = sqlx::query_as(&sql).bind(id).bind(client_id).bind(cause).bind(dry_run).fetch_one(&mut *conn).await?;
    let plan = PlanRun { run_id: id, settle_seconds };
    let options = Options { client_id: Some(client_id), ..Options::default() };
    let jobs = queue.enqueue(conn, &plan, &options).await?;
    Ok((run, jobs))
}

/// One run of a client.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn find(on: impl PgExecutor<'_>, client_id: ClientId, id: Uuid) -> Result<Option<Run>, sqlx::Error> {
    let sql = format!("select {COLUMNS} from billing_runs where client_id = $1 and id = $2");
    sqlx::query_as(&sql).bind(client_id).bind(id).fetch_optional(on).await
}

/// A client's runs before this one, the newest first.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn list(
    on: impl PgExecutor<'_>,
    client_id: ClientId,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Run>, sqlx::Error> {
    let sql = format!(
        "select {COLUMNS} from billing_runs where client_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3"
    );
    sqlx::query_as(&sql).bind(client_id).bind(before).bind(i64::from(limit)).fetch_all(on).await
}

/// The run whose group of shards this is.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn of_group(on: impl PgExecutor<'_>, group: GroupId) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar("select id from billing_runs where group_id = $1").bind(group).fetch_optional(on).await
}

/// Lets a held run go on. `None`: it is not held.
///
/// # Errors
/// The database's or the queue's.
pub async fn approve(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    id: Uuid,
) -> Result<Option<Enqueued>, QueueError> {
    let held = sqlx::query(
        "update billing_runs set state = 'queued', approved_at = now(), detail = null
         where id = $1 and client_id = $2 and state = 'held'",
    )
    .bind(id)
    .bind(client_id)
    .execute(&mut *conn)
    .await?;
    if held.rows_affected() == 0 {
        return Ok(None);
    }
    let options = Options { client_id: Some(client_id), ..Options::default() };
    queue.enqueue(conn, &PlanRun { run_id: id, settle_seconds: 0 }, &options).await.map(Some)
}

/// Stops a run that has not ended; what it has billed stays billed, and is told to its payers. What it has not is left to a
/// run that somebody asks for: the schedule does not begin it again. `None`: it has ended. Push what it returns after the
/// commit.
///
/// # Errors
/// The database's or the queue's.
pub async fn cancel(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    id: Uuid,
) -> Result<Option<Enqueued>, QueueError> {
    // The shards that are about to commit come before it, so that the next statement sees what they have billed.
    sqlx::query("select from billing_runs where id = $1 and client_id = $2 for no key update")
        .bind(id)
        .bind(client_id)
        .execute(&mut *conn)
        .await?;
    let cancelled: Option<Option<GroupId>> = sqlx::query_scalar(
        "update billing_runs r set state = 'cancelled', detail = 'cancelled by its client', finished_at = now(),
                bills = (select coalesce(sum(bills), 0) from billing_shards where run_id = r.id),
                amount_minor = (select coalesce(sum(amount_minor), 0) from billing_shards where run_id = r.id),
                unpayable = (select coalesce(sum(unpayable), 0) from billing_shards where run_id = r.id)
         where id = $1 and client_id = $2 and finished_at is null returning group_id",
    )
    .bind(id)
    .bind(client_id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(group) = cancelled else { return Ok(None) };
    // Those of which nothing is billed are free again, to be undone if they were the mistake.
    sqlx::query(
        "update uploads u set billed_by = null where billed_by = $1 and billed_through is null
           and not exists (select from billing_shards s where s.run_id = $1 and s.upload_id = u.id and s.bills > 0)",
    )
    .bind(id)
    .execute(&mut *conn)
    .await?;
    let Some(group) = group else { return Ok(Some(Enqueued::default())) };
    queue.cancel_group(&mut *conn, group).await?;
    let options = Options { client_id: Some(client_id), ..Options::default() };
    queue.enqueue(conn, &FailRun { run_id: id, detail: None }, &options).await.map(Some)
}

/// Has a run fail of which a job is no more, if it needs that job: it waits for it, or has not told of its bills. What it has
/// billed stays billed. Push what it returns after the commit.
///
/// # Errors
/// The database's or the queue's.
pub async fn give_up(conn: &mut PgConnection, queue: &Queue, id: Uuid, detail: &str) -> Result<Enqueued, QueueError> {
    let client_id: Option<ClientId> = sqlx::query_scalar(
        "select client_id from billing_runs where id = $1
           and (state in ('queued', 'running') or finished_at is not null and mails is null and group_id is not null)",
    )
    .bind(id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(client_id) = client_id else { return Ok(Enqueued::default()) };
    let unique_key = Some(format!("{}:{id}", FailRun::NAME));
    let options = Options { client_id: Some(client_id), unique_key, ..Options::default() };
    queue.enqueue(conn, &FailRun { run_id: id, detail: Some(detail.to_owned()) }, &options).await
}

/// The run that made a client's bill of this number.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn of_bill(conn: &mut PgConnection, client_id: ClientId, number: i64) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select n.run_id from billing_runs r join billing_numbers n on n.run_id = r.id
         where r.client_id = $1 and $2 between n.from_number and n.to_number limit 1",
    )
    .bind(client_id)
    .bind(number)
    .fetch_optional(conn)
    .await
}

/// Adds a sentence to what is said of a run; of one of which much is said already it is one too many.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn note(conn: &mut PgConnection, id: Uuid, note: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update billing_runs set detail = concat_ws('; ', detail, $2::text)
         where id = $1 and coalesce(length(detail), 0) < 4000",
    )
    .bind(id)
    .bind(note)
    .execute(conn)
    .await
    .map(drop)
}
