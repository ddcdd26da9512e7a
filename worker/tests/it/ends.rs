//! Files that do not arrive, arrive again, or are given up.

use bytes::Bytes;
use futures::{StreamExt, stream};
use gristmill_uploads::{MemoryBudget, NewUpload, Policy, ReceiveError, ReceiveOutcome, RemoveOutcome, State};

use crate::harness::{HEADER, Harness, accepted, body, file};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_off_leaves_nothing() {
    for policy in [Policy::Partial, Policy::Atomic] {
        let harness = Harness::new(1_000).await;
        let stop = tokio_util::sync::CancellationToken::new();
        let running = harness.start(2, &stop);
        let whole = file(0..200);
        let (start, _) = whole.split_at(whole.len() / 2);
        let broken = body(start.as_bytes(), 512)
            .map(|frame| Ok(frame.unwrap()))
            .chain(stream::iter([Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]));
        let error = harness.uploads.receive(harness.new_upload(policy), broken).await.unwrap_err();
        let ReceiveError::Broken { upload_id: Some(id), .. } = error else { panic!("{error:?}") };
        stop.cancel();
        running.await.unwrap().unwrap();
        harness.drain().await;
        let upload = harness.find(id).await;
        assert_eq!((upload.state, upload.reason.as_deref()), (State::Failed, Some("incomplete")));
        assert_eq!(harness.count("select count(*) from debts").await, 0);
        assert_eq!(harness.count("select count(*) from rejects").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_take_turns_where_there_is_room_for_one_chunk() {
    let mut harness = Harness::new(1_000).await;
    harness.uploads.memory = MemoryBudget::of(1_000);
    let files = (0..8).map(|n| harness.accept(file(n * 100..n * 100 + 100)));
    let uploads = futures::future::join_all(files).await;
    harness.drain().await;
    for upload in uploads {
        let upload = harness.find(upload.id).await;
        assert_eq!((upload.state, upload.rows.accepted), (State::Completed, 100));
        assert!(upload.chunks.total > 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_again_is_answered_with_the_first() {
    let harness = Harness::new(1_000).await;
    let text = file(0..100);
    let first = harness.run_file(&text).await;
    match harness.receive(harness.new_upload(Policy::Partial), &text).await.unwrap() {
        ReceiveOutcome::Same(same) => assert_eq!(same.id, first.id),
        other => panic!("{other:?}"),
    }
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from debts").await, 100);
    assert_eq!(harness.count("select count(*) from uploads").await, 1, "the copy leaves no trace");

    let forced = NewUpload { force: true, ..harness.new_upload(Policy::Partial) };
    let again = accepted(harness.receive(forced, &text).await);
    harness.drain().await;
    let again = harness.find(again.id).await;
    assert_eq!((again.state, again.rows.duplicate, again.rows.accepted), (State::Completed, 100, 0));
    assert!(harness.rejects(again.id).await.iter().all(|r| r.first_upload_id == Some(first.id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_rows_were_undone_elsewhere_is_done_anew() {
    let harness = Harness::new(1_000).await;
    let text = file(0..100);
    let first = harness.run_file(&text).await;
    let forced = NewUpload { force: true, ..harness.new_upload(Policy::Partial) };
    let second = accepted(harness.receive(forced, &text).await);
    harness.drain().await;
    assert_eq!(harness.find(second.id).await.rows.duplicate, 100);
    harness.uploads.remove(harness.client_id, first.id).await.unwrap();
    harness.drain().await;
    // The second one is completed, and has no row.
    let third = harness.run_file(&text).await;
    assert_eq!((third.state, third.rows.accepted), (State::Completed, 100));
    match harness.receive(harness.new_upload(Policy::Partial), &text).await.unwrap() {
        ReceiveOutcome::Same(same) => assert_eq!(same.id, third.id),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_only_begins_like_another_is_loaded() {
    let harness = Harness::new(1_000).await;
    harness.run_file(file(0..100)).await;
    for (last, accepted) in [(120, 20), (90, 0)] {
        let upload = harness.run_file(file(0..last)).await;
        assert_eq!((upload.state, upload.rows.accepted), (State::Completed, accepted), "{upload:?}");
        assert_eq!(upload.rows.read, last as i64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_answers_as_before() {
    let harness = Harness::new(1_000).await;
    let keyed =
        || NewUpload { idempotency_key: Some("k1".to_owned()), force: true, ..harness.new_upload(Policy::Partial) };
    let first = accepted(harness.receive(keyed(), file(0..10)).await);
    match harness.receive(keyed(), file(0..10)).await.unwrap() {
        ReceiveOutcome::Replayed(upload) => assert_eq!(upload.id, first.id),
        other => panic!("{other:?}"),
    }
    assert!(matches!(harness.receive(keyed(), file(0..11)).await, Err(ReceiveError::KeyReused)));
    for other in [
        NewUpload { force: false, ..keyed() },
        NewUpload { policy: Policy::Atomic, ..keyed() },
        NewUpload { filename: Some("other.csv".to_owned()), ..keyed() },
    ] {
        assert!(matches!(harness.receive(other, file(0..10)).await, Err(ReceiveError::KeyReused)));
    }
    let mut small = harness.uploads.clone();
    small.limits.max_file_bytes = 100;
    let large = small.receive(keyed(), body(file(0..10).as_bytes(), 64)).await;
    assert!(matches!(large, Err(ReceiveError::TooLarge { limit: 100, .. })), "{large:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_answered_with_an_earlier_upload_is_used() {
    let harness = Harness::new(1_000).await;
    let first = harness.run_file(file(0..10)).await;
    let keyed = || NewUpload { idempotency_key: Some("k1".to_owned()), ..harness.new_upload(Policy::Partial) };
    for _ in 0..2 {
        match harness.receive(keyed(), file(0..10)).await.unwrap() {
            ReceiveOutcome::Same(upload) => assert_eq!(upload.id, first.id),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(harness.receive(keyed(), file(0..11)).await, Err(ReceiveError::KeyReused)));
    let forced = NewUpload { force: true, ..keyed() };
    assert!(matches!(harness.receive(forced, file(0..10)).await, Err(ReceiveError::KeyReused)));
    assert_eq!(harness.count("select count(*) from uploads").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_upload_broke_off_may_be_used_again() {
    let harness = Harness::new(1_000).await;
    let keyed = || NewUpload { idempotency_key: Some("k1".to_owned()), ..harness.new_upload(Policy::Partial) };
    let broken = stream::iter([Ok(Bytes::from(file(0..50))), Err(std::io::Error::other("gone"))]);
    assert!(matches!(harness.uploads.receive(keyed(), broken).await, Err(ReceiveError::Broken { .. })));
    accepted(harness.receive(keyed(), file(0..50)).await);
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from debts").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_records_and_wrong_headers() {
    let harness = Harness::new(1_000).await;
    let receive = |text: &'static str| harness.receive(harness.new_upload(Policy::Partial), text);
    assert!(matches!(receive("").await, Err(ReceiveError::Empty)));
    assert!(matches!(receive("\n\n").await, Err(ReceiveError::Empty)));
    match receive("name,governmentId,email\na,b,c\n").await {
        Err(ReceiveError::Header(error)) => assert_eq!(error.missing, ["debtAmount", "debtDueDate", "debtId"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(harness.count("select count(*) from uploads").await, 0);

    let upload = harness.run_file(HEADER).await;
    assert_eq!((upload.state, upload.rows.read, upload.chunks.total), (State::Completed, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_upload_is_cancelled_and_a_completed_one_undone() {
    let harness = Harness::new(1_000).await;
    let running = harness.accept(file(0..100)).await;
    assert!(matches!(
        harness.uploads.remove(harness.client_id, running.id).await.unwrap(),
        RemoveOutcome::Cancelled(_)
    ));
    harness.drain().await;
    let running = harness.find(running.id).await;
    assert_eq!((running.state, running.reason.as_deref()), (State::Cancelled, Some("cancelled")));
    assert_eq!(harness.count("select count(*) from debts").await, 0);
    harness.uploads.remove(harness.client_id, running.id).await.unwrap_err();

    let done = harness.run_file(file(0..100)).await;
    assert_eq!(done.rows.accepted, 100);
    assert!(matches!(harness.uploads.remove(harness.client_id, done.id).await.unwrap(), RemoveOutcome::Undone(_)));
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from debts").await, 0);
    assert_eq!(harness.run_file(file(0..100)).await.rows.accepted, 100, "an undone file may be sent again");
}
