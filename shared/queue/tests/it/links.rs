//! What a process has of connections and threads, and that its queues share them without harm.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use gristmill_platform::{engines::Engine, testing};
use gristmill_queue::{Context, Job, JobError, Options, Queue, QueueConfig, Worker, WorkerBuilder};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::broker_state::about_redis;
use crate::support::{LONG, TestQueue, on, once, sweep, test_queue, until, work};

const QUEUES: [&str; 12] = ["q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9", "q10", "q11"];

/// A job of one of the queues.
#[derive(Serialize, Deserialize)]
struct On<const N: usize>;

impl<const N: usize> Job for On<N> {
    const NAME: &'static str = QUEUES[N];
    const QUEUE: &'static str = QUEUES[N];
}

async fn body<const N: usize>(ctx: Context, _: On<N>) -> Result<(), JobError> {
    once(&ctx, i64::try_from(N).unwrap()).await
}

/// Takes the first `queues` of them.
fn worker(queue: &Queue, queues: usize) -> Worker {
    fn with<const N: usize>(builder: WorkerBuilder, queues: usize) -> WorkerBuilder {
        if N < queues { builder.queue(QUEUES[N], 2).register::<On<N>>(body::<N>) } else { builder }
    }
    let mut builder = Worker::builder(queue);
    for each in [with::<0>, with::<1>, with::<2>, with::<3>, with::<4>, with::<5>] {
        builder = each(builder, queues);
    }
    for each in [with::<6>, with::<7>, with::<8>, with::<9>, with::<10>, with::<11>] {
        builder = each(builder, queues);
    }
    builder.build()
}

/// One job for each of the first `queues`.
async fn enqueue(test: &TestQueue, queues: usize) {
    async fn one<const N: usize>(test: &TestQueue, queues: usize) {
        if N < queues {
            test.enqueue(&[On::<N>], &Options::default()).await;
        }
    }
    tokio::join!(
        one::<0>(test, queues),
        one::<1>(test, queues),
        one::<2>(test, queues),
        one::<3>(test, queues),
        one::<4>(test, queues),
        one::<5>(test, queues),
        one::<6>(test, queues),
        one::<7>(test, queues),
        one::<8>(test, queues),
        one::<9>(test, queues),
        one::<10>(test, queues),
        one::<11>(test, queues),
    );
}

/// Clients of this Redis.
async fn connections(test: &TestQueue) -> usize {
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut test.redis().await).await.unwrap();
    // The one that asks is there too.
    list.lines().count() - 1
}

fn wake_list(test: &TestQueue, queue: &str) -> String {
    format!("{{{}/2:{queue}}}:wake", test.stack.namespace)
}

async fn wake(test: &TestQueue, queue: &str) {
    let () = redis::cmd("RPUSH").arg(wake_list(test, queue)).arg(1).query_async(&mut test.redis().await).await.unwrap();
}

/// Wake-ups that nobody has taken.
async fn untaken(test: &TestQueue, queue: &str) -> u64 {
    redis::cmd("LLEN").arg(wake_list(test, queue)).query_async(&mut test.redis().await).await.unwrap()
}

/// Not a test: the process that the next one looks at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by connections_and_threads_do_not_grow_with_the_queues"]
#[expect(clippy::disallowed_methods, reason = "the parent test tells its child where the engines are")]
async fn process() {
    let Ok(url) = std::env::var("LINKS_DATABASE_URL") else { return };
    let config = QueueConfig {
        namespace: std::env::var("LINKS_NAMESPACE").unwrap(),
        ..QueueConfig::new(std::env::var("LINKS_REDIS_URL").unwrap())
    };
    let queue = Queue::connect(PgPool::connect(&url).await.unwrap(), config).await.unwrap();
    let queues: usize = std::env::var("LINKS_QUEUES").unwrap().parse().unwrap();
    // Several workers of a process share as well.
    let (one, other) = (worker(&queue, queues), worker(&queue, queues));
    let (first, second) = tokio::join!(one.run(Default::default()), other.run(Default::default()));
    first.and(second).unwrap();
}

fn spawn(test: &TestQueue, queues: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "links::process", "--include-ignored"])
        .env("LINKS_DATABASE_URL", &test.stack.database_url)
        .env("LINKS_REDIS_URL", &test.stack.redis_url)
        .env("LINKS_NAMESPACE", &test.stack.namespace)
        .env("LINKS_QUEUES", queues.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Names of the process' threads.
fn threads(child: &Child) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    // One that has ended meanwhile has no name.
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_threads_do_not_grow_with_the_queues() {
    about_redis!();
    let engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let mut done = 0;
    for queues in [1, 12] {
        enqueue(&test, queues).await;
        // The test's own queue pushes.
        until("the last process' connections to go", LONG, || async { connections(&test).await == 1 }).await;
        let mut child = spawn(&test, queues);
        for _ in 0..2 {
            done += i64::try_from(queues).unwrap();
            until("each queue's job", LONG, || async { test.effects().await == (done, done) }).await;
            // Claims, answers, leases, wake-ups; that of pushes where it had to look who else knows a job.
            until("five connections at most", LONG, || async { connections(&test).await <= 1 + 5 }).await;
            enqueue(&test, queues).await;
        }
        done += i64::try_from(queues).unwrap();
        until("the last jobs", LONG, || async { test.effects().await == (done, done) }).await;
        let threads = threads(&child);
        assert_eq!(threads.iter().filter(|name| *name == "lease-keeper").count(), 1, "{threads:?}");
        until("five connections still", LONG, || async { connections(&test).await <= 1 + 5 }).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_queues_are_woken_again_after_redis_was_away() {
    about_redis!();
    let mut engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let running = work(&worker(&test.queue, 12));
    enqueue(&test, 12).await;
    until("the first jobs", LONG, || async { test.effects().await == (12, 12) }).await;
    engines.restart(Engine::Redis).await.unwrap();
    enqueue(&test, 12).await;
    // A push that found no Redis is made good by a sweep, which is not the matter here.
    let sweeper = sweep(&test.queue);
    until("the second jobs", LONG, || async { test.effects().await == (24, 24) }).await;
    sweeper.stop().await;
    for queue in QUEUES {
        wake(&test, queue).await;
    }
    for queue in QUEUES {
        until("each wake-up to be taken", LONG, || async { untaken(&test, queue).await == 0 }).await;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_keeps_no_other_from_its_wake_ups() {
    about_redis!();
    let test = test_queue().await;
    // It tells the broker what that did not hear at once.
    let sweeper = sweep(&test.queue);
    test.queue.queues().pause("q0").await.unwrap();
    until("the broker to know it", LONG, || test.is_told_to_pause("q0")).await;
    let running = work(&worker(&test.queue, 12));
    enqueue(&test, 12).await;
    until("all but the paused one", LONG, || async { test.effects().await == (11, 11) }).await;
    for queue in &QUEUES[1..] {
        wake(&test, queue).await;
        until("its wake-up to be taken", LONG, || async { untaken(&test, queue).await == 0 }).await;
    }
    test.queue.queues().resume("q0").await.unwrap();
    until("that one too", LONG, || async { test.effects().await == (12, 12) }).await;
    running.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_room_leaves_its_wake_ups_to_other_processes() {
    about_redis!();
    let test = test_queue().await;
    let go = Arc::new(Semaphore::new(0));
    let held = {
        let go = Arc::clone(&go);
        move |ctx: Context, _: On<0>| {
            let go = Arc::clone(&go);
            async move {
                go.acquire().await.unwrap().forget();
                once(&ctx, 0).await
            }
        }
    };
    let both = Worker::builder(&test.queue).queue("q0", 1).queue("q1", 2).register::<On<0>>(held);
    let running = work(&both.register::<On<1>>(body::<1>).build());
    test.enqueue(&[On::<0>], &Options::default()).await;
    until("it to run", LONG, || async { test.queue.broker_depth("q0").await.unwrap() == (0, 1) }).await;
    wake(&test, "q0").await;
    for _ in 0..3 {
        wake(&test, "q1").await;
        until("the other queue's to be taken", LONG, || async { untaken(&test, "q1").await == 0 }).await;
    }
    // What was taken in the moment when it found its job is put back.
    until("it to be there", LONG, || async { untaken(&test, "q0").await > 0 }).await;
    // Another process has room; it is a queue handle of its own, and so are its connections.
    let other = Queue::connect(test.pool.clone(), crate::support::config(&test.stack)).await.unwrap();
    let helper = work(&worker(&other, 2));
    until("the other process to take it", LONG, || async { untaken(&test, "q0").await == 0 }).await;
    test.enqueue(&[On::<0>], &Options::default()).await;
    until("its job to run there", LONG, || async { test.effects().await == (1, 1) }).await;
    go.add_permits(1);
    until("both to be done", LONG, || async { test.effects().await == (2, 2) }).await;
    running.stop().await;
    helper.stop().await;
}
