use std::collections::BTreeMap;

use gristmill_uploads::UploadId;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Finding, some};
use crate::chaos::workload::{Payment, Workload, lock};

/// Each run that was answered for has ended, and its bills are those it says.
pub(super) async fn runs(pool: &PgPool, workload: &Workload) -> anyhow::Result<Finding> {
    let runs: Vec<(Uuid, String, i64, i64)> = sqlx::query_as(
        "select r.id, r.state, r.bills,
                case when exists (select from billing_run_uploads t join uploads u on u.id = t.upload_id
                                  where t.run_id = r.id and u.rows_dropped_at is not null)
                     then r.bills -- bills go with their debts
                     else (select count(*) from bills b where b.run_id = r.id) end
         from billing_runs r",
    )
    .fetch_all(pool)
    .await?;
    let mut wrong: Vec<String> = runs
        .iter()
        .filter(|(_, state, says, made)| state != "completed" || says != made)
        .map(|(id, state, says, made)| format!("run {id} is {state}, says {says} bills and has made {made}"))
        .collect();
    let started = lock(&workload.runs);
    let lost = started.iter().filter(|id| !runs.iter().any(|(run, ..)| run == *id));
    wrong.extend(lost.map(|id| format!("run {id} was accepted and is gone")));
    Ok(Finding {
        promise: "every billing run ends, with the bills that it says",
        counted: format!("{} runs with {} bills", runs.len(), runs.iter().map(|run| run.3).sum::<i64>()),
        wrong: some(wrong, |what| what),
    })
}

/// Of an upload that was billed to its end each debt has one bill; no bill is of a debt that is not there.
pub(super) async fn once(pool: &PgPool) -> anyhow::Result<Finding> {
    let uploads: Vec<(UploadId, i64, i64, i64)> = sqlx::query_as(
        "select u.id, count(d.debt_id), count(b.debt_id), count(distinct b.debt_id)
         from uploads u join debts d on d.upload_id = u.id
         left join bills b on b.segment = d.segment and b.client_id = d.client_id and b.debt_id = d.debt_id
         where u.billed_through is not null and u.next_due is null and u.rows_dropped_at is null
         group by u.id",
    )
    .fetch_all(pool)
    .await?;
    let mut wrong: Vec<String> = uploads
        .iter()
        .filter(|(_, debts, bills, billed)| debts != bills || debts != billed)
        .map(|(id, debts, bills, billed)| format!("upload {id} has {debts} debts, {bills} bills of {billed} of them"))
        .collect();
    let strays: i64 = sqlx::query_scalar(
        "select count(*) from bills b where not exists
            (select from debts d where d.client_id = b.client_id and d.debt_id = b.debt_id)",
    )
    .fetch_one(pool)
    .await?;
    wrong.extend((strays > 0).then(|| format!("{strays} bills are of no debt")));
    Ok(Finding {
        promise: "every debt of a billed upload has one bill",
        counted: format!("{} uploads", uploads.len()),
        wrong: some(wrong, |what| what),
    })
}

/// Each bill that is mailed has one mail that was sent.
pub(super) async fn mailed(pool: &PgPool) -> anyhow::Result<Finding> {
    // Without a server the first thousand bills of a run are mailed.
    let (due, mails, unsent): (i64, i64, i64) = sqlx::query_as(
        "select (select coalesce(sum(least(bills, 1000)), 0)::bigint from billing_runs where state = 'completed'),
                count(*) filter (where kind = 'bill_new'), count(*) filter (where state <> 'sent') from mails",
    )
    .fetch_one(pool)
    .await?;
    let mut wrong = Vec::new();
    wrong.extend((due != mails).then(|| format!("{due} bills are to be mailed, and there are {mails} mails")));
    wrong.extend((unsent > 0).then(|| format!("{unsent} mails were not sent")));
    Ok(Finding { promise: "no bill without its mail", counted: format!("{mails} mails"), wrong })
}

/// A payment that was told of counts once, however often that was.
pub(super) async fn paid(pool: &PgPool, workload: &Workload) -> anyhow::Result<Finding> {
    let rows: Vec<(String, Uuid, i64)> =
        sqlx::query_as("select payment_id, debt_id, amount_minor from payments").fetch_all(pool).await?;
    let rows: BTreeMap<String, (Uuid, i64)> = rows.into_iter().map(|(id, debt, amount)| (id, (debt, amount))).collect();
    let uneven: i64 = sqlx::query_scalar(
        "select count(*) from bills b left join (select client_id, debt_id, sum(amount_minor)::bigint as paid from payments group by 1, 2) p
             using (client_id, debt_id)
         where b.paid_minor <> coalesce(p.paid, 0)",
    )
    .fetch_one(pool)
    .await?;
    let told = lock(&workload.paid);
    let right = |id: &String, paid: &Payment| match rows.get(id) {
        Some(row) => *row == (paid.debt, paid.amount),
        None => !paid.answered,
    };
    let mut wrong: Vec<String> = told
        .iter()
        .filter(|(id, paid)| !right(id, paid))
        .map(|(id, paid)| format!("payment {id} of {}: {:?} is there", paid.amount, rows.get(id)))
        .collect();
    wrong.extend((uneven > 0).then(|| format!("{uneven} bills do not say what was paid of them")));
    Ok(Finding {
        promise: "every payment counts once",
        counted: format!("{} payments", rows.len()),
        wrong: some(wrong, |what| what),
    })
}
