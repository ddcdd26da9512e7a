//! What the sweep makes good.

use std::time::Duration;

use gristmill_queue::{Options, Sweeper};

use crate::support::{Effect, LONG, sweep, test_queue, until, work};

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_commit_and_push_costs_seconds() {
    let test = test_queue().await;
    let (worker, sweeper) = (work(&test.effect_worker(4)), sweep(&test.queue));
    tokio::time::sleep(Duration::from_millis(300)).await;
    test.enqueue_and_die(&Effect::many(1_500)).await;
    until("the sweep to push", LONG, || async { test.effects().await.0 > 0 }).await;
    until("all of them", LONG, || async { test.effects().await == (1_500, 1_500) }).await;
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_postgres_forgot_is_done_again() {
    let test = test_queue().await;
    let id = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    let (worker, sweeper) = (work(&test.effect_worker(4)), sweep(&test.queue));
    until("the job", LONG, || async { test.state(id).await.0 == "completed" }).await;
    // As after a crash of Postgres with an asynchronous commit.
    let mut tx = test.pool.begin().await.unwrap();
    sqlx::query("update gristmill.jobs set state = 'available', finished_at = null").execute(&mut *tx).await.unwrap();
    sqlx::query("delete from effects").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    until("the job again", LONG, || async { test.state(id).await.0 == "completed" }).await;
    worker.stop().await;
    sweeper.stop().await;
    assert_eq!(test.effects().await, (1, 1));
}

#[tokio::test]
async fn many_sweepers_push_nothing_twice() {
    let test = test_queue().await;
    test.enqueue_and_die(&Effect::many(3_000)).await;
    let sweeps = (0..4).map(|_| {
        let mut sweeper = Sweeper::new(&test.queue);
        async move { sweeper.sweep().await.unwrap().healed }
    });
    let healed: u64 = futures::future::join_all(sweeps).await.into_iter().sum();
    assert_eq!(healed, 3_000);
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (3_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healing_that_was_interrupted_is_taken_up_by_the_next_sweeper() {
    let test = test_queue().await;
    test.enqueue_and_die(&Effect::many(20_000)).await;
    let pushed = async || test.queue.broker_depth("default").await.unwrap().0;
    // On this task: it does nothing while it is looked at.
    let mut first = Box::pin(Sweeper::new(&test.queue).run(Default::default()));
    while pushed().await == 0 {
        tokio::select! {
            () = &mut first => panic!("it ended by itself"),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
    drop(first);
    assert!(pushed().await < 20_000, "it was interrupted too late");
    assert!(!test.keys().await.iter().any(|key| key.ends_with(":epoch")), "it said that all was well");
    let second = sweep(&test.queue);
    until("all to be pushed", LONG, || async { pushed().await == 20_000 }).await;
    until("the epoch", LONG, || async { test.keys().await.iter().any(|key| key.ends_with(":epoch")) }).await;
    second.stop().await;
}
