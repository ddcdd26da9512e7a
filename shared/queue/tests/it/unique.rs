//! Keys that let in one job.

use std::time::Duration;

use gristmill_queue::{Enqueued, JobState, Options, Unique};
use uuid::Uuid;

use crate::support::{Bench, Effect, LONG, bench};

async fn try_enqueue(bench: &Bench, options: &Options) -> Result<Uuid, Uuid> {
    let mut tx = bench.pool.begin().await.unwrap();
    let enqueued: Enqueued = bench.queue.enqueue_all(&mut tx, &Effect::many(3), options).await.unwrap();
    tx.commit().await.unwrap();
    let answer = match enqueued.ids() {
        [] => Err(enqueued.existing().unwrap()),
        [id] => Ok(*id),
        more => panic!("{more:?} got in"),
    };
    bench.queue.push(enqueued).await;
    answer
}

fn unique(unique: Unique) -> Options {
    Options { unique: Some(unique), ..Options::default() }
}

#[tokio::test]
async fn a_window_keeps_others_out_whatever_became_of_the_first() {
    let bench = bench().await;
    let options = unique(Unique::within("bill:7", Duration::from_millis(900)));
    let first = try_enqueue(&bench, &options).await.unwrap();
    bench.queue.drain(&bench.effect_worker(2), LONG).await.unwrap();
    assert_eq!(bench.state(first).await.0, "completed");
    let other = unique(Unique::within("bill:8", Duration::from_secs(60)));
    let second = try_enqueue(&bench, &other).await.unwrap();
    assert_eq!(try_enqueue(&bench, &other).await, Err(second));
    tokio::time::sleep(Duration::from_millis(950)).await;
    assert_ne!(try_enqueue(&bench, &options).await.unwrap(), first);
}

#[tokio::test]
async fn states_keep_others_out_as_long_as_they_last() {
    let bench = bench().await;
    let options = unique(Unique::while_in("report", [JobState::Available, JobState::Completed]));
    let first = try_enqueue(&bench, &options).await.unwrap();
    assert_eq!(try_enqueue(&bench, &options).await, Err(first));
    bench.queue.drain(&bench.effect_worker(2), LONG).await.unwrap();
    assert_eq!(try_enqueue(&bench, &options).await, Err(first), "completed counts");
    let only_waiting = unique(Unique::while_in("report", [JobState::Available]));
    let second = try_enqueue(&bench, &only_waiting).await.unwrap();
    assert_eq!(try_enqueue(&bench, &options).await, Err(second), "the key is the newer one's now");
    bench.queue.drain(&bench.effect_worker(2), LONG).await.unwrap();
    bench.queue.prune(Duration::ZERO).await.unwrap();
    assert_eq!(bench.count("select count(*) from job_keys").await, 0);
    try_enqueue(&bench, &options).await.unwrap();
}

#[tokio::test]
async fn a_waiting_jobs_key_says_whose_it_is() {
    let bench = bench().await;
    let options = Options { unique_key: Some("daily".into()), ..Options::default() };
    let first = try_enqueue(&bench, &options).await.unwrap();
    assert_eq!(try_enqueue(&bench, &options).await, Err(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_the_same_time_one_gets_in() {
    let bench = std::sync::Arc::new(bench().await);
    for (key, states) in [("a", vec![]), ("b", vec![JobState::Available])] {
        let window = states.is_empty().then_some(Duration::from_secs(60));
        let options = unique(Unique { key: key.into(), window, states });
        let all = (0..8).map(|_| {
            let (bench, options) = (bench.clone(), options.clone());
            tokio::spawn(async move { try_enqueue(&bench, &options).await })
        });
        let answers: Vec<_> = futures_all(all).await;
        let winners: Vec<Uuid> = answers.iter().filter_map(|answer| answer.ok()).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        assert!(answers.iter().filter_map(|answer| answer.err()).all(|existing| existing == winners[0]));
    }
}

async fn futures_all<T>(tasks: impl Iterator<Item = tokio::task::JoinHandle<T>>) -> Vec<T> {
    let tasks: Vec<_> = tasks.collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}
