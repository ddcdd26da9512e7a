//! What is said of a run that has ended is not said of the one after it.

use gristmill_queue::{JobFilter, JobState, UniqueMode};

use super::*;

async fn next(elsewhere: &Elsewhere) -> Ticket {
    loop {
        if let Some(job) = elsewhere.claim(1, Duration::from_millis(500)).await.pop() {
            return job.ticket;
        }
    }
}

fn failed(ticket: Ticket, discard: bool) -> RemoteReport {
    let failure = RemoteFailure { discard, retry_in: Some(Duration::ZERO), ..RemoteFailure::new(ticket, "no") };
    RemoteReport { failed: vec![failure], ..RemoteReport::default() }
}

fn snoozed(ticket: Ticket, pause: Duration) -> RemoteReport {
    RemoteReport { snoozed: vec![(ticket, pause)], ..RemoteReport::default() }
}

fn asleep(ticket: Ticket, n: u32) -> RemoteReport {
    let sleeping = vec![RemoteSleep { ticket, n, time: Duration::from_millis(1) }];
    RemoteReport { sleeping, ..RemoteReport::default() }
}

fn waiting(ticket: Ticket) -> RemoteReport {
    let waiting = vec![RemoteWait { ticket, signal: "go".into(), n: 1, timeout: Duration::from_millis(1) }];
    RemoteReport { waiting, ..RemoteReport::default() }
}

/// The broker counts the deliveries of a job again each time that it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_comes_late_ends_no_later_run() {
    let test = test_queue().await;
    let elsewhere = Elsewhere::new(&test.queue, "py-1");
    let _sweep = sweep(&test.queue);
    let unique = |mode| Options { unique_key: Some("one".into()), unique_mode: mode, ..Options::default() };
    let id = test.enqueue(&thumbs(1), &unique(UniqueMode::Keep)).await[0];
    let mut said: Vec<(Ticket, RemoteReport)> = Vec::new();
    for end in 0..9 {
        let ticket = next(&elsewhere).await;
        assert_eq!(ticket.id, id);
        // All that was said before, and what could have been.
        for (earlier, report) in said.clone() {
            elsewhere.held(&[ticket]).await;
            assert_ne!(earlier, ticket, "end {end}");
            let ways = [report, failed(earlier, true), snoozed(earlier, LONG), asleep(earlier, 9), waiting(earlier)];
            let done = RemoteReport { done: vec![(earlier, None)], ..RemoteReport::default() };
            for late in ways.into_iter().chain([done]) {
                assert_eq!(elsewhere.report(late).await.lost, [id], "end {end}");
                assert_eq!(test.state(id).await.0, "available", "end {end}");
            }
        }
        let report = match end {
            0 | 1 => snoozed(ticket, Duration::ZERO),
            2 => asleep(ticket, 1),
            3 => waiting(ticket),
            4 | 5 => failed(ticket, false),
            6 => failed(ticket, true),
            // It takes a later one's place, with all its attempts before it.
            _ => snoozed(ticket, LONG),
        };
        elsewhere.report(report.clone()).await;
        said.push((ticket, report));
        if end == 6 {
            let dead = JobFilter { states: vec![JobState::Dead], ..JobFilter::default() };
            assert_eq!(test.queue.jobs().redrive(&dead, None).await.unwrap().changed, 1);
        } else if end > 6 {
            let now = Options { delay: Some(Duration::ZERO), ..unique(UniqueMode::Replace) };
            let mut tx = test.pool.begin().await.unwrap();
            let enqueued = test.queue.enqueue(&mut tx, &Thumb { n: 2 }, &now).await.unwrap();
            tx.commit().await.unwrap();
            assert!(enqueued.replaced());
            test.queue.push(enqueued).await;
        }
    }
    let ticket = next(&elsewhere).await;
    assert_eq!(elsewhere.done(&[ticket]).await, RemoteOrders::default());
    assert_eq!(test.state(id).await.0, "completed");
}
