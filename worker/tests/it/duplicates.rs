//! One key, one row; the first line of a file wins; whoever loses is told to whom.

use bytes::Bytes;
use futures::{StreamExt, stream};
use gristmill_uploads::{Policy, ReceiveError, Received, State, Upload};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::mill::{Mill, body, file};

/// Runs the chunks of what was received last to first, until it is closed.
pub(crate) async fn grind_backwards(mill: &Mill, id: Uuid) -> Upload {
    sqlx::query(
        "update jobs set state = 'scheduled', run_at = now() + interval '60 ms' * (40 - (payload->>'no')::int)
         where name = 'uploads.load_chunk'",
    )
    .execute(&mill.stack.pool)
    .await
    .unwrap();
    let stop = CancellationToken::new();
    let worker = mill.start(1, &stop);
    let upload = mill.ended(id).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    upload
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_line_wins_in_whatever_order_chunks_run() {
    let mill = Mill::new(400).await;
    // Every key three times, far apart.
    let keys: Vec<u64> = (0..60).chain(0..60).chain(0..60).collect();
    let upload = mill.accept(file(keys)).await;
    assert!(upload.chunks.total > 20);
    let upload = grind_backwards(&mill, upload.id).await;
    assert_eq!((upload.state, upload.rows.accepted, upload.rows.duplicate), (State::Completed, 60, 120), "{upload:?}");
    assert_eq!(mill.lines(upload.id).await, (2..62).collect::<Vec<i64>>());
    for reject in mill.rejects(upload.id).await {
        let first = 2 + (reject.line - 2) % 60;
        assert_eq!(reject.first_line, Some(first), "line {}", reject.line);
        assert!(reject.message().contains(&format!("line {first} of")), "{}", reject.message());
        let key = String::from_utf8(reject.raw).unwrap();
        assert!(key.ends_with(&format!("{:012x}", first - 2)), "{key}");
    }
    let receipt = gristmill_uploads::read::receipt(&mill.stack.pool, upload.id).await.unwrap().unwrap();
    for chunk in receipt.chunks {
        assert_eq!(chunk.rows.read, chunk.rows.accepted + chunk.rows.rejected + chunk.rows.duplicate);
        assert_eq!(chunk.rows.accepted > 0, chunk.first_line < 62, "{chunk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_is_told_of_the_line_that_won_in_the_end() {
    let mill = Mill::new(400).await;
    let one = mill.accept(file((0..60).chain(0..60))).await;
    // Its second half is loaded at once, the first one only when the other file has lost to it.
    sqlx::query(
        "update jobs set state = 'scheduled', run_at = now() + interval '2 s' * ((payload->>'no')::int < $1 / 2)::int
         where name = 'uploads.load_chunk'",
    )
    .bind(i32::try_from(one.chunks.total).unwrap())
    .execute(&mill.stack.pool)
    .await
    .unwrap();
    let stop = CancellationToken::new();
    let worker = mill.start(2, &stop);
    while mill.count("select count(*) from debts").await < 55 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let other = mill.accept(file(0..60)).await;
    let (one, other) = (mill.ended(one.id).await, mill.ended(other.id).await);
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!((one.state, other.state), (State::Completed, State::Completed));
    let rejects: Vec<_> = mill.rejects(other.id).await;
    assert!(rejects.len() >= 55 && rejects.iter().all(|reject| reject.first_upload_id == Some(one.id)));
    assert!(rejects.iter().all(|reject| reject.first_line == Some(reject.line)), "the lines of the first half");
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_files_at_once_share_their_keys() {
    let mill = Mill::new(2_000).await;
    let stop = CancellationToken::new();
    let workers: Vec<_> = (0..2).map(|_| mill.start(3, &stop)).collect();
    let (a, b) = (file(0..2_000), file((1_000..3_000).rev()));
    let (a, b) = tokio::join!(mill.accept(a), mill.accept(b));
    let (a, b) = (mill.ended(a.id).await, mill.ended(b.id).await);
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert_eq!((a.state, b.state), (State::Completed, State::Completed), "{a:?} {b:?}");
    assert_eq!(a.rows.accepted + b.rows.accepted, 3_000);
    assert_eq!(a.rows.duplicate + b.rows.duplicate, 1_000);
    assert_eq!(mill.count("select count(*) from debts").await, 3_000);
}

pub(crate) type Frames = mpsc::Sender<Result<Bytes, std::io::Error>>;

/// A file of the keys up to 100 whose first half arrives and is loaded; then the line is silent.
pub(crate) async fn half(mill: &Mill) -> (Frames, JoinHandle<Result<Received, ReceiveError>>) {
    let (send, frames) = mpsc::channel(64);
    let arriving = tokio::spawn({
        let (uploads, new) = (mill.uploads.clone(), mill.new_upload(Policy::Partial));
        let frames = stream::unfold(frames, |mut frames| async { frames.recv().await.map(|f| (f, frames)) }).boxed();
        async move { uploads.receive(new, frames).await }
    });
    let mut start = body(file(0..100).as_bytes(), 1_000);
    while let Some(frame) = start.next().await {
        send.send(Ok(frame.unwrap())).await.unwrap();
    }
    while mill.count("select count(*) from debts").await < 50 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    (send, arriving)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_lost_to_a_file_that_broke_off_are_taken_after_all() {
    let mill = Mill::new(1_000).await;
    let stop = CancellationToken::new();
    let worker = mill.start(2, &stop);
    let (send, first) = half(&mill).await;
    // The second one has the same keys, each twice, and can only be closed when the first one's end is known.
    let second = mill.accept(file((0..100).chain(0..100))).await;
    while mill.find(second.id).await.chunks.done < second.chunks.total {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(mill.find(second.id).await.state, State::Processing);

    send.send(Err(std::io::Error::other("the line is cut"))).await.unwrap();
    assert!(matches!(first.await.unwrap(), Err(ReceiveError::Broken { .. })));
    let second = mill.ended(second.id).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!((second.state, second.rows.accepted, second.rows.duplicate), (State::Completed, 100, 100), "{second:?}");
    assert_eq!(mill.lines(second.id).await, (2..102).collect::<Vec<i64>>());
    let rejects = mill.rejects(second.id).await;
    assert!(rejects.iter().all(|r| r.first_upload_id == Some(second.id) && r.first_line == Some(r.line - 100)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_lost_to_a_file_that_waits_itself_wait_with_it() {
    let mill = Mill::new(1_000).await;
    let stop = CancellationToken::new();
    let worker = mill.start(2, &stop);
    let (send, first) = half(&mill).await;
    // The second file lost rows to the one that still arrives, the third lost all of its own to the second.
    let second = mill.accept(file((0..10).chain(1_000..1_010))).await;
    while mill.count("select count(*) from uploads where loaded_at is not null").await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let third = mill.accept(file(1_000..1_005)).await;
    while mill.find(third.id).await.rows.duplicate < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(mill.find(third.id).await.state, State::Processing, "the second may still be cancelled");

    mill.uploads.remove(mill.client_id, second.id).await.unwrap();
    let third = mill.ended(third.id).await;
    assert_eq!((third.state, third.rows.accepted, third.rows.duplicate), (State::Completed, 5, 0), "{third:?}");
    send.send(Err(std::io::Error::other("the line is cut"))).await.unwrap();
    assert!(first.await.unwrap().is_err());
    stop.cancel();
    worker.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_repeats_itself_is_loaded_in_hope_all_the_same() {
    let mill = Mill::new(2_000).await;
    let stop = CancellationToken::new();
    let workers: Vec<_> = (0..2).map(|_| mill.start(3, &stop)).collect();
    // Every tenth key comes again, far from its first line.
    let keys = (0..3_000).chain((0..3_000).step_by(10));
    let upload = mill.accept(file(keys)).await;
    let upload = mill.ended(upload.id).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert_eq!(
        (upload.state, upload.rows.accepted, upload.rows.duplicate),
        (State::Completed, 3_000, 300),
        "{upload:?}"
    );
    assert_eq!(mill.lines(upload.id).await, (2..3_002).collect::<Vec<i64>>());
    assert_eq!(mill.count("select count(*) from upload_progress where careful").await, 0);
    while mill.count("select count(*) from chunk_keys").await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
