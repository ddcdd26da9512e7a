//! The backend as such: an apalis application of its own that knows no ledger.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use apalis_core::{
    backend::TaskSink as _,
    error::{AbortError, BoxDynError},
    task::{Task, attempt::Attempt, builder::TaskBuilder, data::Data, task_id::TaskId},
    worker::{builder::WorkerBuilder, context::WorkerContext, ext::parallelize::ParallelizeExt as _},
};
use futures::future::BoxFuture;
use gristmill_platform::testing::{self, Stack};
use gristmill_queue::redis::{Broker, DeadLetter, DeadLetterReason, DeadLetterSink, RedisBackend, Settings};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

use crate::support::{LONG, until};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Email {
    to: String,
}

fn email(n: usize) -> Email {
    Email { to: format!("user-{n}") }
}

fn settings(stack: &Stack) -> Settings {
    Settings {
        concurrency: 8,
        lease: Duration::from_millis(900),
        max_deliveries: 3,
        backoff: (Duration::from_millis(30), Duration::from_secs(1)),
        ..Settings::new(&stack.namespace, "mail")
    }
}

fn backend(stack: &Stack) -> RedisBackend<Email> {
    RedisBackend::new(&stack.redis_url, settings(stack)).unwrap()
}

#[derive(Clone, Default)]
struct StoredDeadLetters(Arc<Mutex<Vec<(String, DeadLetterReason)>>>);

impl DeadLetterSink for StoredDeadLetters {
    fn store(&self, job: DeadLetter) -> BoxFuture<'_, Result<(), BoxDynError>> {
        self.0.lock().unwrap().push((job.id, job.reason));
        Box::pin(async { Ok(()) })
    }
}

async fn depth(stack: &Stack) -> (u64, u64) {
    let mut conn = stack.redis_connection().await;
    Broker::new(&stack.namespace, "mail").depth(&mut conn).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apalis_application_runs_on_it() {
    let stack = testing::stack().await;
    let mut sink = backend(&stack);
    for n in 0..200 {
        sink.push(email(n)).await.unwrap();
    }
    sink.push_bulk((200..1_000).map(email).collect()).await.unwrap();
    assert_eq!(depth(&stack).await, (1_000, 0));

    async fn send(email: Email, sent: Data<Arc<AtomicUsize>>, worker: WorkerContext) -> Result<(), BoxDynError> {
        assert!(email.to.starts_with("user-"));
        if sent.fetch_add(1, SeqCst) == 999 {
            worker.stop()?;
        }
        Ok(())
    }
    let sent = Arc::new(AtomicUsize::new(0));
    let worker = WorkerBuilder::new("mailer")
        .backend(backend(&stack))
        .data(Arc::clone(&sent))
        .parallelize(tokio::spawn)
        .build(send);
    tokio::time::timeout(LONG, worker.run()).await.unwrap().unwrap();
    assert_eq!(sent.load(SeqCst), 1_000);
    assert_eq!(depth(&stack).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_kept_and_a_repeated_push_is_one() {
    let stack = testing::stack().await;
    let mut sink = backend(&stack);
    for _ in 0..3 {
        let task: Task<Email> = TaskBuilder::new(email(1)).task_id(TaskId::from_string("mail-1")).priority(0).build();
        sink.push_task(task).await.unwrap();
    }
    assert_eq!(depth(&stack).await, (1, 0));
    async fn send(_: Email, id: TaskId, worker: WorkerContext) -> Result<(), BoxDynError> {
        assert_eq!(id.to_string(), "mail-1");
        Ok(worker.stop()?)
    }
    let worker = WorkerBuilder::new("mailer").backend(backend(&stack)).build(send);
    tokio::time::timeout(LONG, worker.run()).await.unwrap().unwrap();
    assert_eq!(depth(&stack).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_come_back_and_the_hopeless_become_dead_letters() {
    let stack = testing::stack().await;
    let mut sink = backend(&stack);
    for (n, id) in ["flaky", "bad", "hopeless"].into_iter().enumerate() {
        sink.push_task(TaskBuilder::new(email(n)).task_id(TaskId::from_string(id)).build()).await.unwrap();
    }
    let mut conn = stack.redis_connection().await;
    Broker::new(&stack.namespace, "mail").push(&mut conn, 4, &[("garbage", b"{")]).await.unwrap();

    async fn send(_: Email, id: TaskId, attempt: Attempt, sent: Data<Arc<AtomicUsize>>) -> Result<(), BoxDynError> {
        match (id.to_string().as_str(), attempt.current()) {
            ("flaky", 1) | ("bad", _) => Err("no luck".into()),
            ("hopeless", _) => Err(AbortError::new("no such user").into()),
            _ => {
                sent.fetch_add(1, SeqCst);
                Ok(())
            }
        }
    }
    let (sent, dead_letters) = (Arc::new(AtomicUsize::new(0)), StoredDeadLetters::default());
    let worker = WorkerBuilder::new("mailer")
        .backend(backend(&stack).dead_letters(dead_letters.clone()))
        .data(Arc::clone(&sent))
        .build(send);
    let task = tokio::spawn(worker.run());
    until("the end of all", LONG, || async {
        depth(&stack).await == (0, 0) && dead_letters.0.lock().unwrap().len() >= 3
    })
    .await;
    task.abort();
    let mut dead_letters = dead_letters.0.lock().unwrap().clone();
    dead_letters.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(sent.load(SeqCst), 1);
    assert_eq!(dead_letters[0], ("bad".into(), DeadLetterReason::LostWorker { deliveries: 3 }));
    assert!(matches!(&dead_letters[1], (id, DeadLetterReason::Undecodable(_)) if id == "garbage"));
    assert_eq!(dead_letters[2], ("hopeless".into(), DeadLetterReason::Aborted("AbortError: no such user".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_dead_letter_sink_of_ones_own_redis_keeps_a_list() {
    let stack = testing::stack().await;
    backend(&stack).push(email(1)).await.unwrap();
    async fn send(_: Email) -> Result<(), BoxDynError> {
        Err(AbortError::new("never").into())
    }
    let task = tokio::spawn(WorkerBuilder::new("mailer").backend(backend(&stack)).build(send).run());
    let key = format!("{{{}/2:mail}}:dead_letters", stack.namespace);
    let mut conn = stack.redis_connection().await;
    until("the dead letter", LONG, || {
        let (mut conn, key) = (conn.clone(), key.clone());
        async move { redis::cmd("LLEN").arg(&key).query_async::<u64>(&mut conn).await.unwrap() == 1 }
    })
    .await;
    let ttl: i64 = redis::cmd("TTL").arg(&key).query_async(&mut conn).await.unwrap();
    assert!(ttl > 0, "nothing stays for ever");
    task.abort();
}
