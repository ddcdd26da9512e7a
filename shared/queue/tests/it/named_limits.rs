//! Limits by the name of a job, in whatever queues, and pools of slots that several names share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gristmill_queue::{Context, Job, JobLimits, LimitsError, NamedLimitsView, Options, Queue, Worker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::{
    remote::{Elsewhere, tickets},
    support::{Effect, LONG, TestQueue, config, effect, sweep, test_queue, until, work},
};

macro_rules! job {
    ($name:ident, $text:literal) => {
        #[derive(Debug, Clone, Serialize, Deserialize)]
        struct $name {
            key: String,
            millis: u64,
        }

        impl Job for $name {
            const NAME: &'static str = $text;
        }
    };
}
job!(Heavy, "heavy");
job!(Light, "light");

/// What was seen to run at a time, in all workers of a test.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    running: Vec<(&'static str, String)>,
    starts: Vec<(&'static str, Instant)>,
    /// The most at a time: of a name; of a name and key; in slots of 2 and 1.
    most: BTreeMap<&'static str, usize>,
    most_of_a_key: usize,
    most_slots: usize,
    ended: Vec<&'static str>,
}

impl Seen {
    fn worker(&self, queue: &Queue, queues: &[&str]) -> Worker {
        let (heavy, light) = (self.clone(), self.clone());
        let mut builder = Worker::builder(queue);
        for name in queues {
            builder = builder.queue(*name, 8);
        }
        builder
            .register::<Heavy>(move |_: Context, job: Heavy| {
                let seen = heavy.clone();
                async move {
                    seen.run("heavy", job.key, job.millis).await;
                    Ok(())
                }
            })
            .register::<Light>(move |_: Context, job: Light| {
                let seen = light.clone();
                async move {
                    seen.run("light", job.key, job.millis).await;
                    Ok(())
                }
            })
            .register::<Effect>(effect)
            .build()
    }

    async fn run(&self, name: &'static str, key: String, millis: u64) {
        self.start(name, &key);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        let mut state = self.0.lock().unwrap();
        let at = state.running.iter().position(|one| *one == (name, key.clone())).unwrap();
        state.running.swap_remove(at);
        state.ended.push(name);
    }

    fn start(&self, name: &'static str, key: &str) {
        let state = &mut *self.0.lock().unwrap();
        state.starts.push((name, Instant::now()));
        state.running.push((name, key.to_owned()));
        let of = |name: &str| state.running.iter().filter(|(of, _)| *of == name).count();
        let of_key = state.running.iter().filter(|one| (one.0, one.1.as_str()) == (name, key)).count();
        let slots = of("heavy") * 2 + of("light");
        let of_name = of(name);
        let most = state.most.entry(name).or_default();
        *most = of_name.max(*most);
        state.most_of_a_key = state.most_of_a_key.max(of_key);
        state.most_slots = state.most_slots.max(slots);
    }

    fn most(&self, name: &str) -> usize {
        self.0.lock().unwrap().most.get(name).copied().unwrap_or(0)
    }
}

async fn heavy(test: &TestQueue, queue: &str, key: &str, jobs: usize, millis: u64) {
    let options = Options { queue: Some(queue.into()), fair_key: Some(key.into()), ..Options::default() };
    test.enqueue(&vec![Heavy { key: key.into(), millis }; jobs], &options).await;
}

async fn light(test: &TestQueue, queue: &str, jobs: usize, millis: u64) {
    let options = Options { queue: Some(queue.into()), ..Options::default() };
    test.enqueue(&vec![Light { key: String::new(), millis }; jobs], &options).await;
}

async fn limit(test: &TestQueue, name: &str, limits: JobLimits) {
    test.queue.limits().set_job(name, &limits).await.unwrap();
}

async fn done(test: &TestQueue, jobs: i64) {
    until("all jobs", LONG, || async {
        test.count("select count(*) from gristmill.jobs where state = 'completed'").await == jobs
    })
    .await;
}

/// Nothing that waited, was called or ran has left a trace, and no attempt was used up.
async fn all_is_as_before(test: &TestQueue) {
    let list = test.queue.limits().list().await.unwrap();
    let standing: Vec<_> = list.jobs.iter().map(|job| (job.running, job.waiting)).collect();
    assert!(standing.iter().all(|of| *of == (0, 0)), "{standing:?}");
    assert!(list.pools.iter().all(|pool| pool.taken == 0), "{:?}", list.pools);
    assert_eq!(test.count("select count(*) from gristmill.jobs where attempt > 0 or due_at is not null").await, 0);
    // A worker of a machine that is busy with other tests may be late with its leases.
    let blamed = "select count(*) from gristmill.job_attempts where outcome <> 'lost_worker'";
    assert_eq!(test.count(blamed).await, 0);
}

fn uses(pool: &str, slots: u32) -> JobLimits {
    JobLimits { uses: [(pool.to_owned(), slots)].into(), ..JobLimits::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_of_a_name_run_as_may_in_all_queues_and_the_others_go_on() {
    let (test, seen) = (test_queue().await, Seen::default());
    limit(&test, "heavy", JobLimits { concurrency: Some(3), ..JobLimits::default() }).await;
    for queue in ["default", "other"] {
        heavy(&test, queue, "", 60, 60).await;
    }
    // Behind them, in the same queue.
    light(&test, "default", 60, 1).await;
    let _sweeper = sweep(&test.queue);
    let workers: Vec<_> = (0..2).map(|_| work(&seen.worker(&test.queue, &["default", "other"]))).collect();
    until("the unlimited ones", LONG, || async {
        seen.0.lock().unwrap().ended.iter().filter(|of| **of == "light").count() == 60
    })
    .await;
    let before = seen.0.lock().unwrap().ended.iter().filter(|of| **of == "heavy").count();
    assert!(before < 60, "{before} of the limited ones went before them");
    let standing = test.queue.limits().list().await.unwrap();
    let of = &standing.jobs[0];
    assert!(of.running <= 3 && of.waiting > 0, "{of:?}");
    done(&test, 180).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(seen.most("heavy"), 3);
    all_is_as_before(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_name_no_more_start_a_second_than_may() {
    let (test, seen) = (test_queue().await, Seen::default());
    limit(&test, "heavy", JobLimits { rate_per_second: Some(40.0), burst: Some(10), ..JobLimits::default() }).await;
    heavy(&test, "default", "", 130, 0).await;
    light(&test, "default", 30, 0).await;
    let _sweeper = sweep(&test.queue);
    let workers: Vec<_> = (0..2).map(|_| work(&seen.worker(&test.queue, &["default"]))).collect();
    done(&test, 160).await;
    for worker in workers {
        worker.stop().await;
    }
    let starts = seen.0.lock().unwrap().starts.clone();
    let of = |name: &str| starts.iter().filter(|(of, _)| *of == name).map(|(_, at)| *at).collect::<Vec<_>>();
    let (heavy, light) = (of("heavy"), of("light"));
    let took = (heavy[129] - heavy[0]).as_secs_f64();
    println!("130 starts at 40/s with a burst of 10 took {took:.2} s");
    // (130 - 10) / 40 = 3 s from the first one; the first start may be later than its admission. Without a limit they take less than
    // a second, and as long with one for each worker: (130 - 2 * 10) / (2 * 40) = 1.4 s.
    assert!(took > 1.5, "took {took} s");
    assert!(light[29] < heavy[120], "the unlimited ones waited for the others");
    all_is_as_before(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_name_have_their_own_limit_and_take_turns() {
    let (test, seen) = (test_queue().await, Seen::default());
    let limits = JobLimits { concurrency: Some(4), key_concurrency: Some(2), ..JobLimits::default() };
    limit(&test, "heavy", limits).await;
    heavy(&test, "default", "a", 60, 10).await;
    for key in ["b", "c"] {
        heavy(&test, "default", key, 20, 10).await;
    }
    let _sweeper = sweep(&test.queue);
    let worker = work(&seen.worker(&test.queue, &["default"]));
    done(&test, 100).await;
    worker.stop().await;
    assert_eq!((seen.most("heavy"), seen.0.lock().unwrap().most_of_a_key), (4, 2));
    all_is_as_before(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_share_a_pool_take_its_slots_by_their_weight() {
    let (test, seen) = (test_queue().await, Seen::default());
    let limits = test.queue.limits();
    limits.set_pool("gpu", 4).await.unwrap();
    limit(&test, "heavy", uses("gpu", 2)).await;
    limit(&test, "light", uses("gpu", 1)).await;
    for _ in 0..4 {
        heavy(&test, "default", "", 10, 15).await;
        light(&test, "other", 20, 15).await;
    }
    let _sweeper = sweep(&test.queue);
    let workers: Vec<_> = (0..2).map(|_| work(&seen.worker(&test.queue, &["default", "other"]))).collect();
    until("both to run", LONG, || async { seen.most("heavy") > 0 && seen.most("light") > 0 }).await;
    done(&test, 120).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(seen.0.lock().unwrap().most_slots, 4);
    // The heavier ones were not put off until no lighter one was left.
    let ended = seen.0.lock().unwrap().ended.clone();
    let last_light = ended.iter().rposition(|of| *of == "light").unwrap();
    let heavy_before = ended[..last_light].iter().filter(|of| **of == "heavy").count();
    assert!(heavy_before >= 10, "{heavy_before} heavy ones went before the last light one");
    all_is_as_before(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slots_of_a_dead_worker_come_back_with_its_jobs() {
    let (test, seen) = (test_queue().await, Seen::default());
    limit(&test, "heavy", JobLimits { concurrency: Some(2), ..JobLimits::default() }).await;
    heavy(&test, "default", "", 6, 0).await;
    let _sweeper = sweep(&test.queue);
    let (url, config) = (test.stack.database_url.clone(), config(&test.stack));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(async move {
        let queue = Queue::connect(PgPool::connect(&url).await.unwrap(), config).await.unwrap();
        let body = |_: Context, _: Heavy| std::future::pending();
        Worker::builder(&queue)
            .queue("default", 8)
            .register::<Heavy>(body)
            .build()
            .run(Default::default())
            .await
            .unwrap();
    });
    until("two to run and four to wait", LONG, || async {
        let list = test.queue.limits().list().await.unwrap();
        (list.jobs[0].running, list.jobs[0].waiting) == (2, 4)
    })
    .await;
    runtime.shutdown_background();
    let worker = work(&seen.worker(&test.queue, &["default"]));
    done(&test, 6).await;
    worker.stop().await;
    assert!(seen.most("heavy") <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_may_go_when_the_limit_is_lifted_and_when_it_is_cancelled() {
    let (test, seen) = (test_queue().await, Seen::default());
    limit(&test, "heavy", JobLimits { rate_per_second: Some(0.001), ..JobLimits::default() }).await;
    heavy(&test, "default", "", 40, 0).await;
    let _sweeper = sweep(&test.queue);
    let worker = work(&seen.worker(&test.queue, &["default"]));
    until("all but one to wait", LONG, || async { test.queue.limits().list().await.unwrap().jobs[0].waiting == 39 })
        .await;
    let waits: Vec<gristmill_queue::JobId> =
        sqlx::query_scalar("select id from gristmill.jobs where gate = 'slot' order by id limit 5")
            .fetch_all(&test.pool)
            .await
            .unwrap();
    let view = test.queue.jobs().get(waits[0]).await.unwrap().unwrap().job;
    assert_eq!(view.gate.as_deref(), Some("slot"));
    assert_eq!(test.queue.cancel_jobs(&waits).await.unwrap().cancelled, 5);
    limit(&test, "heavy", JobLimits::default()).await;
    done(&test, 35).await;
    worker.stop().await;
    assert_eq!(test.queue.limits().list().await.unwrap().jobs[0].waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_worker_is_given_what_there_is_room_for() {
    let test = test_queue().await;
    limit(&test, "heavy", JobLimits { concurrency: Some(2), ..JobLimits::default() }).await;
    heavy(&test, "default", "", 5, 0).await;
    let _sweeper = sweep(&test.queue);
    let elsewhere = Elsewhere::new(&test.queue, "far");
    let mut ran = 0;
    while ran < 5 {
        let given = elsewhere.claim_from("default", &["heavy"], 10, Duration::from_secs(20)).await;
        assert!((1..=2).contains(&given.len()), "{} jobs at a time", given.len());
        ran += given.len();
        elsewhere.done(&tickets(&given)).await;
    }
    done(&test, 5).await;
}

#[tokio::test]
async fn limits_that_hold_everything_for_ever_are_refused() {
    let test = test_queue().await;
    let limits = test.queue.limits();
    for unusable in [
        JobLimits { concurrency: Some(0), ..JobLimits::default() },
        JobLimits { key_concurrency: Some(0), ..JobLimits::default() },
        JobLimits { rate_per_second: Some(-1.0), ..JobLimits::default() },
        JobLimits { burst: Some(0), ..JobLimits::default() },
        JobLimits { rate_per_second: Some(1e300), ..JobLimits::default() },
    ] {
        let refused = limits.set_job("heavy", &unusable).await;
        assert!(matches!(refused, Err(LimitsError::Unusable { .. })), "{unusable:?}: {refused:?}");
    }
    let text = |refused: Result<_, LimitsError>| refused.unwrap_err().to_string();
    assert_eq!(text(limits.set_job("heavy", &uses("gpu", 1)).await), "there is no pool of slots `gpu`: make it first");
    assert!(matches!(limits.set_pool("gpu", 0).await, Err(LimitsError::Unusable { limit: "slots" })));
    limits.set_pool("gpu", 4).await.unwrap();
    let never = "the pool `gpu` is to have 4 slots, and a job `heavy` takes 5 of them: it could never run";
    assert_eq!(text(limits.set_job("heavy", &uses("gpu", 5)).await), never);
    limits.set_job("heavy", &uses("gpu", 3)).await.unwrap();
    assert!(text(limits.set_pool("gpu", 2).await).contains("takes 3 of them"));
    assert!(text(limits.remove_pool("gpu").await.map(drop)).contains("jobs `heavy` take slots of the pool `gpu`"));

    // What an application comes with holds until somebody has said otherwise.
    limits.default_job("heavy", &uses("gpu", 1)).await.unwrap();
    limits.default_pool("gpu", 9).await.unwrap();
    let NamedLimitsView { jobs, pools, .. } = limits.list().await.unwrap();
    assert_eq!((jobs[0].limits.clone(), pools[0].slots), (uses("gpu", 3), 4));
    limits.set_job("heavy", &JobLimits::default()).await.unwrap();
    assert!(limits.remove_pool("gpu").await.unwrap());
    assert!(!limits.remove_pool("gpu").await.unwrap());
}
