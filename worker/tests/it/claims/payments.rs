//! Payments: each once, none too early, none from a frozen plan.

use std::time::Duration;

use gristmill_claims::{
    accounting,
    claims::State,
    jobs::{self, ProcessPayment},
};
use gristmill_pipelines::generate;
use gristmill_queue::{Job as _, JobSpec, NewSchedule, Options};
use gristmill_uploads::Policy;
use jiff::{ToSpan as _, civil::date};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{DIRTY, VISIT, accept, all, entries, in_order, run_file};
use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_still_to_come_is_not_paid() {
    let harness = Harness::new(1 << 20).await;
    let next_week = jiff::Zoned::now().checked_add(7.days()).unwrap().date();
    let file = format!(
        "{DIRTY}{next_week},D0180,,G,1,1497775530,1,1,0,0\r\n\
         {month}/{day}/{year},D0180,,G,2,1497775530,1,1,0,0\r\n\
         12/31/99,D0180,,G,3,1497775530,1,1,0,0\r\n",
        month = next_week.month(),
        day = next_week.day(),
        year = next_week.year(),
    );
    let upload = run_file(&harness, file).await;
    assert_eq!((upload.rows.accepted, upload.rows.rejected), (1, 2));
    assert!(harness.rejects(upload.id).await.iter().all(|reject| reject.code == "bad_date"));
    assert_eq!(all(&harness).await[0].service_date.to_jiff(), date(1999, 12, 31));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_and_a_second_job_post_once() {
    let harness = Harness::new(1 << 20).await;
    let mut file = Vec::new();
    let counts = generate::claims(&generate::Options { rows: 600, seed: 2, ..Default::default() }, &mut file).unwrap();
    let upload = accept(&harness, Policy::Partial, &file).await;
    let stop = CancellationToken::new();
    let workers = [harness.start(2, &stop), harness.start(2, &stop)];
    harness.ended(upload.id).await;
    // What a redelivery after a lost acknowledgement comes to, for each claim.
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from claims").fetch_all(&harness.stack.pool).await.unwrap();
    let again: Vec<ProcessPayment> = ids.iter().map(|&claim_id| ProcessPayment { claim_id }).collect();
    let mut tx = harness.stack.pool.begin().await.unwrap();
    let jobs = harness.env.queue.enqueue_all(&mut tx, &again, &Options::default()).await.unwrap();
    tx.commit().await.unwrap();
    harness.env.queue.push(jobs).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from claims where state = 'posted'").await, ids.len() as i64);
    assert_eq!(harness.count("select count(*) from ledger_postings").await, ids.len() as i64);
    assert_eq!(harness.count("select sum(lines)::bigint from claims").await, counts.accepted as i64);
    let owed = harness.count(
        "select sum(e.amount_minor)::bigint from ledger_entries e join ledger_accounts a on a.id = e.account_id
         where a.kind = 'provider'",
    );
    assert_eq!(owed.await, harness.count("select sum(net_fee_minor)::bigint from claim_lines").await);
    in_order(&harness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_are_not_changed_and_add_up() {
    let harness = Harness::new(1 << 20).await;
    run_file(&harness, format!("{DIRTY}{VISIT}")).await;
    for forbidden in [
        "update ledger_entries set amount_minor = 1",
        "delete from ledger_entries",
        "delete from ledger_postings",
        "insert into ledger_entries select claim_id, purpose, account_id + 100, 5 from ledger_entries limit 1",
    ] {
        let refused = sqlx::raw_sql(forbidden).execute(&harness.stack.pool).await;
        assert!(refused.is_err(), "{forbidden}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_from_a_frozen_plan_dies_and_the_schedule_brings_it_back() {
    let harness = Harness::new(1 << 20).await;
    let pool = &harness.stack.pool;
    accounting::freeze(pool, harness.client_id, "GRP-1000", true, Some("audit")).await.unwrap();
    run_file(&harness, format!("{DIRTY}{VISIT}")).await;
    for _ in 0..ProcessPayment::MAX_ATTEMPTS {
        sqlx::query("update gristmill.jobs set run_at = now() where state = 'scheduled'").execute(pool).await.unwrap();
        harness.drain().await;
    }
    assert_eq!(
        harness.count("select count(*) from gristmill.jobs where name = 'payments.process' and state = 'dead'").await,
        1
    );
    let claim = all(&harness).await.remove(0);
    assert_eq!(
        (claim.state, claim.detail.as_deref()),
        (State::Pending, Some("the account of the plan GRP-1000 is frozen (audit)"))
    );
    assert_eq!(entries(&harness).await, []);

    // The scheduler's own, as a tick of it runs.
    let spec = JobSpec::of(&jobs::redrive()).unwrap();
    harness.env.queue.schedules().put(&NewSchedule::new("payments-redrive", "*/10 * * * *", spec)).await.unwrap();
    accounting::freeze(pool, harness.client_id, "GRP-1000", false, None).await.unwrap();
    harness.env.queue.schedules().run_now("payments-redrive").await.unwrap();
    harness.drain().await;
    let claim = all(&harness).await.remove(0);
    assert_eq!((claim.state, claim.detail), (State::Posted, None));
    assert_eq!(harness.count("select count(*) from gristmill.jobs where state = 'dead'").await, 0);
    in_order(&harness).await;
}
