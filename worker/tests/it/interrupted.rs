//! Billing runs that do not go as planned: cancelled in the middle, ended early, missed by the clock, held.

use std::time::Duration;

use gristmill_billing::{
    issue,
    jobs::BillingTick,
    runs::{self, Cause, Run, State},
};
use gristmill_clients::{Cycle, Settings};
use gristmill_platform::testing::{Clock, smtp::SmtpServer};
use gristmill_uploads::RemoveOutcome;
use jiff::civil::{Date, date};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::{HEADER, Harness, file, row, until};

impl Harness {
    async fn cancel(&self, id: Uuid) -> Run {
        let mut tx = self.stack.pool.begin().await.unwrap();
        let jobs = runs::cancel(&mut tx, &self.env.queue, self.client_id, id).await.unwrap();
        tx.commit().await.unwrap();
        self.env.queue.push(jobs.expect("it has not ended")).await;
        runs::find(&self.stack.pool, self.client_id, id).await.unwrap().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_under_way_when_its_run_is_cancelled_bills_nothing() {
    let harness = Harness::new(2_000).await;
    let upload = harness.run_file(&file(0..100)).await;
    // The shard has copied its bills, and comes no further.
    let mut tx = harness.stack.pool.begin().await.unwrap();
    sqlx::raw_sql("lock billing_numbers in share mode").execute(&mut *tx).await.unwrap();
    let stop = CancellationToken::new();
    let worker = harness.start(2, &stop);
    let id = harness.begin(Cause::Schedule, false).await;
    let stuck = "select count(*) from pg_locks where not granted and relation = 'billing_numbers'::regclass";
    until("the shard to be stuck", async || harness.count(stuck).await == 1).await;
    let run = harness.cancel(id).await;
    assert_eq!((run.state, run.bills), (State::Cancelled, 0));
    tx.rollback().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from bills").await, 0, "what a run's totals do not have is not billed");
    assert_eq!(harness.tick().await.len(), 1, "the schedule does not begin it again");
    harness.run_file(format!("{HEADER}{}", row(500))).await;
    let of_what_came_since = harness.tick().await.remove(0);
    assert_eq!((of_what_came_since.state, of_what_came_since.bills), (State::Completed, 1));
    let removed = harness.uploads.remove(harness.client_id, upload.id).await.unwrap();
    assert!(matches!(removed, RemoveOutcome::Undone(_)), "nothing of it is billed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_run_has_left_is_billed_by_a_request() {
    let harness = Harness::new(2_000).await;
    harness.run_file(&file(0..30)).await;
    let id = harness.begin(Cause::Schedule, false).await;
    harness.cancel(id).await;
    assert_eq!(harness.tick().await.len(), 1);
    assert_eq!(harness.bill(false).await.bills, 30);
    assert_eq!(harness.tick().await.len(), 2);
    assert_eq!(harness.count("select count(*) from bills").await, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_run_has_billed_is_not_billed_again_though_its_bills_are_not_indexed_yet() {
    let harness = Harness::new(2_000).await;
    harness.run_file(&file(0..100)).await;
    let rename = async |from: &str, to: &str| {
        let sql = format!("alter function {from}(integer) rename to {to}");
        sqlx::raw_sql(&sql).execute(&harness.stack.pool).await.unwrap();
    };
    // Its shards are done, neither its close nor what follows the cancel has come as far as the index.
    rename("attach_bills_segment", "gone").await;
    let id = harness.begin(Cause::Request, false).await;
    harness.drain().await;
    assert_eq!(harness.cancel(id).await.bills, 100);
    harness.drain().await;
    rename("gone", "attach_bills_segment").await;
    harness.run_file(&file(100..120)).await;
    let next = harness.bill(false).await;
    assert_eq!((next.state, next.bills), (State::Completed, 20), "{next:?}");
    assert_eq!(harness.count("select count(*) from bills").await, 120);
    assert_eq!(harness.count("select count(distinct debt_id) from bills").await, 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bills_of_a_run_that_ended_early_are_mailed_and_those_paid_meanwhile_are_paid() {
    let (mut harness, server) = (Harness::new(2_000).await, SmtpServer::start().await);
    harness.post_to(&server);
    harness.set(Settings { issuer: issue::sample(), ..Settings::default() }).await;
    harness.run_file(&file(0..10)).await;
    // Its shards are done, its close fails again and again.
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
         create trigger refuse before update on uploads for each row
         when (new.billed_through is not null) execute function refuse();",
    )
    .execute(&harness.stack.pool)
    .await
    .unwrap();
    let id = harness.begin(Cause::Request, false).await;
    harness.drain().await;
    assert_eq!((harness.count("select count(*) from bills").await, server.count()), (10, 0));
    sqlx::query("insert into debt_payments (debt_id, client_id, paid_minor) select debt_id, client_id, amount_minor from bills where number = 1")
        .execute(&harness.stack.pool)
        .await
        .unwrap();
    let run = harness.cancel(id).await;
    assert_eq!((run.state, run.bills), (State::Cancelled, 10));
    harness.drain().await;
    let kinds = "select count(*) from mails where state = 'sent' and kind = ";
    let (new, receipts) = (format!("{kinds}'bill_new'"), format!("{kinds}'payment_receipt'"));
    let of = async |sql: String| -> i64 { sqlx::query_scalar(&sql).fetch_one(&harness.stack.pool).await.unwrap() };
    assert_eq!((of(new).await, of(receipts).await), (9, 1));
    assert_eq!(harness.count("select count(*) from bills where state = 'paid'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_day_to_bill_is_made_good_on_the_next() {
    let harness = Harness::new(2_000).await;
    let clock = Clock::install(&harness.stack.pool).await;
    harness.set(Settings { cycle: Cycle::Monthly, cycle_day: 1, time_zone: "UTC".into(), ..Settings::default() }).await;
    let at = async |day: Date| clock.set(day.at(9, 0, 0, 0).in_tz("UTC").unwrap().timestamp()).await;
    at(date(2026, 10, 20)).await;
    harness.run_file(&file(0..5)).await;
    at(date(2026, 10, 31)).await;
    assert_eq!(harness.tick().await.len(), 0, "not its day yet");
    // Nobody was there on the first.
    at(date(2026, 11, 2)).await;
    let runs = harness.tick().await;
    assert_eq!((runs.len(), runs[0].bills), (1, 5));
    at(date(2026, 11, 3)).await;
    harness.run_file(format!("{HEADER}{}", row(500))).await;
    at(date(2026, 11, 15)).await;
    assert_eq!(harness.tick().await.len(), 1, "what came after the day waits for the next one");
    // Somebody looks at what there would be, and the run goes on all the same.
    at(date(2026, 12, 1)).await;
    harness.begin(Cause::Request, true).await;
    harness.enqueue(&BillingTick { settle_seconds: 0 }).await;
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from bills").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_nobody_would_be_mailed_are_not_made_by_the_clock() {
    let (mut harness, server) = (Harness::new(2_000).await, SmtpServer::start().await);
    harness.post_to(&server);
    harness.run_file(&file(0..5)).await;
    let held = harness.tick().await.remove(0);
    assert_eq!(held.state, State::Held);
    assert!(held.detail.as_ref().is_some_and(|detail| detail.contains("set `issuer`")), "{held:?}");
    harness.set(Settings { issuer: issue::sample(), ..Settings::default() }).await;
    let mut tx = harness.stack.pool.begin().await.unwrap();
    let jobs = runs::approve(&mut tx, &harness.env.queue, harness.client_id, held.id).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    harness.env.queue.push(jobs).await;
    harness.drain().await;
    let run = runs::find(&harness.stack.pool, harness.client_id, held.id).await.unwrap().unwrap();
    assert_eq!((run.state, run.mails, server.count()), (State::Completed, Some(5), 5), "{run:?}");
    assert_eq!(harness.count("select count(*) from mails where state = 'sent'").await, 5);
}
