//! Cancel, run again, give up.

use std::time::{Duration, Instant};

use gristmill_queue::{
    CancelledJobs, Claim, Completion, Context, Fence, GroupId, GroupPolicy, Job, JobError, JobId, JobSpec, NewGroup,
    Options, Queue, QueueConfig, Worker, testing,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::{Effect, Join, LONG, TestQueue, config, effect, join, once, sweep, test_queue, until, work};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Deed {
    /// Ends when it is told to.
    Heeds,
    /// Does not listen, and has its effect when the table `open` says so.
    Deaf,
    /// Is told to stop and succeeds nevertheless.
    Succeeds,
    /// Fails for good as long as there is no table `fixed`.
    Breaks,
}

impl Job for Deed {
    const NAME: &'static str = "deed";
    const MAX_ATTEMPTS: u16 = 1;
}

async fn exists(ctx: &Context, table: &'static str) -> bool {
    sqlx::query_scalar("select to_regclass($1) is not null").bind(table).fetch_one(ctx.queue.pool()).await.unwrap()
}

async fn deed(ctx: Context, deed: Deed) -> Result<(), JobError> {
    ctx.progress(0, 1);
    match deed {
        Deed::Heeds => {
            ctx.cancel.cancelled().await;
            Err(JobError::Cancelled)
        }
        Deed::Deaf => {
            // Outlives its being dropped, as work on a thread of its own does.
            let late = ctx.clone();
            let work = tokio::spawn(async move {
                while !exists(&late, "open").await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                once(&late, 1).await
            });
            work.await?
        }
        Deed::Succeeds => {
            ctx.cancel.cancelled().await;
            once(&ctx, 1).await
        }
        Deed::Breaks if exists(&ctx, "fixed").await => once(&ctx, 1).await,
        Deed::Breaks => Err(JobError::retry("broken")),
    }
}

fn worker(queue: &Queue) -> Worker {
    Worker::builder(queue)
        .label("mill")
        .queue("default", 8)
        .register::<Deed>(deed)
        .register::<Effect>(effect)
        .register::<Join>(join)
        .build()
}

async fn table(test: &TestQueue, sql: &'static str) {
    sqlx::query(sql).execute(&test.pool).await.unwrap();
}

/// Waits until the bodies have begun, which they tell.
async fn running(test: &TestQueue, ids: &[JobId]) {
    for id in ids {
        until("the job to run", LONG, || async { test.queue.progress(*id).await.unwrap().is_some() }).await;
    }
}

async fn redrive(test: &TestQueue, ids: &[JobId]) -> usize {
    let mut tx = test.pool.begin().await.unwrap();
    let enqueued = test.queue.redrive(&mut tx, ids).await.unwrap();
    tx.commit().await.unwrap();
    let n = enqueued.ids().len();
    test.queue.push(enqueued).await;
    n
}

/// Attempt, outcome and error of what did not succeed.
async fn history(test: &TestQueue, id: JobId) -> Vec<(i32, String, Option<String>)> {
    sqlx::query_as("select attempt, outcome, error from gristmill.job_attempts where job_id = $1 order by seq")
        .bind(id)
        .fetch_all(&test.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_jobs_are_cancelled_at_once() {
    let test = test_queue().await;
    let mut ids = test.enqueue(&Effect::many(1_500), &Options::default()).await;
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    ids.extend(test.enqueue(&Effect::many(2), &Options { run_at: Some(later), ..Options::default() }).await);
    ids.push(JobId::from(Uuid::now_v7()));
    let cancelled = test.queue.cancel_jobs(&ids).await.unwrap();
    assert_eq!(cancelled, CancelledJobs { cancelled: 1_502, requested: 0 });
    assert_eq!(
        test.count("select count(*) from gristmill.jobs where state = 'cancelled' and finished_at is not null").await,
        1_502
    );
    assert_eq!(test.queue.cancel_jobs(&ids).await.unwrap(), CancelledJobs::default());
    assert_eq!(test.count("select count(*) from gristmill.job_attempts").await, 0, "no attempt was made");
    let worker = work(&test.effect_worker(8));
    test.acknowledged().await;
    worker.stop().await;
    assert_eq!(test.effects().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_cancelled_when_it_has_stopped() {
    let test = test_queue().await;
    let ids = test.enqueue(&[Deed::Heeds, Deed::Succeeds], &Options::default()).await;
    let worker = work(&worker(&test.queue));
    running(&test, &ids).await;
    let cancelled = test.queue.cancel_jobs(&ids).await.unwrap();
    assert_eq!(cancelled, CancelledJobs { cancelled: 0, requested: 2 });
    until("both to end", LONG, || async {
        test.state(ids[0]).await.0 == "cancelled" && test.state(ids[1]).await.0 == "completed"
    })
    .await;
    assert_eq!(history(&test, ids[0]).await, [(1, "cancelled".into(), None)]);
    assert_eq!(test.effects().await, (1, 1));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_heed_is_abandoned_and_fenced_off() {
    let test = test_queue().await;
    let id = test.enqueue(&[Deed::Deaf], &Options::default()).await[0];
    let worker = work(&worker(&test.queue));
    running(&test, &[id]).await;
    let asked = Instant::now();
    test.queue.cancel_jobs(&[id]).await.unwrap();
    until("its end", LONG, || async { test.state(id).await.0 == "cancelled" }).await;
    assert!(asked.elapsed() >= Duration::from_secs(5), "after {:?}", asked.elapsed());
    table(&test, "create table open ()").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(test.effects().await, (0, 0), "what it did later did not count");
    assert!(test.state(id).await.2.unwrap().contains("abandoned"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_worker_is_gone_is_cancelled_by_the_sweep() {
    let test = test_queue().await;
    let id = test.enqueue(&[Deed::Heeds], &Options::default()).await[0];
    let quick = QueueConfig { grace: Duration::from_millis(100), ..config(&test.stack) };
    let queue = Queue::connect(test.pool.clone(), quick).await.unwrap();
    let worker = work(&worker(&queue));
    running(&test, &[id]).await;
    // As if it had died between the request and its answer.
    sqlx::query("update gristmill.jobs set cancel_requested_at = now() - interval '1 minute'")
        .execute(&test.pool)
        .await
        .unwrap();
    worker.task.abort();
    let _ = worker.task.await;
    let sweeper = sweep(&test.queue);
    until("the sweep", LONG, || async { test.state(id).await.0 == "cancelled" }).await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_run_again_with_its_history() {
    let test = test_queue().await;
    let ids = test.enqueue(&[Deed::Breaks, Deed::Breaks], &Options::default()).await;
    let ok = test.enqueue(&[Effect::new(5)], &Options::default()).await[0];
    let worker = work(&worker(&test.queue));
    let dead = async || test.count("select count(*) from gristmill.jobs where state = 'dead'").await == 2;
    until("the failures", LONG, dead).await;
    test.acknowledged().await;
    assert_eq!(redrive(&test, &[ids[0], ok]).await, 1, "what is done stays done");
    until("it to fail again", LONG, || async { history(&test, ids[0]).await.len() == 2 }).await;
    until("the failures", LONG, dead).await;
    test.acknowledged().await;
    table(&test, "create table fixed ()").await;
    redrive(&test, &ids[..1]).await;
    until("it to succeed", LONG, || async { test.state(ids[0]).await.0 == "completed" }).await;
    assert_eq!(history(&test, ids[0]).await, vec![(1, "retried".to_owned(), Some("broken".to_owned())); 2]);
    let (worker_name, took): (String, bool) =
        sqlx::query_as("select worker, started_at <= clock_timestamp() from gristmill.jobs where id = $1")
            .bind(ids[0])
            .fetch_one(&test.pool)
            .await
            .unwrap();
    assert!(worker_name.starts_with("mill-") && took, "{worker_name}");

    let mut conn = test.pool.acquire().await.unwrap();
    assert_eq!(test.queue.discard(&mut conn, &ids).await.unwrap(), 1);
    let (state, _, error) = test.state(ids[1]).await;
    assert_eq!((state.as_str(), error.as_deref()), ("cancelled", Some("given up: broken")));
    worker.stop().await;
}

async fn group(test: &TestQueue, policy: GroupPolicy) -> GroupId {
    let new = NewGroup {
        on_complete: Some(JobSpec::of(&Join { failed: false }).unwrap()),
        on_failure: Some(JobSpec::of(&Join { failed: true }).unwrap()),
        ..NewGroup::new(policy)
    };
    test.queue.create_group(&mut test.pool.acquire().await.unwrap(), new).await.unwrap()
}

async fn joins(test: &TestQueue) -> (i64, i64) {
    sqlx::query_as("select count(*) filter (where n = -1), count(*) filter (where n = -2) from effects")
        .fetch_one(&test.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failed_members_of_a_group_are_run_again_and_it_joins_again() {
    for policy in [GroupPolicy::Continue, GroupPolicy::FailFast] {
        let test = test_queue().await;
        let group = group(&test, policy).await;
        let members = Options { group: Some(group), ..Options::default() };
        test.enqueue(&[Deed::Breaks, Deed::Breaks, Deed::Breaks], &members).await;
        test.enqueue(&Effect::many(40), &members).await;
        let mut tx = test.pool.begin().await.unwrap();
        let enqueued = test.queue.seal_group(&mut tx, group).await.unwrap();
        tx.commit().await.unwrap();
        test.queue.push(enqueued).await;
        let (worker, sweeper) = (work(&worker(&test.queue)), sweep(&test.queue));
        until("the first join", LONG, || async { joins(&test).await == (0, 1) }).await;

        table(&test, "create table fixed ()").await;
        let retry = async || {
            let mut tx = test.pool.begin().await.unwrap();
            let enqueued = test.queue.retry_group(&mut tx, group).await.unwrap();
            tx.commit().await.unwrap();
            let n = enqueued.ids().len();
            test.queue.push(enqueued).await;
            n
        };
        assert!(retry().await > 0);
        assert_eq!(test.queue.miscounted_groups(Duration::ZERO).await.unwrap(), []);
        until("the second join", LONG, || async { joins(&test).await == (1, 1) }).await;
        let seen = test.queue.group(group).await.unwrap().unwrap();
        assert_eq!((seen.total, seen.completed, seen.failed, seen.cancelled), (43, 43, 0, 0), "{policy:?}");
        assert_eq!((seen.state.as_str(), seen.completions, seen.unfinished()), ("completed", 2, 0));
        assert_eq!(retry().await, 0);
        assert_eq!(joins(&test).await, (1, 1));
        worker.stop().await;
        sweeper.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_is_run_again_alone_takes_along_what_it_stopped() {
    let test = test_queue().await;
    let outer = group(&test, GroupPolicy::FailFast).await;
    let mut conn = test.pool.acquire().await.unwrap();
    let new = NewGroup { parent: Some(outer), ..NewGroup::new(GroupPolicy::FailFast) };
    let inner = test.queue.create_group(&mut conn, new).await.unwrap();
    let of = |group| Options { group: Some(group), priority: Some(9), ..Options::default() };
    test.enqueue(&Effect::many(20), &of(outer)).await;
    test.enqueue(&Effect::many(10), &of(inner)).await;
    let broken = test.enqueue(&[Deed::Breaks], &Options { priority: Some(0), ..of(inner) }).await[0];
    assert!(test.queue.seal_group(&mut conn, outer).await.unwrap().is_empty());
    let one = Worker::builder(&test.queue)
        .queue("default", 1)
        .register::<Deed>(deed)
        .register::<Effect>(effect)
        .register::<Join>(join)
        .build();
    let (worker, sweeper) = (work(&one), sweep(&test.queue));
    until("the first join", LONG, || async { joins(&test).await == (0, 1) }).await;
    assert!(
        test.count("select count(*) from gristmill.jobs where state = 'cancelled'").await > 0,
        "nothing was stopped"
    );
    table(&test, "create table fixed ()").await;
    redrive(&test, &[broken]).await;
    until("the second join", LONG, || async { joins(&test).await.0 == 1 }).await;
    worker.stop().await;
    sweeper.stop().await;
    assert_eq!(test.count("select count(*) from gristmill.jobs where state <> 'completed'").await, 0);
    let seen = test.queue.group(outer).await.unwrap().unwrap();
    assert_eq!((seen.completed, seen.failed, seen.cancelled, seen.state.as_str()), (21, 0, 0, "completed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_has_failed_fast_ends_as_failed_although_its_failure_was_given_up() {
    for completes in [true, false] {
        let test = test_queue().await;
        let group = group(&test, GroupPolicy::FailFast).await;
        let members = Options { group: Some(group), ..Options::default() };
        let mut tx = test.pool.begin().await.unwrap();
        let busy = test.queue.enqueue(&mut tx, &Effect::new(1), &members).await.unwrap().ids()[0];
        tx.commit().await.unwrap();
        test.enqueue(&[Effect::new(2), Effect::new(3)], &Options { delay: Some(LONG), ..members.clone() }).await;
        let broken = test.enqueue(&[Deed::Breaks], &members).await[0];
        // About to finish when the failure stops the group.
        let mut tx = test.pool.begin().await.unwrap();
        let claim = Claim::new(busy, 1);
        assert_eq!(test.queue.lock(&mut tx, &claim).await.unwrap(), Fence::Held);
        let worker = work(&Worker::builder(&test.queue).queue("default", 1).register::<Deed>(deed).build());
        until("the failure", LONG, || async { test.state(broken).await.0 == "dead" }).await;
        worker.stop().await;
        assert_eq!(test.queue.discard(&mut test.pool.acquire().await.unwrap(), &[broken]).await.unwrap(), 1);
        if completes {
            assert!(matches!(test.queue.complete(&mut tx, &claim).await.unwrap(), Completion::Done(_)));
        }
        tx.commit().await.unwrap();
        if !completes {
            assert_eq!(test.queue.cancel_jobs(&[busy]).await.unwrap().cancelled, 1);
        }
        let seen = test.queue.group(group).await.unwrap().unwrap();
        assert_eq!((seen.state.as_str(), seen.failed, seen.unfinished()), ("failed", 0, 0));
        let failed: Vec<bool> =
            testing::waiting::<Join>(&test.queue).await.unwrap().iter().map(|w| w.job.failed).collect();
        assert_eq!(failed, [true]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_and_discarded_members_are_counted() {
    let test = test_queue().await;
    let group = group(&test, GroupPolicy::Continue).await;
    let members = Options { group: Some(group), ..Options::default() };
    let ids = test.enqueue(&Effect::many(3), &members).await;
    let broken = test.enqueue(&[Deed::Breaks], &members).await[0];
    let mut conn = test.pool.acquire().await.unwrap();
    let _ = test.queue.seal_group(&mut conn, group).await.unwrap();
    assert_eq!(test.queue.cancel_jobs(&ids[..2]).await.unwrap().cancelled, 2);
    let (worker, sweeper) = (work(&worker(&test.queue)), sweep(&test.queue));
    until("the join", LONG, || async { joins(&test).await == (0, 1) }).await;
    let counts = async || {
        let group = test.queue.group(group).await.unwrap().unwrap();
        (group.completed, group.failed, group.cancelled, group.state)
    };
    assert_eq!(counts().await, (1, 1, 2, "failed".into()));
    assert_eq!(test.queue.discard(&mut conn, &[broken]).await.unwrap(), 1);
    assert_eq!(counts().await, (1, 0, 3, "failed".into()));
    assert_eq!(redrive(&test, &ids[..1]).await, 1);
    until("the second join", LONG, || async { joins(&test).await == (1, 1) }).await;
    assert_eq!(counts().await, (2, 0, 2, "completed".into()));
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test]
async fn a_unique_key_that_is_taken_again_keeps_the_dead_one_out() {
    let test = test_queue().await;
    let options = Options { unique_key: Some("one".into()), ..Options::default() };
    let old = [test.enqueue(&[Effect::new(1)], &options).await, {
        sqlx::query("update gristmill.jobs set state = 'dead', finished_at = now()").execute(&test.pool).await.unwrap();
        test.enqueue(&[Effect::new(2)], &options).await
    }]
    .concat();
    sqlx::query("update gristmill.jobs set state = 'dead', finished_at = now()").execute(&test.pool).await.unwrap();
    assert_eq!(redrive(&test, &old).await, 1, "of two with one key, one");
    assert_eq!(redrive(&test, &old).await, 0);
}
