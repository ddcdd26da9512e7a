//! Rows that were kept for long enough go, a segment at a time, and what needs them keeps them.

use std::time::Duration;

use gristmill_billing::payments::{self, Notice, PaymentError};
use gristmill_pipelines::Kind;
use gristmill_platform::{config::SchedulerConfig, telemetry};
use gristmill_uploads::{NewUpload, Policy, RemoveError, State, UploadId, read, segments};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use crate::harness::{Harness, accepted, file, until};

const KEEP: Duration = Duration::from_hours(24);

impl Harness {
    async fn run_sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.stack.pool).await.unwrap();
    }

    /// All that has happened, happened two days ago.
    async fn two_days_later(&self) {
        self.run_sql(
            "update uploads set completed_at = completed_at - interval '2 days';
             update billing_runs set finished_at = finished_at - interval '2 days';
             update payments set created_at = created_at - interval '2 days';
             update row_segments set created_at = created_at - interval '2 days'",
        )
        .await;
    }

    /// What the scheduler has done, however short ago it was done.
    async fn drop_old(&self) {
        self.run_sql("update row_segments set looked_at = null").await;
        segments::enqueue_dropping(&self.stack.pool, &self.env.queue, KEEP).await.unwrap();
        self.drain().await;
        // A shared segment that was closed gets its filter.
        self.tend().await;
        segments::enqueue_dropping(&self.stack.pool, &self.env.queue, KEEP).await.unwrap();
        self.drain().await;
    }

    async fn is_dropped(&self, id: UploadId) -> bool {
        let upload = self.find(id).await;
        assert_eq!(upload.state, State::Completed);
        assert_eq!(upload.kept() == 0, upload.rows_dropped_at.is_some(), "{upload:?}");
        assert_eq!(self.lines(id).await.is_empty(), upload.rows_dropped_at.is_some(), "{upload:?}");
        upload.rows_dropped_at.is_some()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_upload_is_dropped_and_a_young_one_stays() {
    let mut harness = Harness::new(1_000).await;
    harness.mails_nobody().await;
    // Some forty chunks: three segments.
    let old = harness.run_file(file(0..500)).await;
    assert_eq!(harness.bill(false).await.bills, 500);
    harness.run_sql("update bills set state = case number when 1 then 'cancelled' else 'paid' end").await;
    harness.two_days_later().await;
    let young = harness.run_file(file(1_000..1_100)).await;
    harness.drop_old().await;
    assert!(harness.is_dropped(old.id).await && !harness.is_dropped(young.id).await);
    assert_eq!(harness.count("select count(*) from bills").await, 0);
    let left = "select count(*) from pg_class where relkind = 'r' and relname similar to 'bills_[0-9]+'";
    assert_eq!(harness.count(left).await, 1, "the first one");
    assert_eq!(harness.count("select count(*) from row_segments where state = 'dropping'").await, 0);
    // The upload stays, and cannot be undone.
    let receipt = read::receipt(&harness.stack.pool, old.id).await.unwrap().unwrap();
    assert_eq!((receipt.rows, receipt.chunks.len() as i64), (old.rows, old.chunks.total));
    let refused = harness.uploads.remove(harness.client_id, old.id).await;
    assert!(matches!(refused, Err(RemoveError::RowsDropped)), "{refused:?}");
    // Its keys are free, and it is no first one of its file.
    let again = harness.run_file(file(0..500)).await;
    assert_eq!((again.state, again.rows.accepted, again.rows.duplicate), (State::Completed, 500, 0), "{again:?}");
    assert_eq!(harness.bill(false).await.bills, 600);
    harness.drop_old().await;
    assert!(!harness.is_dropped(again.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn debts_stay_until_their_bills_were_paid_for_long() {
    let harness = Harness::new(2_000).await;
    let upload = harness.run_file(file(0..3)).await;
    harness.two_days_later().await;
    harness.drop_old().await;
    assert!(!harness.is_dropped(upload.id).await, "nothing is billed");
    harness.bill(false).await;
    let debts: Vec<(Uuid, i64)> = sqlx::query_as("select debt_id, amount_minor from debts order by line")
        .fetch_all(&harness.stack.pool)
        .await
        .unwrap();
    let notices = debts.into_iter().map(|(debt_id, amount_minor)| Notice {
        debt_id,
        payment_id: None,
        amount_minor,
        paid_at: "2026-06-09T10:00:00Z".parse().unwrap(),
        paid_by: "Ana".into(),
    });
    let notices: Vec<Notice> = notices.collect();
    for notice in &notices {
        harness.two_days_later().await;
        harness.drop_old().await;
        assert!(!harness.is_dropped(upload.id).await, "a bill is open");
        payments::record(&mut harness.stack.pool.acquire().await.unwrap(), harness.client_id, notice).await.unwrap();
    }
    assert_eq!(harness.count("select count(*) from bills where state <> 'paid'").await, 0);
    harness.drop_old().await;
    assert!(!harness.is_dropped(upload.id).await, "one was paid just now");
    harness.two_days_later().await;
    harness.drop_old().await;
    assert!(harness.is_dropped(upload.id).await);
    let mut conn = harness.stack.pool.acquire().await.unwrap();
    let late = payments::record(&mut conn, harness.client_id, &notices[0]).await;
    assert!(matches!(late, Err(PaymentError::NoDebt(_))), "{late:?}");
    drop(conn);
    // What was paid before is not billed again.
    assert_eq!(harness.run_file(file(0..4)).await.rows.accepted, 4);
    assert_eq!(harness.bill(false).await.bills, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_segment_goes_as_a_whole() {
    let harness = Harness::sharing(100_000).await;
    let first = harness.run_file(file(0..10)).await;
    let second = harness.run_file(file(5..20)).await;
    assert_eq!(second.rows.duplicate, 5);
    harness.bill(false).await;
    harness.run_sql("update bills set state = 'paid'").await;
    harness.two_days_later().await;
    let young = harness.run_file(file(20..30)).await;
    harness.drop_old().await;
    for id in [first.id, second.id, young.id] {
        assert!(!harness.is_dropped(id).await, "one of them is young");
    }
    let later = harness.run_file(file(30..40)).await;
    harness.bill(false).await;
    harness.run_sql("update bills set state = 'paid'").await;
    harness.two_days_later().await;
    // As if it were of today.
    sqlx::query("update uploads set completed_at = now() where id = $1")
        .bind(later.id)
        .execute(&harness.stack.pool)
        .await
        .unwrap();
    harness.drop_old().await;
    for id in [first.id, second.id, young.id] {
        assert!(harness.is_dropped(id).await);
    }
    assert!(!harness.is_dropped(later.id).await, "it is in the next segment");
    assert_eq!(harness.count("select count(*) from debts").await, 10);
    assert_eq!(harness.count("select count(*) from bills").await, 10);
    // A file of which some rows were duplicates of dropped ones is loaded again, too.
    let again = harness.run_file(file(5..20)).await;
    assert_eq!((again.rows.accepted, again.rows.duplicate), (15, 0), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_before_there_were_segments_go_too() {
    let harness = Harness::sharing(100_000).await;
    let upload = harness.run_file(file(0..10)).await;
    harness
        .run_sql(
            "with moved as (delete from debts returning *)
             insert into debts_1 (debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email)
             select debt_id, client_id, upload_id, line, amount_minor, due_date, name, government_id, email from moved;
             update upload_progress set segment = null;
             update row_segments set state = 'full' where id = 1",
        )
        .await;
    harness.tend().await;
    assert_eq!(harness.bill(false).await.bills, 10);
    harness.run_sql("update bills set state = 'paid'").await;
    harness.two_days_later().await;
    harness.drop_old().await;
    assert!(harness.is_dropped(upload.id).await);
    assert_eq!(harness.count("select count(*) from bills").await, 0);
    let emptied = "select count(*) from row_segments where id = 1 and state = 'sealed' and key_filter is null";
    assert_eq!(harness.count(emptied).await, 1);
    assert_eq!(harness.run_file(file(0..10)).await.rows.accepted, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_in_the_middle_is_finished() {
    for crashed in [
        "update row_segments set state = 'dropping' where upload_id is not null",
        "update row_segments set state = 'dropping' where upload_id is not null;
         update uploads set rows_dropped_at = now()",
        "update row_segments set state = 'dropping' where upload_id is not null;
         update uploads set rows_dropped_at = now();
         select drop_old_segment(min(id)) from row_segments where upload_id is not null",
    ] {
        let harness = Harness::new(1_000).await;
        let upload = harness.run_file(file(0..500)).await;
        harness.run_sql(crashed).await;
        for _ in 0..2 {
            harness.drop_old().await;
            assert!(harness.is_dropped(upload.id).await, "{crashed}");
            assert_eq!(harness.count("select count(*) from row_segments where upload_id is not null").await, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_dropped_later_and_its_keys_are_free() {
    let harness = Harness::new(2_000).await;
    harness.run_file(file(0..10)).await;
    harness.run_sql("update row_segments set state = 'dropping' where upload_id is not null").await;
    let mut reader = harness.stack.pool.begin().await.unwrap();
    sqlx::query("select count(*) from debts").execute(&mut *reader).await.unwrap();
    harness.drop_old().await;
    assert_eq!(harness.count("select count(*) from row_segments where state = 'dropping'").await, 1);
    let again = harness.run_file(file(0..10)).await;
    assert_eq!((again.rows.accepted, again.rows.duplicate), (10, 0), "{again:?}");
    reader.commit().await.unwrap();
    harness.drop_old().await;
    assert_eq!(harness.count("select count(*) from debts").await, 10);
    assert!(!harness.is_dropped(again.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_a_file_goes_with_its_rows() {
    let harness = Harness::new(100_000).await;
    let new = NewUpload { kind: Kind::Transactions, ..harness.new_upload(Policy::Partial) };
    let rows = "date,description,amount,currency,id\n2021-04-01,Netflix,12.99,USD,a\n2021-04-02,JOES 12,-3.50,,b\n";
    let upload = accepted(harness.receive(new, rows).await);
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from transactions").await, 2);
    assert!(harness.count("select count(*) from file_order").await > 0);
    harness.two_days_later().await;
    harness.drop_old().await;
    assert!(harness.find(upload.id).await.rows_dropped_at.is_some());
    assert_eq!(harness.count("select count(*) from transactions").await, 0);
    assert_eq!(harness.count("select count(*) from file_order").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduler_has_them_dropped_and_its_audit_finds_nothing_wrong() {
    let metrics = telemetry::metrics();
    let harness = Harness::new(2_000).await;
    let upload = harness.run_file(file(0..10)).await;
    harness.bill(false).await;
    harness.run_sql("update bills set state = 'paid'").await;
    harness.two_days_later().await;
    let env = gristmill_scheduler::Env {
        pool: harness.stack.pool.clone(),
        queue: harness.env.queue.clone(),
        store: harness.stack.store.clone(),
        events: harness.env.events.clone(),
    };
    let config =
        SchedulerConfig { keep_rows: KEEP, audit_every: Duration::from_millis(200), ..SchedulerConfig::default() };
    let stop = CancellationToken::new();
    let worker = harness.start(1, &stop);
    let scheduler = AbortOnDropHandle::new(tokio::spawn(async move {
        gristmill_scheduler::serve(env, &config, CancellationToken::new()).await.unwrap();
    }));
    until("the rows are dropped", || async { harness.find(upload.id).await.rows_dropped_at.is_some() }).await;
    until("the segment is dropped", || async {
        harness.count("select count(*) from row_segments where upload_id is not null").await == 0
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let silent = r#"gristmill_invariant_violations_total{invariant="upload_progress"} 0"#;
    assert!(metrics.render().lines().any(|line| line == silent));
    drop(scheduler);
    stop.cancel();
    worker.await.unwrap().unwrap();
}
