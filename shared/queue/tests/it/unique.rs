//! Keys that let in one job.

use std::time::Duration;

use gristmill_queue::{Enqueued, JobId, JobState, Options, Unique};

use crate::support::{Effect, LONG, TestQueue, test_queue};

async fn try_enqueue(test: &TestQueue, options: &Options) -> Result<JobId, JobId> {
    let mut tx = test.pool.begin().await.unwrap();
    let enqueued: Enqueued = test.queue.enqueue_all(&mut tx, &Effect::many(3), options).await.unwrap();
    tx.commit().await.unwrap();
    let answer = match enqueued.ids() {
        [] => Err(enqueued.existing().unwrap()),
        [id] => Ok(*id),
        more => panic!("{more:?} got in"),
    };
    test.queue.push(enqueued).await;
    answer
}

fn unique(unique: Unique) -> Options {
    Options { unique: Some(unique), ..Options::default() }
}

#[tokio::test]
async fn a_window_keeps_others_out_whatever_became_of_the_first() {
    let test = test_queue().await;
    let options = unique(Unique::within("bill:7", Duration::from_millis(900)));
    let first = try_enqueue(&test, &options).await.unwrap();
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    assert_eq!(test.state(first).await.0, "completed");
    let other = unique(Unique::within("bill:8", Duration::from_secs(60)));
    let second = try_enqueue(&test, &other).await.unwrap();
    assert_eq!(try_enqueue(&test, &other).await, Err(second));
    tokio::time::sleep(Duration::from_millis(950)).await;
    assert_ne!(try_enqueue(&test, &options).await.unwrap(), first);
}

#[tokio::test]
async fn states_keep_others_out_as_long_as_they_last() {
    let test = test_queue().await;
    let options = unique(Unique::while_in("report", [JobState::Available, JobState::Completed]));
    let first = try_enqueue(&test, &options).await.unwrap();
    assert_eq!(try_enqueue(&test, &options).await, Err(first));
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    assert_eq!(try_enqueue(&test, &options).await, Err(first), "completed counts");
    let only_waiting = unique(Unique::while_in("report", [JobState::Available]));
    let second = try_enqueue(&test, &only_waiting).await.unwrap();
    assert_eq!(try_enqueue(&test, &options).await, Err(second), "the key is the newer one's now");
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    test.queue.prune(Duration::ZERO).await.unwrap();
    assert_eq!(test.count("select count(*) from job_keys").await, 0);
    try_enqueue(&test, &options).await.unwrap();
}

#[tokio::test]
async fn a_waiting_jobs_key_says_whose_it_is() {
    let test = test_queue().await;
    let options = Options { unique_key: Some("daily".into()), ..Options::default() };
    let first = try_enqueue(&test, &options).await.unwrap();
    assert_eq!(try_enqueue(&test, &options).await, Err(first));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_the_same_time_one_gets_in() {
    let test = std::sync::Arc::new(test_queue().await);
    for (key, states) in [("a", vec![]), ("b", vec![JobState::Available])] {
        let window = states.is_empty().then_some(Duration::from_secs(60));
        let options = unique(Unique { key: key.into(), window, states });
        let all = (0..8).map(|_| {
            let (test, options) = (test.clone(), options.clone());
            tokio::spawn(async move { try_enqueue(&test, &options).await })
        });
        let answers: Vec<_> = futures_all(all).await;
        let winners: Vec<JobId> = answers.iter().filter_map(|answer| answer.ok()).collect();
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
