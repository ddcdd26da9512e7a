//! The scheduler's tasks, on real engines.

use std::{sync::Arc, time::Duration};

use gristmill_platform::{config::SchedulerConfig, testing};
use gristmill_queue::{Job, JobSpec, NewSchedule, Queue, QueueConfig};
use gristmill_scheduler::{Env, serve};
use gristmill_uploads::events::Events;
use serde::{Deserialize, Serialize};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

#[derive(Serialize, Deserialize)]
struct Chime;

impl Job for Chime {
    const NAME: &'static str = "chime";
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_fire() {
    let stack = testing::stack().await;
    let config = QueueConfig { namespace: stack.namespace.clone(), ..QueueConfig::new(&stack.redis_url) };
    let env = Env {
        queue: Queue::connect(stack.pool.clone(), config).await.unwrap(),
        pool: stack.pool.clone(),
        store: Arc::clone(&stack.store),
        events: Events::connect(&stack.redis_url, &stack.namespace).unwrap(),
    };
    let schedules = env.queue.schedules();
    let stop = CancellationToken::new();
    let serving = AbortOnDropHandle::new(tokio::spawn({
        let stop = stop.clone();
        async move { serve(env, &SchedulerConfig::default(), stop).await }
    }));
    schedules.put(&NewSchedule::new("chime", "* * * * * *", JobSpec::of(&Chime).unwrap())).await.unwrap();
    let fired = async {
        while schedules.get("chime").await.unwrap().last.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), fired).await.unwrap();
    stop.cancel();
    serving.await.unwrap();
}
