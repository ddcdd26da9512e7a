//! One key, one row; the first line of a file wins; whoever loses is told to whom.

use bytes::Bytes;
use futures::{StreamExt, stream};
use gristmill_uploads::{NewUpload, Policy, ReceiveError, ReceiveOutcome, RemoveOutcome, State, Upload, UploadId};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::harness::{Harness, INBOX, MOVED, OWN, accepted, body, file, row};

/// Runs the chunks of what was received last to first, until it is closed.
pub(crate) async fn run_file_backwards(harness: &Harness, id: UploadId) -> Upload {
    sqlx::query(
        "update gristmill.jobs set state = 'scheduled', run_at = now() + interval '60 ms' * (40 - (payload->>'no')::int)
         where name = 'uploads.load_chunk'",
    )
    .execute(&harness.stack.pool)
    .await
    .unwrap();
    let stop = CancellationToken::new();
    let worker = harness.start(1, &stop);
    let upload = harness.ended(id).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    upload
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_line_wins_in_whatever_order_chunks_run() {
    first_line_wins(&Harness::new(400).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_line_wins_in_a_shared_segment() {
    first_line_wins(&Harness::sharing(400).await).await;
}

async fn first_line_wins(harness: &Harness) {
    // Every key three times, far apart.
    let keys: Vec<u64> = (0..60).chain(0..60).chain(0..60).collect();
    let upload = harness.accept(file(keys)).await;
    assert!(upload.chunks.total > 20);
    let upload = run_file_backwards(harness, upload.id).await;
    assert_eq!((upload.state, upload.rows.accepted, upload.rows.duplicate), (State::Completed, 60, 120), "{upload:?}");
    assert_eq!(harness.lines(upload.id).await, (2..62).collect::<Vec<i64>>());
    for reject in harness.rejects(upload.id).await {
        let first = 2 + (reject.line - 2) % 60;
        assert_eq!(reject.first_line, Some(first), "line {}", reject.line);
        assert!(reject.message().contains(&format!("line {first} of")), "{}", reject.message());
        let key = String::from_utf8(reject.raw).unwrap();
        assert!(key.ends_with(&format!("{:012x}", first - 2)), "{key}");
    }
    let receipt = gristmill_uploads::read::receipt(&harness.stack.pool, upload.id).await.unwrap().unwrap();
    for chunk in receipt.chunks {
        assert_eq!(chunk.rows.read, chunk.rows.accepted + chunk.rows.rejected + chunk.rows.duplicate);
        assert_eq!(chunk.rows.accepted > 0, chunk.first_line < 62, "{chunk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_files_at_once_share_their_keys() {
    share_keys(&Harness::new(2_000).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_files_at_once_share_their_keys_in_a_shared_segment() {
    share_keys(&Harness::sharing(2_000).await).await;
}

async fn share_keys(harness: &Harness) {
    let stop = CancellationToken::new();
    let workers: Vec<_> = (0..2).map(|_| harness.start(3, &stop)).collect();
    let (a, b) = (file(0..2_000), file((1_000..3_000).rev()));
    let (a, b) = tokio::join!(harness.accept(a), harness.accept(b));
    let (a, b) = (harness.ended(a.id).await, harness.ended(b.id).await);
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert_eq!((a.state, b.state), (State::Completed, State::Completed), "{a:?} {b:?}");
    assert_eq!(a.rows.accepted + b.rows.accepted, 3_000);
    assert_eq!(a.rows.duplicate + b.rows.duplicate, 1_000);
    assert_eq!(harness.count("select count(*) from debts").await, 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_one_chunk_is_written_once_and_closed_by_its_job() {
    let harness = Harness::sharing(100_000).await;
    let first = harness.run_file(file(0..10)).await;
    assert_eq!((first.state, first.rows.accepted, first.chunks.total), (State::Completed, 10, 1), "{first:?}");
    let bad = row(20).replace("100.50", "?");
    let second = harness.run_file(file((5..15).chain(8..10)) + &bad).await;
    assert_eq!((second.state, second.rows.accepted), (State::Completed, 5), "{second:?}");
    assert_eq!((second.rows.duplicate, second.rows.rejected), (7, 1), "{second:?}");
    let rejects = harness.rejects(second.id).await;
    let firsts: Vec<_> =
        rejects.iter().filter_map(|reject| Some((reject.first_upload_id?, reject.first_line?))).collect();
    assert_eq!(firsts, [7, 8, 9, 10, 11, 10, 11].map(|line| (first.id, line)));
    // An atomic one with a bad row leaves nothing.
    let new = harness.new_upload(Policy::Atomic);
    let atomic = accepted(harness.receive(new, file(30..40) + &bad).await);
    harness.drain().await;
    assert_eq!(harness.find(atomic.id).await.state, State::Failed);
    assert_eq!(harness.count("select count(*) from debts").await, 15);
    // The atomic one failed by a join.
    let closes = "select count(*) from gristmill.jobs where name = 'uploads.close'";
    assert_eq!(harness.count(closes).await, 1);
    let completed = "select count(*) from gristmill.groups where state = 'completed'";
    assert_eq!(harness.count(completed).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_at_once_share_their_keys() {
    let harness = Harness::sharing(100_000).await;
    let stop = CancellationToken::new();
    let workers: Vec<_> = (0..2).map(|_| harness.start(4, &stop)).collect();
    // Each but the first has half of its keys from the one before.
    let files = (0..12).map(|n| harness.accept(file(n * 100..n * 100 + 200)));
    let files = futures::future::join_all(files).await;
    let ended = futures::future::join_all(files.iter().map(|upload| harness.ended(upload.id))).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert!(ended.iter().all(|upload| upload.state == State::Completed), "{ended:?}");
    assert_eq!(ended.iter().map(|upload| upload.rows.accepted).sum::<i64>(), 1_300);
    assert_eq!(ended.iter().map(|upload| upload.rows.duplicate).sum::<i64>(), 1_100);
    assert_eq!(harness.count("select count(*) from debts").await, 1_300);
    assert_eq!(harness.count("select count(*) from debts_inbox").await, 0);
    let named =
        "select count(*) from rejects r join debts d on d.upload_id = r.first_upload_id and d.line = r.first_line";
    assert_eq!(harness.count(named).await, 1_100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_was_there_byte_by_byte_is_not_looked_up() {
    let harness = Harness::new(2_000).await;
    // The last chunk but one has a duplicate, which makes its rows be looked up.
    let text = file((0..180).chain(100..101).chain(180..200));
    let first = harness.run_file(&text).await;
    assert_eq!((first.state, first.rows.accepted), (State::Completed, 200));
    // What the rows say meanwhile is seen by a look-up alone.
    sqlx::query("update debts set name = 'Eva'").execute(&harness.stack.pool).await.unwrap();
    let again = NewUpload { force: true, ..harness.new_upload(Policy::Partial) };
    let again = accepted(harness.receive(again, text + &row(500)).await);
    harness.drain().await;
    let again = harness.find(again.id).await;
    assert_eq!((again.state, again.rows.accepted, again.rows.duplicate), (State::Completed, 1, 201), "{again:?}");
    let rejects = harness.rejects(again.id).await;
    assert!(rejects.iter().all(|reject| reject.first_upload_id == Some(first.id)));
    let lines = rejects.iter().map(|reject| reject.first_line.unwrap());
    assert!(lines.eq((2..182).chain([102]).chain(183..203)));
    let looked_up = rejects.iter().filter(|reject| reject.differs.is_some()).count();
    assert!(looked_up > 10 && looked_up < 100, "{looked_up}");
    // Rows that are gone are nobody's duplicates.
    let removed = harness.uploads.remove(harness.client_id, first.id).await.unwrap();
    assert!(matches!(removed, RemoveOutcome::Undone(_)));
    harness.drain().await;
    let third = NewUpload { force: true, ..harness.new_upload(Policy::Partial) };
    let third = accepted(harness.receive(third, file((0..180).chain(100..101).chain(180..200))).await);
    harness.drain().await;
    assert_eq!(harness.find(third.id).await.rows.accepted, 200);
}

pub(crate) type Frames = mpsc::Sender<Result<Bytes, std::io::Error>>;

/// A file of the keys up to 100 whose first half arrives and is loaded; then the line is silent.
pub(crate) async fn half(harness: &Harness) -> (Frames, JoinHandle<Result<ReceiveOutcome, ReceiveError>>) {
    let (send, frames) = mpsc::channel(64);
    let arriving = tokio::spawn({
        let (uploads, new) = (harness.uploads.clone(), harness.new_upload(Policy::Partial));
        let frames = stream::unfold(frames, |mut frames| async { frames.recv().await.map(|f| (f, frames)) }).boxed();
        async move { uploads.receive(new, frames).await }
    });
    let mut start = body(file(0..100).as_bytes(), 1_000);
    while let Some(frame) = start.next().await {
        send.send(Ok(frame.unwrap())).await.unwrap();
    }
    while harness.count("select coalesce(sum(accepted), 0)::bigint from upload_progress").await < 50 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    (send, arriving)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_completed_holds_no_keys() {
    let harness = Harness::new(1_000).await;
    let stop = CancellationToken::new();
    let worker = harness.start(2, &stop);
    let (send, first) = half(&harness).await;
    // The second one has the same keys, each twice.
    let second = harness.accept(file((0..100).chain(0..100))).await;
    let second = harness.ended(second.id).await;
    assert_eq!((second.state, second.rows.accepted, second.rows.duplicate), (State::Completed, 100, 100), "{second:?}");
    assert_eq!(harness.lines(second.id).await, (2..102).collect::<Vec<i64>>());
    let rejects = harness.rejects(second.id).await;
    assert!(rejects.iter().all(|r| r.first_upload_id == Some(second.id) && r.first_line == Some(r.line - 100)));

    // The first one comes to its end after all: each of its keys is taken now.
    drop(send);
    let first = accepted(first.await.unwrap());
    let first = harness.ended(first.id).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!((first.state, first.rows.accepted, first.rows.duplicate), (State::Completed, 0, 100), "{first:?}");
    for reject in harness.rejects(first.id).await {
        assert_eq!((reject.first_upload_id, reject.first_line), (Some(second.id), Some(reject.line)));
    }
    assert_eq!(harness.count("select count(*) from debts").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_leaves_no_segments() {
    let harness = Harness::new(1_000).await;
    let stop = CancellationToken::new();
    let worker = harness.start(2, &stop);
    let (send, first) = half(&harness).await;
    let segments = async || -> Vec<i32> {
        let own = "select id from row_segments where upload_id is not null";
        sqlx::query_scalar(own).fetch_all(&harness.stack.pool).await.unwrap()
    };
    let filling = segments().await;
    assert!(!filling.is_empty());
    send.send(Err(std::io::Error::other("the line is cut"))).await.unwrap();
    assert!(matches!(first.await.unwrap(), Err(ReceiveError::Broken { .. })));
    while harness.count("select count(*) from uploads where purged_at is null").await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stop.cancel();
    worker.await.unwrap().unwrap();
    let orphans = segments().await;
    assert!(orphans.iter().all(|id| !filling.contains(id)), "{orphans:?} of {filling:?}");
    // A chunk that was on its way may have made one after the purge, which is dropped a minute later.
    sqlx::query("update uploads set purged_at = purged_at - interval '2 minutes'")
        .execute(&harness.stack.pool)
        .await
        .unwrap();
    harness.tend().await;
    assert!(segments().await.is_empty());
    let tables = "select count(*) from pg_class where relkind = 'r' and relname similar to 'debts_[0-9]+'";
    assert_eq!(harness.count(tables).await, 2, "the first one, and the one that is open");
    assert_eq!(harness.count("select count(*) from loaded_keys").await, 0);
}

/// Files that overlap with each other and with small ones, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn large_and_small_files_know_of_each_other() {
    let mut harness = Harness::new(1_000).await;
    let large = harness.run_file(file(0..500)).await;
    assert_eq!((large.rows.accepted, large.rows.duplicate), (500, 0));
    harness.env.own = INBOX;
    let small = harness.run_file(file(490..510)).await;
    assert_eq!((small.rows.accepted, small.rows.duplicate), (10, 10), "{small:?}");
    harness.env.own = OWN;
    let second = harness.run_file(file((505..600).rev())).await;
    assert_eq!((second.rows.accepted, second.rows.duplicate), (90, 5), "{second:?}");
    let firsts: Vec<_> =
        harness.rejects(second.id).await.into_iter().map(|r| (r.first_upload_id, r.first_line)).collect();
    assert_eq!(firsts, (17..22).rev().map(|line| (Some(small.id), Some(line))).collect::<Vec<_>>());

    // What is full gets a filter, and is known by it.
    sqlx::query("select open_shared_segment('debts')").execute(&harness.stack.pool).await.unwrap();
    harness.tend().await;
    assert_eq!(
        harness.count("select count(*) from row_segments where table_name = 'debts' and state = 'full'").await,
        0
    );
    for (own, last, known) in [(OWN, 10_300, 40), (INBOX, 10_301, 340), (MOVED, 10_302, 341)] {
        harness.env.own = own;
        let again = harness.run_file(file((480..520).chain(10_000..last))).await;
        assert_eq!(again.rows.duplicate, known, "{again:?}");
    }
    assert_eq!(
        harness.count("select count(*) from debts").await,
        harness.count("select count(distinct debt_id) from debts").await
    );
}

/// Eight files make a run, eight runs one of the next level; a file is compared with these.
#[tokio::test(flavor = "multi_thread")]
async fn files_are_known_by_the_runs_of_their_keys() {
    let mut harness = Harness::new(100_000).await;
    let nth = |n: u64| file(100 * n..100 * n + 40);
    let mut files = Vec::new();
    for n in 0..63 {
        files.push(harness.run_file(nth(n)).await.id);
        if n == 7 {
            // Of those whose keys are gone the rows are read.
            sqlx::query("delete from loaded_keys").execute(&harness.stack.pool).await.unwrap();
        }
        if n % 8 == 7 {
            harness.tend().await;
        }
    }
    let runs = "select coalesce(sum(level), 0)::bigint * 1000 + count(*) from key_runs";
    assert_eq!(harness.count(runs).await, 7 * 1000 + 7, "seven of the first level");
    assert_eq!(harness.count("select count(*) from loaded_keys").await, 7, "of those that are in no run");
    assert_eq!(
        harness.count("select count(*) from row_segments where run_id is null and upload_id is not null").await,
        7
    );
    known_among(&mut harness, 63).await;

    files.push(harness.run_file(nth(63)).await.id);
    // The small files that asked have gone to shared segments; those that had their own are in runs with the others.
    harness.tend().await;
    assert_eq!(harness.count("select count(*) from key_runs where level = 2").await, 1);
    assert_eq!(harness.count("select count(*) from key_runs where level = 1").await, 0);
    known_among(&mut harness, 64).await;

    // The keys of one that is undone are in the run still, and free.
    assert!(matches!(harness.uploads.remove(harness.client_id, files[20]).await.unwrap(), RemoveOutcome::Undone(_)));
    harness.drain().await;
    let again = harness.run_file(nth(20)).await;
    assert_eq!((again.rows.accepted, again.rows.duplicate), (40, 0), "{again:?}");
    assert_eq!(
        harness.count("select count(*) from debts").await,
        harness.count("select count(distinct debt_id) from debts").await
    );
}

/// Sends files of which a few rows, and most rows, are of the `n` before them, and undoes them again.
async fn known_among(harness: &mut Harness, n: u64) {
    for own in [OWN, INBOX, MOVED] {
        harness.env.own = own;
        for (each, new) in [(1, 5_000), (30, 0)] {
            let keys = (0..n).flat_map(|n| 100 * n + 5..100 * n + 5 + each).chain(1_000_000..1_000_000 + new);
            let upload = harness.run_file(file(keys)).await;
            assert_eq!((upload.rows.accepted, upload.rows.duplicate), (new as i64, (n * each) as i64), "{upload:?}");
            harness.uploads.remove(harness.client_id, upload.id).await.unwrap();
            harness.drain().await;
        }
    }
    harness.env.own = OWN;
}
