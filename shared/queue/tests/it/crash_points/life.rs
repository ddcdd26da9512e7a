//! The only member of a group, from its enqueueing until Redis has forgotten it and the join is done.

use std::{sync::Arc, time::Duration};

use gristmill_platform::testing::Stack;
use gristmill_queue::{
    BrokerConfig, Context, GroupId, GroupPolicy, Job, JobError, JobId, JobSpec, NewGroup, Options, Queue, QueueConfig,
    Sweeper, Worker,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio_util::task::AbortOnDropHandle;

use super::wire::{Side, Wires};
use crate::support::{Join, LONG, TestQueue, config, join, once, until, work};

/// How the job lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Life {
    /// It completes in the transaction of its effect.
    Own,
    /// It has no effect, so the runner completes it.
    Runner,
    /// The first attempt fails, the second one is as [`Life::Own`].
    Retried,
    /// It is given up at once, and its group fails.
    Discarded,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Member {
    life: Life,
}

impl Job for Member {
    const NAME: &'static str = "member";
    const MAX_ATTEMPTS: u16 = 100;
}

async fn member(ctx: Context, job: Member) -> Result<(), JobError> {
    match job.life {
        Life::Runner => Ok(()),
        Life::Retried if ctx.attempt == 1 => Err(JobError::retry("the first attempt fails")),
        Life::Discarded => Err(JobError::discard("hopeless")),
        Life::Own | Life::Retried => once(&ctx, 0).await,
    }
}

fn worker(queue: &Queue) -> Worker {
    Worker::builder(queue).queue("default", 2).register::<Member>(member).register::<Join>(join).build()
}

/// Runs the job in a process that dies at `death`, if at all, then in a healthy one; the outcome is the same. Returns
/// what the first one said to the engines until it died, or all was done, and whether it died.
pub(super) async fn live(
    test: &TestQueue,
    number: usize,
    life: Life,
    death: Option<(usize, Side)>,
) -> (Vec<String>, bool) {
    let config = QueueConfig {
        namespace: format!("{}-{number}", test.stack.namespace),
        lease: Duration::from_millis(900),
        // each point is one lost worker
        max_deliveries: 100,
        ..config(&test.stack)
    };
    let queue = Queue::connect(test.pool.clone(), config.clone()).await.unwrap();
    let (group, id) = enqueue(&queue, life).await;

    // A scheduler lives all the time.
    let sweep = AbortOnDropHandle::new(tokio::spawn(sweep(queue.clone())));
    let wires = Wires::new(death);
    let victim = victim(&test.stack, &config, &wires).await;
    let what = format!("{life:?} with a death at {death:?}");
    let done = || async { finished(&test.pool, group, id).await };
    let forgotten = || empty(test, &config.namespace);
    // Who is not killed at its point has done all before it came that far.
    until(&what, LONG, || async { wires.dead.is_cancelled() || (done().await && forgotten().await) }).await;
    let died = wires.dead.is_cancelled();
    wires.dead.cancel();
    drop(victim);
    let healthy = died.then(|| work(&worker(&queue)));
    until(&what, LONG, done).await;
    until(&format!("Redis to forget: {what}"), LONG, forgotten).await;
    if let Some(healthy) = healthy {
        healthy.stop().await;
    }
    drop(sweep);
    check(&test.pool, group, id, life, &what).await;
    (wires.seen(), died)
}

async fn sweep(queue: Queue) {
    let mut sweeper = Sweeper::new(&queue);
    loop {
        // On a busy machine a connection may take longer than the pool waits. The scheduler goes on, too.
        if let Err(error) = sweeper.sweep().await {
            eprintln!("a sweep failed: {error:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// In the group, which is sealed; pushed by a process that is none of those that die here.
async fn enqueue(queue: &Queue, life: Life) -> (GroupId, JobId) {
    let mut tx = queue.pool().begin().await.unwrap();
    let join = |failed| Some(JobSpec::of(&Join { failed }).unwrap());
    let new = NewGroup { on_complete: join(false), on_failure: join(true), ..NewGroup::new(GroupPolicy::FailFast) };
    let group = queue.create_group(&mut tx, new).await.unwrap();
    let options = Options { group: Some(group), ..Options::default() };
    let member = queue.enqueue(&mut tx, &Member { life }, &options).await.unwrap();
    assert!(queue.seal_group(&mut tx, group).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    let id = member.ids()[0];
    queue.push(member).await;
    (group, id)
}

/// A worker with threads of its own, which reaches the engines through `wires` only.
async fn victim(stack: &Stack, config: &QueueConfig, wires: &Arc<Wires>) -> Victim {
    let config =
        QueueConfig { broker: BrokerConfig::Redis { url: wires.tap(&stack.redis_url).await }, ..config.clone() };
    let url = wires.tap(&stack.database_url).await;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy(&url).unwrap();
        let queue = Queue::connect(pool, config).await.unwrap();
        worker(&queue).run(Default::default()).await.unwrap();
    });
    Victim(Some(runtime))
}

/// Ends without a word when it is dropped.
struct Victim(Option<tokio::runtime::Runtime>);

impl Drop for Victim {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn finished(pool: &PgPool, group: GroupId, id: JobId) -> bool {
    sqlx::query_scalar(
        "select (select finished_at is not null from gristmill.groups where id = $1)
            and (select finished_at is not null from gristmill.jobs where id = $2)
            and not exists (select from gristmill.jobs where state in ('available', 'scheduled'))",
    )
    .bind(group)
    .bind(id)
    .fetch_one(pool)
    .await
    .unwrap_or(false)
}

/// The signs of life, of the data, of waiting and of what was done go by themselves.
async fn empty(test: &TestQueue, namespace: &str) -> bool {
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{{{namespace}/2[:}}]*")).query_async(&mut test.redis().await).await.unwrap();
    keys.iter().all(|key| {
        key.contains(":worker:")
            || [":workers", ":epoch", ":ledger", ":wake", ":acked"].iter().any(|end| key.ends_with(end))
    })
}

async fn check(pool: &PgPool, group: GroupId, id: JobId, life: Life, what: &str) {
    let (state, attempt): (String, i32) = sqlx::query_as("select state, attempt from gristmill.jobs where id = $1")
        .bind(id)
        .fetch_one(pool)
        .await
        .unwrap();
    let effects: i64 =
        sqlx::query_scalar("select count(*) from effects where job = $1").bind(id).fetch_one(pool).await.unwrap();
    let of_group = "select e.n from effects e join gristmill.jobs j on j.id = e.job where j.join_of = $1 and e.n < 0";
    let joins: Vec<i64> = sqlx::query_scalar(of_group).bind(group).fetch_all(pool).await.unwrap();
    let counted: (String, i64, i64, i64) =
        sqlx::query_as("select state, completed, failed, cancelled from gristmill.groups where id = $1")
            .bind(group)
            .fetch_one(pool)
            .await
            .unwrap();
    let expected = match life {
        Life::Own => ("completed", 0, 1, -1, ("completed".to_owned(), 1, 0, 0)),
        Life::Runner => ("completed", 0, 0, -1, ("completed".to_owned(), 1, 0, 0)),
        Life::Retried => ("completed", 1, 1, -1, ("completed".to_owned(), 1, 0, 0)),
        Life::Discarded => ("dead", 1, 0, -2, ("failed".to_owned(), 0, 1, 0)),
    };
    assert_eq!(
        (state.as_str(), attempt, effects, joins, counted),
        (expected.0, expected.1, expected.2, vec![expected.3], expected.4),
        "{what}"
    );
}
