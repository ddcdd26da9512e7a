//! What is known of a job's attempts, and what a body may say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use gristmill_platform::{engines::Engine, testing};
use gristmill_queue::{Context, Job, JobError, Options, PayloadError, Progress, ResultError, Worker};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::broker_state::about_redis;
use crate::support::{Effect, LONG, on, once, sweep, test_queue, until, work};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Act(String);

impl Job for Act {
    const NAME: &'static str = "act";
    const MAX_ATTEMPTS: u16 = 2;
    const RETAIN: Option<Duration> = Some(Duration::from_secs(3_600));

    fn backoff(_: u32) -> Option<Duration> {
        Some(Duration::from_millis(400))
    }
}

async fn act(ctx: Context, Act(how): Act) -> Result<(), JobError> {
    match how.as_str() {
        "fail" => Err(JobError::retry("no luck")),
        "hang" => std::future::pending().await,
        "panic" => panic!("oh dear"),
        "discard" => Err(JobError::discard("hopeless")),
        "cancel" => Err(JobError::Cancelled),
        "snooze"
            if sqlx::query_scalar("select exists (select from gristmill.job_attempts where job_id = $1)")
                .bind(ctx.claim.id)
                .fetch_one(ctx.queue.pool())
                .await? =>
        {
            Ok(())
        }
        "snooze" => Err(JobError::Snooze(Duration::ZERO)),
        "result" => {
            assert!(matches!(ctx.set_result(&"x".repeat(20_000)), Err(ResultError::TooLarge(20_002))));
            assert!(matches!(ctx.set_result(&"\0"), Err(ResultError::Unstorable(PayloadError::Nul))));
            ctx.set_result(&"not the last word")?;
            ctx.set_result(&serde_json::json!({ "rows": 7 }))?;
            once(&ctx, 1).await
        }
        _ => {
            ctx.set_result(&[1, 2])?;
            Ok(())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_that_did_not_succeed_is_kept() {
    let test = test_queue().await;
    let hows = ["fail", "hang", "panic", "discard", "cancel", "snooze", "result", "batch"];
    let mut ids = Vec::new();
    for how in hows {
        // Only who waits for it has a timeout that is short for a busy machine.
        let timeout = (how == "hang").then_some(Duration::from_secs(2));
        ids.extend(test.enqueue(&[Act(how.into())], &Options { timeout, ..Options::default() }).await);
    }
    let unknown = test.enqueue(&[Effect::new(1)], &Options::default()).await[0];
    let worker = Worker::builder(&test.queue).label("mill").queue("default", 8).register::<Act>(act).build();
    let (worker, sweeper) = (work(&worker), sweep(&test.queue));
    until("the ends", LONG, || async {
        test.count("select count(*) from gristmill.jobs where state in ('available', 'scheduled')").await == 0
    })
    .await;
    type Attempt = (i32, &'static str, Option<&'static str>);
    let expected: [(usize, &[Attempt]); 6] = [
        (0, &[(1, "retried", Some("no luck")), (2, "retried", Some("no luck"))]),
        (1, &[(1, "timed_out", Some("timed out after 2s")), (2, "timed_out", Some("timed out after 2s"))]),
        (2, &[(1, "panicked", Some("panicked: oh dear")), (2, "panicked", Some("panicked: oh dear"))]),
        (3, &[(1, "discarded", Some("hopeless"))]),
        (4, &[(1, "cancelled", None)]),
        (5, &[(1, "snoozed", None)]),
    ];
    for (i, expected) in expected {
        let seen: Vec<(i32, String, Option<String>)> =
            sqlx::query_as("select attempt, outcome, error from gristmill.job_attempts where job_id = $1 order by seq")
                .bind(ids[i])
                .fetch_all(&test.pool)
                .await
                .unwrap();
        let seen: Vec<_> = seen.iter().map(|(n, outcome, error)| (*n, outcome.as_str(), error.as_deref())).collect();
        assert_eq!(seen, expected, "{}", hows[i]);
    }
    assert_eq!(test.state(unknown).await.0, "parked");
    // (It may have been left to others first, which is another delivery.)
    assert_eq!(
        test.count("select count(*) from gristmill.job_attempts where outcome = 'parked' and delivery > 0").await,
        1
    );
    // Who, and when: of attempts, and of what ended the job.
    assert_eq!(
        test
            .count("select count(*) from gristmill.job_attempts where worker not like 'mill-%' or worker is null or started_at > ended_at")
            .await,
        0
    );
    let took = test
        .count(
            "select count(*) from gristmill.job_attempts where outcome = 'timed_out' and ended_at - started_at > '1 s'",
        )
        .await;
    assert_eq!(took, 2);
    assert_eq!(
        test.count(
            "select count(*) from gristmill.jobs where state <> 'parked' and (worker not like 'mill-%' or started_at is null)"
        )
        .await,
        0
    );
    let results: Vec<Option<serde_json::Value>> =
        sqlx::query_scalar("select result from gristmill.jobs where id = any($1) order by id")
            .bind(&ids[6..])
            .fetch_all(&test.pool)
            .await
            .unwrap();
    assert_eq!(results, [Some(serde_json::json!({ "rows": 7 })), Some(serde_json::json!([1, 2]))]);

    // They are kept for an hour, whatever the rest is.
    test.queue.prune(Duration::ZERO).await.unwrap();
    assert_eq!(test.count("select count(*) from gristmill.jobs").await, 9);
    sqlx::query("update gristmill.jobs set finished_at = finished_at - interval '61 minutes'")
        .execute(&test.pool)
        .await
        .unwrap();
    test.queue.prune(Duration::from_secs(864_000)).await.unwrap();
    assert_eq!(test.count("select count(*) from gristmill.jobs where state not in ('dead', 'parked')").await, 0);
    assert_eq!(
        test.count("select count(*) from gristmill.jobs").await,
        5,
        "what is dead or parked waits for a decision"
    );
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_may_have_a_backoff_of_its_own() {
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Daily;
    impl Job for Daily {
        const NAME: &'static str = "daily";
        fn backoff(attempt: u32) -> Option<Duration> {
            Some(Duration::from_secs(86_400) * attempt)
        }
    }
    let test = test_queue().await;
    test.enqueue(&[Daily], &Options::default()).await;
    let body = |_: Context, _: Daily| async { Err(JobError::retry("not today")) };
    let worker = work(&Worker::builder(&test.queue).queue("default", 1).register::<Daily>(body).build());
    let tomorrow = "select count(*) from gristmill.jobs
                    where state = 'scheduled' and attempt = 1 and run_at - now() between '23 hours' and '25 hours'";
    until("the next attempt to be tomorrow's", LONG, || async { test.count(tomorrow).await == 1 }).await;
    worker.stop().await;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Long;

impl Job for Long {
    const NAME: &'static str = "long";
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_seen_while_a_job_runs() {
    let test = test_queue().await;
    let id = test.enqueue(&[Long], &Options::default()).await[0];
    assert_eq!(test.queue.progress(id).await.unwrap(), None);
    let body = |ctx: Context, _: Long| async move {
        for n in 0..=1_000_000 {
            ctx.progress(n, 1_000_000);
        }
        ctx.cancel.cancelled().await;
        Ok(())
    };
    let worker = work(&Worker::builder(&test.queue).queue("default", 2).register::<Long>(body).build());
    let all = Some(Progress { done: 1_000_000, total: 1_000_000 });
    until("its progress", LONG, || async { test.queue.progress(id).await.unwrap() == all }).await;
    for key in test.keys().await.iter().filter(|key| key.contains("progress")) {
        let seconds: i64 = test.ttl(key).await;
        assert!((1..=600).contains(&seconds), "{key} is left for {seconds} s");
    }
    test.queue.cancel_jobs(&[id]).await.unwrap();
    until("its end", LONG, || async { test.state(id).await.0 == "completed" }).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_that_the_broker_did_not_take_is_said_again() {
    about_redis!();
    let mut engines = testing::engines().await;
    let test = on(testing::stack_on(&engines).await).await;
    let (runs, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let body = {
        let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
        move |ctx: Context, _: Long| {
            let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
            async move {
                runs.fetch_add(1, SeqCst);
                drop(go.acquire().await.unwrap());
                ctx.progress(1, 2);
                ctx.cancel.cancelled().await;
                Ok(())
            }
        }
    };
    let worker = work(&Worker::builder(&test.queue).queue("default", 1).register::<Long>(body).build());
    let id = test.enqueue(&[Long], &Options::default()).await[0];
    until("it to run", LONG, || async { runs.load(SeqCst) > 0 }).await;
    engines.kill(Engine::Redis).await.unwrap();
    go.add_permits(1);
    // What is said is sent three times a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    engines.restart(Engine::Redis).await.unwrap();
    let said = Some(Progress { done: 1, total: 2 });
    until("its progress", LONG, || async { test.queue.progress(id).await.ok().flatten() == said }).await;
    drop(worker);
}
