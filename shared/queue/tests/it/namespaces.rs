//! Two applications, each with a ledger of its own, on one Redis and one namespace.

use std::time::Duration;

use gristmill_queue::{Options, Queue, QueueConfig, QueueError, Sweeper, WorkerError};

use crate::{
    broker_state::about_redis,
    support::{Effect, LONG, TestQueue, config, sweep, test_queue, until, work},
};

/// Why a worker does not run. One that hears of no other ledger within two seconds runs.
async fn refusal(test: &TestQueue) -> WorkerError {
    for _ in 0..6 {
        let worker = test.effect_worker(2);
        let run = tokio::time::timeout(Duration::from_secs(10), worker.run(Default::default()));
        if let Ok(ended) = run.await {
            return ended.unwrap_err();
        }
    }
    panic!("the worker ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_another_ledger_is_refused_by_name_and_nothing_is_lost() {
    about_redis!();
    let (first, other) = (test_queue().await, test_queue().await);
    let sweeper = sweep(&first.queue);
    let ran = first.enqueue(&Effect::many(3), &Options::default()).await;
    first.queue.drain(&first.effect_worker(2), LONG).await.unwrap();
    assert_eq!(first.state(ran[0]).await.0, "completed");

    let config = QueueConfig { namespace: first.stack.namespace.clone(), ..config(&other.stack) };
    let queue = Queue::connect(other.pool.clone(), config).await.unwrap();
    let lost = TestQueue { queue, ..other };
    let refused = Sweeper::new(&lost.queue).sweep().await.unwrap_err();
    let QueueError::NamespaceTaken { namespace, holder } = &refused else { panic!("{refused}") };
    assert_eq!(*namespace, first.stack.namespace);
    assert!(holder.ends_with("/gristmill") && refused.to_string().contains("QueueConfig::namespace"), "{refused}");
    let refused = refusal(&lost).await;
    assert!(matches!(refused, WorkerError::NamespaceTaken(_)), "{refused}");

    // Its job waits in its ledger, and runs once it has a namespace of its own.
    let id = lost.enqueue_and_die(&[Effect::new(1)]).await[0];
    assert_eq!(lost.state(id).await.0, "available");
    let own = Queue::connect(lost.pool.clone(), crate::support::config(&lost.stack)).await.unwrap();
    let own = TestQueue { queue: own, ..lost };
    let (worker, other_sweeper) = (work(&own.effect_worker(2)), sweep(&own.queue));
    until("its job", LONG, || async { own.state(id).await.0 == "completed" }).await;
    worker.stop().await;
    other_sweeper.stop().await;
    sweeper.stop().await;
}
