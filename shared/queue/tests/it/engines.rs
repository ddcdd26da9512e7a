//! Redis and Postgres come and go in the middle of the work.

use std::time::Duration;

use gristmill_platform::{engines::Engine, testing};
use gristmill_queue::Options;

use crate::broker_state::about_redis;
use crate::support::{Background, Effect, LONG, TestQueue, on, sweep, until, work};

const JOBS: i64 = 2_000;

struct Crew {
    workers: [Background; 2],
    sweeper: Background,
}

/// Two workers and a sweep on jobs that take a while together.
async fn crew(test: &TestQueue) -> Crew {
    let jobs: Vec<Effect> = (0..JOBS).map(|n| Effect { n, millis: 30 }).collect();
    test.enqueue(&jobs, &Options::default()).await;
    let crew =
        Crew { workers: [work(&test.effect_worker(8)), work(&test.effect_worker(8))], sweeper: sweep(&test.queue) };
    until("the first jobs", LONG, || async { test.effects().await.0 > JOBS / 10 }).await;
    crew
}

async fn every_effect_once(test: &TestQueue, crew: Crew) {
    assert!(test.effects().await.0 < JOBS, "the engine was disturbed too late");
    until("all jobs", LONG, || async {
        test.count("select count(*) from gristmill.jobs where state = 'completed'").await == JOBS
    })
    .await;
    for worker in crew.workers {
        worker.stop().await;
    }
    crew.sweeper.stop().await;
    assert_eq!(test.effects().await, (JOBS, JOBS));
    assert_eq!(test.count("select count(*) from gristmill.jobs where state <> 'completed'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_restarts() {
    about_redis!();
    let mut engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let crew = crew(&test).await;
    engines.restart(Engine::Redis).await.unwrap();
    every_effect_once(&test, crew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_loses_everything() {
    about_redis!();
    let engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let crew = crew(&test).await;
    let () = redis::cmd("FLUSHALL").query_async(&mut test.redis().await).await.unwrap();
    every_effect_once(&test, crew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_with_its_data() {
    about_redis!();
    let mut engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let crew = crew(&test).await;
    engines.lose_redis().await.unwrap();
    every_effect_once(&test, crew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_stalls_for_longer_than_a_lease() {
    about_redis!();
    let engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let crew = crew(&test).await;
    let () = redis::cmd("CLIENT").arg("PAUSE").arg(3_000).query_async(&mut test.redis().await).await.unwrap();
    every_effect_once(&test, crew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_restarts() {
    let mut engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let crew = crew(&test).await;
    engines.restart(Engine::Postgres).await.unwrap();
    until("Postgres to answer", LONG, || async { sqlx::query("select 1").execute(&test.pool).await.is_ok() }).await;
    every_effect_once(&test, crew).await;
}

/// What is unlogged is lost with it: of a broker that is Postgres, everything.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_killed() {
    let mut engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let crew = crew(&test).await;
    engines.kill(Engine::Postgres).await.unwrap();
    engines.restart(Engine::Postgres).await.unwrap();
    until("Postgres to answer", LONG, || async { sqlx::query("select 1").execute(&test.pool).await.is_ok() }).await;
    every_effect_once(&test, crew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_works_while_redis_is_away() {
    about_redis!();
    let mut engines = testing::engines().await;
    let stack = testing::stack_on(&engines).await;
    engines.kill(Engine::Redis).await.unwrap();
    let test = on(stack).await;
    let crew = (work(&test.effect_worker(4)), sweep(&test.queue));
    test.enqueue(&Effect::many(10), &Options::default()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(test.effects().await, (0, 0));
    engines.restart(Engine::Redis).await.unwrap();
    until("the jobs", LONG, || async { test.effects().await == (10, 10) }).await;
    crew.0.stop().await;
    crew.1.stop().await;
}
