//! What the queue offers to its users' tests.

use std::time::Duration;

use gristmill_queue::{
    Context, Job, JobError, Options, Worker,
    testing::{assert_enqueued, refute_enqueued, run_inline, waiting},
    trace,
};
use serde::{Deserialize, Serialize};

use crate::support::{Effect, TestQueue, test_queue};

#[derive(Debug, Serialize, Deserialize)]
struct Whim {
    what: String,
}

impl Job for Whim {
    const NAME: &'static str = "whim";
    const QUEUE: &'static str = "whims";
    const MAX_ATTEMPTS: u16 = 2;
}

async fn whim(ctx: Context, job: Whim) -> Result<(), JobError> {
    match &*job.what {
        "well" => {
            assert_eq!((ctx.attempt, ctx.client_id), (1, Some(7.into())));
            let mut tx = ctx.queue.pool().begin().await?;
            let next = ctx.queue.enqueue(&mut tx, &Effect::new(1), &Options::default()).await;
            tx.commit().await?;
            ctx.queue.push(next.map_err(|error| JobError::Retry(error.into()))?).await;
            Ok(())
        }
        "retry" => Err(JobError::retry("not now")),
        "discard" => Err(JobError::discard("never")),
        "snooze" => Err(JobError::Snooze(Duration::from_secs(60))),
        "cancel" => Err(JobError::Cancelled),
        "slow" => std::future::pending().await,
        what => panic!("{what}"),
    }
}

fn worker(test: &TestQueue) -> Worker {
    Worker::builder(&test.queue).queue("whims", 1).register::<Whim>(whim).build()
}

#[tokio::test]
async fn one_job_runs_here_and_now_and_the_ledger_says_how_it_ended() {
    let test = test_queue().await;
    let worker = worker(&test);
    let ends = [
        ("well", "completed", None),
        ("retry", "scheduled", Some("not now")),
        ("discard", "dead", Some("never")),
        ("snooze", "scheduled", None),
        ("cancel", "cancelled", None),
        ("slow", "scheduled", Some("timed out after 300ms")),
        ("oh no", "scheduled", Some("panicked: oh no")),
    ];
    for (what, state, error) in ends {
        // Only who waits for it has a timeout: a loaded machine takes long over the trace of a panic.
        let timeout = (what == "slow").then_some(Duration::from_millis(300));
        let delay = Some(Duration::from_secs(60));
        let options = Options { client_id: Some(7.into()), delay, timeout, ..Options::default() };
        let ran = run_inline(&worker, &Whim { what: what.into() }, &options).await.unwrap();
        assert_eq!((&*ran.state, ran.error.as_deref()), (state, error), "{what}");
    }
    assert_enqueued::<Effect>(&test.queue, |waiting| waiting.job.n == 1).await;
}

#[tokio::test]
async fn what_is_enqueued_can_be_asked_for() {
    let test = test_queue().await;
    let trace_parent = trace::begin(&tracing::Span::none());
    let options = Options {
        priority: Some(1),
        client_id: Some(7.into()),
        trace_parents: vec![None, None, trace_parent.clone()],
        ..Options::default()
    };
    test.enqueue(&Effect::many(3), &options).await;
    let later = Options { delay: Some(Duration::from_secs(3_600)), ..Options::default() };
    let id = test.enqueue(&[Whim { what: "later".into() }], &later).await[0];

    let one = assert_enqueued::<Effect>(&test.queue, |waiting| waiting.job.n == 2).await;
    assert_eq!((&*one.queue, one.priority, one.client_id, one.scheduled), ("default", 1, Some(7.into()), false));
    assert_eq!(one.trace_parent, trace_parent);
    assert_enqueued::<Effect>(&test.queue, |waiting| waiting.job.n == 1 && waiting.trace_parent.is_none()).await;
    let whim = assert_enqueued::<Whim>(&test.queue, |waiting| waiting.scheduled && waiting.queue == "whims").await;
    assert!(whim.id == id && whim.run_at > one.run_at + Duration::from_secs(3_500));
    refute_enqueued::<Effect>(&test.queue, |waiting| waiting.job.n == 3).await;
    assert_eq!(waiting::<Effect>(&test.queue).await.unwrap().len(), 3);

    let queue = test.queue.clone();
    let missing = tokio::spawn(async move { assert_enqueued::<Whim>(&queue, |w| w.job.what == "other").await });
    let said = missing.await.unwrap_err().into_panic();
    let said = said.downcast_ref::<String>().unwrap();
    assert!(said.contains("testing.rs") && said.contains(r#"{"what":"later"} in `whims`"#), "{said}");
}

#[tokio::test]
async fn jobs_follow_what_enqueues_them() {
    let test = test_queue().await;
    let parent = trace::begin(&tracing::Span::none());
    let options = Options { client_id: Some(7.into()), ..Options::default() };
    let ran = trace::follow(parent.clone(), tracing::Span::none(), async {
        run_inline(&worker(&test), &Whim { what: "well".into() }, &options).await.unwrap()
    });
    let ran = ran.await;
    let of_first: Option<String> = sqlx::query_scalar("select trace_parent from gristmill.jobs where id = $1")
        .bind(ran.id)
        .fetch_one(&test.pool)
        .await
        .unwrap();
    assert_eq!(of_first, parent);
    // No spans are exported here, so the job that the body enqueued has the body's own parent.
    assert_eq!(assert_enqueued::<Effect>(&test.queue, |_| true).await.trace_parent, parent);
}
