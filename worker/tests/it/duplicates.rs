//! One key, one row; the first line of a file wins; whoever loses is told to whom.

use bytes::Bytes;
use futures::{StreamExt, stream};
use gristmill_uploads::{Policy, ReceiveError, ReceiveOutcome, State, Upload, UploadId};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::harness::{Harness, body, file};

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
    let harness = Harness::new(400).await;
    // Every key three times, far apart.
    let keys: Vec<u64> = (0..60).chain(0..60).chain(0..60).collect();
    let upload = harness.accept(file(keys)).await;
    assert!(upload.chunks.total > 20);
    let upload = run_file_backwards(&harness, upload.id).await;
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
async fn another_file_is_told_of_the_line_that_won_in_the_end() {
    let harness = Harness::new(400).await;
    let one = harness.accept(file((0..60).chain(0..60))).await;
    // Its second half is loaded at once, the first one only when the other file has lost to it.
    sqlx::query(
        "update gristmill.jobs set state = 'scheduled', run_at = now() + interval '2 s' * ((payload->>'no')::int < $1 / 2)::int
         where name = 'uploads.load_chunk'",
    )
    .bind(i32::try_from(one.chunks.total).unwrap())
    .execute(&harness.stack.pool)
    .await
    .unwrap();
    let stop = CancellationToken::new();
    let worker = harness.start(2, &stop);
    while harness.count("select count(*) from debts").await < 55 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let other = harness.accept(file(0..60)).await;
    let (one, other) = (harness.ended(one.id).await, harness.ended(other.id).await);
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!((one.state, other.state), (State::Completed, State::Completed));
    let rejects: Vec<_> = harness.rejects(other.id).await;
    assert!(rejects.len() >= 55 && rejects.iter().all(|reject| reject.first_upload_id == Some(one.id)));
    assert!(rejects.iter().all(|reject| reject.first_line == Some(reject.line)), "the lines of the first half");
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_files_at_once_share_their_keys() {
    let harness = Harness::new(2_000).await;
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
    while harness.count("select count(*) from debts").await < 50 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    (send, arriving)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_lost_to_a_file_that_broke_off_are_taken_after_all() {
    let harness = Harness::new(1_000).await;
    let stop = CancellationToken::new();
    let worker = harness.start(2, &stop);
    let (send, first) = half(&harness).await;
    // The second one has the same keys, each twice, and can only be closed when the first one's end is known.
    let second = harness.accept(file((0..100).chain(0..100))).await;
    while harness.find(second.id).await.chunks.done < second.chunks.total {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(harness.find(second.id).await.state, State::Processing);

    send.send(Err(std::io::Error::other("the line is cut"))).await.unwrap();
    assert!(matches!(first.await.unwrap(), Err(ReceiveError::Broken { .. })));
    let second = harness.ended(second.id).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!((second.state, second.rows.accepted, second.rows.duplicate), (State::Completed, 100, 100), "{second:?}");
    assert_eq!(harness.lines(second.id).await, (2..102).collect::<Vec<i64>>());
    let rejects = harness.rejects(second.id).await;
    assert!(rejects.iter().all(|r| r.first_upload_id == Some(second.id) && r.first_line == Some(r.line - 100)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_lost_to_a_file_that_waits_itself_wait_with_it() {
    let harness = Harness::new(1_000).await;
    let stop = CancellationToken::new();
    let worker = harness.start(2, &stop);
    let (send, first) = half(&harness).await;
    // The second file lost rows to the one that still arrives, the third lost all of its own to the second.
    let second = harness.accept(file((0..10).chain(1_000..1_010))).await;
    while harness.count("select count(*) from uploads where loaded_at is not null").await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let third = harness.accept(file(1_000..1_005)).await;
    while harness.find(third.id).await.rows.duplicate < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(harness.find(third.id).await.state, State::Processing, "the second may still be cancelled");

    harness.uploads.remove(harness.client_id, second.id).await.unwrap();
    let third = harness.ended(third.id).await;
    assert_eq!((third.state, third.rows.accepted, third.rows.duplicate), (State::Completed, 5, 0), "{third:?}");
    send.send(Err(std::io::Error::other("the line is cut"))).await.unwrap();
    assert!(first.await.unwrap().is_err());
    stop.cancel();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_repeats_itself_is_loaded_in_hope_all_the_same() {
    let harness = Harness::new(2_000).await;
    let stop = CancellationToken::new();
    let workers: Vec<_> = (0..2).map(|_| harness.start(3, &stop)).collect();
    // Every tenth key comes again, far from its first line.
    let keys = (0..3_000).chain((0..3_000).step_by(10));
    let upload = harness.accept(file(keys)).await;
    let upload = harness.ended(upload.id).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert_eq!(
        (upload.state, upload.rows.accepted, upload.rows.duplicate),
        (State::Completed, 3_000, 300),
        "{upload:?}"
    );
    assert_eq!(harness.lines(upload.id).await, (2..3_002).collect::<Vec<i64>>());
    assert_eq!(harness.count("select count(*) from upload_progress where careful").await, 0);
    while harness.count("select count(*) from chunk_keys").await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
