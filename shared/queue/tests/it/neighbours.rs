//! Jobs that run beside one that takes its process down.

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use gristmill_queue::{BrokerConfig, Context, Job, JobError, JobId, Options, Queue, QueueConfig, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::broker_state::on_postgres;
use crate::support::{Effect, LONG, TestQueue, config, once, test_queue, until, work};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Poison;

impl Job for Poison {
    const NAME: &'static str = "poison";
    const QUEUE: &'static str = "other";
}

/// Not a test: a worker process of two queues, for the next one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by neighbours_of_a_poisonous_job_live"]
#[expect(clippy::disallowed_methods, reason = "the parent test tells its child where the engines are")]
async fn process() {
    let Ok(url) = std::env::var("NEIGHBOURS_DATABASE_URL") else { return };
    let config = QueueConfig {
        namespace: std::env::var("NEIGHBOURS_NAMESPACE").unwrap(),
        lease: Duration::from_millis(1_500),
        max_deliveries: 4,
        ..QueueConfig::on(
            BrokerConfig::from_settings(None, std::env::var("NEIGHBOURS_REDIS_URL").ok().as_deref()).unwrap(),
        )
    };
    let queue = Queue::connect(PgPool::connect(&url).await.unwrap(), config).await.unwrap();
    let running = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&running);
    let innocent = move |ctx: Context, job: Effect| {
        let running = Arc::clone(&running);
        async move {
            running.fetch_add(1, SeqCst);
            // Beside the poisonous one it does not live to its end.
            let long = if ctx.claim.delivery <= 2 { 3_600 } else { 0 };
            tokio::time::sleep(Duration::from_secs(long)).await;
            once(&ctx, job.n).await
        }
    };
    let poison = move |ctx: Context, _: Poison| {
        let running = Arc::clone(&seen);
        async move {
            while ctx.claim.delivery <= 2 && running.load(SeqCst) < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            std::process::abort()
        }
    };
    let worker = Worker::builder(&queue)
        .queue("default", 4)
        .queue("other", 1)
        .register::<Effect>(innocent)
        .register::<Poison>(poison)
        .build();
    worker.run(Default::default()).await.unwrap();
}

fn start(test: &TestQueue) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "neighbours::process", "--include-ignored"])
        .env("NEIGHBOURS_DATABASE_URL", &test.stack.database_url)
        .env("NEIGHBOURS_REDIS_URL", if on_postgres() { "" } else { &test.stack.redis_url })
        .env("NEIGHBOURS_NAMESPACE", &test.stack.namespace)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_of_a_poisonous_job_live() {
    let test = test_queue().await;
    let innocent = test.enqueue(&Effect::many(3), &Options::default()).await;
    let poison = test.enqueue(&[Poison], &Options::default()).await[0];
    let mut child = start(&test);
    let mut processes = 1;
    until("all to have an end", LONG * 3, || {
        if child.try_wait().unwrap().is_some() {
            child = start(&test);
            processes += 1;
        }
        all_have_ended(&test)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(test.state(poison).await.2.unwrap(), "lost_worker: 4 workers were lost with it");
    assert_eq!(processes, 5, "two beside the others, two alone, and the last one");
    for id in innocent {
        assert_eq!(test.state(id).await.0, "completed");
        let history = history(&test, id).await;
        assert!(history.starts_with(&[(1, BESIDE.into()), (2, BESIDE.into())]), "{history:?}");
        assert!(history.iter().all(|(_, error)| error == BESIDE), "{history:?}");
    }
    let history = history(&test, poison).await;
    // But for the line of its end, which has the number of deliveries that counted: others may have been handed back.
    let told: Vec<&str> =
        history.iter().map(|(_, error)| error.as_str()).filter(|it| [BESIDE, ALONE].contains(it)).collect();
    assert_eq!(told, [BESIDE, BESIDE, ALONE, ALONE], "{history:?}");
}

const BESIDE: &str = "its worker was lost; others may have run beside it";
const ALONE: &str = "its worker was lost while it ran alone";

/// With a line for each delivery that was lost, and one for the end of the poisonous job. An innocent one may have more: a process
/// that dies may not have handed back yet what was not to run there.
async fn all_have_ended(test: &TestQueue) -> bool {
    let sql = "select count(*) from gristmill.jobs j where state in ('completed', 'dead')
               and (select count(*) from gristmill.job_attempts where job_id = j.id) >= case name when 'poison' then 5 else 2 end";
    test.count(sql).await == 4
}

async fn history(test: &TestQueue, id: JobId) -> Vec<(i64, String)> {
    let sql = "select delivery, error from gristmill.job_attempts where job_id = $1 and outcome = 'lost_worker' order by delivery";
    sqlx::query_as(sql).bind(id).fetch_all(&test.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_heard_of_again_was_not_lost() {
    let test = test_queue().await;
    let (runs, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let body = {
        let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
        move |ctx: Context, job: Effect| {
            let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
            async move {
                runs.fetch_add(1, SeqCst);
                tokio::select! {
                    permit = go.acquire() => permit.unwrap().forget(),
                    () = ctx.cancel.cancelled() => return Err(JobError::Cancelled),
                }
                once(&ctx, job.n).await
            }
        }
    };
    let worker = || Worker::builder(&test.queue).queue("default", 1).register::<Effect>(body.clone()).build();
    let (one, other) = (work(&worker()), work(&worker()));
    let id = test.enqueue(&Effect::many(1), &Options::default()).await[0];
    until("the job to run", LONG, || async { runs.load(SeqCst) >= 1 }).await;
    for _ in 1..=6 {
        let before = runs.load(SeqCst);
        let another = async || {
            while runs.load(SeqCst) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Its worker may renew it before anybody has seen that it had ended; and the next delivery's lease is not to be ended too.
        until("another delivery", LONG, || async {
            test.end_lease(id).await;
            tokio::time::timeout(Duration::from_secs(1), another()).await.is_ok()
        })
        .await;
        until("no strike to be left", LONG, || async { !test.has_failed_deliveries(id).await }).await;
    }
    go.add_permits(1);
    until("its effect", LONG, || async { test.effects().await == (1, 1) }).await;
    one.stop().await;
    other.stop().await;
    assert_eq!(config(&test.stack).max_deliveries, 3, "it was delivered oftener than that");
}
