//! Groups inside groups, and large ones.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gristmill_queue::{
    Context, GroupId, GroupPolicy, GroupProgress, Job, JobError, JobSpec, NewGroup, Options, QueueError, Worker,
};
use serde::{Deserialize, Serialize};

use crate::support::{Bench, Effect, Join, LONG, bench, effect, join, sweep, until, work};

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

fn worker(bench: &Bench, concurrency: usize, times: &Times) -> Worker {
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
    Worker::builder(&bench.queue)
        .queue("default", concurrency)
        .register::<Part>(part)
        .register::<Effect>(effect)
        .register::<Join>(join)
        .build()
}

async fn group(bench: &Bench, policy: GroupPolicy, parent: Option<GroupId>) -> GroupId {
    let new = NewGroup {
        // Only the outermost has joins, so that they can be told apart.
        on_complete: parent.is_none().then(|| JobSpec::of(&Join { failed: false }).unwrap()),
        on_failure: parent.is_none().then(|| JobSpec::of(&Join { failed: true }).unwrap()),
        name: Some("test".into()),
        client_id: Some(7),
        parent,
        ..NewGroup::new(policy)
    };
    let mut tx = bench.pool.begin().await.unwrap();
    let group = bench.queue.create_group(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    group
}

async fn seal(bench: &Bench, group: GroupId) {
    let mut tx = bench.pool.begin().await.unwrap();
    let enqueued = bench.queue.seal_group(&mut tx, group).await.unwrap();
    tx.commit().await.unwrap();
    bench.queue.push(enqueued).await;
}

fn of(group: GroupId) -> Options {
    Options { group: Some(group), ..Options::default() }
}

async fn seen(bench: &Bench, group: GroupId) -> GroupProgress {
    bench.queue.group(group).await.unwrap().unwrap()
}

async fn joins(bench: &Bench) -> (i64, i64) {
    sqlx::query_as("select count(*) filter (where n = -1), count(*) filter (where n = -2) from effects")
        .fetch_one(&bench.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_innermost_ends_them_all() {
    let bench = bench().await;
    let outer = group(&bench, GroupPolicy::FailFast, None).await;
    let mut all = vec![outer];
    for _ in 0..3 {
        let middle = group(&bench, GroupPolicy::Continue, Some(outer)).await;
        for _ in 0..3 {
            let inner = group(&bench, GroupPolicy::FailFast, Some(middle)).await;
            bench.enqueue(&Effect::many(40), &of(inner)).await;
            all.push(inner);
        }
        bench.enqueue(&Effect::many(20), &of(middle)).await;
        all.push(middle);
    }
    let times = Times::default();
    let workers = [work(&worker(&bench, 16, &times)), work(&worker(&bench, 16, &times))];
    assert_eq!(bench.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    for group in all {
        seal(&bench, group).await;
    }
    until("the join", LONG, || async { joins(&bench).await == (1, 0) }).await;
    for worker in workers {
        worker.stop().await;
    }
    let outer = seen(&bench, outer).await;
    assert_eq!((outer.total, outer.completed, outer.completions, outer.state.as_str()), (3, 3, 1, "completed"));
    assert_eq!((outer.name.as_deref(), outer.client_id), (Some("test"), Some(7)));
    assert_eq!(bench.count("select count(*) from groups where state = 'completed'").await, 13);
    assert_eq!(bench.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    assert_eq!(bench.queue.prune(Duration::ZERO).await.unwrap().groups, 13, "from the inside out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_inside_stops_what_fails_fast_around_it() {
    let bench = bench().await;
    let outer = group(&bench, GroupPolicy::FailFast, None).await;
    let calm = group(&bench, GroupPolicy::Continue, Some(outer)).await;
    let broken = group(&bench, GroupPolicy::Continue, Some(outer)).await;
    let deep = group(&bench, GroupPolicy::Continue, Some(calm)).await;
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    bench.enqueue(&Effect::many(500), &Options { run_at: Some(later), ..of(deep) }).await;
    bench.enqueue(&[Part::RunsOn, Part::RunsOn], &of(deep)).await;
    bench.enqueue(&[Part::Fails], &of(broken)).await;
    bench.enqueue(&Effect::many(10), &of(broken)).await;
    for group in [outer, broken] {
        seal(&bench, group).await;
    }
    let times = Times::default();
    let (worker, sweeper) = (work(&worker(&bench, 8, &times)), sweep(&bench.queue));
    until("the join", LONG, || async { joins(&bench).await == (0, 1) }).await;
    assert_eq!((seen(&bench, broken).await.completed, seen(&bench, broken).await.failed), (10, 1), "it continued");
    let states = [seen(&bench, outer).await, seen(&bench, calm).await, seen(&bench, deep).await];
    assert_eq!(states.clone().map(|group| group.state), ["failed", "cancelled", "cancelled"]);
    assert_eq!((states[0].failed, states[0].cancelled, states[2].cancelled), (1, 1, 502));
    until("the running ones to stop", LONG, || async { times.lock().unwrap().len() == 3 }).await;
    let refused = bench.queue.enqueue(&mut bench.pool.acquire().await.unwrap(), &Effect::new(1), &of(deep)).await;
    assert!(matches!(refused, Err(QueueError::GroupClosed(closed)) if closed == deep));

    // Everything that failed or was stopped runs again, and so the whole ends again, once.
    let mut tx = bench.pool.begin().await.unwrap();
    let again = bench.queue.retry_group(&mut tx, outer).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(again.ids().len(), 503);
    let opened = [seen(&bench, outer).await, seen(&bench, calm).await, seen(&bench, deep).await];
    assert!(opened.iter().all(|group| group.state == "open" && group.failed + group.cancelled == 0), "{opened:?}");
    assert_eq!(bench.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    bench.queue.push(again).await;
    until("the join to come again", LONG, || async { joins(&bench).await == (0, 2) }).await;
    assert_eq!(seen(&bench, outer).await.completions, 2);
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_group_inside_counts_as_cancelled_and_one_outside_takes_all_with_it() {
    let bench = bench().await;
    let outer = group(&bench, GroupPolicy::Continue, None).await;
    let inner = [
        group(&bench, GroupPolicy::Continue, Some(outer)).await,
        group(&bench, GroupPolicy::Continue, Some(outer)).await,
    ];
    bench.enqueue(&Effect::many(5), &of(inner[0])).await;
    let cancel = async |group| {
        let mut tx = bench.pool.begin().await.unwrap();
        let n = bench.queue.cancel_group(&mut tx, group).await.unwrap();
        tx.commit().await.unwrap();
        n
    };
    assert_eq!(cancel(inner[0]).await, 5);
    seal(&bench, outer).await;
    assert_eq!((seen(&bench, outer).await.cancelled, seen(&bench, outer).await.unfinished()), (1, 1));
    assert_eq!(bench.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    bench.enqueue(&Effect::many(3), &of(inner[1])).await;
    assert_eq!(cancel(outer).await, 3);
    assert_eq!(seen(&bench, inner[1]).await.state, "cancelled");
    bench.queue.drain(&worker(&bench, 4, &Times::default()), LONG).await.unwrap();
    assert_eq!(joins(&bench).await, (0, 0));

    let lone = group(&bench, GroupPolicy::Continue, None).await;
    let last = group(&bench, GroupPolicy::Continue, Some(lone)).await;
    seal(&bench, lone).await;
    cancel(last).await;
    assert_eq!(seen(&bench, lone).await.state, "completed");
    bench.queue.drain(&worker(&bench, 4, &Times::default()), LONG).await.unwrap();
    assert_eq!(joins(&bench).await, (1, 0), "pushed by the sweep");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_stop_when_the_first_one_fails() {
    let bench = bench().await;
    let outer = group(&bench, GroupPolicy::FailFast, None).await;
    bench.enqueue(&vec![Part::RunsOn; 30], &of(outer)).await;
    bench.enqueue(&Effect::many(5_000), &Options { run_at: Some(jiff::Timestamp::MAX), ..of(outer) }).await;
    let times = Times::default();
    let workers = [work(&worker(&bench, 20, &times)), work(&worker(&bench, 20, &times))];
    until("the members to run", LONG, || async { bench.queue.broker_depth("default").await.unwrap() == (0, 30) }).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    bench.enqueue(&[Part::Fails], &of(outer)).await;
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
    let bench = bench().await;
    let outer = group(&bench, GroupPolicy::Continue, None).await;
    let inner = group(&bench, GroupPolicy::FailFast, Some(outer)).await;
    seal(&bench, outer).await;
    let noop = Worker::builder(&bench.queue)
        .queue("default", 500)
        .register::<Effect>(|_, _| async { Ok(()) })
        .register::<Join>(join)
        .build();
    // More than Redis' window of a queue may wait at a time: the sweep refills it.
    let workers = [work(&noop), work(&noop), sweep(&bench.queue)];
    for _ in 0..100 {
        bench.enqueue(&Effect::many(1_000), &of(inner)).await;
    }
    seal(&bench, inner).await;
    until("the join", LONG * 10, || async { joins(&bench).await == (1, 0) }).await;
    assert_eq!((seen(&bench, inner).await.completed, seen(&bench, outer).await.completed), (100_000, 1));
    for worker in workers {
        worker.stop().await;
    }
}
