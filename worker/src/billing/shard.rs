//! The bills of the debts in some blocks, in one transaction.
//!
//! Rows are inserted in the order of the debts' ids: the key that keeps a debt from being billed twice is random like
//! they are, and sorted rows share its pages. They go in by `COPY`, which writes a page at a time where `insert … select`
//! writes a row. When one is billed already (which the run's watermarks rule out, and the key
//! proves), the shard leaves out what is there.

use std::collections::{BTreeMap, HashSet};

use gristmill_billing::{jobs::BillShard, settings::Numbering};
use gristmill_queue::{Completion, Context, Fence, JobError};
use jiff_sqlx::Date;
use rayon::slice::ParallelSliceMut as _;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use crate::{
    Env,
    load::{copy, field, on_rayon},
};

#[derive(FromRow)]
struct Run {
    client_id: i32,
    issued_on: Date,
    period: Date,
    cutoff: Date,
    numbering: Numbering,
    some_paid: bool,
    /// A run of this client has ended in the middle: what it billed is known by its bills only.
    interrupted: bool,
}

/// As when chunks are loaded: the run's close flushes every commit before it, and one that a crash of Postgres takes
/// back runs again.
const SETTINGS: &str =
    "set local synchronous_commit = off; set local lock_timeout = '10s'; set local work_mem = '128MB'";

/// The rows of the run's uploads in the shard: `$1` run, `$2` first block, `$3` block after the last, `$4` client.
const ROWS: &str = "from debts d join billing_run_uploads u on u.run_id = $1 and u.upload_id = d.upload_id
     where d.ctid >= format('(%s,0)', $2::bigint)::tid and d.ctid < format('(%s,0)', $3::bigint)::tid and d.client_id = $4";

/// Bills one shard; see the module.
pub(super) async fn bill(env: Env, context: Context, job: BillShard) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    sqlx::raw_sql(SETTINGS).execute(&mut *tx).await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let run: Option<Run> = sqlx::query_as(
        "select r.client_id, r.issued_on, r.period, r.cutoff, s.numbering,
                exists (select from debt_payments p where p.client_id = r.client_id) as some_paid,
                exists (select from billing_runs o where o.client_id = r.client_id and o.bills > 0
                        and o.state in ('failed', 'cancelled')) as interrupted
         from billing_runs r join client_settings s on s.client_id = r.client_id
         where r.id = $1 and r.state = 'running' for key share of r",
    )
    .bind(job.run_id)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(run) = run else { return Err(JobError::Cancelled) };
    let debts = look(&mut tx, &job, &run).await?;
    let due = debts.len() as u64;
    if due > 0 {
        make(&env, &mut tx, &job, &run, debts).await?;
    }
    match env.queue.complete(&mut tx, &context.claim).await? {
        Completion::AlreadyDone => Ok(()),
        Completion::Done(join) => {
            tx.commit().await?;
            env.queue.push(join).await;
            metrics::counter!("gristmill_bills_total").increment(due);
            Ok(())
        }
    }
}

/// What a bill needs of its debt.
struct Debt {
    id: Uuid,
    /// Days since 2000-01-01, as Postgres counts them.
    due: i32,
    amount: i64,
    paid: i64,
}

/// Of one upload: ids, due dates, amounts, what was paid.
type Columns = (Vec<Uuid>, Vec<i32>, Vec<i64>, Vec<i64>);

/// Writes down what the shard has of each upload, and returns the debts that are to be billed, in the order of their ids.
async fn look(conn: &mut PgConnection, job: &BillShard, run: &Run) -> Result<Vec<Debt>, JobError> {
    let wanted = wanted(run);
    let (paid, payments) = if run.some_paid {
        (
            format!("coalesce(array_agg(coalesce(p.paid_minor, 0)) filter (where {wanted}), '{{}}')"),
            "left join debt_payments p on p.debt_id = d.debt_id and p.client_id = d.client_id",
        )
    } else {
        ("'{}'::bigint[]".to_owned(), "")
    };
    let rows = ROWS.replace("where", &format!("{payments} where"));
    // As arrays: a row a debt costs more than the rest of the way.
    let sql = format!(
        "with seen as (
            select d.upload_id, count(*) as seen, min(d.due_date) filter (where d.due_date > $5) as next_due,
                   coalesce(sum(d.amount_minor) filter (where {wanted}), 0) as amount,
                   coalesce(array_agg(d.debt_id) filter (where {wanted}), '{{}}') as ids,
                   coalesce(array_agg(d.due_date - date '2000-01-01') filter (where {wanted}), '{{}}') as due,
                   coalesce(array_agg(d.amount_minor) filter (where {wanted}), '{{}}') as amounts,
                   {paid} as paid
            {rows} group by d.upload_id
         ), noted as (
            insert into billing_shards (run_id, upload_id, from_block, seen, bills, amount_minor, next_due)
            select $1, upload_id, $2, seen, cardinality(ids), amount, next_due from seen
         )
         select ids, due, amounts, paid from seen where ids <> '{{}}'"
    );
    let uploads: Vec<Columns> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(job.run_id)
        .bind(job.from_block)
        .bind(job.to_block)
        .bind(run.client_id)
        .bind(run.cutoff)
        .fetch_all(conn)
        .await?;
    on_rayon(move || {
        let mut debts: Vec<Debt> = uploads.into_iter().flat_map(debts).collect();
        debts.par_sort_unstable_by_key(|debt| debt.id.as_u128());
        debts
    })
    .await
}

fn debts((ids, due, amounts, paid): Columns) -> impl Iterator<Item = Debt> {
    // none: no debt of the client has been paid
    let paid = paid.into_iter().chain(std::iter::repeat(0));
    let facts = due.into_iter().zip(amounts).zip(paid);
    ids.into_iter().zip(facts).map(|(id, ((due, amount), paid))| Debt { id, due, amount, paid })
}

/// Due within the run's days, not looked at by an earlier run, and not paid before it was billed. `$5` is the cutoff.
fn wanted(run: &Run) -> String {
    let unpaid = if run.some_paid { "and coalesce(p.paid_minor, 0) < d.amount_minor" } else { "" };
    let unbilled = "and not exists (select from bills b where b.debt_id = d.debt_id and b.client_id = d.client_id
                                    and b.state <> 'cancelled')";
    let unbilled = if run.interrupted { unbilled } else { "" };
    format!("d.due_date <= $5 and (u.after is null or d.due_date > u.after) {unpaid} {unbilled}")
}

async fn make(
    env: &Env,
    tx: &mut PgConnection,
    job: &BillShard,
    run: &Run,
    debts: Vec<Debt>,
) -> Result<(), JobError> {
    let due = i64::try_from(debts.len())?;
    let first = match run.numbering {
        // Committed at once, so that no shard waits for another.
        Numbering::Ranges => allocate(&mut *env.pool.acquire().await?, run.client_id, due).await?,
        Numbering::Gapless => allocate(tx, run.client_id, due).await?,
    };
    sqlx::raw_sql("savepoint hope").execute(&mut *tx).await?;
    let made = if hope(tx, job, run, first, &debts).await? {
        debts
    } else {
        sqlx::raw_sql("rollback to savepoint hope").execute(&mut *tx).await?;
        let made = insert(tx, job, run, first, debts).await?;
        correct(tx, job, run).await?;
        made
    };
    if made.is_empty() {
        return Ok(());
    }
    note_days(tx, run, (first, due), &made).await?;
    sqlx::query("insert into billing_numbers (run_id, from_number, to_number) values ($1, $2, $3)")
        .bind(job.run_id)
        .bind(first)
        .bind(first + due - 1)
        .execute(tx)
        .await?;
    Ok(())
}

/// The first of so many numbers that are this caller's alone.
async fn allocate(conn: &mut PgConnection, client_id: i32, many: i64) -> Result<i64, sqlx::Error> {
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
) -> Result<bool, JobError> {
    let (run_id, client_id, period) = (job.run_id, run.client_id.to_be_bytes(), days(run.period).to_be_bytes());
    let into = "bills (client_id, period, number, debt_id, run_id, amount_minor, paid_minor, due_on)";
    let copied = copy(conn, into, (first..).zip(debts), |piece, (number, debt): (i64, &Debt)| {
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
    .await;
    match copied {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The same for a shard of which some are billed: returns the debts whose bills went in.
async fn insert(
    conn: &mut PgConnection,
    job: &BillShard,
    run: &Run,
    first: i64,
    mut debts: Vec<Debt>,
) -> Result<Vec<Debt>, sqlx::Error> {
    let made: Vec<Uuid> = sqlx::query_scalar(
        "insert into bills (client_id, period, number, debt_id, run_id, amount_minor, paid_minor, due_on)
         select $1, $2, $3 - 1 + n, id, $4, amount, paid, date '2000-01-01' + due
         from unnest($5::uuid[], $6::bigint[], $7::bigint[], $8::int[]) with ordinality as d (id, amount, paid, due, n)
         on conflict (debt_id, client_id, period) do nothing returning debt_id",
    )
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

/// What was noted before counts debts that were billed already: count this shard's bills.
async fn correct(conn: &mut PgConnection, job: &BillShard, run: &Run) -> Result<(), sqlx::Error> {
    let sql = format!(
        "update billing_shards s set bills = coalesce(m.bills, 0), amount_minor = coalesce(m.amount, 0)
         from billing_shards o left join (
            select d.upload_id, count(*) as bills, sum(b.amount_minor) as amount
            from bills b join (select d.upload_id, d.debt_id {ROWS}) d using (debt_id)
            where b.run_id = $1 and b.client_id = $4
            group by d.upload_id
         ) m on m.upload_id = o.upload_id
         where o.run_id = $1 and o.from_block = $2
           and s.run_id = o.run_id and s.from_block = o.from_block and s.upload_id = o.upload_id"
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(job.run_id)
        .bind(job.from_block)
        .bind(job.to_block)
        .bind(run.client_id)
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
         select $1, $2, $2 - 1 + $3, date '2000-01-01' + d.payable_on, d.bills, $4, $4::date + 1
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
fn days(date: Date) -> i32 {
    let epoch = jiff::civil::date(2000, 1, 1);
    (date.to_jiff() - epoch).get_days()
}
