//! A connection that hangs without saying so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use gristmill_queue::{BrokerConfig, Options, Queue, QueueConfig, Worker};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::broker_state::about_redis;
use crate::support::{Effect, LONG, config, effect, test_queue, until, work};

/// Carries bytes to Redis, but not those of connections before the number `stalled`.
async fn proxy(to: String, stalled: Arc<AtomicU64>, opened: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&to).await.unwrap();
            let number = opened.fetch_add(1, SeqCst);
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            for (mut from, mut to) in [(near_in, far_out), (far_in, near_out)] {
                let stalled = Arc::clone(&stalled);
                tokio::spawn(async move {
                    let mut buffer = vec![0; 16 * 1024];
                    while let Ok(n @ 1..) = from.read(&mut buffer).await {
                        if number < stalled.load(SeqCst) {
                            std::future::pending::<()>().await;
                        }
                        if to.write_all(&buffer[..n]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_gets_nowhere_reconnects_and_says_that_it_is_unwell() {
    about_redis!();
    let test = test_queue().await;
    let address = test.stack.redis_url.rsplit(['@', '/']).find(|part| part.contains(':')).unwrap().to_owned();
    let (stalled, opened) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let port = proxy(address.clone(), Arc::clone(&stalled), Arc::clone(&opened)).await;
    let config = QueueConfig {
        broker: BrokerConfig::Redis { url: test.stack.redis_url.replace(&address, &format!("127.0.0.1:{port}")) },
        watchdog: Duration::from_secs(1),
        ..config(&test.stack)
    };
    let queue = Queue::connect(test.pool.clone(), config).await.unwrap();
    let worker = Worker::builder(&queue).queue("default", 4).register::<Effect>(effect).build();
    let (health, running) = (worker.health(), work(&worker));
    test.enqueue(&Effect::many(10), &Options::default()).await;
    until("the first jobs", LONG, || async { test.effects().await == (10, 10) }).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(health.unhealthy_reason(), None, "to be idle is no illness");

    // Not one of today's or tomorrow's connections gets a byte through.
    stalled.store(u64::MAX, SeqCst);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(health.unhealthy_reason(), None, "nothing waits");
    test.enqueue(&Effect::many(10), &Options::default()).await;
    until("it to say so", LONG, || async { health.unhealthy_reason().is_some() }).await;
    assert!(health.unhealthy_reason().unwrap().contains("queue `default`"), "{:?}", health.unhealthy_reason());

    // Old ones stay dead, new ones live.
    stalled.store(opened.load(SeqCst), SeqCst);
    until("the other jobs", LONG, || async { test.effects().await == (20, 20) }).await;
    until("it to be well", LONG, || async { health.unhealthy_reason().is_none() }).await;
    running.stop().await;
}
