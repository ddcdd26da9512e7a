//! The bills of a shard's debts, in one transaction.
//!
//! The first bills of an upload's own segment go into a table without an index, which the close makes. Else rows are inserted
//! in the order of the debts' ids: the key that keeps a debt from being billed twice is random like they are, and sorted
//! rows share its pages. They go in by `COPY`, which writes a page at a time where `insert … select`
//! writes a row. When one is billed already (which the run's watermarks rule out, and the key proves), the shard leaves
//! out what is there.

use std::collections::{BTreeMap, HashSet};

use gristmill::Data;
use gristmill_billing::{issue::Ways, jobs::BillShard};
use gristmill_clients::{Numbering, settings};
use gristmill_core::ClientId;
use gristmill_queue::{Completion, Context, Fence, JobError};
use jiff_sqlx::Date;
use sqlx::{Executor, FromRow, PgConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    debts::{self, Debt, Upload},
    ways,
};
use crate::{
    Env,
    load::{copy_unless_taken, field},
};

#[derive(FromRow)]
pub(super) struct Run {
    pub(super) client_id: ClientId,
    issued_on: Date,
    period: Date,
    pub(super) cutoff: Date,
    numbering: Numbering,
    currency: String,
    /// A debt of the client was paid.
    pub(super) some_paid: bool,
    /// A run of this client has ended in the middle, and there are bills of the segment: what it billed is known by them only.
    pub(super) interrupted: bool,
}

/// As when chunks are loaded: the run's close flushes every commit before it, and one that a crash of Postgres takes
/// back runs again.
const SETTINGS: &str =
    "set local synchronous_commit = off; set local lock_timeout = '10s'; set local work_mem = '128MB'";

/// A process writes the bills of one shard, and meanwhile reads the next: two that write wait for each other in Postgres.
static WRITING: Mutex<()> = Mutex::const_new(());

/// Bills one shard; see the module.
pub(super) async fn bill(job: BillShard, Data(env): Data<Env>, context: Context) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    tx.execute(SETTINGS).await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let run: Option<Run> = sqlx::query_as(
        "select r.client_id, r.issued_on, r.period, r.cutoff, s.numbering, coalesce(r.currency, s.currency) as currency,
                exists (select from debt_payments p where p.client_id = r.client_id) as some_paid,
                exists (select from billing_runs o where o.client_id = r.client_id and o.bills > 0
                        and o.state in ('failed', 'cancelled'))
                and exists (select from pg_inherits where inhrelid = to_regclass('bills_' || $2)) as interrupted
         from billing_runs r join client_settings s on s.client_id = r.client_id
         where r.id = $1 and r.state = 'running'",
    )
    .bind(job.run_id)
    .bind(job.segment)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(run) = run else { return Err(JobError::Cancelled) };
    let found = debts::find(&mut tx, &job, &run).await?;
    let _writing = WRITING.lock().await;
    let made = match found.debts.is_empty() {
        true => Vec::new(),
        false => make(&env, &mut tx, &job, &run, found.debts).await?,
    };
    note_uploads(&mut tx, &job, &found.uploads, &made).await?;
    // Who cancels the run waits for those that came as far as here, and for no others: its totals are theirs.
    let running: bool = sqlx::query_scalar("select state = 'running' from billing_runs where id = $1 for share")
        .bind(job.run_id)
        .fetch_one(&mut *tx)
        .await?;
    if !running {
        return Err(JobError::Cancelled);
    }
    match env.queue.complete(&mut tx, &context.claim).await? {
        Completion::AlreadyDone => Ok(()),
        Completion::Done(join) => {
            tx.commit().await?;
            env.queue.push(join).await;
            metrics::counter!("gristmill_bills_total").increment(made.len() as u64);
            Ok(())
        }
    }
}

/// Bills these debts, and returns those whose bills are the shard's: not what was billed already.
async fn make(
    env: &Env,
    tx: &mut PgConnection,
    job: &BillShard,
    run: &Run,
    debts: Vec<Debt>,
) -> Result<Vec<Debt>, JobError> {
    let settings = settings::find(&mut *tx, run.client_id).await?;
    let due = i64::try_from(debts.len())?;
    let first = match run.numbering {
        // Committed at once, so that no shard waits for another.
        Numbering::Ranges => allocate(&mut *env.pool.acquire().await?, run.client_id, due).await?,
        Numbering::Gapless => allocate(tx, run.client_id, due).await?,
    };
    let debts = ways::look(&Ways::of(&settings), run.currency.parse()?, run.issued_on, first, debts).await?;
    let made =
        if hope(tx, job, run, first, &debts).await? { debts } else { insert(tx, job, run, first, debts).await? };
    if made.is_empty() {
        return Ok(made);
    }
    note_days(tx, run, (first, due), &made).await?;
    sqlx::query("insert into billing_numbers (run_id, from_number, to_number) values ($1, $2, $3)")
        .bind(job.run_id)
        .bind(first)
        .bind(first + due - 1)
        .execute(tx)
        .await?;
    Ok(made)
}

/// The first of so many numbers that are this caller's alone.
async fn allocate(conn: &mut PgConnection, client_id: ClientId, many: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "update client_settings set next_number = next_number + $2 where client_id = $1 returning next_number - $2",
    )
    .bind(client_id)
    .bind(many)
    .fetch_one(conn)
    .await
}

/// Copies the debts' bills in the hope that none is billed yet. `false`: one is, and none went in.
async fn hope(
    conn: &mut PgConnection,
    job: &BillShard,
    run: &Run,
    first: i64,
    debts: &[Debt],
) -> Result<bool, sqlx::Error> {
    let (run_id, client_id, period) = (job.run_id, run.client_id.get().to_be_bytes(), days(run.period).to_be_bytes());
    let into =
        format!("bills_{} (client_id, period, number, debt_id, run_id, amount_minor, paid_minor, due_on)", job.segment);
    let copied = copy_unless_taken(conn, &into, (first..).zip(debts), |piece, (number, debt): (i64, &Debt)| {
        piece.extend_from_slice(&8_i16.to_be_bytes());
        field(piece, Some(&client_id));
        field(piece, Some(&period));
        field(piece, Some(&number.to_be_bytes()));
        field(piece, Some(debt.id.as_bytes()));
        field(piece, Some(run_id.as_bytes()));
        field(piece, Some(&debt.amount.to_be_bytes()));
        field(piece, Some(&debt.paid.to_be_bytes()));
        field(piece, Some(&debt.due.to_be_bytes()));
    })
    .await?;
    Ok(copied.is_some())
}

/// The same for a shard of which some are billed: returns the debts whose bills went in.
async fn insert(
    conn: &mut PgConnection,
    job: &BillShard,
    run: &Run,
    first: i64,
    mut debts: Vec<Debt>,
) -> Result<Vec<Debt>, sqlx::Error> {
    let insert = format!(
        "insert into bills_{} (client_id, period, number, debt_id, run_id, amount_minor, paid_minor, due_on)
         select $1, $2, $3 - 1 + n, id, $4, amount, paid, date '2000-01-01' + due
         from unnest($5::uuid[], $6::bigint[], $7::bigint[], $8::int[]) with ordinality as d (id, amount, paid, due, n)
         on conflict (debt_id, client_id, period) do nothing returning debt_id",
        job.segment
    );
    let made: Vec<Uuid> = sqlx::query_scalar(&insert)
        .bind(run.client_id)
        .bind(run.period)
        .bind(first)
        .bind(job.run_id)
        .bind(debts.iter().map(|debt| debt.id).collect::<Vec<_>>())
        .bind(debts.iter().map(|debt| debt.amount).collect::<Vec<_>>())
        .bind(debts.iter().map(|debt| debt.paid).collect::<Vec<_>>())
        .bind(debts.iter().map(|debt| debt.due).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    let made: HashSet<Uuid> = made.into_iter().collect();
    debts.retain(|debt| made.contains(&debt.id));
    Ok(debts)
}

/// Writes down what the shard has of each upload, and which bills it made.
async fn note_uploads(
    conn: &mut PgConnection,
    job: &BillShard,
    uploads: &[Upload],
    made: &[Debt],
) -> Result<(), sqlx::Error> {
    let mut bills = vec![(0_i64, 0_i128, 0_i64); uploads.len()];
    for debt in made {
        let (number, amount, unpayable) = &mut bills[debt.upload];
        *number += 1;
        *amount += i128::from(debt.amount);
        *unpayable += i64::from(debt.unpayable);
    }
    sqlx::query(
        "insert into billing_shards (run_id, upload_id, from_block, seen, bills, amount_minor, next_due, unpayable)
         select $1, upload_id, $2, seen, bills, amount::numeric, date '2000-01-01' + next_due, unpayable
         from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::text[], $7::int[], $8::bigint[])
              as u (upload_id, seen, bills, amount, next_due, unpayable)
         where seen > 0",
    )
    .bind(job.run_id)
    .bind(job.no)
    .bind(uploads.iter().map(|upload| upload.id).collect::<Vec<_>>())
    .bind(uploads.iter().map(|upload| upload.seen).collect::<Vec<_>>())
    .bind(bills.iter().map(|(number, ..)| *number).collect::<Vec<_>>())
    .bind(bills.iter().map(|(_, amount, _)| amount.to_string()).collect::<Vec<_>>())
    .bind(uploads.iter().map(|upload| upload.next_due).collect::<Vec<_>>())
    .bind(bills.iter().map(|(.., unpayable)| *unpayable).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes on which days the new bills are payable, for their reminders.
async fn note_days(
    conn: &mut PgConnection,
    run: &Run,
    (first, due): (i64, i64),
    made: &[Debt],
) -> Result<(), sqlx::Error> {
    let issued_on = days(run.issued_on);
    let mut bills: BTreeMap<i32, i64> = BTreeMap::new();
    for debt in made {
        *bills.entry(debt.due.max(issued_on)).or_default() += 1;
    }
    let (payable_on, bills): (Vec<i32>, Vec<i64>) = bills.into_iter().unzip();
    sqlx::query(
        "insert into bill_days (client_id, from_number, to_number, payable_on, bills, looked_on, next_on)
         select $1, $2::bigint, $2::bigint - 1 + $3, date '2000-01-01' + d.payable_on, d.bills, $4, $4::date + 1
         from unnest($5::int[], $6::bigint[]) as d (payable_on, bills)",
    )
    .bind(run.client_id)
    .bind(first)
    .bind(due)
    .bind(run.issued_on)
    .bind(payable_on)
    .bind(bills)
    .execute(conn)
    .await?;
    Ok(())
}

/// A date as Postgres sends it: days since 2000-01-01.
pub(super) fn days(date: Date) -> i32 {
    let epoch = jiff::civil::date(2000, 1, 1);
    (date.to_jiff() - epoch).get_days()
}
