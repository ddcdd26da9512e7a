//! Hooks hear what happens to jobs, in its order.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gristmill::{JobEvent, JobEventKind, prelude::*};

use crate::support::{End, app};

async fn end(job: End) -> Result<(), JobError> {
    match &*job.how {
        "well" => Ok(()),
        _ => Err(JobError::discard("never")),
    }
}

type Heard = Arc<Mutex<Vec<String>>>;

/// A word for each.
fn word(event: &JobEvent) -> String {
    let kind = match &event.kind {
        JobEventKind::Enqueued => "enqueued".to_owned(),
        JobEventKind::Started => format!("started {}", event.attempt),
        JobEventKind::Succeeded { .. } => "succeeded".to_owned(),
        JobEventKind::Failed { outcome, error, last, .. } => format!("{outcome} {error:?} {last}"),
        other => format!("{other:?}"),
    };
    format!("{} {kind}", event.name)
}

fn heard_by(app: App, heard: &Heard) -> App {
    let heard = Arc::clone(heard);
    app.hook(move |event| {
        let heard = Arc::clone(&heard);
        async move { heard.lock().unwrap().push(word(&event)) }
    })
    .hook(|event| async move {
        assert_eq!(event.max_attempts, 2, "a hook that panics is the next one's loss only");
        panic!("oh dear");
    })
}

async fn until(heard: &Heard, n: usize) -> Vec<String> {
    for _ in 0..3_000 {
        if heard.lock().unwrap().len() >= n {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::mem::take(&mut *heard.lock().unwrap())
}

const EXPECTED: [&str; 6] = [
    "end enqueued",
    "end started 1",
    "end succeeded",
    "end enqueued",
    "end started 1",
    "end discarded Some(\"never\") true",
];

#[tokio::test]
async fn on_engines() {
    let heard = Heard::default();
    let app = heard_by(app(), &heard).job(end).test().await.unwrap();
    for how in ["well", "badly"] {
        app.enqueue(End::by(how)).await.unwrap();
        app.drain().await.unwrap();
    }
    assert_eq!(until(&heard, 6).await, EXPECTED);
}

#[tokio::test]
async fn without_engines() {
    let heard = Heard::default();
    let app = heard_by(app(), &heard).job(end).inline().unwrap();
    for how in ["well", "badly"] {
        app.enqueue(End::by(how)).await.unwrap();
    }
    let mut seen = until(&heard, 6).await;
    // Here it has run before it is said that it was enqueued.
    seen.sort();
    let mut expected = EXPECTED;
    expected.sort_unstable();
    assert_eq!(seen, expected);
}
