//! Engines die in the middle of a file, and come back.

use std::time::Duration;

use gristmill_platform::engines::Engine;

use crate::mill::Mill;

#[tokio::test(flavor = "multi_thread")]
async fn redis_loses_its_data_in_the_middle_of_a_file() {
    let mut mill = Mill::new().await;
    let (_api, _scheduler, _worker) = (mill.start_api().await, mill.start("scheduler"), mill.start("worker"));
    let id = mill.send().await;
    mill.half_done(&id).await;
    mill.engines.lose_redis().await.unwrap();
    mill.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_restarts_in_the_middle_of_a_file() {
    let mut mill = Mill::new().await;
    let (_api, _scheduler, _worker) = (mill.start_api().await, mill.start("scheduler"), mill.start("worker"));
    let id = mill.send().await;
    mill.half_done(&id).await;
    mill.engines.kill(Engine::Postgres).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    mill.engines.restart(Engine::Postgres).await.unwrap();
    mill.exact(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_loses_its_data_while_a_file_arrives() {
    let mut mill = Mill::new().await;
    let (_api, _scheduler, _worker) = (mill.start_api().await, mill.start("scheduler"), mill.start("worker"));
    let sending = mill.send_slowly();
    mill.until_true("select count(*) > 10 from chunks").await;
    mill.engines.kill(Engine::Redis).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    mill.engines.lose_redis().await.unwrap();
    mill.until_true("select state = 'receiving' from uploads").await;
    mill.taken(sending).await;
}

/// It is away for longer than a receiver may be silent, so that nobody may take the receiver for dead when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_away_for_a_while_when_a_file_arrives() {
    let mut mill = Mill::new().await;
    let (_api, _scheduler, _worker) = (mill.start_api().await, mill.start("scheduler"), mill.start("worker"));
    let sending = mill.send_slowly();
    mill.until_true("select count(*) > 10 from chunks").await;
    mill.engines.kill(Engine::Postgres).await.unwrap();
    tokio::time::sleep(Duration::from_secs(17)).await;
    assert!(!sending.is_finished(), "the file waits");
    mill.engines.restart(Engine::Postgres).await.unwrap();
    mill.taken(sending).await;
}
