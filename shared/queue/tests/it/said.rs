//! What attempts say is kept with their jobs.

use std::time::Duration;

use gristmill_queue::{
    AttemptLogs, Context, Job, JobError, JobId, LogLevel, Options, Worker,
    logs::{self, MAX_LINES},
};
use serde::{Deserialize, Serialize};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt as _};

use crate::support::{Effect, LONG, TestQueue, effect, once, sweep, test_queue, until, work};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Talk {
    lines: usize,
}

impl Job for Talk {
    const NAME: &'static str = "talk";

    fn backoff(_: u32) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

/// Two attempts fail, one in each way; the third one has an effect.
async fn talk(ctx: Context, job: Talk) -> Result<(), JobError> {
    for n in 0..job.lines {
        tracing::info!(target: "app", attempt = ctx.attempt, "line {n}");
    }
    tracing::debug!(target: "app", "nobody asked for this");
    let said = tracing::Span::current();
    tokio::spawn(async move { said.in_scope(|| tracing::warn!(target: "app", error = "a \0 disk", "elsewhere")) })
        .await?;
    match ctx.attempt {
        1 => Err(JobError::retry("no luck")),
        2 => panic!("oh dear"),
        _ => once(&ctx, 0).await,
    }
}

async fn logs_of(test: &TestQueue, id: JobId) -> Vec<AttemptLogs> {
    test.queue.jobs().logs(id).await.unwrap()
}

fn texts(logs: &AttemptLogs) -> Vec<&str> {
    logs.lines.iter().map(|line| line.message.as_str()).collect()
}

/// On one thread, which has a subscriber of its own: other tests say nothing to it.
#[tokio::test]
async fn each_attempt_keeps_what_it_said_and_who_says_nothing_costs_nothing() {
    // While there is one subscriber, `tracing` asks that of the thread which first comes to a span whether it matters: other tests'
    // threads have none, and it never would.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(logs::layer(LevelFilter::INFO)));
    let test = test_queue().await;
    let id = test.enqueue(&[Talk { lines: 2 }], &Options::default()).await[0];
    let long = test.enqueue(&[Talk { lines: MAX_LINES + 9 }], &Options::default()).await[0];
    test.enqueue(&Effect::many(3), &Options::default()).await;
    let worker = Worker::builder(&test.queue).queue("default", 4).register::<Talk>(talk).register::<Effect>(effect);
    let (worker, sweeper) = (work(&worker.build()), sweep(&test.queue));
    until("all effects", LONG, || async { test.effects().await == (5, 5) }).await;
    until("the last attempts' lines", LONG, || async {
        logs_of(&test, id).await.len() == 3 && logs_of(&test, long).await.len() == 3
    })
    .await;
    let said = logs_of(&test, id).await;
    for (logs, attempt) in said.iter().zip(1..) {
        let lines = ["line 0", "line 1"].map(|line| format!("{line} attempt={attempt}"));
        assert_eq!((logs.attempt, logs.dropped), (attempt, 0));
        assert_eq!(texts(logs), [lines[0].as_str(), &lines[1], "elsewhere error=a  disk"]);
        assert_eq!(logs.lines[2].level, LogLevel::Warn);
        assert!(logs.lines[0].at <= logs.lines[2].at);
    }
    assert_eq!(said.len(), 3);
    let long = &logs_of(&test, long).await[0];
    assert_eq!((long.lines.len(), long.dropped), (MAX_LINES, 10));
    assert_eq!((texts(long)[0], *texts(long).last().unwrap()), ("line 10 attempt=1", "elsewhere error=a  disk"));
    assert_eq!(test.count("select count(*) from gristmill.job_logs").await, 6, "of the quiet ones there is nothing");
    // They go with their jobs.
    until("the ends", LONG, || async {
        test.count("select count(*) from gristmill.jobs where state = 'available'").await == 0
    })
    .await;
    test.queue.prune(Duration::ZERO).await.unwrap();
    assert_eq!(test.count("select count(*) from gristmill.job_logs").await, 0);
    worker.stop().await;
    sweeper.stop().await;
}
