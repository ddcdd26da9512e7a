//! What becomes of a row whose key an earlier upload has, where its sender has said it: it counts instead, or nothing of its file does.

use gristmill_uploads::{
    NewUpload, OnDuplicate, Policy, RemoveError, RemoveOutcome, State, Upload, UploadId,
    delta::{self, Delta},
};
use gristmill_worker::Own;
use tokio_util::sync::CancellationToken;

use crate::harness::{HEADER, Harness, INBOX, MOVED, OWN, accepted, file, row, until};

/// A row whose amount says of which version it is.
fn version(key: u64, amount: u32) -> String {
    row(key).replace("100.50", &format!("{amount}.00"))
}

fn versions(keys: impl IntoIterator<Item = u64>, amount: u32) -> String {
    keys.into_iter().fold(HEADER.to_owned(), |file, key| file + &version(key, amount))
}

impl Harness {
    fn saying(&self, on_duplicate: OnDuplicate, policy: Policy) -> NewUpload {
        NewUpload { on_duplicate, ..self.new_upload(policy) }
    }

    async fn run_as(&self, on_duplicate: OnDuplicate, file: impl AsRef<[u8]>) -> Upload {
        let new = self.saying(on_duplicate, Policy::Partial);
        let upload = accepted(self.receive(new, file).await);
        self.drain().await;
        self.find(upload.id).await
    }

    async fn replacing(&self, file: impl AsRef<[u8]>) -> Upload {
        self.run_as(OnDuplicate::Replace, file).await
    }

    async fn undo(&self, id: UploadId) {
        let undone = self.uploads.remove(self.client_id, id).await.unwrap();
        assert!(matches!(undone, RemoveOutcome::Undone(_)));
        self.drain().await;
    }

    /// How many rows have an amount, in whole units.
    async fn with_amount(&self, amount: i64) -> i64 {
        sqlx::query_scalar("select count(*) from debts where amount_minor = $1 * 100")
            .bind(amount)
            .fetch_one(&self.stack.pool)
            .await
            .unwrap()
    }

    async fn rows(&self) -> (i64, i64) {
        (self.count("select count(*) from debts").await, self.count("select count(*) from debts_replaced").await)
    }

    /// Whether each of these keys is there once, and found.
    async fn all_are_known(&self, keys: std::ops::Range<u64>) {
        let many = (keys.end - keys.start).cast_signed();
        let again = NewUpload { force: true, ..self.new_upload(Policy::Partial) };
        let again = accepted(self.receive(again, file(keys)).await);
        self.drain().await;
        let again = self.find(again.id).await;
        assert_eq!((again.state, again.rows.accepted, again.rows.duplicate), (State::Completed, 0, many), "{again:?}");
        let doubled = "select count(*) from (select from debts group by client_id, debt_id having count(*) > 1) d";
        assert_eq!(self.count(doubled).await, 0);
    }
}

/// Where the earlier rows are, and where the new ones go.
const PLACES: [(Own, Own); 5] = [(OWN, OWN), (INBOX, INBOX), (OWN, INBOX), (INBOX, OWN), (MOVED, MOVED)];

#[tokio::test(flavor = "multi_thread")]
async fn what_says_something_else_counts_instead() {
    for (earlier, later) in PLACES {
        let mut harness = Harness::new(2_000).await;
        harness.env.own = earlier;
        let first = harness.run_file(versions(0..120, 1)).await;
        assert_eq!((first.state, first.rows.accepted), (State::Completed, 120));
        harness.env.own = later;
        // Twenty say the same, twenty something else, twenty are new; three come twice in the file.
        let text = versions(80..100, 1)
            + &versions(100..140, 2)[HEADER.len()..]
            + &version(85, 3)
            + &version(105, 3)
            + &version(135, 3);
        let second = harness.replacing(&text).await;
        let rows = second.rows;
        assert_eq!(
            (second.state, rows.read, rows.accepted, rows.replaced),
            (State::Completed, 63, 40, 20),
            "{second:?}"
        );
        assert_eq!((rows.duplicate, rows.conflicting_duplicate, rows.rejected), (23, 3, 0), "{second:?}");
        let first = harness.find(first.id).await;
        assert_eq!((first.rows.accepted, first.rows.superseded, first.kept()), (120, 20, 100), "{first:?}");
        assert_eq!(harness.rows().await, (140, 20));
        assert_eq!((harness.with_amount(1).await, harness.with_amount(2).await), (100, 40));
        for reject in harness.rejects(second.id).await {
            assert_eq!(reject.code, "duplicate");
            let of_first = reject.first_upload_id == Some(first.id);
            assert_eq!(of_first, reject.line < 22 || reject.line == 62, "{reject:?}");
        }
        // The same file again changes nothing, and is worked on.
        let again = harness.replacing(&text).await;
        assert_eq!((again.rows.accepted, again.rows.replaced, again.rows.duplicate), (0, 0, 63), "{again:?}");
        harness.all_are_known(0..140).await;
        // What is undone is as if it had not been.
        harness.undo(second.id).await;
        assert_eq!(harness.rows().await, (120, 0));
        assert_eq!((harness.with_amount(1).await, harness.find(first.id).await.rows), (120, Harness::whole(120)));
        harness.all_are_known(0..120).await;
        harness.tend().await;
        harness.all_are_known(0..120).await;
    }
}

impl Harness {
    fn whole(rows: i64) -> gristmill_uploads::Rows {
        gristmill_uploads::Rows { read: rows, accepted: rows, ..Default::default() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_line_of_a_key_replaces() {
    for own in [OWN, MOVED, INBOX] {
        let mut harness = Harness::new(400).await;
        harness.env.own = own;
        harness.run_file(versions(0..10, 1)).await;
        // More than one segment's chunks later the file says something else of one that it has left as it was, and of one that it has changed.
        let text = versions(0..9, 1)
            + &version(9, 2)
            + &versions(100..300, 2)[HEADER.len()..]
            + &version(3, 2)
            + &version(9, 3);
        let second = harness.replacing(text).await;
        let rows = second.rows;
        assert_eq!(
            (second.state, rows.accepted, rows.replaced, rows.duplicate),
            (State::Completed, 201, 1, 11),
            "{second:?}"
        );
        assert_eq!((harness.with_amount(1).await, harness.with_amount(2).await), (9, 201));
        harness.all_are_known(0..10).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_replaces_can_be_cancelled_while_it_is_loaded() {
    let harness = Harness::new(400).await;
    let first = harness.run_file(versions(0..50, 1)).await;
    let new = harness.saying(OnDuplicate::Replace, Policy::Partial);
    let second = accepted(harness.receive(new, versions(0..500, 2)).await);
    // A chunk that is loaded at this moment is waited for.
    let mut loading = harness.stack.pool.begin().await.unwrap();
    gristmill_uploads::state::lock(&mut loading, second.id).await.unwrap();
    let cancel = harness.uploads.remove(harness.client_id, second.id);
    let commit = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        loading.commit().await.unwrap();
    };
    let (cancelled, ()) = tokio::join!(cancel, commit);
    assert!(matches!(cancelled.unwrap(), RemoveOutcome::Cancelled(_)));
    harness.drain().await;
    assert_eq!((harness.rows().await, harness.find(first.id).await.rows), ((50, 0), Harness::whole(50)));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_are_undone_in_any_order_leave_the_last_one_that_counts() {
    for own in [OWN, INBOX] {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut harness = Harness::new(2_000).await;
            harness.env.own = own;
            let mut uploads = Vec::new();
            for amount in 1..=3 {
                uploads.push(harness.replacing(versions(0..40, amount)).await.id);
            }
            let mut left = vec![0, 1, 2];
            for undone in order {
                harness.undo(uploads[undone]).await;
                left.retain(|upload| *upload != undone);
                assert_eq!(
                    harness.rows().await,
                    (40 * i64::from(!left.is_empty()), 40 * (left.len().max(1) as i64 - 1))
                );
                if let Some(last) = left.last() {
                    assert_eq!(harness.with_amount(*last as i64 + 1).await, 40, "{order:?} {left:?}");
                    assert_eq!(harness.find(uploads[*last]).await.rows.superseded, 0);
                    harness.all_are_known(0..40).await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_billed_stays() {
    for own in [OWN, INBOX] {
        let mut harness = Harness::new(2_000).await;
        harness.env.own = own;
        let first = harness.run_file(versions(0..30, 1)).await;
        assert_eq!(harness.bill(false).await.bills, 30);
        let text = versions(0..10, 2) + &versions(10..40, 1)[HEADER.len()..];
        let second = harness.replacing(&text).await;
        let rows = second.rows;
        assert_eq!((rows.accepted, rows.replaced, rows.rejected, rows.duplicate), (10, 0, 10, 20), "{second:?}");
        assert_eq!(rows.conflicting_duplicate, 0);
        let rejects = harness.rejects(second.id).await;
        let billed: Vec<_> = rejects.iter().filter(|reject| reject.code == "billed").collect();
        assert_eq!(billed.len(), 10);
        assert_eq!((billed[0].first_upload_id, billed[0].first_line), (Some(first.id), Some(2)));
        let message = billed[0].message();
        assert!(message.contains("line 2 of upload") && message.ends_with("differs in debtAmount"), "{message}");
        assert_eq!(harness.rows().await, (40, 0));
        // One bad row, and nothing of an atomic file: also of those that it had replaced.
        let text = versions(35..40, 5) + &version(3, 5);
        let new = harness.saying(OnDuplicate::Replace, Policy::Atomic);
        let atomic = accepted(harness.receive(new, text).await);
        harness.drain().await;
        let atomic = harness.find(atomic.id).await;
        assert_eq!((atomic.state, atomic.reason.as_deref()), (State::Failed, Some("rejected_rows")), "{atomic:?}");
        assert_eq!((harness.rejects(atomic.id).await.len(), harness.with_amount(1).await), (1, 40));
        assert_eq!((harness.rows().await, harness.find(second.id).await.rows), ((40, 0), second.rows));
        harness.all_are_known(0..40).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_debts_are_billed_as_they_are_now() {
    for own in [OWN, INBOX] {
        let mut harness = Harness::new(2_000).await;
        harness.env.own = own;
        let first = harness.run_file(versions(0..30, 1)).await;
        let second = harness.replacing(versions(20..30, 2)).await;
        let run = harness.bill(false).await;
        assert_eq!((run.bills, run.amount_minor.0), (30, 4_000), "{run:?}");
        let refused = harness.uploads.remove(harness.client_id, second.id).await;
        assert!(matches!(refused, Err(RemoveError::Billed)), "{refused:?}");
        // Of one whose own debts are not billed yet those that it replaced would come back too late to be.
        let third = harness.replacing(versions(50..60, 1)).await;
        sqlx::query("update debts set due_date = '2099-01-01' where upload_id = $1")
            .bind(third.id)
            .execute(&harness.stack.pool)
            .await
            .unwrap();
        let fourth = harness.replacing(versions(50..60, 2).replace("2024-01-19", "2099-01-01")).await;
        assert_eq!(fourth.rows.replaced, 10);
        sqlx::query("update uploads set billed_through = '2099-06-01', next_due = null where id = $1")
            .bind(third.id)
            .execute(&harness.stack.pool)
            .await
            .unwrap();
        let refused = harness.uploads.remove(harness.client_id, fourth.id).await;
        assert!(matches!(refused, Err(RemoveError::ReplacedAreBilled)), "{refused:?}");
        sqlx::query("update uploads set billed_through = '2098-06-01' where id = $1")
            .bind(third.id)
            .execute(&harness.stack.pool)
            .await
            .unwrap();
        harness.undo(fourth.id).await;
        let due = "select count(*) from uploads where next_due = '2099-01-01'";
        assert_eq!((harness.count(due).await, harness.find(first.id).await.rows.superseded), (1, 10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_run_may_bill_at_this_moment_is_waited_for() {
    let harness = Harness::new(2_000).await;
    let first = harness.run_file(versions(0..10, 1)).await;
    let run = harness.bill(true).await;
    sqlx::query(
        "with r as (update billing_runs set state = 'running', dry_run = false, finished_at = null where id = $2)
         update uploads set billed_by = $2 where id = $1",
    )
    .bind(first.id)
    .bind(run.id)
    .execute(&harness.stack.pool)
    .await
    .unwrap();
    let stop = CancellationToken::new();
    let worker = harness.start(2, &stop);
    let new = harness.saying(OnDuplicate::Replace, Policy::Partial);
    let second = accepted(harness.receive(new, versions(0..10, 2)).await);
    let snoozed = "select count(*) from gristmill.jobs where name = 'uploads.close' and state = 'scheduled'";
    until("the close waits", || async { harness.count(snoozed).await == 1 }).await;
    assert_eq!(harness.rows().await, (10, 0));
    sqlx::query("update billing_runs set state = 'failed', finished_at = now()")
        .execute(&harness.stack.pool)
        .await
        .unwrap();
    let second = harness.ended(second.id).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!((second.state, second.rows.replaced), (State::Completed, 10), "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_at_once_are_one_after_the_other() {
    for own in [OWN, INBOX, MOVED] {
        let mut harness = Harness::new(2_000).await;
        harness.env.own = own;
        let stop = CancellationToken::new();
        let workers: Vec<_> = (0..2).map(|_| harness.start(4, &stop)).collect();
        let files: Vec<String> = (1..=6).map(|amount| versions(0..200, amount)).collect();
        let sent =
            files.iter().map(|file| harness.receive(harness.saying(OnDuplicate::Replace, Policy::Partial), file));
        let sent = futures::future::join_all(sent).await;
        let ended = futures::future::join_all(sent.into_iter().map(|sent| harness.ended(accepted(sent).id))).await;
        stop.cancel();
        for worker in workers {
            worker.await.unwrap().unwrap();
        }
        assert!(
            ended.iter().all(|upload| upload.state == State::Completed && upload.rows.accepted == 200),
            "{ended:?}"
        );
        // All rows are those of the last one.
        assert_eq!(harness.rows().await, (200, 1_000));
        assert_eq!(harness.count("select count(distinct upload_id) from debts").await, 1);
        let mut ids = Vec::new();
        for upload in &ended {
            let upload = harness.find(upload.id).await;
            assert!(
                [0, 200].contains(&upload.rows.superseded) && [0, 200].contains(&upload.rows.replaced),
                "{upload:?}"
            );
            ids.push(upload.rows.superseded);
        }
        assert_eq!(ids.iter().sum::<i64>(), 1_000);
        harness.all_are_known(0..200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_have_no_duplicate_fails_with_one() {
    for own in [OWN, INBOX, MOVED] {
        let mut harness = Harness::new(2_000).await;
        harness.env.own = own;
        harness.run_file(file(0..100)).await;
        for (text, lines) in [
            (file(200..300) + &row(50), vec![102]),
            (file((200..300).chain(210..212)), vec![102, 103]),
            (file(200..203) + &row(200), vec![5]),
        ] {
            let failed = harness.run_as(OnDuplicate::Error, text).await;
            assert_eq!((failed.state, failed.reason.as_deref()), (State::Failed, Some("duplicate_rows")), "{failed:?}");
            let rejects: Vec<i64> = harness.rejects(failed.id).await.iter().map(|reject| reject.line).collect();
            assert_eq!((rejects, harness.rows().await), (lines, (100, 0)));
        }
        let good = harness.run_as(OnDuplicate::Error, file(200..300)).await;
        assert_eq!((good.state, good.rows.accepted), (State::Completed, 100), "{good:?}");
        // The same file once more is that one.
        let again = harness.receive(harness.saying(OnDuplicate::Error, Policy::Partial), file(200..300)).await.unwrap();
        assert!(matches!(&again, gristmill_uploads::ReceiveOutcome::Same(first) if first.id == good.id), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_a_file_are_compared() {
    for own in [OWN, INBOX] {
        let mut harness = Harness::new(2_000).await;
        harness.env.own = own;
        let [one, two] =
            [1, 2].map(|amount| move |keys: std::ops::Range<u64>| versions(keys, amount)[HEADER.len()..].to_owned());
        let first = harness.run_file(HEADER.to_owned() + &one(0..100)).await;
        let text = HEADER.to_owned() + &one(10..20) + &two(20..30) + &one(30..110) + &one(15..16);
        let second = harness.replacing(text).await;
        let text = HEADER.to_owned() + &two(20..30) + &one(30..40) + &two(40..45) + &one(45..120);
        let third = harness.replacing(text).await;
        assert_eq!((third.state, third.rows.replaced), (State::Completed, 5), "{third:?}");
        let pool = &harness.stack.pool;
        for (later, earlier, [new, changed, unchanged, kept, missing]) in [
            (&second, &first, [10, 10, 80, 0, 10]),
            (&third, &second, [10, 5, 85, 0, 10]),
            // What the second one has changed is there with what it was.
            (&third, &first, [20, 5, 75, 0, 20]),
        ] {
            let found = delta::delta(pool, later.id, earlier.id).await.unwrap();
            assert_eq!(found, Delta { against: earlier.id, new, changed, unchanged, kept, missing });
        }
        assert_eq!(delta::version_before(pool, harness.client_id, &third).await.unwrap(), Some(second.id));
        assert_eq!(delta::version_before(pool, harness.client_id, &first).await.unwrap(), None);
        // Where nothing is replaced, what says something else is kept.
        let fourth = harness.run_as(OnDuplicate::Skip, HEADER.to_owned() + &one(20..140)).await;
        let found = delta::delta(pool, fourth.id, third.id).await.unwrap();
        assert_eq!((found.new, found.changed, found.unchanged, found.kept, found.missing), (20, 0, 85, 15, 0));
    }
}
