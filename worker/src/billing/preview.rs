//! What a dry run has to say: how many bills, how much, the first of them, and how many nothing can carry.

use futures::{StreamExt as _, TryStreamExt as _};
use gristmill_billing::issue::Ways;
use gristmill_clients::Settings;
use gristmill_queue::JobError;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{debts::Debt, ways};

/// Bills that a dry run shows.
const SAMPLE: i64 = 20;
/// Debts that are held at a time.
const BATCH: usize = 65_536;

/// The debts that the run `$1` would bill.
const DUE: &str =
    "select d.debt_id, d.upload_id, d.line, d.name, d.amount_minor, d.due_date, coalesce(p.paid_minor, 0) as paid_minor
     from debts d join billing_run_uploads u on u.run_id = $1 and u.upload_id = d.upload_id
     join billing_runs r on r.id = u.run_id
     left join debt_payments p on p.debt_id = d.debt_id and p.client_id = d.client_id
     where d.client_id = r.client_id and d.due_date <= r.cutoff and (u.after is null or d.due_date > u.after)
       and d.segment = any (array(select unnest(segments) from billing_run_uploads where run_id = $1))
       and (p.paid_minor is null or p.paid_minor < d.amount_minor)
       and not exists (select from bills b where b.debt_id = d.debt_id and b.client_id = d.client_id and b.segment = d.segment)";

/// Looks, and ends the run with what it has seen.
pub(super) async fn preview(
    conn: &mut PgConnection,
    run_id: Uuid,
    settings: &Settings,
    issued_on: Date,
) -> Result<(), JobError> {
    let totals = format!(
        "with due as ({DUE}), first as (select * from due order by upload_id, line limit $2)
         select (select count(*) from due), (select coalesce(sum(amount_minor), 0)::text from due),
                (select jsonb_agg(jsonb_build_object('debt_id', debt_id, 'name', name, 'amount_minor', amount_minor,
                                                     'due_date', due_date)) from first)"
    );
    let (bills, amount, sample): (i64, String, Option<Json<serde_json::Value>>) =
        sqlx::query_as(&totals).bind(run_id).bind(SAMPLE).fetch_one(&mut *conn).await?;
    let unpayable = unpayable(conn, run_id, settings, issued_on).await?;
    sqlx::query(
        "update billing_runs set state = 'completed', planned = $2, bills = $2, amount_minor = $3::numeric, sample = $4,
                unpayable = $5, finished_at = now()
         where id = $1",
    )
    .bind(run_id)
    .bind(bills)
    .bind(amount)
    .bind(sample)
    .bind(unpayable)
    .execute(conn)
    .await?;
    Ok(())
}

/// How many of the bills nothing could carry, with the numbers that they would have now.
async fn unpayable(
    conn: &mut PgConnection,
    run_id: Uuid,
    settings: &Settings,
    issued_on: Date,
) -> Result<i64, JobError> {
    let ways = Ways::of(settings);
    let currency = settings.currency.parse()?;
    let mut number: i64 = sqlx::query_scalar(
        "select s.next_number from billing_runs r join client_settings s on s.client_id = r.client_id where r.id = $1",
    )
    .bind(run_id)
    .fetch_one(&mut *conn)
    .await?;
    let rows = format!("select amount_minor, due_date - date '2000-01-01', paid_minor from ({DUE}) due");
    let mut rows = sqlx::query_as::<_, (i64, i32, i64)>(&rows).bind(run_id).fetch(conn);
    let mut unpayable = 0;
    loop {
        let debt = |(amount, due, paid)| Debt { id: Uuid::nil(), upload: 0, due, amount, paid, unpayable: false };
        let debts: Vec<Debt> = rows.by_ref().take(BATCH).map_ok(debt).try_collect().await?;
        if debts.is_empty() {
            return Ok(unpayable);
        }
        let many = i64::try_from(debts.len())?;
        let debts = ways::look(&ways, currency, issued_on.to_sqlx(), number, debts).await?;
        unpayable += debts.iter().map(|debt| i64::from(debt.unpayable)).sum::<i64>();
        number += many;
    }
}
