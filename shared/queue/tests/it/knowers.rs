//! Workers of one version and of different jobs at one queue: who does not know a job leaves it to who does.

use std::{sync::Arc, time::Duration};

use gristmill_queue::{Context, JobError, JobId, Options, Worker, WorkerBuilder};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    crash::{Stuck, claim_and_die},
    payloads::{New, Old},
    support::{Background, Effect, LONG, TestQueue, effect, once, sweep, test_queue, until, work},
};

fn builder(test: &TestQueue, concurrency: usize) -> WorkerBuilder {
    Worker::builder(&test.queue).queue("default", concurrency)
}

/// Knows `wait` of version 1.
fn yesterday(test: &TestQueue) -> Background {
    let body = |ctx: Context, job: Old| async move { once(&ctx, job.seconds).await };
    work(&builder(test, 4).register::<Old>(body).build())
}

/// Knows `effect`.
fn today(test: &TestQueue) -> Background {
    work(&builder(test, 4).register::<Effect>(effect).build())
}

async fn heard_of(test: &TestQueue, workers: usize) {
    until("them to be heard of", LONG, || async {
        let heard = test.queue.workers().await.unwrap();
        heard.len() == workers && heard.iter().all(|worker| !worker.known_jobs.is_empty())
    })
    .await;
}

async fn all(test: &TestQueue, effects: i64) {
    until("all of them", LONG, || async { test.effects().await == (effects, effects) }).await;
}

/// Lines of the history; a worker of a machine that is busy with other tests may be late with its leases.
async fn blamed(test: &TestQueue) -> i64 {
    test.count("select count(*) from gristmill.job_attempts where outcome <> 'lost_worker'").await
}

async fn parked(test: &TestQueue) -> i64 {
    test.count("select count(*) from gristmill.jobs where state = 'parked'").await
}

/// A worker that has died without a word, and was heard of a moment ago. Returns what it had said.
async fn haunt(test: &TestQueue, worker: Background) -> (Uuid, Vec<(String, String)>) {
    let id = test.queue.workers().await.unwrap().into_iter().find(|worker| !worker.known_jobs.is_empty()).unwrap().id;
    let said = test.what_a_worker_said(id).await;
    worker.stop().await;
    until("it to be gone", LONG, || async { test.queue.workers().await.unwrap().is_empty() }).await;
    test.say_for_a_worker(id, &said).await;
    heard_of(test, 1).await;
    (id, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_does_what_it_knows_whoever_was_first() {
    for new_first in [false, true] {
        let test = test_queue().await;
        let (first, second) = if new_first {
            let first = today(&test);
            heard_of(&test, 1).await;
            (first, yesterday(&test))
        } else {
            let first = yesterday(&test);
            heard_of(&test, 1).await;
            (first, today(&test))
        };
        heard_of(&test, 2).await;
        let workers = test.queue.workers().await.unwrap();
        let mut knows: Vec<&str> =
            workers.iter().flat_map(|one| &one.known_jobs).map(|job| job.name.as_str()).collect();
        knows.sort_unstable();
        assert_eq!(knows, ["effect", "wait"]);

        test.enqueue(&Effect::many(40), &Options::default()).await;
        let old: Vec<Old> = (100..140).map(|seconds| Old { seconds }).collect();
        test.enqueue(&old, &Options::default()).await;
        all(&test, 80).await;
        assert_eq!(blamed(&test).await, 0, "no one was parked, and no one was blamed");
        assert_eq!(test.count("select count(*) from gristmill.jobs where attempt > 0").await, 0);
        first.stop().await;
        second.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_a_newer_version_is_left_to_who_can_read_it() {
    let test = test_queue().await;
    let old = yesterday(&test);
    let body = |ctx: Context, job: New| async move { once(&ctx, job.millis).await };
    let new = work(&builder(&test, 4).register::<New>(body).build());
    heard_of(&test, 2).await;
    let jobs: Vec<New> = (0..40).map(|millis| New { millis }).collect();
    test.enqueue(&jobs, &Options::default()).await;
    all(&test, 40).await;
    assert_eq!(blamed(&test).await, 0);
    old.stop().await;
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_is_parked_and_runs_when_somebody_comes_who_knows_it() {
    let test = test_queue().await;
    let old = yesterday(&test);
    let id = test.enqueue(&Effect::many(10), &Options::default()).await[0];
    until("all to be parked", LONG, || async { parked(&test).await == 10 }).await;
    assert_eq!(test.state(id).await, ("parked".into(), 0, Some("unknown job `effect`".into())));
    test.acknowledged().await;
    let (new, sweeper) = (today(&test), sweep(&test.queue));
    all(&test, 10).await;
    assert_eq!(parked(&test).await, 0);
    assert_eq!(blamed(&test).await, 10, "each was parked once");
    old.stop().await;
    new.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_dead_worker_knew_is_parked_when_that_is_forgotten() {
    let test = test_queue().await;
    let dead = today(&test);
    heard_of(&test, 1).await;
    haunt(&test, dead).await;
    let old = yesterday(&test);
    heard_of(&test, 2).await;
    let ids = test.enqueue(&Effect::many(5), &Options::default()).await;
    let known = test.enqueue(&[Old { seconds: 7 }], &Options::default()).await[0];
    until("what is known", LONG, || async { test.state(known).await.0 == "completed" }).await;
    until("the others to be parked", LONG * 2, || async { parked(&test).await == ids.len() as i64 }).await;
    assert_eq!(test.queue.workers().await.unwrap().len(), 1, "as long as the dead one was heard of, they waited");
    test.acknowledged().await;
    old.stop().await;
}

/// Holds every `effect` until there are permits.
fn closed(test: &TestQueue, gate: &Arc<Semaphore>) -> Background {
    let gate = Arc::clone(gate);
    let body = move |ctx: Context, job: Effect| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            effect(ctx, job).await
        }
    };
    work(&builder(test, 8).register::<Effect>(body).build())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_line_of_unknown_jobs_does_not_hide_a_known_one() {
    let test = test_queue().await;
    let gate = Arc::new(Semaphore::new(0));
    let (new, old) = (closed(&test, &gate), yesterday(&test));
    heard_of(&test, 2).await;
    test.enqueue(&Effect::many(1_000), &Options::default()).await;
    let known = test.enqueue(&[Old { seconds: 5_000 }], &Options::default()).await[0];
    until("the one behind", LONG, || async { test.state(known).await.0 == "completed" }).await;
    assert_eq!(test.effects().await, (1, 1));
    gate.add_permits(1_000);
    all(&test, 1_001).await;
    assert_eq!(blamed(&test).await, 0);
    old.stop().await;
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_a_job_is_being_parked_gets_it() {
    let test = test_queue().await;
    let id = test.enqueue_and_die(&[Effect::new(1)]).await[0];
    // As if it had been parked so often that nobody tries it again for hours.
    sqlx::query(
        "insert into gristmill.job_attempts (job_id, attempt, delivery, outcome, ended_at)
         select $1, 0, n, 'parked', now() from generate_series(1, 12) n",
    )
    .bind(id)
    .execute(&test.pool)
    .await
    .unwrap();
    let decoy = test.enqueue_and_die(&[Effect::new(2)]).await[0];
    set_aside(&test, decoy).await;

    let mut locked = test.pool.begin().await.unwrap();
    sqlx::query("select from gristmill.jobs where id = $1 for update").bind(id).execute(&mut *locked).await.unwrap();
    let sweeper = sweep(&test.queue);
    let old = yesterday(&test);
    until("the ledger to be asked to park it", LONG, || async {
        test.count(
            "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock' and query like '%settle_jobs(%'",
        )
        .await
            > 0
    })
    .await;
    let new = today(&test);
    // What was parked before is tried: it has looked.
    until("the other one", LONG, || async { test.state(decoy).await.0 == "completed" }).await;
    locked.rollback().await.unwrap();
    all(&test, 2).await;
    assert_eq!(test.state(id).await.0, "completed");
    old.stop().await;
    new.stop().await;
    sweeper.stop().await;
}

async fn set_aside(test: &TestQueue, id: JobId) {
    sqlx::query("update gristmill.jobs set state = 'parked', parked_by = 'somebody else' where id = $1")
        .bind(id)
        .execute(&test.pool)
        .await
        .unwrap();
}

/// What takes workers down is ended by the handler of those who know it, not by whoever finds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadly_job_is_ended_by_a_worker_that_knows_it() {
    let test = test_queue().await;
    let ended = |ctx: Context, _: Stuck| async move { once(&ctx, 9).await };
    let stuck = |_: Context, _: Stuck| async { Err(JobError::retry("not this time")) };
    let knower = || builder(&test, 4).register::<Stuck>(stuck).on_worker_lost::<Stuck>(ended).build();
    let dead = work(&knower());
    heard_of(&test, 1).await;
    let (ghost, said) = haunt(&test, dead).await;
    let id = test.enqueue(&[Stuck], &Options::default()).await[0];
    let ends = async {
        for _ in 1..=3 {
            claim_and_die(&test).await;
        }
        let old = yesterday(&test);
        heard_of(&test, 2).await;
        // It renews leases every half second, and has looked for those that ran out before.
        let done = test.enqueue(&[Old { seconds: 1 }], &Options::default()).await[0];
        until("what it knows", LONG, || async { test.state(done).await.0 == "completed" }).await;
        assert_eq!(test.state(id).await.0, "available");
        let new = work(&knower());
        until("the handler", LONG * 2, || async { test.state(id).await.0 == "completed" }).await;
        (old, new)
    };
    // Until then it must not be forgotten, however long that takes: nobody would know the job, and it would be dead.
    let haunts = async {
        loop {
            test.say_for_a_worker(ghost, &said).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    };
    let (old, new) = tokio::select! {
        workers = ends => workers,
        never = haunts => never,
    };
    assert_eq!(test.count("select count(*) from effects where n = 9").await, 1);
    old.stop().await;
    new.stop().await;
}
