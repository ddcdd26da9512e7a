//! What is left when the work is done.

use std::time::{Duration, Instant};

use crate::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn redis_holds_nothing_when_the_work_is_done() {
    let harness = Harness::new().await;
    let (_api, _scheduler, _worker) = (harness.start_api().await, harness.start("scheduler"), harness.start("worker"));
    let id = harness.send().await;
    harness.exact(&id).await;
    harness.until_true("select not exists(select from gristmill.jobs where state in ('available', 'scheduled'))").await;
    assert!(harness.objects().await.is_empty(), "{:?}", harness.objects().await);

    let mut redis = harness.stack.redis_connection().await;
    let since = Instant::now();
    loop {
        let mut left = lives(&mut redis).await;
        // The workers' signs of life, the sign that Redis still has what it was told, and what queues are held to.
        left.retain(|(key, _)| ![":workers", ":epoch", ":limits"].iter().any(|kept| key.ends_with(kept)));
        if left.iter().all(|(_, lives)| (1..=3_600).contains(lives)) {
            let events = format!("{}:events:{id}", harness.stack.namespace);
            assert!(left.iter().any(|(key, lives)| *key == events && *lives > 3_000), "{left:?}");
            return;
        }
        // An acknowledgement comes a moment after the job's end.
        assert!(since.elapsed() < Duration::from_secs(60), "with the seconds it has to live: {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Every key, and the seconds it has to live; -1: for ever.
async fn lives(redis: &mut redis::aio::MultiplexedConnection) -> Vec<(String, i64)> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(redis).await.unwrap();
    let mut lives = Vec::new();
    for key in keys {
        let ttl: i64 = redis::cmd("TTL").arg(&key).query_async(redis).await.unwrap();
        // -2: gone meanwhile.
        if ttl != -2 {
            lives.push((key, ttl));
        }
    }
    lives
}
