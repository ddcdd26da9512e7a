//! A broker with the keys of the first layout is filled like an empty one, and those keys do not stay.

use gristmill_queue::Options;

use crate::broker_state::about_redis;
use crate::support::{Effect, LONG, TestQueue, sweep, test_queue, until, work};

async fn ttl(test: &TestQueue, key: &str) -> i64 {
    redis::cmd("TTL").arg(key).query_async(&mut test.redis().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_the_first_layout_is_refilled_and_its_keys_expire() {
    about_redis!();
    let test = test_queue().await;
    let namespace = test.stack.namespace.clone();
    let mut tx = test.pool.begin().await.unwrap();
    let enqueued = test.queue.enqueue_all(&mut tx, &Effect::many(20), &Options::default()).await.unwrap();
    tx.commit().await.unwrap();
    // As the release before left it: it knows the jobs, has leased one, and says that nothing was lost.
    let old = ["jobs", "leases", "claims", "turns:4", "turns:4:"].map(|key| format!("{{{namespace}:default}}:{key}"));
    let epoch = format!("{{{namespace}}}:epoch");
    let others = [format!("{{{namespace}x:default}}:jobs"), format!("{namespace}:events")];
    let mut redis = test.redis().await;
    let mut pipe = redis::pipe();
    for id in enqueued.ids().iter().map(ToString::to_string) {
        pipe.hset(&old[0], &id, "40:{}").ignore().rpush(&old[4], &id).ignore();
    }
    pipe.zadd(&old[1], enqueued.ids()[0].to_string(), 4e12).ignore().hset(&old[2], "x", 1).ignore();
    pipe.rpush(&old[3], "").ignore().set(&epoch, "1").ignore().hset(&others[0], "x", "y").ignore();
    pipe.set(&others[1], "1").ignore();
    let () = pipe.query_async(&mut redis).await.unwrap();

    let (sweeper, worker) = (sweep(&test.queue), work(&test.effect_worker(4)));
    until("all jobs to run", LONG, || async { test.effects().await == (20, 20) }).await;
    for key in old.iter().chain([&epoch]) {
        until("the old keys to expire", LONG, || async { (1..=3_600).contains(&ttl(&test, key).await) }).await;
    }
    for key in &others {
        assert_eq!(ttl(&test, key).await, -1, "{key}");
    }
    // The epoch of the new layout comes when everything is pushed, and stays.
    let epoch = format!("{{{namespace}/2}}:epoch");
    until("the new epoch", LONG, || async { ttl(&test, &epoch).await == -1 }).await;
    worker.stop().await;
    sweeper.stop().await;
    assert_eq!(test.effects().await, (20, 20));
}
