//! The bills of the debts in some blocks, in one transaction.
//!
//! Rows are inserted in the order of the debts' ids: the key that keeps a debt from being billed twice is random like
//! they are, and sorted rows share its pages. They go in by `COPY`, which writes a page at a time where `insert … select`
//! writes a row. When one is billed already (which the run's watermarks rule out, and the key
//! proves), the shard leaves out what is there.

use std::collections::BTreeMap;

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
    currency: String,
    numbering: Numbering,
    some_paid: bool,
    /// A run of this client has ended in the middle: what it billed is known by its bills only.
    interrupted: bool,
}

/// As when chunks are loaded: the run's close flushes every commit before it, and one that a crash of Postgres takes
/// back runs again.
const SETTINGS: &str =
    "set local synchronous_commit = off; set local lock_timeout = '10s'; set local work_mem = '128MB'";

/// The debts of the shard that are to be billed: `$1` run, `$2` first block, `$3` block after the last.
const DUE: &str = "from debts d join billing_run_uploads u on u.run_id = $1 and u.upload_id = d.upload_id
     where d.ctid >= format('(%s,0)', $2::bigint)::tid and d.ctid < format('(%s,0)', $3::bigint)::tid and d.client_id = $4";

/// Bills one shard; see the module.
pub(super) async fn bill(env: Env, context: Context, job: BillShard) -> Result<(), JobError> {
    let mut tx = env.pool.begin().await?;
    sqlx::raw_sql(SETTINGS).execute(&mut *tx).await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Ok(());
    }
    let run: Option<Run> = sqlx::query_as(
        "select r.client_id, r.issued_on, r.period, r.cutoff, s.currency, s.numbering,
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
    let due = look(&mut tx, &job, &run).await?;
    if due > 0 {
        make(&env, &mut tx, &job, &run, due).await?;
    }
    match env.queue.complete(&mut tx, &context.claim).await? {
        Completion::AlreadyDone => Ok(()),
        Completion::Done(join) => {
            tx.commit().await?;
            env.queue.push(join).await;
            metrics::counter!("gristmill_bills_total").increment(due.unsigned_abs());
            Ok(())
        }
    }
}

/// Writes down what the shard has of each upload, and says how many debts are to be billed.
async fn look(conn: &mut PgConnection, job: &BillShard, run: &Run) -> Result<i64, JobError> {
    let wanted = wanted(run);
    let sql = format!(
        "with seen as (
            select d.upload_id, count(*) as seen, count(*) filter (where {wanted}) as bills,
                   coalesce(sum(d.amount_minor) filter (where {wanted}), 0) as amount,
                   min(d.due_date) filter (where d.due_date > $5) as next_due
            {DUE} group by d.upload_id
         ), noted as (
            insert into billing_shards (run_id, upload_id, from_block, seen, bills, amount_minor, next_due)
            select $1, upload_id, $2, seen, bills, amount, next_due from seen
         )
         select coalesce(sum(bills), 0)::bigint from seen"
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(job.run_id)
        .bind(job.from_block)
        .bind(job.to_block)
        .bind(run.client_id)
        .bind(run.cutoff)
        .fetch_one(conn)
        .await?)
}

/// Due within the run's days, not looked at by an earlier run, and not paid before it was billed. `$5` is the cutoff.
fn wanted(run: &Run) -> String {
    let unpaid = "and not exists (select from debt_payments p where p.debt_id = d.debt_id and p.client_id = d.client_id
                                  and p.paid_minor >= d.amount_minor)";
    let unpaid = if run.some_paid { unpaid } else { "" };
    let unbilled = "and not exists (select from bills b where b.debt_id = d.debt_id and b.client_id = d.client_id
                                    and b.state <> 'cancelled')";
    let unbilled = if run.interrupted { unbilled } else { "" };
    format!("d.due_date <= $5 and (u.after is null or d.due_date > u.after) {unpaid} {unbilled}")
}

async fn make(env: &Env, tx: &mut PgConnection, job: &BillShard, run: &Run, due: i64) -> Result<(), JobError> {
    let first = match run.numbering {
        // Committed at once, so that no shard waits for another.
        Numbering::Ranges => allocate(&mut *env.pool.acquire().await?, run.client_id, due).await?,
        Numbering::Gapless => allocate(tx, run.client_id, due).await?,
    };
    sqlx::raw_sql("savepoint hope").execute(&mut *tx).await?;
    let made = match hope(tx, job, run, (first, due)).await? {
        Some(made) => made,
        None => {
            sqlx::raw_sql("rollback to savepoint hope").execute(&mut *tx).await?;
            insert(tx, job, run, (first, due)).await?
        }
    };
    if made < due {
        correct(tx, job).await?;
    }
    if made == 0 {
        return Ok(());
    }
    sqlx::query("insert into billing_numbers (run_id, from_number, to_number) values ($1, $2, $3)")
        .bind(job.run_id)
        .bind(first)
        .bind(first + due - 1)
        .execute(tx)
        .await?;
    Ok(())
}

/// What was noted before counts debts that were billed already, or paid since: count this shard's bills.
async fn correct(conn: &mut PgConnection, job: &BillShard) -> Result<(), sqlx::Error> {
    let sql = format!(
        "update billing_shards s set bills = coalesce(m.bills, 0), amount_minor = coalesce(m.amount, 0)
         from billing_shards o left join (
            select b.upload_id, count(*) as bills, sum(b.amount_minor) as amount
            from bills b where b.run_id = $1 and (b.debt_id, b.client_id) in (select d.debt_id, d.client_id {DUE})
            group by b.upload_id
         ) m on m.upload_id = o.upload_id
         where o.run_id = $1 and o.from_block = $2
           and s.run_id = o.run_id and s.from_block = o.from_block and s.upload_id = o.upload_id"
    );
    let client = "(select client_id from billing_runs where id = $1)";
    sqlx::query(AssertSqlSafe(sql.replace("$4", client)))
        .bind(job.run_id)
        .bind(job.from_block)
        .bind(job.to_block)
        .execute(conn)
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

/// Selects the debts to be billed with what their bills need of them; its parameters are `$1` to `$5`.
fn debts_due(run: &Run) -> String {
    let wanted = wanted(run);
    let (paid, payments) = if run.some_paid {
        (
            "coalesce(p.paid_minor, 0)",
            "left join debt_payments p on p.debt_id = d.debt_id and p.client_id = d.client_id",
        )
    } else {
        ("0::bigint", "")
    };
    let due = DUE.replace("\n     where", &format!("\n     {payments} where"));
    format!("select d.debt_id, d.upload_id, d.due_date, d.amount_minor, {paid} as paid {due} and {wanted}")
}

/// What a bill needs of its debt.
struct Debt {
    id: Uuid,
    upload: Uuid,
    /// Days since 2000-01-01, as Postgres counts them.
    due: i32,
    amount: i64,
    paid: i64,
}

/// Reads the debts, sorts them, and copies their bills in the hope that none is billed yet. `None`: one is.
async fn hope(
    conn: &mut PgConnection,
    job: &BillShard,
    run: &Run,
    (first, due): (i64, i64),
) -> Result<Option<i64>, JobError> {
    let debts = debts(conn, job, run).await?;
    let debts = on_rayon(move || {
        let mut debts = debts;
        debts.par_sort_unstable_by_key(|debt| debt.id);
        debts
    })
    .await?;
    let (run_id, client_id) = (job.run_id, run.client_id.to_be_bytes());
    let (period, issued_on) = (days(run.period).to_be_bytes(), days(run.issued_on).to_be_bytes());
    let into = "bills (client_id, number, debt_id, upload_id, run_id, period, issued_on, due_on, amount_minor, paid_minor, currency)";
    let copied = copy(conn, into, (first..).zip(&debts), |piece, (number, debt): (i64, &Debt)| {
        piece.extend_from_slice(&11_i16.to_be_bytes());
        field(piece, Some(&client_id));
        field(piece, Some(&number.to_be_bytes()));
        field(piece, Some(debt.id.as_bytes()));
        field(piece, Some(debt.upload.as_bytes()));
        field(piece, Some(run_id.as_bytes()));
        field(piece, Some(&period));
        field(piece, Some(&issued_on));
        field(piece, Some(&debt.due.to_be_bytes()));
        field(piece, Some(&debt.amount.to_be_bytes()));
        field(piece, Some(&debt.paid.to_be_bytes()));
        field(piece, Some(run.currency.as_bytes()));
    })
    .await;
    match copied {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Ok(None),
        copied => copied?,
    };
    note_days(conn, run, (first, due), &debts).await?;
    Ok(Some(i64::try_from(debts.len())?))
}

/// Notes on which days the new bills are payable, for their reminders.
async fn note_days(
    conn: &mut PgConnection,
    run: &Run,
    (first, due): (i64, i64),
    debts: &[Debt],
) -> Result<(), sqlx::Error> {
    let issued_on = days(run.issued_on);
    let mut bills: BTreeMap<i32, i64> = BTreeMap::new();
    for debt in debts {
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

/// Ids, uploads, due dates, amounts, what was paid.
type Columns = (Vec<Uuid>, Vec<Uuid>, Vec<i32>, Vec<i64>, Vec<i64>);

/// As one row of arrays: a row a debt costs more than the rest of the way.
async fn debts(conn: &mut PgConnection, job: &BillShard, run: &Run) -> Result<Vec<Debt>, JobError> {
    let sql = format!(
        "select coalesce(array_agg(debt_id), '{{}}'), coalesce(array_agg(upload_id), '{{}}'),
                coalesce(array_agg(due_date - date '2000-01-01'), '{{}}'),
                coalesce(array_agg(amount_minor), '{{}}'), coalesce(array_agg(paid), '{{}}') from ({}) d",
        debts_due(run)
    );
    let (ids, uploads, due, amounts, paid): Columns = sqlx::query_as(AssertSqlSafe(sql))
        .bind(job.run_id)
        .bind(job.from_block)
        .bind(job.to_block)
        .bind(run.client_id)
        .bind(run.cutoff)
        .fetch_one(conn)
        .await?;
    let facts = uploads.into_iter().zip(due).zip(amounts).zip(paid);
    Ok(ids
        .into_iter()
        .zip(facts)
        .map(|(id, (((upload, due), amount), paid))| Debt { id, upload, due, amount, paid })
        .collect())
}

/// A date as Postgres sends it: days since 2000-01-01.
fn days(date: Date) -> i32 {
    let epoch = jiff::civil::date(2000, 1, 1);
    (date.to_jiff() - epoch).get_days()
}

/// The same for a shard of which some are billed: those are left out.
async fn insert(
    conn: &mut PgConnection,
    job: &BillShard,
    run: &Run,
    (first, due): (i64, i64),
) -> Result<i64, sqlx::Error> {
    let debts = debts_due(run);
    let sql = format!(
        "with made as (
         insert into bills (client_id, number, debt_id, upload_id, run_id, period, issued_on, due_on, amount_minor, paid_minor, currency)
         select $4, $6 - 1 + row_number() over (), debt_id, upload_id, $1, $7, $8, due_date, amount_minor, paid, $9
         from ({debts} order by d.debt_id) d
         on conflict (debt_id, client_id, period) do nothing returning greatest(due_on, issued_on) as payable_on
         ), days as (
         insert into bill_days (client_id, from_number, to_number, payable_on, bills, looked_on, next_on)
         select $4, $6, $6 - 1 + $10, payable_on, count(*), $8, $8::date + 1 from made group by payable_on
         )
         select count(*) from made"
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(job.run_id)
        .bind(job.from_block)
        .bind(job.to_block)
        .bind(run.client_id)
        .bind(run.cutoff)
        .bind(first)
        .bind(run.period)
        .bind(run.issued_on)
        .bind(&run.currency)
        .bind(due)
        .fetch_one(conn)
        .await
}
