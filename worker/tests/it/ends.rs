//! Files that do not arrive, arrive again, or are given up.

use bytes::Bytes;
use futures::{StreamExt, stream};
use gristmill_uploads::{MemoryBudget, NewUpload, Policy, ReceiveError, Received, Removed, State};

use crate::mill::{HEADER, Mill, accepted, body, file};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_off_leaves_nothing() {
    for policy in [Policy::Partial, Policy::Atomic] {
        let mill = Mill::new(1_000).await;
        let stop = tokio_util::sync::CancellationToken::new();
        let running = mill.start(2, &stop);
        let whole = file(0..200);
        let (start, _) = whole.split_at(whole.len() / 2);
        let broken = body(start.as_bytes(), 512)
            .map(|frame| Ok(frame.unwrap()))
            .chain(stream::iter([Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]));
        let error = mill.uploads.receive(mill.new_upload(policy), broken).await.unwrap_err();
        let ReceiveError::Broken { upload_id: Some(id), .. } = error else { panic!("{error:?}") };
        stop.cancel();
        running.await.unwrap().unwrap();
        mill.drain().await;
        let upload = mill.find(id).await;
        assert_eq!((upload.state, upload.reason.as_deref()), (State::Failed, Some("incomplete")));
        assert_eq!(mill.count("select count(*) from debts").await, 0);
        assert_eq!(mill.count("select count(*) from rejects").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_take_turns_where_there_is_room_for_one_chunk() {
    let mut mill = Mill::new(1_000).await;
    mill.uploads.memory = MemoryBudget::of(1_000);
    let files = (0..8).map(|n| mill.accept(file(n * 100..n * 100 + 100)));
    let uploads = futures::future::join_all(files).await;
    mill.drain().await;
    for upload in uploads {
        let upload = mill.find(upload.id).await;
        assert_eq!((upload.state, upload.rows.accepted), (State::Completed, 100));
        assert!(upload.chunks.total > 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_again_is_answered_with_the_first() {
    let mill = Mill::new(1_000).await;
    let text = file(0..100);
    let first = mill.grind(&text).await;
    match mill.receive(mill.new_upload(Policy::Partial), &text).await.unwrap() {
        Received::Same(same) => assert_eq!(same.id, first.id),
        other => panic!("{other:?}"),
    }
    mill.drain().await;
    assert_eq!(mill.count("select count(*) from debts").await, 100);
    assert_eq!(mill.count("select count(*) from uploads").await, 1, "the copy leaves no trace");

    let forced = NewUpload { force: true, ..mill.new_upload(Policy::Partial) };
    let again = accepted(mill.receive(forced, &text).await);
    mill.drain().await;
    let again = mill.find(again.id).await;
    assert_eq!((again.state, again.rows.duplicate, again.rows.accepted), (State::Completed, 100, 0));
    assert!(mill.rejects(again.id).await.iter().all(|r| r.first_upload_id == Some(first.id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_rows_were_undone_elsewhere_is_done_anew() {
    let mill = Mill::new(1_000).await;
    let text = file(0..100);
    let first = mill.grind(&text).await;
    let forced = NewUpload { force: true, ..mill.new_upload(Policy::Partial) };
    let second = accepted(mill.receive(forced, &text).await);
    mill.drain().await;
    assert_eq!(mill.find(second.id).await.rows.duplicate, 100);
    mill.uploads.remove(mill.client_id, first.id).await.unwrap();
    mill.drain().await;
    // The second one is completed, and has no row.
    let third = mill.grind(&text).await;
    assert_eq!((third.state, third.rows.accepted), (State::Completed, 100));
    match mill.receive(mill.new_upload(Policy::Partial), &text).await.unwrap() {
        Received::Same(same) => assert_eq!(same.id, third.id),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_only_begins_like_another_is_loaded() {
    let mill = Mill::new(1_000).await;
    mill.grind(file(0..100)).await;
    for (last, accepted) in [(120, 20), (90, 0)] {
        let upload = mill.grind(file(0..last)).await;
        assert_eq!((upload.state, upload.rows.accepted), (State::Completed, accepted), "{upload:?}");
        assert_eq!(upload.rows.read, last as i64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_answers_as_before() {
    let mill = Mill::new(1_000).await;
    let keyed =
        || NewUpload { idempotency_key: Some("k1".to_owned()), force: true, ..mill.new_upload(Policy::Partial) };
    let first = accepted(mill.receive(keyed(), file(0..10)).await);
    match mill.receive(keyed(), file(0..10)).await.unwrap() {
        Received::Replayed(upload) => assert_eq!(upload.id, first.id),
        other => panic!("{other:?}"),
    }
    assert!(matches!(mill.receive(keyed(), file(0..11)).await, Err(ReceiveError::KeyReused)));
    for other in [
        NewUpload { force: false, ..keyed() },
        NewUpload { policy: Policy::Atomic, ..keyed() },
        NewUpload { filename: Some("other.csv".to_owned()), ..keyed() },
    ] {
        assert!(matches!(mill.receive(other, file(0..10)).await, Err(ReceiveError::KeyReused)));
    }
    let mut small = mill.uploads.clone();
    small.limits.max_file_bytes = 100;
    let large = small.receive(keyed(), body(file(0..10).as_bytes(), 64)).await;
    assert!(matches!(large, Err(ReceiveError::TooLarge { limit: 100, .. })), "{large:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_answered_with_an_earlier_upload_is_used() {
    let mill = Mill::new(1_000).await;
    let first = mill.grind(file(0..10)).await;
    let keyed = || NewUpload { idempotency_key: Some("k1".to_owned()), ..mill.new_upload(Policy::Partial) };
    for _ in 0..2 {
        match mill.receive(keyed(), file(0..10)).await.unwrap() {
            Received::Same(upload) => assert_eq!(upload.id, first.id),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(mill.receive(keyed(), file(0..11)).await, Err(ReceiveError::KeyReused)));
    let forced = NewUpload { force: true, ..keyed() };
    assert!(matches!(mill.receive(forced, file(0..10)).await, Err(ReceiveError::KeyReused)));
    assert_eq!(mill.count("select count(*) from uploads").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_upload_broke_off_may_be_used_again() {
    let mill = Mill::new(1_000).await;
    let keyed = || NewUpload { idempotency_key: Some("k1".to_owned()), ..mill.new_upload(Policy::Partial) };
    let broken = stream::iter([Ok(Bytes::from(file(0..50))), Err(std::io::Error::other("gone"))]);
    assert!(matches!(mill.uploads.receive(keyed(), broken).await, Err(ReceiveError::Broken { .. })));
    accepted(mill.receive(keyed(), file(0..50)).await);
    mill.drain().await;
    assert_eq!(mill.count("select count(*) from debts").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_records_and_wrong_headers() {
    let mill = Mill::new(1_000).await;
    let receive = |text: &'static str| mill.receive(mill.new_upload(Policy::Partial), text);
    assert!(matches!(receive("").await, Err(ReceiveError::Empty)));
    assert!(matches!(receive("\n\n").await, Err(ReceiveError::Empty)));
    match receive("name,governmentId,email\na,b,c\n").await {
        Err(ReceiveError::Header(error)) => assert_eq!(error.missing, ["debtAmount", "debtDueDate", "debtId"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(mill.count("select count(*) from uploads").await, 0);

    let upload = mill.grind(HEADER).await;
    assert_eq!((upload.state, upload.rows.read, upload.chunks.total), (State::Completed, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_upload_is_cancelled_and_a_completed_one_undone() {
    let mill = Mill::new(1_000).await;
    let running = mill.accept(file(0..100)).await;
    assert!(matches!(mill.uploads.remove(mill.client_id, running.id).await.unwrap(), Removed::Cancelled(_)));
    mill.drain().await;
    let running = mill.find(running.id).await;
    assert_eq!((running.state, running.reason.as_deref()), (State::Cancelled, Some("cancelled")));
    assert_eq!(mill.count("select count(*) from debts").await, 0);
    mill.uploads.remove(mill.client_id, running.id).await.unwrap_err();

    let done = mill.grind(file(0..100)).await;
    assert_eq!(done.rows.accepted, 100);
    assert!(matches!(mill.uploads.remove(mill.client_id, done.id).await.unwrap(), Removed::Undone(_)));
    mill.drain().await;
    assert_eq!(mill.count("select count(*) from debts").await, 0);
    assert_eq!(mill.grind(file(0..100)).await.rows.accepted, 100, "an undone file may be sent again");
}
