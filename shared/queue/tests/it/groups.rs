//! Groups end in one join, once.

use std::time::Duration;

use gristmill_queue::{
    Completion, Context, Fence, GroupId, GroupPolicy, Job, JobError, JobSpec, NewGroup, Options, QueueError, Worker,
};
use serde::{Deserialize, Serialize};

use crate::support::{Effect, Join, LONG, TestQueue, effect, join, sweep, test_queue, until, work};

/// A member that may fail for good, or run until it is cancelled.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Member {
    Fails,
    RunsOn,
}

impl Job for Member {
    const NAME: &'static str = "member";
    const MAX_ATTEMPTS: u16 = 2;
}

async fn member(ctx: Context, job: Member) -> Result<(), JobError> {
    match job {
        Member::Fails => Err(JobError::retry("bad member")),
        Member::RunsOn => {
            ctx.cancel.cancelled().await;
            Err(JobError::Cancelled)
        }
    }
}

fn worker(test: &TestQueue, concurrency: usize) -> Worker {
    Worker::builder(&test.queue)
        .queue("default", concurrency)
        .register::<Effect>(effect)
        .register::<Join>(join)
        .register::<Member>(member)
        .build()
}

async fn group(test: &TestQueue, policy: GroupPolicy) -> GroupId {
    let new = NewGroup {
        on_complete: Some(JobSpec::of(&Join { failed: false }).unwrap()),
        on_failure: Some(JobSpec::of(&Join { failed: true }).unwrap()),
        ..NewGroup::new(policy)
    };
    test.queue.create_group(&mut test.pool.acquire().await.unwrap(), new).await.unwrap()
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

/// Completed, failed, cancelled members and the state.
async fn counts(test: &TestQueue, group: GroupId) -> (i64, i64, i64, String) {
    sqlx::query_as("select completed, failed, cancelled, state from gristmill.groups where id = $1")
        .bind(group)
        .fetch_one(&test.pool)
        .await
        .unwrap()
}

/// How often the join for success, and the one for failure, ran.
async fn joins(test: &TestQueue) -> (i64, i64) {
    sqlx::query_as("select count(*) filter (where n = -1), count(*) filter (where n = -2) from effects")
        .fetch_one(&test.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_growing_group_joins_once_after_its_last_member() {
    let test = test_queue().await;
    let group = group(&test, GroupPolicy::Continue).await;
    let workers = [work(&worker(&test, 8)), work(&worker(&test, 8)), work(&worker(&test, 8))];
    for _ in 0..10 {
        test.enqueue(&Effect::many(50), &of(group)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until("the members to finish", LONG, || async { counts(&test, group).await.0 == 500 }).await;
    assert_eq!(joins(&test).await, (0, 0), "an open group does not join");
    seal(&test, group).await;
    until("the join", LONG, || async { joins(&test).await.0 == 1 }).await;
    assert_eq!(counts(&test, group).await, (500, 0, 0, "completed".into()));
    seal(&test, group).await;
    let refused = test.queue.enqueue(&mut test.pool.acquire().await.unwrap(), &Effect::new(1), &of(group)).await;
    assert!(matches!(refused, Err(QueueError::GroupClosed(closed)) if closed == group));
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(joins(&test).await, (1, 0));
    assert_eq!(test.effects().await, (501, 501));
    assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_member_of_a_sealed_group_enqueues_the_join() {
    let test = test_queue().await;
    let group = group(&test, GroupPolicy::FailFast).await;
    test.enqueue(&Effect::many(300), &of(group)).await;
    seal(&test, group).await;
    let workers = [work(&worker(&test, 16)), work(&worker(&test, 16))];
    until("the join", LONG, || async { joins(&test).await.0 == 1 }).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(counts(&test, group).await, (300, 0, 0, "completed".into()));
}

/// A member that does what the join would, if it is the last one.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Taker {
    group: GroupId,
}

impl Job for Taker {
    const NAME: &'static str = "taker";
}

async fn taker(ctx: Context, job: Taker) -> Result<(), JobError> {
    let queue = &ctx.queue;
    let mut tx = queue.pool().begin().await?;
    assert_eq!(queue.lock(&mut tx, &ctx.claim).await?, Fence::Held);
    let n: i64 = if queue.take_join(&mut tx, job.group).await? { 7 } else { 8 };
    sqlx::query("insert into effects (job, n) values ($1, $2)").bind(ctx.claim.id).bind(n).execute(&mut *tx).await?;
    if let Completion::Done(join) = queue.complete(&mut tx, &ctx.claim).await? {
        tx.commit().await?;
        queue.push(join).await;
    }
    Ok(())
}

#[tokio::test]
async fn the_last_member_may_take_the_join_upon_itself() {
    let test = test_queue().await;
    let worker =
        Worker::builder(&test.queue).queue("default", 1).register::<Taker>(taker).register::<Join>(join).build();
    for (members, effects) in [(1, vec![7]), (2, vec![8, 7])] {
        let group = group(&test, GroupPolicy::FailFast).await;
        test.enqueue(&vec![Taker { group }; members], &of(group)).await;
        // Not sealed yet, it takes more.
        assert!(!test.queue.take_join(&mut test.pool.acquire().await.unwrap(), group).await.unwrap());
        seal(&test, group).await;
        test.queue.drain(&worker, LONG).await.unwrap();
        assert_eq!(counts(&test, group).await, (members as i64, 0, 0, "completed".into()));
        let ran: Vec<i64> = sqlx::query_scalar("delete from effects returning n").fetch_all(&test.pool).await.unwrap();
        assert_eq!(ran, effects);
        assert!(!test.queue.take_join(&mut test.pool.acquire().await.unwrap(), group).await.unwrap(), "it has ended");
    }
}

#[tokio::test]
async fn a_group_is_found_by_its_key_however_many_there_are() {
    let test = test_queue().await;
    let group = group(&test, GroupPolicy::FailFast).await;
    sqlx::raw_sql(
        "insert into gristmill.groups (id, policy, state, finished_at)
         select gen_random_uuid(), 'continue', 'completed', now() from generate_series(1, 5000);
         analyze gristmill.groups",
    )
    .execute(&test.pool)
    .await
    .unwrap();
    let mut conn = test.pool.acquire().await.unwrap();
    test.queue.take_join(&mut conn, group).await.unwrap();
    let explain: String = sqlx::query_scalar(
        "select format('explain execute %I (array[%L]::uuid[])', name, $1) from pg_prepared_statements
         where statement like 'select id, is_flow and id = any%'",
    )
    .bind(group)
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    let plan: Vec<String> = sqlx::query_scalar(&explain).persistent(false).fetch_all(&mut *conn).await.unwrap();
    assert!(!plan.iter().any(|line| line.contains("Seq Scan on groups")), "{plan:#?}");
}

#[tokio::test]
async fn an_empty_group_joins_when_it_is_sealed() {
    let test = test_queue().await;
    let group = group(&test, GroupPolicy::Continue).await;
    seal(&test, group).await;
    test.queue.drain(&worker(&test, 2), LONG).await.unwrap();
    assert_eq!(joins(&test).await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_continues_runs_every_member_and_then_the_failure_join() {
    let test = test_queue().await;
    let group = group(&test, GroupPolicy::Continue).await;
    test.enqueue(&[Member::Fails, Member::Fails], &of(group)).await;
    test.enqueue(&Effect::many(100), &of(group)).await;
    seal(&test, group).await;
    let (worker, sweeper) = (work(&worker(&test, 8)), sweep(&test.queue));
    until("the join", LONG, || async { joins(&test).await == (0, 1) }).await;
    worker.stop().await;
    sweeper.stop().await;
    assert_eq!(counts(&test, group).await, (100, 2, 0, "failed".into()));
    assert_eq!(joins(&test).await, (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_fails_fast_stops_the_rest() {
    let test = test_queue().await;
    let group = group(&test, GroupPolicy::FailFast).await;
    test.enqueue(&[Member::RunsOn, Member::RunsOn, Member::Fails, Member::Fails], &of(group)).await;
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    test.enqueue(&Effect::many(2_000), &Options { run_at: Some(later), ..of(group) }).await;
    let (worker, sweeper) = (work(&worker(&test, 4)), sweep(&test.queue));
    until("the join", LONG, || async { joins(&test).await == (0, 1) }).await;
    let (completed, failed, cancelled, state) = counts(&test, group).await;
    assert_eq!((completed, state.as_str()), (0, "failed"));
    assert!((1..=2).contains(&failed), "{failed} failed");
    assert_eq!(failed + cancelled, 2_004);
    // The running ones were told: the worker is free again.
    let free: Vec<Effect> = (0..4).map(|n| Effect { n, millis: 300 }).collect();
    test.enqueue(&free, &Options::default()).await;
    until("four slots", LONG, || async {
        test.count("select count(*) from effects where n between 0 and 3").await == 4
    })
    .await;
    worker.stop().await;
    sweeper.stop().await;
    assert_eq!(joins(&test).await, (0, 1));
    assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_members_failing_at_once_join_once() {
    for policy in [GroupPolicy::Continue, GroupPolicy::FailFast] {
        let test = test_queue().await;
        let group = group(&test, policy).await;
        let mixed: Vec<Member> = std::iter::repeat_n(Member::Fails, 60).collect();
        test.enqueue(&mixed, &of(group)).await;
        test.enqueue(&Effect::many(200), &of(group)).await;
        seal(&test, group).await;
        let workers = [work(&worker(&test, 16)), work(&worker(&test, 16)), work(&worker(&test, 16))];
        let sweepers = [sweep(&test.queue), sweep(&test.queue)];
        until("the join", LONG, || async { joins(&test).await == (0, 1) }).await;
        for background in workers.into_iter().chain(sweepers) {
            background.stop().await;
        }
        let (completed, failed, cancelled, state) = counts(&test, group).await;
        assert_eq!((completed + failed + cancelled, state.as_str()), (260, "failed"), "{policy:?}");
        assert_eq!(joins(&test).await, (0, 1));
        assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_group_stops_at_once_and_never_joins() {
    let test = test_queue().await;
    let group = group(&test, GroupPolicy::Continue).await;
    test.enqueue(&[Member::RunsOn, Member::RunsOn], &of(group)).await;
    test.enqueue(&Effect::many(500), &of(group)).await;
    let worker = work(&worker(&test, 2));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut tx = test.pool.begin().await.unwrap();
    assert_eq!(test.queue.cancel_group(&mut tx, group).await.unwrap(), 502);
    assert_eq!(test.queue.cancel_group(&mut tx, group).await.unwrap(), 0);
    tx.commit().await.unwrap();
    // Before the five hundred cancelled messages that the slots pass over.
    test.enqueue(&[Effect::new(7), Effect::new(7)], &Options { priority: Some(0), ..Options::default() }).await;
    until("the slots to be free", LONG, || async { test.effects().await.0 == 2 }).await;
    worker.stop().await;
    assert_eq!(joins(&test).await, (0, 0));
    assert_eq!(counts(&test, group).await, (0, 0, 502, "cancelled".into()));
}
