//! Who watches a worker hears of every attempt, once the ledger has it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gristmill_queue::{Context, Job, JobError, JobEvent, JobEventKind, Options, Worker, testing::run_inline};
use serde::{Deserialize, Serialize};

use crate::support::test_queue;

#[derive(Debug, Serialize, Deserialize)]
struct End {
    how: String,
}

impl Job for End {
    const NAME: &'static str = "end";
    const MAX_ATTEMPTS: u16 = 2;
}

async fn end(_: Context, job: End) -> Result<(), JobError> {
    match &*job.how {
        "well" => Ok(()),
        "retry" => Err(JobError::retry("not now")),
        "discard" => Err(JobError::discard("never")),
        "snooze" => Err(JobError::Snooze(Duration::from_secs(60))),
        "slow" => std::future::pending().await,
        what => panic!("{what}"),
    }
}

#[tokio::test]
async fn each_attempt_is_heard_of_when_it_begins_and_as_it_ended() {
    let test = test_queue().await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let worker = {
        let heard = Arc::clone(&heard);
        let observe = move |event: JobEvent| heard.lock().unwrap().push(event);
        let builder = Worker::builder(&test.queue).queue("default", 1).register::<End>(end);
        builder.observe(observe).build()
    };
    for (how, outcome, error, last) in [
        ("retry", "retried", Some("not now"), false),
        ("discard", "discarded", Some("never"), true),
        ("snooze", "snoozed", None, false),
        ("slow", "timed_out", Some("timed out after 200ms"), false),
        ("oh no", "panicked", Some("panicked: oh no"), false),
    ] {
        // Only who waits for it has a timeout: a loaded machine takes long over the trace of a panic.
        let timeout = (how == "slow").then_some(Duration::from_millis(200));
        let options = Options { timeout, ..Options::default() };
        let ran = run_inline(&worker, &End { how: how.into() }, &options).await.unwrap();
        let events = std::mem::take(&mut *heard.lock().unwrap());
        let [started, failed] = &events[..] else { panic!("{how}: {events:?}") };
        assert_eq!((started.id, started.attempt, started.max_attempts), (ran.id, 1, 2));
        assert_eq!((&*started.name, &*started.queue), ("end", "default"));
        assert_eq!(started.kind, JobEventKind::Started);
        let JobEventKind::Failed { outcome: said, error: why, last: is_last, .. } = &failed.kind else {
            panic!("{how}: {failed:?}")
        };
        assert_eq!((*said, why.as_deref(), *is_last), (outcome, error, last), "{how}");
    }
    run_inline(&worker, &End { how: "well".into() }, &Options::default()).await.unwrap();
    let events = std::mem::take(&mut *heard.lock().unwrap());
    assert!(matches!(events[..], [_, JobEvent { kind: JobEventKind::Succeeded { .. }, .. }]), "{events:?}");
}
