//! An effect happens once.

use std::time::Duration;

use gristmill_queue::{Claim, Completion, Fence, Options};

use crate::support::{Effect, LONG, test_queue, until, work};

#[tokio::test]
async fn an_enqueued_job_runs_and_completes_once() {
    let test = test_queue().await;
    let ids = test.enqueue(&Effect::many(10), &Options::default()).await;
    let drained = test.queue.drain(&test.effect_worker(4), LONG).await.unwrap();
    assert_eq!(drained.completed, 10);
    assert_eq!(test.effects().await, (10, 10));
    assert_eq!(test.state(ids[0]).await, ("completed".into(), 0, None));
}

#[tokio::test]
async fn a_rolled_back_transaction_leaves_nothing() {
    let test = test_queue().await;
    let mut tx = test.pool.begin().await.unwrap();
    let enqueued = test.queue.enqueue(&mut tx, &Effect::new(1), &Options::default()).await.unwrap();
    tx.rollback().await.unwrap();
    // Even when somebody pushes what was never committed.
    test.queue.push(enqueued).await;
    let drained = test.queue.drain(&test.effect_worker(4), LONG).await.unwrap();
    assert_eq!(drained, Default::default());
    assert_eq!(test.effects().await, (0, 0));
}

#[tokio::test]
async fn of_two_runs_at_once_one_is_already_done() {
    let test = test_queue().await;
    let id = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    let run = || async {
        let claim = Claim::new(id, 1);
        let mut tx = test.pool.begin().await.unwrap();
        let held = test.queue.lock(&mut tx, &claim).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let done = matches!(test.queue.complete(&mut tx, &claim).await.unwrap(), Completion::Done(_));
        tx.commit().await.unwrap();
        (held, done)
    };
    let (a, b) = tokio::join!(run(), run());
    let (first, second) = if a.1 { (a, b) } else { (b, a) };
    assert_eq!(first, (Fence::Held, true));
    assert_eq!(second, (Fence::AlreadyDone, false));
}

#[tokio::test]
async fn of_many_jobs_those_are_completed_that_are_still_to_be_done() {
    let test = test_queue().await;
    let ids = test.enqueue(&Effect::many(4), &Options::default()).await;
    test.queue.cancel_jobs(&ids[1..2]).await.unwrap();
    // In another order than that of their ids, and one of them twice.
    let claims = [3, 1, 0, 3].map(|n: usize| Claim::new(ids[n], 1));
    let mut tx = test.pool.begin().await.unwrap();
    let (fences, joins) = test.queue.complete_each(&mut tx, &claims).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(fences, [Fence::Held, Fence::AlreadyDone, Fence::Held, Fence::AlreadyDone]);
    assert!(joins.is_empty());
    let states = [test.state(ids[0]).await.0, test.state(ids[1]).await.0, test.state(ids[2]).await.0];
    assert_eq!(states, ["completed", "cancelled", "available"]);

    let mut tx = test.pool.begin().await.unwrap();
    let (fences, _) = test.queue.complete_each(&mut tx, &claims).await.unwrap();
    assert_eq!(fences, [Fence::AlreadyDone; 4]);
    assert_eq!(test.queue.complete_each(&mut tx, &[]).await.unwrap().0, []);
}

#[tokio::test]
async fn a_job_delivered_twice_changes_nothing() {
    let test = test_queue().await;
    let worker = work(&test.effect_worker(8));
    let jobs: Vec<Effect> = (0..20).map(|n| Effect { n, millis: 1_000 }).collect();
    test.enqueue(&jobs, &Options::default()).await;
    // The broker forgets that they run, and hands them out again.
    until("some to run", LONG, || async { test.queue.broker_depth("default").await.unwrap().1 == 8 }).await;
    test.forget_jobs().await;
    let mut sweeper = gristmill_queue::Sweeper::new(&test.queue);
    assert!(sweeper.sweep().await.unwrap().healed > 0);
    let other = work(&test.effect_worker(20));
    until("all jobs to be completed", LONG, || async {
        test.count("select count(*) from gristmill.jobs where state = 'completed'").await == 20
    })
    .await;
    worker.stop().await;
    other.stop().await;
    assert_eq!(test.effects().await, (20, 20));
}

#[tokio::test]
async fn a_unique_key_lets_one_in() {
    let test = test_queue().await;
    let options = Options { unique_key: Some("daily".into()), ..Options::default() };
    assert_eq!(test.enqueue(&[Effect::new(1)], &options).await.len(), 1);
    assert_eq!(test.enqueue(&[Effect::new(2)], &options).await.len(), 0);
    test.queue.drain(&test.effect_worker(4), LONG).await.unwrap();
    assert_eq!(test.enqueue(&[Effect::new(3)], &options).await.len(), 1);
}

#[tokio::test]
async fn the_urgent_come_first_and_the_others_do_not_starve() {
    let test = test_queue().await;
    let options = |priority| Options { priority: Some(priority), ..Options::default() };
    test.enqueue(&[Effect::new(9_000)], &options(9)).await;
    test.enqueue(&Effect::many(200), &options(0)).await;
    test.queue.drain(&test.effect_worker(1), LONG).await.unwrap();
    let place = test.count("select count(*) from effects where at < (select at from effects where n = 9000)").await;
    assert!((5..=60).contains(&place), "the least urgent job came {place}.");
}
