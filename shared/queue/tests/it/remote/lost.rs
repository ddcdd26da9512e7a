//! Workers that go silent, die or hang up.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_silent_worker_run_elsewhere_within_ten_seconds() {
    let test = test_queue().await;
    let (silent, other) = (Elsewhere::new(&test.queue, "py-1"), Elsewhere::new(&test.queue, "py-2"));
    let ids = test.enqueue(&thumbs(2), &Options::default()).await;
    let given = Instant::now();
    let first = silent.claim(1, LONG).await;
    let kept = silent.claim(1, LONG).await;
    // One is renewed, the other one is not.
    let mut taken = Vec::new();
    while taken.is_empty() {
        assert!(given.elapsed() < SOON * 2, "it took {:?}", given.elapsed());
        silent.held(&tickets(&kept)).await;
        taken = other.claim(2, Duration::from_millis(500)).await;
    }
    assert!(given.elapsed() > Duration::from_secs(5), "a lease is six seconds at least: {:?}", given.elapsed());
    assert_eq!((taken.len(), taken[0].ticket.id), (1, first[0].ticket.id));
    assert_ne!(taken[0].ticket, first[0].ticket);
    // It wakes up and says what it did: too late.
    let orders = silent.done(&tickets(&first)).await;
    assert_eq!(orders.lost, [first[0].ticket.id]);
    assert_eq!(test.state(first[0].ticket.id).await.0, "available");
    assert_eq!(silent.held(&tickets(&first)).await.lost, [first[0].ticket.id]);
    other.done(&tickets(&taken)).await;
    silent.done(&tickets(&kept)).await;
    for id in ids {
        assert_eq!(test.state(id).await.0, "completed");
    }
    let lost: Vec<String> = sqlx::query_scalar("select outcome from gristmill.job_attempts where job_id = $1")
        .bind(first[0].ticket.id)
        .fetch_all(&test.pool)
        .await
        .unwrap();
    assert_eq!(lost, ["lost_worker"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_its_workers_down_runs_alone_and_is_dead_at_last() {
    let stack = gristmill_platform::testing::stack().await;
    let test = on(stack).await;
    let queue =
        Queue::connect(test.pool.clone(), QueueConfig { max_deliveries: 2, ..config(&test.stack) }).await.unwrap();
    let ids = test.enqueue(&thumbs(1), &Options::default()).await;
    let first = Elsewhere::new(&queue, "py-1");
    assert_eq!(first.claim(5, LONG).await.len(), 1);
    // It comes again, to a worker that has another one: it is put back until that one is done.
    let second = Elsewhere::new(&queue, "py-2");
    let others = test.enqueue(&[Effect::new(1)], &Options::default()).await;
    let busy = second.claim_from("default", &["effect"], 1, LONG).await;
    assert_eq!(busy[0].ticket.id, others[0]);
    let since = Instant::now();
    while since.elapsed() < SOON {
        second.held(&tickets(&busy)).await;
        let jobs = second.claim_from("default", &["effect", "thumb"], 5, Duration::from_millis(500)).await;
        assert!(jobs.is_empty(), "a suspected job was given beside another one");
    }
    second.done(&tickets(&busy)).await;
    let alone = second.claim_from("default", &["effect", "thumb"], 5, LONG).await;
    assert_eq!((alone.len(), alone[0].ticket.id), (1, ids[0]));
    test.enqueue(&[Effect::new(2)], &Options::default()).await;
    let beside = second.claim_from("default", &["effect", "thumb"], 5, Duration::from_millis(700)).await;
    assert!(beside.is_empty(), "another job was given beside a suspected one");
    // It takes this one down, too.
    until("it to be dead", LONG, || async { test.state(ids[0]).await.0 == "dead" }).await;
    assert_eq!(test.state(ids[0]).await.2.as_deref(), Some("lost_worker: 2 workers were lost with it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_loses_nothing() {
    let test = test_queue().await;
    let elsewhere = Elsewhere::new(&test.queue, "py-1");
    let (remote, worker) = (elsewhere.remote.clone(), elsewhere.worker.clone());
    for round in 0..20 {
        let queues = BTreeMap::from([("default".to_owned(), 1)]);
        let claim = RemoteClaim { worker: worker.clone(), queues, names: vec!["thumb".into()], wait: LONG };
        let hangs_up = tokio::time::timeout(Duration::from_millis(round), remote.claim(claim));
        let ((), gone) =
            tokio::join!(async { test.enqueue(&[Thumb { n: 1 }], &Options::default()).await.truncate(0) }, hangs_up);
        if let Ok(jobs) = gone {
            elsewhere.done(&tickets(&jobs.unwrap().deliveries)).await;
        }
    }
    let mut left = 20 - test.count("select count(*) from gristmill.jobs where state = 'completed'").await;
    while left > 0 {
        let jobs = elsewhere.claim(20, LONG).await;
        left -= i64::try_from(jobs.len()).unwrap();
        elsewhere.done(&tickets(&jobs)).await;
    }
    assert_eq!(test.count("select count(*) from gristmill.job_attempts").await, 0, "no strike of a lost worker");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_ends_when_its_worker_leaves() {
    let test = test_queue().await;
    let (leaver, other) = (Elsewhere::new(&test.queue, "py-1"), Elsewhere::new(&test.queue, "py-2"));
    let since = Instant::now();
    let (given, _) = tokio::join!(leaver.claim(10, LONG), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        leaver.report(RemoteReport { leaving: true, ..RemoteReport::default() }).await
    });
    assert!(given.is_empty() && since.elapsed() < LONG, "it waited for {:?}", since.elapsed());
    test.enqueue(&thumbs(10), &Options::default()).await;
    assert_eq!(other.claim(10, LONG).await.len(), 10);
    // One of the same name that starts again is another one.
    test.enqueue(&thumbs(1), &Options::default()).await;
    assert_eq!(leaver.claim(10, LONG).await.len(), 1);
}
