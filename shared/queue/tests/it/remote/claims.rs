//! Which jobs a worker is given.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_over_local_and_remote_workers() {
    let test = test_queue().await;
    let limits = Limits { concurrency: Some(2), ..Limits::default() };
    test.queue.queues().set_limits("default", &limits).await.unwrap();
    let local = work(&test.effect_worker(4));
    test.enqueue(&[Effect { n: 0, millis: 10_000 }], &Options::default()).await;
    until("the local job", LONG, || async { test.queue.broker_depth("default").await.unwrap().1 == 1 }).await;
    test.enqueue(&thumbs(5), &Options::default()).await;
    let elsewhere = Elsewhere::new(&test.queue, "py-1");
    let jobs = elsewhere.claim(5, LONG).await;
    assert_eq!(jobs.len(), 1, "one beside the local one");
    assert!(elsewhere.claim(5, Duration::from_millis(300)).await.is_empty());
    elsewhere.done(&tickets(&jobs)).await;
    let mut done = 1;
    while done < 5 {
        let jobs = elsewhere.claim(5, LONG).await;
        assert!(jobs.len() <= 2);
        done += jobs.len();
        elsewhere.done(&tickets(&jobs)).await;
    }
    until("the local job's end", LONG, || async { test.effects().await == (1, 1) }).await;
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_given_only_what_it_knows_and_parks_nothing_that_others_know() {
    let test = test_queue().await;
    let local = work(&test.effect_worker(2));
    let elsewhere = Elsewhere::new(&test.queue, "py-1");
    elsewhere.claim(1, Duration::from_millis(100)).await;
    let effects = test.enqueue(&Effect::many(5), &Options::default()).await;
    let ids = test.enqueue(&thumbs(5), &Options::default()).await;
    let mut done = 0;
    while done < 5 {
        let jobs = elsewhere.claim(5, LONG).await;
        assert!(jobs.iter().all(|job| job.name == "thumb"));
        done += jobs.len();
        elsewhere.done(&tickets(&jobs)).await;
    }
    until("what the local worker knows", LONG, || async { test.effects().await == (5, 5) }).await;
    for id in ids.iter().chain(&effects) {
        assert_eq!(test.state(*id).await.0, "completed");
    }
    local.stop().await;
    // Nobody knows this one, so it waits for somebody who does, and is tried when one comes.
    let strange = test.enqueue(&[Join { failed: false }], &Options::default()).await;
    until("it to be parked", LONG, || async {
        elsewhere.claim(1, Duration::from_millis(300)).await;
        test.state(strange[0]).await.0 == "parked"
    })
    .await;
    assert_eq!(test.state(strange[0]).await.2.as_deref(), Some("unknown job `join`"));
    let knows = Elsewhere::new(&test.queue, "py-2");
    let jobs = knows.claim_from("default", &["join"], 1, LONG).await;
    assert_eq!(jobs[0].ticket.id, strange[0]);
}
