//! What is scraped after a busy minute.

use std::{collections::BTreeSet, time::Duration};

use gristmill_platform::telemetry;
use gristmill_queue::{Context, Job, JobError, Options, Worker};
use serde::{Deserialize, Serialize};

use crate::support::{LONG, TestQueue, sweep, test_queue, until, work};

#[derive(Serialize, Deserialize)]
struct Moody {
    bad: bool,
    millis: u64,
}

impl Job for Moody {
    const NAME: &'static str = "moody";
    const QUEUE: &'static str = "moods";
    const MAX_ATTEMPTS: u16 = 1;
}

async fn moody(_: Context, job: Moody) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(job.millis)).await;
    if job.bad { Err(JobError::retry("bad mood")) } else { Ok(()) }
}

fn worker(test: &TestQueue) -> Worker {
    Worker::builder(&test.queue).queue("moods", 4).register::<Moody>(moody).build()
}

/// The value of the sample whose name and labels contain all of these.
fn sample(text: &str, parts: &[&str]) -> Option<f64> {
    let line = text.lines().find(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_readme_is_there_described_and_says_what_happened() {
    let metrics = telemetry::metrics();
    let test = test_queue().await;
    let mood = |bad, millis| Moody { bad, millis };
    test.enqueue(&[mood(false, 0), mood(true, 0), mood(false, 6_000)], &Options::default()).await;
    let soon = Options { delay: Some(Duration::from_millis(300)), ..Options::default() };
    test.enqueue(&[mood(false, 0)], &soon).await;
    test.queue.depths().await.unwrap();
    let text = metrics.render();
    assert_eq!(
        sample(&text, &["gristmill_queue_depth{", r#"queue="moods""#, r#"state="available""#]),
        Some(3.0),
        "{text}"
    );
    assert_eq!(
        sample(&text, &["gristmill_queue_depth{", r#"queue="moods""#, r#"state="scheduled""#]),
        Some(1.0),
        "{text}"
    );

    // One worker is lost with the long job: another one is handed it.
    let lost = work(&worker(&test));
    until("the first two to be counted", LONG, || async {
        let text = metrics.render();
        let counted = |outcome| sample(&text, &["gristmill_jobs_total{", "moody", outcome]).is_some();
        counted("completed") && counted("dead")
    })
    .await;
    drop(lost);
    let (worker, sweeper) = (work(&worker(&test)), sweep(&test.queue));
    until("all", LONG, || async {
        test.count("select count(*) from gristmill.jobs where finished_at is not null").await == 4
    })
    .await;
    worker.stop().await;
    sweeper.stop().await;
    test.queue.depths().await.unwrap();

    let text = metrics.render();
    let depth =
        |state: &str| sample(&text, &["gristmill_queue_depth{", r#"queue="moods""#, &format!(r#"state="{state}""#)]);
    assert_eq!((depth("available"), depth("scheduled"), depth("dead")), (Some(0.0), Some(0.0), Some(1.0)), "{text}");
    assert_eq!(sample(&text, &["gristmill_queue_oldest_seconds{", "moods", "available"]), Some(0.0));
    let jobs = |outcome: &str| sample(&text, &["gristmill_jobs_total{", "moody", &format!(r#"outcome="{outcome}""#)]);
    assert_eq!((jobs("completed"), jobs("dead")), (Some(3.0), Some(1.0)), "{text}");
    for total in ["gristmill_redeliveries_total", "gristmill_lease_renewals_total"] {
        assert!(sample(&text, &[&format!("{total} ")]).is_some_and(|n| n >= 1.0), "{total}\n{text}");
    }
    assert!(sample(&text, &["gristmill_relay_lag_seconds_count"]).is_some_and(|n| n >= 1.0), "{text}");
    // A long body is not in the bucket of the short ones.
    let ran =
        |le: &str| sample(&text, &["gristmill_job_run_seconds_bucket{", "moody", &format!(r#"le="{le}""#)]).unwrap();
    assert!(ran("2.5") >= 3.0 && ran("10") >= ran("2.5"), "{text}");
    assert!(ran("+Inf") > ran("2.5") && ran("3600") == ran("+Inf"), "{text}");
    assert!(sample(&text, &["gristmill_job_wait_seconds_bucket{", "moody", r#"le="0.0005""#]).is_some(), "{text}");

    let readme = include_str!("../../README.md");
    let section = readme.split("## Metrics").nth(1).unwrap().split("\n## ").next().unwrap();
    let named: BTreeSet<&str> = section
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("gristmill_"))
        .collect();
    assert!(named.len() >= 12, "{named:?}");
    // Neither a tick, nor a worker that got nowhere, nor an unknown job is among what happened.
    let elsewhere = ["gristmill_cron", "gristmill_watchdog", "gristmill_jobs_left"];
    for name in named.into_iter().filter(|name| !elsewhere.iter().any(|prefix| name.starts_with(prefix))) {
        for what in ["HELP", "TYPE"] {
            assert!(text.contains(&format!("# {what} {name} ")), "# {what} {name}\n{text}");
        }
    }
    // Nothing is there without a description.
    let described: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    let typed: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(described, typed);
}
