//! One job's life, with a crash at every step.
//!
//! To the world a process is what it tells the engines. So a worker is connected through wires that count its
//! messages, and dies at the n-th one: just before it reaches the engine, or when the engine has answered and before
//! the worker hears it. Each n is tried, from the first handshake to the last acknowledgement, so that no step between
//! two statements is left out, whichever there are. The outcome must be the same every time.

mod life;
mod wire;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio_util::task::AbortOnDropHandle;

use crate::broker_state::about_redis;
use crate::{crash_points::wire::Side, support::test_queue};
use life::{Life, live};

/// Points that are tried at a time: most of the time is waiting for a lease to run out.
const LANES: usize = 4;

/// The acknowledgement is the last; what comes after it is the search for more.
fn last_ack(seen: &[String]) -> usize {
    seen.iter().rposition(|message| message.contains("ack.lua")).unwrap()
}

async fn everywhere(life: Life, steps: &[&str]) {
    // One of a busy machine may say more than any other will: of two, the shorter one.
    let runs = [live(&test_queue().await, 0, life, None).await.0, live(&test_queue().await, 0, life, None).await.0];
    let [seen, other] = runs;
    let seen = if last_ack(&other) < last_ack(&seen) { other } else { seen };
    for step in steps {
        assert!(seen.iter().any(|message| message.contains(step)), "no `{step}` among {seen:#?}");
    }
    let points: Arc<[_]> = (0..=last_ack(&seen) + 1).flat_map(|n| [(n, Side::Before), (n, Side::After)]).collect();
    let (next, deaths) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let lanes: Vec<_> = std::iter::repeat_with(|| {
        let (points, next, deaths) = (Arc::clone(&points), Arc::clone(&next), Arc::clone(&deaths));
        AbortOnDropHandle::new(tokio::spawn(async move {
            let test = test_queue().await;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(point) = points.get(number) else { return };
                let (_, died) = live(&test, number + 1, life, Some(*point)).await;
                deaths.fetch_add(died.into(), Ordering::Relaxed);
            }
        }))
    })
    .take(LANES)
    .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    let deaths = deaths.load(Ordering::Relaxed);
    eprintln!("{life:?}: {deaths} deaths at {} points", points.len());
    // A run that takes longer says more: its last points are not reached by the others.
    assert!(deaths * 2 > points.len(), "{deaths} deaths at {} points", points.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_an_effect_of_its_own() {
    about_redis!();
    let steps =
        ["claim.lua", "gristmill.job_statuses", "BEGIN", "insert into effects", "gristmill.complete_", "COMMIT"];
    everywhere(Life::Own, &[&steps[..], &["push.lua", "ack.lua"]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_the_runner_completes() {
    about_redis!();
    everywhere(Life::Runner, &["claim.lua", "gristmill.job_statuses", "gristmill.complete_", "ack.lua"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_first_attempt_fails() {
    about_redis!();
    everywhere(Life::Retried, &["claim.lua", "gristmill.settle_jobs", "insert into effects", "ack.lua"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_its_group() {
    about_redis!();
    everywhere(Life::Discarded, &["claim.lua", "gristmill.settle_jobs", "update gristmill.groups", "ack.lua"]).await;
}
