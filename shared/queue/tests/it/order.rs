//! Strict order: jobs of one key run one at a time, in the order in which they were enqueued.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use gristmill_queue::{
    Context, Flow, GroupPolicy, Job, JobAction, JobChange, JobError, JobFilter, JobId, JobSpec, JobState, NewGroup,
    NewJob, NewSchedule, Options, Queue, Stage, Worker,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Effect, LONG, TestQueue, config, once, sweep, test_queue, until, work};

/// What `n` a job has says what it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Step {
    key: String,
    n: i64,
    /// Attempts that fail.
    #[serde(default)]
    fails: u32,
}

impl Job for Step {
    const NAME: &'static str = "step";
    const MAX_ATTEMPTS: u16 = 100;
}

fn steps(key: &str, numbers: impl IntoIterator<Item = i64>) -> Vec<Step> {
    numbers.into_iter().map(|n| Step { key: key.into(), n, fails: 0 }).collect()
}

fn in_order(key: &str) -> Options {
    Options { order_key: Some(key.into()), ..Options::default() }
}

/// The attempts that began, and those of a key that run.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    starts: Vec<(String, i64)>,
    running: HashMap<String, i64>,
    overlaps: Vec<String>,
}

impl Seen {
    fn worker(&self, queue: &Queue) -> Worker {
        let seen = self.clone();
        let body = move |ctx: Context, step: Step| {
            let seen = seen.clone();
            async move { seen.run(ctx, step).await }
        };
        Worker::builder(queue).queue("default", 8).register::<Step>(body).build()
    }

    async fn run(&self, ctx: Context, step: Step) -> Result<(), JobError> {
        {
            let mut state = self.0.lock().unwrap();
            state.starts.push((step.key.clone(), step.n));
            if let Some(other) = state.running.insert(step.key.clone(), step.n) {
                state.overlaps.push(format!("{} of {} ran beside {other}", step.n, step.key));
            }
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
        // Before it ends: from its commit on the next one may run, whatever this process has come to.
        self.0.lock().unwrap().running.remove(&step.key);
        if ctx.attempt <= step.fails { Err(JobError::retry("not yet")) } else { once(&ctx, step.n).await }
    }

    /// The numbers of a key in the order of their first attempts.
    fn firsts(&self, key: &str) -> Vec<i64> {
        let mut firsts = Vec::new();
        for (of, n) in &self.0.lock().unwrap().starts {
            if of == key && !firsts.contains(n) {
                firsts.push(*n);
            }
        }
        firsts
    }
}

async fn done(test: &TestQueue, jobs: i64) {
    until("all jobs", LONG, || async {
        test.count("select count(*) from gristmill.jobs where state in ('completed', 'dead', 'cancelled')").await
            == jobs
    })
    .await;
}

/// By the ledger's clock: none began before the one before it had ended.
async fn none_began_early(test: &TestQueue) {
    let early = "select count(*) from (
                    select started_at < lag(finished_at) over (partition by order_key order by order_seq) as early
                    from gristmill.jobs where order_key is not null and state = 'completed') of_key where early";
    assert_eq!(test.count(early).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_key_run_one_after_the_other_whatever_fails() {
    let (test, seen) = (test_queue().await, Seen::default());
    let mut random = StdRng::seed_from_u64(7);
    let mut expected: HashMap<String, Vec<i64>> = HashMap::new();
    for n in 0..200 {
        let key = format!("k{}", random.random_range(0..5));
        expected.entry(key.clone()).or_default().push(n);
        let fails = if random.random_bool(0.2) { random.random_range(1..3) } else { 0 };
        test.enqueue(&[Step { key: key.clone(), n, fails }], &in_order(&key)).await;
    }
    let _sweeper = sweep(&test.queue);
    let workers = [work(&seen.worker(&test.queue)), work(&seen.worker(&test.queue))];
    done(&test, 200).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(seen.0.lock().unwrap().overlaps, Vec::<String>::new());
    for (key, numbers) in expected {
        assert_eq!(seen.firsts(&key), numbers, "{key}");
    }
    none_began_early(&test).await;
    assert_eq!(test.effects().await, (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_job_is_done_before_the_next_one_comes() {
    let (test, seen) = (test_queue().await, Seen::default());
    for key in ["a", "b"] {
        test.enqueue(&steps(key, 0..10), &in_order(key)).await;
    }
    let _sweeper = sweep(&test.queue);
    let (url, config) = (test.stack.database_url.clone(), config(&test.stack));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(async move {
        let queue = Queue::connect(PgPool::connect(&url).await.unwrap(), config).await.unwrap();
        let body = |_: Context, _: Step| std::future::pending();
        Worker::builder(&queue)
            .queue("default", 8)
            .register::<Step>(body)
            .build()
            .run(Default::default())
            .await
            .unwrap();
    });
    until("one of each key", LONG, || async { test.queue.broker_depth("default").await.unwrap() == (0, 2) }).await;
    runtime.shutdown_background();
    let worker = work(&seen.worker(&test.queue));
    done(&test, 20).await;
    worker.stop().await;
    assert_eq!(seen.firsts("a"), (0..10).collect::<Vec<_>>());
    assert_eq!(seen.firsts("b"), (0..10).collect::<Vec<_>>());
    none_began_early(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_at_the_same_time_do_not_make_two_run_at_once() {
    let (test, seen) = (Arc::new(test_queue().await), Seen::default());
    let _sweeper = sweep(&test.queue);
    let workers = [work(&seen.worker(&test.queue)), work(&seen.worker(&test.queue))];
    let producers = (0..8).map(|producer| {
        let test = test.clone();
        tokio::spawn(async move {
            for n in 0..15 {
                // Half of them in one transaction with another key, in either order: nobody waits for anybody.
                let keys = if n % 2 == 0 { ["one", "two"] } else { ["two", "one"] };
                let mut tx = test.pool.begin().await.unwrap();
                for key in keys {
                    let _swept = test
                        .queue
                        .enqueue_all(&mut tx, &steps(key, [producer * 100 + n]), &in_order(key))
                        .await
                        .unwrap();
                }
                tx.commit().await.unwrap();
            }
        })
    });
    for producer in producers.collect::<Vec<_>>() {
        producer.await.unwrap();
    }
    done(&test, 240).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(seen.0.lock().unwrap().overlaps, Vec::<String>::new());
    none_began_early(&test).await;
    for producer in 0..8 {
        let own = |key: &str| seen.firsts(key).into_iter().filter(|n| n / 100 == producer).collect::<Vec<_>>();
        let sorted: Vec<i64> = (0..15).map(|n| producer * 100 + n).collect();
        assert_eq!((own("one"), own("two")), (sorted.clone(), sorted));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_one_comes_when_the_first_is_dead_or_cancelled_and_not_before() {
    let (test, seen) = (test_queue().await, Seen::default());
    let hopeless = Options { max_attempts: Some(1), ..in_order("a") };
    let dead = test.enqueue(&[Step { key: "a".into(), n: 0, fails: 9 }], &hopeless).await[0];
    let later = Options { delay: Some(Duration::from_secs(3_600)), ..in_order("a") };
    let waits = test.enqueue(&steps("a", [1]), &later).await[0];
    let held = test.enqueue(&steps("a", [2, 3]), &in_order("a")).await;
    let report = test.queue.drain(&seen.worker(&test.queue), LONG).await.unwrap();
    assert_eq!((report.dead, report.completed, report.scheduled), (1, 0, 3), "the second one waits for its time");
    assert_eq!(test.state(dead).await.0, "dead");
    let view = test.queue.jobs().get(held[0]).await.unwrap().unwrap();
    assert_eq!((view.job.state, view.job.gate.as_deref()), (JobState::Scheduled, Some("turn")));
    assert!(view.job.run_at < jiff::Timestamp::now(), "its own time, not that of the gate: {}", view.job.run_at);
    assert_eq!(view.order_key.as_deref(), Some("a"));

    // Promoting one that waits for its turn changes its time, and not its turn.
    test.queue.jobs().change(held[0], &JobChange::promote()).await.unwrap();
    assert_eq!(test.queue.drain(&seen.worker(&test.queue), LONG).await.unwrap().completed, 0);

    // One that waits for its turn is in nobody's way when it is cancelled; the one whose turn it is lets the next one in.
    test.queue.cancel_jobs(&[held[0]]).await.unwrap();
    test.queue.cancel_jobs(&[waits]).await.unwrap();
    let report = test.queue.drain(&seen.worker(&test.queue), LONG).await.unwrap();
    assert_eq!((report.cancelled, report.completed, report.scheduled), (2, 1, 0));
    assert_eq!(seen.firsts("a"), [0, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_brought_back_goes_behind_those_that_wait() {
    let (test, seen) = (test_queue().await, Seen::default());
    let hopeless = Options { max_attempts: Some(1), ..in_order("a") };
    let dead = test.enqueue(&[Step { key: "a".into(), n: 0, fails: 1 }], &hopeless).await[0];
    test.queue.drain(&seen.worker(&test.queue), LONG).await.unwrap();
    assert_eq!(test.state(dead).await.0, "dead");
    test.enqueue(&steps("a", [1, 2]), &in_order("a")).await;
    let mut tx = test.pool.begin().await.unwrap();
    let back = test.queue.redrive(&mut tx, &[dead]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(back.ids(), [dead]);
    test.queue.push(back).await;
    assert_eq!(test.state(dead).await.0, "scheduled", "not before its turn");
    test.queue.drain(&seen.worker(&test.queue), LONG).await.unwrap();
    // (It fails once more, with one attempt.)
    let firsts: Vec<i64> = seen.0.lock().unwrap().starts.iter().map(|(_, n)| *n).collect();
    assert_eq!(firsts, [0, 1, 2, 0]);

    // By the many, too, each with a start of its own.
    let filter = JobFilter { states: vec![JobState::Dead], ..JobFilter::default() };
    let action = JobAction::Redrive { per_second: Some(1_000.0) };
    let acted = test.queue.jobs().act(action, &filter, None, LONG).await.unwrap();
    assert_eq!(acted.changed, 1);
    assert_eq!(test.count("select count(*) from gristmill.jobs where redriven = 1 and gate = 'turn'").await, 1);
    let report = test.queue.drain(&seen.worker(&test.queue), LONG).await.unwrap();
    assert_eq!((report.dead, report.completed), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_by_name_and_by_sql_keep_the_order_that_they_are_given_in() {
    let (test, seen) = (test_queue().await, Seen::default());
    let named: Vec<NewJob> = (0..20)
        .map(|n| {
            let mut job = NewJob::of("step", &Step { key: "a".into(), n, fails: 0 }).unwrap();
            job.order_key = Some("a".into());
            job
        })
        .collect();
    let mut tx = test.pool.begin().await.unwrap();
    let many = test.queue.enqueue_many(&mut tx, &named).await.unwrap();
    tx.commit().await.unwrap();
    test.queue.push(many.into_enqueued()).await;
    let jobs: Vec<_> =
        (20..40).map(|n| json!({ "name": "step", "order_key": "a", "payload": { "key": "a", "n": n } })).collect();
    let enqueued: Vec<(i64, JobId)> = sqlx::query_as("select n, id from gristmill.enqueue_many($1)")
        .bind(json!(jobs))
        .fetch_all(&test.pool)
        .await
        .unwrap();
    assert_eq!(enqueued.len(), 20);
    sqlx::query("select gristmill.enqueue('step', '{\"key\": \"a\", \"n\": 40}', order_key => 'a')")
        .execute(&test.pool)
        .await
        .unwrap();
    test.queue.drain(&seen.worker(&test.queue), LONG).await.unwrap();
    assert_eq!(seen.firsts("a"), (0..41).collect::<Vec<_>>());
}

#[tokio::test]
async fn jobs_without_a_key_have_nothing_of_it() {
    let test = test_queue().await;
    test.enqueue(&Effect::many(50), &Options::default()).await;
    test.queue.drain(&test.effect_worker(4), LONG).await.unwrap();
    let touched = "select count(*) from gristmill.jobs
                   where order_key is not null or order_seq is not null or gate is not null or due_at is not null";
    assert_eq!(test.count(touched).await, 0);
    assert_eq!(test.count("select count(*) from gristmill.order_turns").await, 0);
    let nul = Options { order_key: Some("a\0".into()), ..Options::default() };
    let mut tx = test.pool.begin().await.unwrap();
    let error = test.queue.enqueue_all(&mut tx, &Effect::many(1), &nul).await.unwrap_err();
    assert!(error.to_string().contains("the order key has a NUL"), "{error}");
}

fn join(n: i64) -> JobSpec {
    JobSpec::of(&Step { key: "k".into(), n, fails: 0 }).unwrap().order_key("k")
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_and_ticks_wait_for_their_turn() {
    let (test, seen) = (test_queue().await, Seen::default());
    // It holds back all the others for two failed attempts.
    test.enqueue(&[Step { key: "k".into(), n: 0, fails: 2 }], &in_order("k")).await;
    let mut tx = test.pool.begin().await.unwrap();
    let new = NewGroup { on_complete: Some(join(1)), ..NewGroup::new(GroupPolicy::Continue) };
    let group = test.queue.create_group(&mut tx, new).await.unwrap();
    let member = Options { group: Some(group), ..Options::default() };
    let member = test.queue.enqueue(&mut tx, &Effect::new(1), &member).await.unwrap();
    let sealed = test.queue.seal_group(&mut tx, group).await.unwrap();
    let step = |n: i64| {
        let mut job = NewJob::of("step", &json!({ "key": "k", "n": n })).unwrap();
        job.order_key = Some("k".into());
        job
    };
    let flow = Flow::new()
        .stage(Stage::new("first").jobs([step(10), step(11)]))
        .stage(Stage::new("second").after(["first"]).job(step(12)))
        .on_complete(join(13));
    let mut flow = test.queue.enqueue_flow(&mut tx, &flow).await.unwrap();
    tx.commit().await.unwrap();
    for enqueued in [member, sealed, flow.take_enqueued()] {
        test.queue.push(enqueued).await;
    }
    test.queue.schedules().put(&NewSchedule::new("tick", "@yearly", join(20))).await.unwrap();
    for _ in 0..3 {
        test.queue.schedules().run_now("tick").await.unwrap();
    }
    let (worker, sweeper) = (work(&seen.worker(&test.queue)), sweep(&test.queue));
    let effects = work(&test.effect_worker(1));
    done(&test, 10).await;
    for service in [worker, sweeper, effects] {
        service.stop().await;
    }
    let firsts = seen.firsts("k");
    assert_eq!(seen.0.lock().unwrap().overlaps, Vec::<String>::new());
    none_began_early(&test).await;
    // A join comes last of its key: those of the schedule were there before.
    let places = [0, 10, 11, 12, 20, 1, 13].map(|n| firsts.iter().position(|first| *first == n).unwrap());
    assert_eq!(places[0], 0, "{firsts:?}");
    assert!(places[1] < places[2] && places[2] < places[3] && places[3] < places[6], "{firsts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_ledger_cannot_hold_is_refused_before_it_is_needed() {
    let test = test_queue().await;
    for (key, told) in [("a\0b".to_owned(), "NUL"), ("ü".repeat(1_001), "2,000 bytes")] {
        let spec = join(1).order_key(key);
        let error = test.queue.schedules().put(&NewSchedule::new("tick", "@yearly", spec.clone())).await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        let new = NewGroup { on_failure: Some(spec), ..NewGroup::new(GroupPolicy::Continue) };
        let mut tx = test.pool.begin().await.unwrap();
        let error = test.queue.create_group(&mut tx, new).await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}
