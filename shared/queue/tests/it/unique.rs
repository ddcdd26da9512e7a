//! Keys that let in one job.

use std::time::Duration;

use gristmill_queue::{
    BrokerConfig, Enqueued, JobId, JobState, NewJob, Options, Queue, QueueConfig, Unique, UniqueMode,
};

use crate::{
    broker_state::about_redis,
    support::{Effect, LONG, TestQueue, config, on, sweep, test_queue, until, work},
};

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
    assert_eq!(test.count("select count(*) from gristmill.job_keys").await, 0);
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

fn mode(mode: UniqueMode, delay: Option<Duration>) -> Options {
    Options { unique_key: Some("daily".into()), unique_mode: mode, delay, ..Options::default() }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// Enqueues one, and says whether it took the place of the job that has the key.
async fn enqueue_one(test: &TestQueue, job: &Effect, options: &Options) -> (JobId, bool) {
    let mut tx = test.pool.begin().await.unwrap();
    let enqueued = test.queue.enqueue(&mut tx, job, options).await.unwrap();
    tx.commit().await.unwrap();
    let id = enqueued.ids().first().copied().or(enqueued.existing()).unwrap();
    let replaced = enqueued.replaced();
    test.queue.push(enqueued).await;
    (id, replaced)
}

async fn effect_of(test: &TestQueue, id: JobId) -> Vec<i64> {
    sqlx::query_scalar("select n from effects where job = $1 order by at").bind(id).fetch_all(&test.pool).await.unwrap()
}

/// Seconds until it is due.
async fn due_in(test: &TestQueue, id: JobId) -> f64 {
    sqlx::query_scalar(
        "select extract(epoch from coalesce(due_at, run_at) - now())::float8 from gristmill.jobs where id = $1",
    )
    .bind(id)
    .fetch_one(&test.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_job_takes_what_the_later_one_says_and_keeps_its_time() {
    let test = test_queue().await;
    let (first, replaced) = enqueue_one(&test, &Effect::new(1), &mode(UniqueMode::Replace, Some(HOUR))).await;
    assert!(!replaced);
    let say = Options {
        priority: Some(1),
        tags: vec!["late".into()],
        timeout: Some(Duration::from_secs(7)),
        ..mode(UniqueMode::Replace, None)
    };
    assert_eq!(enqueue_one(&test, &Effect::new(2), &say).await, (first, true));
    let (priority, tags, timeout): (i16, Vec<String>, i32) =
        sqlx::query_as("select priority, tags, timeout_ms from gristmill.jobs where id = $1")
            .bind(first)
            .fetch_one(&test.pool)
            .await
            .unwrap();
    assert_eq!((priority, tags, timeout), (1, vec!["late".to_owned()], 7_000));
    assert!((3_500.0..3_601.0).contains(&due_in(&test, first).await), "its time is as it was");
    // A time is taken where one is given; and one that keeps the other changes nothing.
    let soon = mode(UniqueMode::Replace, Some(Duration::from_millis(1)));
    assert_eq!(enqueue_one(&test, &Effect::new(3), &soon).await, (first, true));
    assert_eq!(enqueue_one(&test, &Effect::new(4), &mode(UniqueMode::Keep, None)).await, (first, false));
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    assert_eq!(effect_of(&test, first).await, [3]);
    assert_eq!(test.count("select count(*) from gristmill.jobs").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_due_is_replaced_while_it_waits_and_left_alone_while_it_runs() {
    let test = test_queue().await;
    let replace = mode(UniqueMode::Replace, None);
    let (first, _) = enqueue_one(&test, &Effect::new(1), &replace).await;
    test.enqueue(&Effect::many(3), &Options::default()).await;
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (4, 0));
    assert_eq!(enqueue_one(&test, &Effect { n: 2, millis: 3_000 }, &replace).await, (first, true));
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (4, 0));

    let worker = work(&test.effect_worker(4));
    until("it to run alone", LONG, || async { test.queue.broker_depth("default").await.unwrap() == (0, 1) }).await;
    let late = enqueue_one(&test, &Effect::new(3), &replace).await;
    assert_eq!(late, (first, false), "it runs");
    until("its end", LONG, || async { test.state(first).await.0 == "completed" }).await;
    assert_eq!(effect_of(&test, first).await, [2]);
    // The key is free now.
    let (next, replaced) = enqueue_one(&test, &Effect::new(4), &replace).await;
    assert!(next != first && !replaced);
    until("the next one", LONG, || async { test.state(next).await.0 == "completed" }).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_is_rolled_back_leaves_the_job_as_it_was() {
    let test = test_queue().await;
    let replace = mode(UniqueMode::Replace, None);
    let (first, _) = enqueue_one(&test, &Effect::new(1), &replace).await;
    let mut tx = test.pool.begin().await.unwrap();
    let enqueued = test.queue.enqueue(&mut tx, &Effect::new(2), &replace).await.unwrap();
    assert!(enqueued.replaced());
    tx.rollback().await.unwrap();
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    assert_eq!(effect_of(&test, first).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_debounced_one_puts_the_start_off_anew() {
    let test = test_queue().await;
    let (first, _) =
        enqueue_one(&test, &Effect::new(0), &mode(UniqueMode::Debounce, Some(Duration::from_secs(60)))).await;
    for n in 1..5 {
        let delay = Duration::from_secs(60 * (n as u64 + 1));
        assert_eq!(enqueue_one(&test, &Effect::new(n), &mode(UniqueMode::Debounce, Some(delay))).await, (first, true));
        let due = due_in(&test, first).await;
        assert!((delay.as_secs_f64() - 10.0..=delay.as_secs_f64()).contains(&due), "due in {due} s");
    }
    // Also one that was due, and waits in line.
    let now = mode(UniqueMode::Debounce, Some(Duration::ZERO));
    enqueue_one(&test, &Effect::new(5), &now).await;
    assert_eq!(test.state(first).await.0, "available");
    enqueue_one(&test, &Effect::new(6), &mode(UniqueMode::Debounce, Some(HOUR))).await;
    assert_eq!(test.state(first).await.0, "scheduled");
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (0, 0), "the broker has forgotten it");
    let (_sweeper, worker) = (sweep(&test.queue), work(&test.effect_worker(2)));
    enqueue_one(&test, &Effect::new(7), &mode(UniqueMode::Debounce, Some(Duration::from_millis(50)))).await;
    until("its end", LONG, || async { test.state(first).await.0 == "completed" }).await;
    worker.stop().await;
    assert_eq!(effect_of(&test, first).await, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_by_name_and_by_sql_the_last_one_counts() {
    let test = test_queue().await;
    let named = |n: i64, mode: UniqueMode| {
        let mut job = NewJob::of("effect", &Effect::new(n)).unwrap();
        (job.unique_key, job.unique_mode) = (Some("daily".into()), mode);
        job
    };
    let jobs = [named(1, UniqueMode::Replace), named(2, UniqueMode::Replace), named(3, UniqueMode::Keep)];
    let mut tx = test.pool.begin().await.unwrap();
    let many = test.queue.enqueue_many(&mut tx, &jobs).await.unwrap();
    tx.commit().await.unwrap();
    let id = many.ids()[0];
    assert_eq!((many.ids(), many.existing(), many.replaced()), (&[id, id, id][..], &[1, 2][..], &[1][..]));
    test.queue.push(many.into_enqueued()).await;
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    assert_eq!(effect_of(&test, id).await, [2]);

    let sql = "select gristmill.enqueue('effect', jsonb_build_object('n', $1::bigint), unique_key => 'daily', delay => $2, unique_mode => $3)";
    let enqueue = async |n: i64, seconds: Option<f64>, mode: &str| -> Option<JobId> {
        let delay = seconds.map(|seconds| sqlx::postgres::types::PgInterval {
            months: 0,
            days: 0,
            microseconds: (seconds * 1e6) as i64,
        });
        sqlx::query_scalar(sql).bind(n).bind(delay).bind(mode).fetch_one(&test.pool).await.unwrap()
    };
    let first = enqueue(4, Some(60.0), "keep").await.unwrap();
    assert_eq!(enqueue(5, None, "keep").await, None);
    assert_eq!(enqueue(6, None, "replace").await, Some(first));
    assert!((50.0..61.0).contains(&due_in(&test, first).await));
    assert_eq!(enqueue(7, Some(600.0), "debounce").await, Some(first));
    assert!((590.0..601.0).contains(&due_in(&test, first).await));
    assert_eq!(enqueue(8, Some(0.0), "debounce").await, Some(first));
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    assert_eq!(effect_of(&test, first).await, [8]);
}

/// By SQL.
async fn replace_by_sql(conn: impl sqlx::PgExecutor<'_>, n: i64, mode: &str, seconds: Option<i64>) -> Option<JobId> {
    sqlx::query_scalar(
        "select gristmill.enqueue('effect', jsonb_build_object('n', $1::bigint, 'millis', 3000), unique_key => 'daily',
                                  unique_mode => $2, delay => $3 * interval '1 second')",
    )
    .bind(n)
    .bind(mode)
    .bind(seconds)
    .fetch_one(conn)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn by_sql_one_that_is_due_is_replaced_where_the_broker_is_asked_in_the_same_transaction() {
    let stack = gristmill_platform::testing::stack().await;
    let test = on(stack).await;
    let queue =
        Queue::connect(test.pool.clone(), QueueConfig { broker: BrokerConfig::Postgres, ..config(&test.stack) });
    let test = TestQueue { queue: queue.await.unwrap(), ..test };
    let replace = mode(UniqueMode::Replace, None);
    let (first, _) = enqueue_one(&test, &Effect::new(1), &replace).await;
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (1, 0));
    // What is rolled back has changed nothing.
    let mut tx = test.pool.begin().await.unwrap();
    assert_eq!(replace_by_sql(&mut *tx, 2, "replace", None).await, Some(first));
    tx.rollback().await.unwrap();
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (1, 0));
    assert_eq!(replace_by_sql(&test.pool, 3, "keep", None).await, None);
    assert_eq!(replace_by_sql(&test.pool, 4, "debounce", Some(3_600)).await, Some(first));
    assert!((3_500.0..3_601.0).contains(&due_in(&test, first).await), "it is put off");
    assert_eq!(test.queue.broker_depth("default").await.unwrap(), (0, 0));
    assert_eq!(replace_by_sql(&test.pool, 5, "replace", Some(0)).await, Some(first));
    let (sweeper, worker) = (sweep(&test.queue), work(&test.effect_worker(2)));
    until("it to run", LONG, || async { test.queue.broker_depth("default").await.unwrap() == (0, 1) }).await;
    assert_eq!(replace_by_sql(&test.pool, 6, "replace", None).await, None, "it runs");
    until("its end", LONG, || async { test.state(first).await.0 == "completed" }).await;
    assert_eq!(effect_of(&test, first).await, [5]);
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_sql_one_that_redis_has_stays_as_it_is() {
    about_redis!();
    let test = test_queue().await;
    let (first, _) = enqueue_one(&test, &Effect::new(1), &mode(UniqueMode::Replace, None)).await;
    assert_eq!(replace_by_sql(&test.pool, 2, "replace", None).await, None, "it may be running");
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    assert_eq!(effect_of(&test, first).await, [1]);
}
