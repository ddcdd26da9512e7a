//! Engines die in the middle of a file, and come back.

use std::time::Duration;

use gristmill_platform::engines::Engine;

use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn redis_loses_its_data_in_the_middle_of_a_file() {
    let mut harness = Harness::new().await;
    let (_api, _scheduler) = (harness.start_api().await, harness.start("scheduler"));
    let id = harness.send().await;
    let _worker = harness.start("worker");
    harness.half_done(&id).await;
    harness.engines.lose_redis().await.unwrap();
    harness.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_restarts_in_the_middle_of_a_file() {
    let mut harness = Harness::new().await;
    let (_api, _scheduler) = (harness.start_api().await, harness.start("scheduler"));
    let id = harness.send().await;
    let _worker = harness.start("worker");
    harness.half_done(&id).await;
    harness.engines.kill(Engine::Postgres).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    harness.engines.restart(Engine::Postgres).await.unwrap();
    harness.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_loses_its_data_while_a_file_arrives() {
    let mut harness = Harness::new().await;
    let (_api, _scheduler, _worker) = (harness.start_api().await, harness.start("scheduler"), harness.start("worker"));
    let sending = harness.send_slowly();
    harness.until_true("select count(*) > 10 from chunks").await;
    harness.engines.kill(Engine::Redis).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    harness.engines.lose_redis().await.unwrap();
    harness.until_true("select state = 'receiving' from uploads").await;
    harness.taken(sending).await;
}

/// It is away for longer than a receiver may be silent, so that nobody may take the receiver for dead when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_away_for_a_while_when_a_file_arrives() {
    let mut harness = Harness::new().await;
    let (_api, _scheduler, _worker) = (harness.start_api().await, harness.start("scheduler"), harness.start("worker"));
    let sending = harness.send_slowly();
    harness.until_true("select count(*) > 10 from chunks").await;
    harness.engines.kill(Engine::Postgres).await.unwrap();
    sending.hurry();
    tokio::time::sleep(Duration::from_secs(17)).await;
    assert!(!sending.is_over(), "the file waits");
    harness.engines.restart(Engine::Postgres).await.unwrap();
    harness.taken(sending).await;
}
