//! Groups inside groups, and large ones.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gristmill_queue::{
    Context, GroupId, GroupPolicy, GroupProgress, Job, JobError, JobSpec, NewGroup, Options, QueueError, Worker,
};
use serde::{Deserialize, Serialize};

use crate::support::{Effect, Join, LONG, TestQueue, effect, join, sweep, test_queue, until, work};

/// Fails for good at once, or after a while; or runs until it is cancelled.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Part {
    Fails,
    RunsOn,
}

impl Job for Part {
    const NAME: &'static str = "part";
    const MAX_ATTEMPTS: u16 = 1;
}

/// When parts failed, and when they had stopped.
type Times = Arc<Mutex<Vec<(bool, Instant)>>>;

fn worker(test: &TestQueue, concurrency: usize, times: &Times) -> Worker {
    let times = Arc::clone(times);
    let part = move |ctx: Context, part: Part| {
        let times = Arc::clone(&times);
        async move {
            match part {
                Part::Fails => {
                    times.lock().unwrap().push((true, Instant::now()));
                    Err(JobError::discard("broken part"))
                }
                Part::RunsOn => {
                    ctx.cancel.cancelled().await;
                    times.lock().unwrap().push((false, Instant::now()));
                    Err(JobError::Cancelled)
                }
            }
        }
    };
    Worker::builder(&test.queue)
        .queue("default", concurrency)
        .register::<Part>(part)
        .register::<Effect>(effect)
        .register::<Join>(join)
        .build()
}

async fn group(test: &TestQueue, policy: GroupPolicy, parent: Option<GroupId>) -> GroupId {
    let new = NewGroup {
        // Only the outermost has joins, so that they can be told apart.
        on_complete: parent.is_none().then(|| JobSpec::of(&Join { failed: false }).unwrap()),
        on_failure: parent.is_none().then(|| JobSpec::of(&Join { failed: true }).unwrap()),
        name: Some("test".into()),
        client_id: Some(7.into()),
        parent,
        ..NewGroup::new(policy)
    };
    let mut tx = test.pool.begin().await.unwrap();
    let group = test.queue.create_group(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    group
}

async fn seal(test: &TestQueue, group: GroupId) {
    let mut tx = test.pool.begin().await.unwrap();
    let enqueued = test.queue.seal_group(&mut tx, group).await.unwrap();
    tx.commit().await.unwrap();
    test.queue.push(enqueued).await;
}

fn of(group: GroupId) -> Options {
    Options { group: Some(group), ..Options::default() }
}

async fn seen(test: &TestQueue, group: GroupId) -> GroupProgress {
    test.queue.group(group).await.unwrap().unwrap()
}

async fn joins(test: &TestQueue) -> (i64, i64) {
    sqlx::query_as("select count(*) filter (where n = -1), count(*) filter (where n = -2) from effects")
        .fetch_one(&test.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_innermost_ends_them_all() {
    let test = test_queue().await;
    let outer = group(&test, GroupPolicy::FailFast, None).await;
    let mut all = vec![outer];
    for _ in 0..3 {
        let middle = group(&test, GroupPolicy::Continue, Some(outer)).await;
        for _ in 0..3 {
            let inner = group(&test, GroupPolicy::FailFast, Some(middle)).await;
            test.enqueue(&Effect::many(40), &of(inner)).await;
            all.push(inner);
        }
        test.enqueue(&Effect::many(20), &of(middle)).await;
        all.push(middle);
    }
    let times = Times::default();
    let workers = [work(&worker(&test, 16, &times)), work(&worker(&test, 16, &times))];
    assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    for group in all {
        seal(&test, group).await;
    }
    until("the join", LONG, || async { joins(&test).await == (1, 0) }).await;
    for worker in workers {
        worker.stop().await;
    }
    let outer = seen(&test, outer).await;
    assert_eq!((outer.total, outer.completed, outer.completions, outer.state.as_str()), (3, 3, 1, "completed"));
    assert_eq!((outer.name.as_deref(), outer.client_id), (Some("test"), Some(7.into())));
    assert_eq!(test.count("select count(*) from gristmill.groups where state = 'completed'").await, 13);
    assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    assert_eq!(test.queue.prune(Duration::ZERO).await.unwrap().groups, 13, "from the inside out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_inside_stops_what_fails_fast_around_it() {
    let test = test_queue().await;
    let outer = group(&test, GroupPolicy::FailFast, None).await;
    let calm = group(&test, GroupPolicy::Continue, Some(outer)).await;
    let broken = group(&test, GroupPolicy::Continue, Some(outer)).await;
    let deep = group(&test, GroupPolicy::Continue, Some(calm)).await;
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    test.enqueue(&Effect::many(500), &Options { run_at: Some(later), ..of(deep) }).await;
    test.enqueue(&[Part::RunsOn, Part::RunsOn], &of(deep)).await;
    test.enqueue(&[Part::Fails], &of(broken)).await;
    test.enqueue(&Effect::many(10), &of(broken)).await;
    for group in [outer, broken] {
        seal(&test, group).await;
    }
    let times = Times::default();
    let (worker, sweeper) = (work(&worker(&test, 8, &times)), sweep(&test.queue));
    until("the join", LONG, || async { joins(&test).await == (0, 1) }).await;
    assert_eq!((seen(&test, broken).await.completed, seen(&test, broken).await.failed), (10, 1), "it continued");
    let states = [seen(&test, outer).await, seen(&test, calm).await, seen(&test, deep).await];
    assert_eq!(states.clone().map(|group| group.state), ["failed", "cancelled", "cancelled"]);
    assert_eq!((states[0].failed, states[0].cancelled, states[2].cancelled), (1, 1, 502));
    until("the running ones to stop", LONG, || async { times.lock().unwrap().len() == 3 }).await;
    let refused = test.queue.enqueue(&mut test.pool.acquire().await.unwrap(), &Effect::new(1), &of(deep)).await;
    assert!(matches!(refused, Err(QueueError::GroupClosed(closed)) if closed == deep));

    // Everything that failed or was stopped runs again, and so the whole ends again, once.
    let mut tx = test.pool.begin().await.unwrap();
    let again = test.queue.retry_group(&mut tx, outer).await.unwrap();
    // In the transaction: after it the sweep may push before this is read.
    let mut opened = Vec::new();
    for group in [outer, calm, deep] {
        opened.push(test.queue.group_in(&mut tx, group).await.unwrap().unwrap());
    }
    tx.commit().await.unwrap();
    assert_eq!(again.ids().len(), 503);
    assert!(opened.iter().all(|group| group.state == "open" && group.failed + group.cancelled == 0), "{opened:?}");
    assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    test.queue.push(again).await;
    until("the join to come again", LONG, || async { joins(&test).await == (0, 2) }).await;
    assert_eq!(seen(&test, outer).await.completions, 2);
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_group_inside_counts_as_cancelled_and_one_outside_takes_all_with_it() {
    let test = test_queue().await;
    let outer = group(&test, GroupPolicy::Continue, None).await;
    let inner = [
        group(&test, GroupPolicy::Continue, Some(outer)).await,
        group(&test, GroupPolicy::Continue, Some(outer)).await,
    ];
    test.enqueue(&Effect::many(5), &of(inner[0])).await;
    let cancel = async |group| {
        let mut tx = test.pool.begin().await.unwrap();
        let n = test.queue.cancel_group(&mut tx, group).await.unwrap();
        tx.commit().await.unwrap();
        n
    };
    assert_eq!(cancel(inner[0]).await, 5);
    seal(&test, outer).await;
    assert_eq!((seen(&test, outer).await.cancelled, seen(&test, outer).await.unfinished()), (1, 1));
    assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    test.enqueue(&Effect::many(3), &of(inner[1])).await;
    assert_eq!(cancel(outer).await, 3);
    assert_eq!(seen(&test, inner[1]).await.state, "cancelled");
    test.queue.drain(&worker(&test, 4, &Times::default()), LONG).await.unwrap();
    assert_eq!(joins(&test).await, (0, 0));

    let lone = group(&test, GroupPolicy::Continue, None).await;
    let last = group(&test, GroupPolicy::Continue, Some(lone)).await;
    seal(&test, lone).await;
    cancel(last).await;
    assert_eq!(seen(&test, lone).await.state, "completed");
    test.queue.drain(&worker(&test, 4, &Times::default()), LONG).await.unwrap();
    assert_eq!(joins(&test).await, (1, 0), "pushed by the sweep");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_stop_when_the_first_one_fails() {
    let test = test_queue().await;
    let outer = group(&test, GroupPolicy::FailFast, None).await;
    test.enqueue(&vec![Part::RunsOn; 30], &of(outer)).await;
    test.enqueue(&Effect::many(5_000), &Options { run_at: Some(jiff::Timestamp::MAX), ..of(outer) }).await;
    let times = Times::default();
    let workers = [work(&worker(&test, 20, &times)), work(&worker(&test, 20, &times))];
    until("the members to run", LONG, || async { test.queue.broker_depth("default").await.unwrap() == (0, 30) }).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    test.enqueue(&[Part::Fails], &of(outer)).await;
    until("all to stop", LONG, || async { times.lock().unwrap().len() == 31 }).await;
    let times = times.lock().unwrap().clone();
    let failed = times.iter().find(|(failed, _)| *failed).unwrap().1;
    let last = times.iter().map(|(_, at)| *at).max().unwrap();
    println!("from the failure to the last stop: {:?}", last - failed);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_a_hundred_thousand_closes() {
    let test = test_queue().await;
    let outer = group(&test, GroupPolicy::Continue, None).await;
    let inner = group(&test, GroupPolicy::FailFast, Some(outer)).await;
    seal(&test, outer).await;
    let noop = Worker::builder(&test.queue)
        .queue("default", 500)
        .register::<Effect>(|_, _| async { Ok(()) })
        .register::<Join>(join)
        .build();
    // More than Redis' window of a queue may wait at a time: the sweep refills it.
    let workers = [work(&noop), work(&noop), sweep(&test.queue)];
    for _ in 0..100 {
        test.enqueue(&Effect::many(1_000), &of(inner)).await;
    }
    seal(&test, inner).await;
    until("the join", LONG * 10, || async { joins(&test).await == (1, 0) }).await;
    assert_eq!((seen(&test, inner).await.completed, seen(&test, outer).await.completed), (100_000, 1));
    for worker in workers {
        worker.stop().await;
    }
}
