//! Billing runs: what is due is billed, once, and adds up.

use std::time::Duration;

use gristmill_billing::{
    bills, jobs,
    payments::{self, Balance, Notice, PaymentError},
    runs::{self, Cause, Run, State},
};
use gristmill_clients::{Numbering, Settings, settings};
use gristmill_platform::testing::smtp::SmtpServer;
use gristmill_queue::{Job, Options};
use gristmill_uploads::{RemoveError, RemoveOutcome};
use jiff::civil::date;
use uuid::Uuid;

use crate::harness::{HEADER, Harness, INBOX, MOVED, file, row};

impl Harness {
    /// A run by request, to its end.
    pub(crate) async fn bill(&self, dry_run: bool) -> Run {
        let id = self.begin(Cause::Request, dry_run).await;
        self.drain().await;
        self.run(id).await
    }

    pub(crate) async fn begin(&self, cause: Cause, dry_run: bool) -> Uuid {
        let mut tx = self.stack.pool.begin().await.unwrap();
        let (run, jobs) = runs::create(&mut tx, &self.env.queue, self.client_id, cause, dry_run, 0).await.unwrap();
        tx.commit().await.unwrap();
        self.env.queue.push(jobs).await;
        run.id
    }

    async fn run(&self, id: Uuid) -> Run {
        runs::find(&self.stack.pool, self.client_id, id).await.unwrap().unwrap()
    }

    pub(crate) async fn enqueue<J: Job>(&self, job: &J) {
        let mut conn = self.stack.pool.acquire().await.unwrap();
        let jobs = self.env.queue.enqueue(&mut conn, job, &Options::default()).await.unwrap();
        self.env.queue.push(jobs).await;
    }

    pub(crate) async fn tick(&self) -> Vec<Run> {
        self.enqueue(&jobs::BillingTick { settle_seconds: 0 }).await;
        self.drain().await;
        runs::list(&self.stack.pool, self.client_id, None, 100).await.unwrap()
    }

    /// Bills of a sample do not go to a mail server: a thousand pages need not be drawn.
    pub(crate) async fn mails_nobody(&mut self) {
        self.post_to(&SmtpServer::start().await);
    }

    async fn bills(&self) -> Vec<bills::Bill> {
        let filter = bills::Filter::default();
        bills::list(&self.stack.pool, self.client_id, &filter, date(2026, 1, 1), None, 1_000).await.unwrap()
    }

    pub(crate) async fn set(&self, settings: Settings) {
        assert_eq!(settings.faults(), []);
        settings::put(&self.stack.pool, self.client_id, &settings).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_billed_once() {
    let harness = Harness::new(2_000).await;
    harness.run_file(&file(0..100)).await;
    let run = harness.bill(false).await;
    assert_eq!((run.state, run.bills), (State::Completed, 100), "{run:?}");
    let bills = harness.bills().await;
    let mut numbers: Vec<i64> = bills.iter().map(|bill| bill.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    assert_eq!(bills.iter().map(|bill| i128::from(bill.amount_minor)).sum::<i128>(), run.amount_minor.0);
    let again = harness.bill(false).await;
    assert_eq!((again.state, again.bills), (State::Completed, 0));
    harness.run_file(format!("{HEADER}{}", row(500))).await;
    assert_eq!(harness.bill(false).await.bills, 1, "only what is new");
    assert_eq!(harness.count("select count(*) from bills").await, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_only_says_what_it_would_do() {
    let harness = Harness::new(2_000).await;
    let upload = harness.run_file(&file(0..50)).await;
    let run = harness.bill(true).await;
    assert_eq!((run.state, run.bills, harness.bills().await.len()), (State::Completed, 50, 0));
    assert_eq!(run.sample.unwrap().as_array().unwrap().len(), 20);
    let removed = harness.uploads.remove(harness.client_id, upload.id).await.unwrap();
    assert!(matches!(removed, RemoveOutcome::Undone(_)), "it takes nothing on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_billed_upload_cannot_be_undone() {
    let harness = Harness::new(2_000).await;
    let upload = harness.run_file(&file(0..10)).await;
    harness.bill(false).await;
    let refused = harness.uploads.remove(harness.client_id, upload.id).await;
    assert!(matches!(refused, Err(RemoveError::Billed)), "{refused:?}");
    assert_eq!(harness.count("select count(*) from debts").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_due_yet_waits() {
    let harness = Harness::new(2_000).await;
    let far = "Ana,1,a@b.co,10.00,2099-01-31,00000000-0000-4000-8000-0000000000aa\n";
    harness.run_file(format!("{HEADER}{}{far}", row(1))).await;
    assert_eq!(harness.bill(false).await.bills, 1);
    assert_eq!(harness.tick().await.len(), 1, "no tick makes a run before something is due");
    harness.set(Settings { days_ahead: 3_650, ..Settings::default() }).await;
    assert_eq!(harness.tick().await.len(), 1);
    sqlx::query("update uploads set next_due = current_date").execute(&harness.stack.pool).await.unwrap();
    assert_eq!(harness.tick().await.len(), 2, "the earliest due date asks for a run");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_at_the_same_time_bill_nothing_twice() {
    let harness = Harness::new(2_000).await;
    harness.run_file(&file(0..300)).await;
    let ids = [harness.begin(Cause::Request, false).await, harness.begin(Cause::Request, false).await];
    harness.enqueue(&jobs::BillingTick { settle_seconds: 0 }).await;
    harness.drain_scheduled().await;
    let made: i64 = harness.run(ids[0]).await.bills + harness.run(ids[1]).await.bills;
    assert_eq!((made, harness.count("select count(*) from bills").await), (300, 300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_was_billed_in_the_middle_leaves_out_what_is_there() {
    let harness = Harness::new(2_000).await;
    harness.run_file(&file(0..40)).await;
    harness.bill(false).await;
    // As after a run that failed: bills without a watermark.
    sqlx::query("delete from bills where number > 15").execute(&harness.stack.pool).await.unwrap();
    sqlx::query("update uploads set billed_through = null").execute(&harness.stack.pool).await.unwrap();
    let run = harness.bill(false).await;
    assert_eq!((run.state, run.bills), (State::Completed, 25), "by the key");
    sqlx::query("update billing_runs set state = 'failed'").execute(&harness.stack.pool).await.unwrap();
    sqlx::query("update bills set period = period - 7").execute(&harness.stack.pool).await.unwrap();
    sqlx::query("update uploads set billed_through = null").execute(&harness.stack.pool).await.unwrap();
    assert_eq!(harness.bill(false).await.bills, 0, "in another period too");
}

#[tokio::test(flavor = "multi_thread")]
async fn far_more_than_usual_is_held_until_somebody_approves() {
    let mut harness = Harness::new(20_000).await;
    harness.mails_nobody().await;
    harness.set(Settings { safety_factor: 2.0, ..Settings::default() }).await;
    harness.run_file(&file(0..10)).await;
    harness.bill(false).await;
    let upload = harness.run_file(&file(10..1_200)).await;
    let run = harness.tick().await.remove(0);
    assert_eq!((run.state, run.bills), (State::Held, 0), "{run:?}");
    assert!(run.detail.unwrap().starts_with("it would make 1190 bills where the last runs made 10"));
    assert_eq!(harness.tick().await.len(), 2, "it asks once");
    let mut tx = harness.stack.pool.begin().await.unwrap();
    let jobs = runs::approve(&mut tx, &harness.env.queue, harness.client_id, run.id).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    harness.env.queue.push(jobs).await;
    harness.drain().await;
    assert_eq!(harness.run(run.id).await.bills, 1_190);
    assert!(harness.uploads.remove(harness.client_id, upload.id).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn gapless_numbers_have_no_gaps() {
    let harness = Harness::new(2_000).await;
    harness.set(Settings { numbering: Numbering::Gapless, ..Settings::default() }).await;
    for part in [0..70, 70..90, 90..91] {
        harness.run_file(&file(part)).await;
        harness.bill(false).await;
    }
    let gaps = harness.count("select max(number) - count(*) from bills").await;
    assert_eq!((gaps, harness.bills().await.len()), (0, 91));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_large_and_small_are_billed_by_one_run() {
    let mut harness = Harness::new(1_000).await;
    harness.mails_nobody().await;
    // Some forty chunks: three segments.
    harness.run_file(&file(0..500)).await;
    for (own, small) in [(INBOX, 500..510), (MOVED, 510..600), (INBOX, 600..601)] {
        harness.env.own = own;
        harness.run_file(&file(small)).await;
    }
    assert!(harness.count("select count(*) from row_segments where upload_id is not null").await > 2);
    let run = harness.bill(false).await;
    assert_eq!((run.state, run.bills), (State::Completed, 601), "{run:?}");
    assert_eq!(harness.count("select count(distinct debt_id) from bills").await, 601);
    assert!(harness.count("select count(distinct from_block) from billing_shards").await > 3);
    let again = harness.bill(false).await;
    assert_eq!((again.state, again.bills), (State::Completed, 0), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_settle_a_bill_once() {
    let harness = Harness::new(2_000).await;
    harness.run_file(&file(0..3)).await;
    harness.bill(false).await;
    let bill = harness.bills().await.remove(0);
    let notice = |id: &str, amount| Notice {
        debt_id: bill.debt_id,
        payment_id: Some(id.to_owned()),
        amount_minor: amount,
        paid_at: "2026-06-09T10:00:00Z".parse().unwrap(),
        paid_by: "Ana".into(),
    };
    let tell = async |notice: Notice| {
        let mut tx = harness.stack.pool.begin().await.unwrap();
        let (recorded, _) = payments::record(&mut tx, harness.client_id, &notice).await?;
        tx.commit().await.unwrap();
        Ok::<_, PaymentError>(recorded)
    };
    let part = tell(notice("a", bill.amount_minor - 5)).await.unwrap();
    assert_eq!((part.balance(), part.settled_bill, part.repeated), (Balance::Underpaid, None, false));
    let again = tell(notice("a", bill.amount_minor - 5)).await.unwrap();
    assert!(again.repeated && again.paid_minor == bill.amount_minor - 5);
    assert!(matches!(tell(notice("a", 1)).await, Err(PaymentError::Other { .. })));
    let rest = tell(notice("b", 5)).await.unwrap();
    assert_eq!((rest.balance(), rest.settled_bill), (Balance::Settled, Some(bill.number)));
    let more = tell(notice("c", 1)).await.unwrap();
    assert_eq!((more.balance(), more.settled_bill), (Balance::Overpaid, None));
    let paid = bills::find(&harness.stack.pool, bill.id(), date(2026, 1, 1)).await.unwrap().unwrap();
    assert_eq!((paid.status, paid.paid_minor), (bills::Status::Paid, bill.amount_minor + 1));
    let nobody = Notice { debt_id: Uuid::nil(), ..notice("a", 1) };
    assert!(matches!(tell(nobody).await, Err(PaymentError::NoDebt(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_before_is_not_billed() {
    let harness = Harness::new(2_000).await;
    harness.run_file(&file(0..3)).await;
    let debts: Vec<(Uuid, i64)> = sqlx::query_as("select debt_id, amount_minor from debts order by line")
        .fetch_all(&harness.stack.pool)
        .await
        .unwrap();
    for ((debt_id, amount), less) in debts.iter().zip([0, 1]) {
        let notice = Notice {
            debt_id: *debt_id,
            payment_id: None,
            amount_minor: amount - less,
            paid_at: jiff::Timestamp::now(),
            paid_by: "Ana".into(),
        };
        payments::record(&mut harness.stack.pool.acquire().await.unwrap(), harness.client_id, &notice).await.unwrap();
    }
    assert_eq!(harness.bill(false).await.bills, 2);
    let mut paid: Vec<i64> = harness.bills().await.iter().map(|bill| bill.amount_minor - bill.paid_minor).collect();
    paid.sort_unstable();
    assert_eq!(paid, [1, debts[2].1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_recorded_while_bills_are_made_reaches_its_bill() {
    for harness in [Harness::new(2_000).await, Harness::sharing(2_000).await] {
        harness.run_file(&file(0..100)).await;
        let (debt_id, amount_minor): (Uuid, i64) =
            sqlx::query_as("select debt_id, amount_minor from debts where line = 7")
                .fetch_one(&harness.stack.pool)
                .await
                .unwrap();
        let notice =
            Notice { debt_id, payment_id: None, amount_minor, paid_at: jiff::Timestamp::now(), paid_by: "Ana".into() };
        // It has found no bill, and is not committed: no shard sees it.
        let mut tx = harness.stack.pool.begin().await.unwrap();
        let (recorded, _) = payments::record(&mut tx, harness.client_id, &notice).await.unwrap();
        assert_eq!(recorded.settled_bill, None);
        let commit = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            tx.commit().await.unwrap();
        };
        let (run, ()) = tokio::join!(harness.bill(false), commit);
        assert_eq!((run.state, run.bills), (State::Completed, 100), "{run:?}");
        let bill = harness.bills().await.into_iter().find(|bill| bill.debt_id == debt_id).unwrap();
        assert_eq!((bill.status, bill.paid_minor), (bills::Status::Paid, amount_minor));
    }
}

impl Harness {
    /// Runs every job until nothing is left to do, snoozed ones too.
    async fn drain_scheduled(&self) {
        for _ in 0..100 {
            let drained = self.env.queue.drain(&self.worker(4), Duration::from_secs(60)).await.unwrap();
            let left = self.count("select count(*) from billing_runs where finished_at is null").await;
            if drained.scheduled == 0 || left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("runs are still waiting");
    }
}
