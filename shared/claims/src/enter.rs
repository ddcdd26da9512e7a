//! Claims that begin to count: those of an upload that closes, or one that came by itself.

use gristmill_core::ClientId;
use gristmill_pipelines::{
    MAX_AMOUNT_MINOR, Sum,
    claims::{Values, ids_of_upload, line_id},
};
use gristmill_queue::{Enqueued, Options, Queue, QueueError};
use gristmill_uploads::UploadId;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{Executor, FromRow, PgConnection};
use uuid::Uuid;

use crate::{
    jobs::{PayUpload, ProcessPayment},
    providers::{self, Change, Turn},
};

/// A claim of an upload that comes to no amount, or of which one plan has to pay none: it is above [`MAX_AMOUNT_MINOR`], or
/// below zero by more than that.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TooMuch {
    /// The claim, which is not entered yet.
    pub claim_id: Uuid,
    /// The plan whose lines come to too much; none: all lines of the claim do.
    pub plan_group: Option<String>,
    /// How many lines come to too much.
    pub lines: i64,
    /// What they come to, in cents.
    #[sqlx(try_from = "String")]
    pub net_fee_minor: Sum,
}

/// Each of an upload's claims that is so, once; its claims can be entered when there are none.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn too_much(conn: &mut PgConnection, upload_id: UploadId) -> Result<Vec<TooMuch>, sqlx::Error> {
    let (first, last) = ids_of_upload(upload_id.get());
    // Lines are grouped only of a file that comes to so much in all.
    sqlx::query_as(
        "with l as not materialized (
             select * from claim_lines
             where client_id = (select client_id from uploads where id = $3) and line_id between $1 and $2 and upload_id = $3
         )
         select distinct on (claim_id) claim_id, plan_group, count(*) as lines, sum(net_fee_minor)::text as net_fee_minor
         from l where (select sum(abs(net_fee_minor)) from l) > $4
         group by grouping sets ((claim_id), (claim_id, plan_group)) having abs(sum(net_fee_minor)) > $4
         order by claim_id, plan_group nulls first",
    )
    .bind(first)
    .bind(last)
    .bind(upload_id)
    .bind(MAX_AMOUNT_MINOR)
    .fetch_all(conn)
    .await
}

/// Deletes the lines of these claims of an upload, which are not entered yet. Returns each with its claim, in no order.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn take_out(
    conn: &mut PgConnection,
    upload_id: UploadId,
    claims: &[Uuid],
) -> Result<Vec<(i64, Uuid)>, sqlx::Error> {
    let (first, last) = ids_of_upload(upload_id.get());
    sqlx::query_as(
        "delete from claim_lines
         where client_id = (select client_id from uploads where id = $3) and line_id between $1 and $2 and upload_id = $3
           and claim_id = any($4)
         returning line, claim_id",
    )
    .bind(first)
    .bind(last)
    .bind(upload_id)
    .bind(claims)
    .fetch_all(conn)
    .await
}

/// Enters the claims that an upload's lines make, in the transaction that completes it, and has them paid. None of them is
/// [`too_much`]. Two claims of one id are refused by the key: all that makes a claim is grouped by.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn upload(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    upload_id: UploadId,
) -> Result<Enqueued, QueueError> {
    // The lines of a large file are grouped in memory.
    conn.execute("set local work_mem = '128MB'").await?;
    let (first, last) = ids_of_upload(upload_id.get());
    let entered = sqlx::query(
        "insert into claims (id, client_id, upload_id, subscriber, provider_npi, service_date, lines, net_fee_minor)
         select l.claim_id, l.client_id, l.upload_id, min(l.subscriber), min(l.provider_npi), min(l.service_date),
                count(*), sum(l.net_fee_minor)
         from claim_lines l
         where l.line_id between $1 and $2 and l.client_id = $3 and l.upload_id = $4
         group by l.claim_id, l.client_id, l.upload_id, l.subscriber, l.provider_npi, l.service_date
         order by l.claim_id",
    )
    .bind(first)
    .bind(last)
    .bind(client_id)
    .bind(upload_id)
    .execute(&mut *conn)
    .await?;
    if entered.rows_affected() == 0 {
        return Ok(Enqueued::default());
    }
    providers::add_upload(&mut *conn, upload_id, Turn::Begin).await?;
    queue.enqueue(conn, &PayUpload { client_id, upload_id, after: None }, &of(client_id)).await
}

/// A claim that came by itself; what its lines come to is an amount.
#[derive(Debug, Clone)]
pub struct NewClaim {
    /// The member.
    pub subscriber: String,
    /// Who did it.
    pub provider_npi: String,
    /// When.
    pub service_date: Date,
    /// The plan that pays.
    pub plan_group: String,
    /// What was done; not empty.
    pub lines: Vec<NewLine>,
}

/// A line of it.
#[derive(Debug, Clone)]
pub struct NewLine {
    /// What was done.
    pub procedure: String,
    /// Where.
    pub quadrant: Option<String>,
    /// What it costs; the day is the claim's.
    pub values: Values,
}

/// Enters one claim with its lines, and has it paid. Push what it returns after the commit.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn single(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    new: &NewClaim,
) -> Result<(Uuid, Enqueued), QueueError> {
    let id = Uuid::now_v7();
    let net_fee_minor = new.lines.iter().map(|line| line.values.net_fee()).sum::<i64>();
    let lines = i64::try_from(new.lines.len()).unwrap_or(i64::MAX);
    sqlx::query(
        "insert into claims (id, client_id, subscriber, provider_npi, service_date, lines, net_fee_minor)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(client_id)
    .bind(&new.subscriber)
    .bind(&new.provider_npi)
    .bind(new.service_date.to_sqlx())
    .bind(lines)
    .bind(net_fee_minor)
    .execute(&mut *conn)
    .await?;
    insert_lines(conn, client_id, id, new).await?;
    let (provider_npi, service_date) = (new.provider_npi.as_str(), new.service_date);
    let change = Change { client_id, provider_npi, service_date, claims: 1, lines, net_fee_minor };
    providers::add(&mut *conn, &change).await?;
    let jobs = queue.enqueue(conn, &ProcessPayment { claim_id: id }, &of(client_id)).await?;
    Ok((id, jobs))
}

async fn insert_lines(
    conn: &mut PgConnection,
    client_id: ClientId,
    id: Uuid,
    new: &NewClaim,
) -> Result<(), sqlx::Error> {
    let amounts = |of: fn(&Values) -> i64| new.lines.iter().map(|line| of(&line.values)).collect::<Vec<i64>>();
    let numbers = 1..=new.lines.len() as u64;
    sqlx::query(
        "insert into claim_lines (line_id, client_id, line, claim_id, provider_fees_minor, allowed_fees_minor, coinsurance_minor,
             copay_minor, net_fee_minor, service_date, procedure_code, quadrant, plan_group, subscriber, provider_npi)
         select l.id, $1, l.line, $2, l.fees, l.allowed, l.coinsurance, l.copay, l.net, $3, l.procedure_code, l.quadrant, $4, $5, $6
         from unnest($7::uuid[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[])
              with ordinality as l (id, fees, allowed, coinsurance, copay, net, procedure_code, quadrant, line)",
    )
    .bind(client_id)
    .bind(id)
    .bind(new.service_date.to_sqlx())
    .bind(&new.plan_group)
    .bind(&new.subscriber)
    .bind(&new.provider_npi)
    .bind(numbers.map(|line| line_id(id, line)).collect::<Vec<Uuid>>())
    .bind(amounts(|values| values.provider_fees))
    .bind(amounts(|values| values.allowed_fees))
    .bind(amounts(|values| values.coinsurance))
    .bind(amounts(|values| values.copay))
    .bind(amounts(Values::net_fee))
    .bind(new.lines.iter().map(|line| line.procedure.as_str()).collect::<Vec<_>>())
    .bind(new.lines.iter().map(|line| line.quadrant.as_deref()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Claims whose payments are enqueued at a time.
const BATCH_SIZE: i64 = 1_000;

/// Enqueues the payments of an upload's next claims, and a successor where there are more.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn pay_next(conn: &mut PgConnection, queue: &Queue, job: &PayUpload) -> Result<Enqueued, QueueError> {
    let (first, last) = ids_of_upload(job.upload_id.get());
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from claims where id > $1 and id <= $2 and upload_id = $3 and state = 'pending' order by id limit $4",
    )
    .bind(job.after.unwrap_or(first))
    .bind(last)
    .bind(job.upload_id)
    .bind(BATCH_SIZE)
    .fetch_all(&mut *conn)
    .await?;
    let payments: Vec<ProcessPayment> = ids.iter().map(|&claim_id| ProcessPayment { claim_id }).collect();
    let mut jobs = queue.enqueue_all(&mut *conn, &payments, &of(job.client_id)).await?;
    if ids.len() as i64 == BATCH_SIZE {
        let rest = PayUpload { after: ids.last().copied(), ..job.clone() };
        jobs.merge(queue.enqueue(conn, &rest, &of(job.client_id)).await?);
    }
    Ok(jobs)
}

pub(crate) fn of(client_id: ClientId) -> Options {
    Options { client_id: Some(client_id), ..Options::default() }
}
