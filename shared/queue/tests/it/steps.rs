//! The broker's clock steps. A broker knows it by what it has written down of it, so to move that is to move the clock.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use gristmill_queue::{Context, Limits, Options, Worker};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::broker_state::on_postgres;
use crate::{
    crash::{Stuck, claim_and_die},
    support::{Effect, LONG, TestQueue, effect, once, test_queue, until, work},
};

const HOUR: i64 = 3_600_000;

impl TestQueue {
    fn clock(&self) -> String {
        format!("{{{}/2:default}}:clock", self.stack.namespace)
    }

    /// The broker's clock goes on by so many milliseconds at once, or back. False: the queue keeps no time.
    async fn step(&self, millis: i64) -> bool {
        if on_postgres() {
            let sql = sqlx::query("update gristmill.broker_clocks set showed = showed - $1 where queue = 'default'");
            return sql.bind(millis).execute(&self.pool).await.unwrap().rows_affected() == 1;
        }
        redis::Script::new(
            "local known = redis.call('GET', KEYS[1])
             if not known then return 0 end
             local showed, counted = string.match(known, '^(%d+) (%d+)$')
             redis.call('SET', KEYS[1], string.format('%.0f %s', showed - ARGV[1], counted))
             return 1",
        )
        .key(self.clock())
        .arg(millis)
        .invoke_async(&mut self.redis().await)
        .await
        .unwrap()
    }

    /// The bucket of the rate was last filled at this time.
    async fn fill_bucket_at(&self, millis: i64) {
        if on_postgres() {
            let sql = sqlx::query("update gristmill.broker_limits set filled_at = $1 where queue = 'default'");
            assert_eq!(sql.bind(millis).execute(&self.pool).await.unwrap().rows_affected(), 1);
            return;
        }
        let mut call = redis::cmd("HSET");
        call.arg(self.key("default", "rate_bucket")).arg("at").arg(millis);
        let () = call.query_async(&mut self.redis().await).await.unwrap();
    }

    /// A worker was last heard of at this time, in seconds.
    async fn hear_of(&self, worker: &Uuid, seconds: i64) {
        if on_postgres() {
            let sql = "insert into gristmill.broker_workers (id, heard, heartbeat) values ($1, $2, '{}')";
            sqlx::query(sql).bind(worker).bind(seconds).execute(&self.pool).await.unwrap();
            return;
        }
        let workers = format!("{{{}/2}}:workers", self.stack.namespace);
        let mut call = redis::cmd("ZADD");
        call.arg(workers).arg(seconds).arg(worker.to_string());
        let () = call.query_async(&mut self.redis().await).await.unwrap();
    }

    async fn heard_of(&self, worker: &Uuid) -> Option<i64> {
        if on_postgres() {
            let sql = sqlx::query_scalar("select heard from gristmill.broker_workers where id = $1");
            return sql.bind(worker).fetch_optional(&self.pool).await.unwrap();
        }
        let workers = format!("{{{}/2}}:workers", self.stack.namespace);
        let mut call = redis::cmd("ZSCORE");
        call.arg(workers).arg(worker.to_string());
        call.query_async(&mut self.redis().await).await.unwrap()
    }

    /// Milliseconds as the queue counts them.
    async fn counted_time(&self) -> i64 {
        if on_postgres() {
            let sql = sqlx::query_scalar("select counted from gristmill.broker_clocks where queue = 'default'");
            return sql.fetch_optional(&self.pool).await.unwrap().unwrap_or(0);
        }
        let known: Option<String> =
            redis::cmd("GET").arg(self.clock()).query_async(&mut self.redis().await).await.unwrap();
        known.and_then(|known| known.split(' ').nth(1)?.parse().ok()).unwrap_or(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_step_takes_a_job_from_a_living_worker() {
    let test = test_queue().await;
    let (runs, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let body = {
        let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
        move |ctx: Context, job: Effect| {
            let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
            async move {
                runs.fetch_add(1, SeqCst);
                go.acquire().await.unwrap().forget();
                assert_eq!(ctx.claim.delivery, 1);
                once(&ctx, job.n).await
            }
        }
    };
    let worker = || Worker::builder(&test.queue).queue("default", 3).register::<Effect>(body.clone()).build();
    let (one, other) = (work(&worker()), work(&worker()));
    test.enqueue(&Effect::many(5), &Options::default()).await;
    until("five to run", LONG, || async { runs.load(SeqCst) == 5 }).await;
    for step in [HOUR, -HOUR, 40 * 24 * HOUR, -7_000, 7_000] {
        let before = test.counted_time().await;
        assert!(test.step(step).await);
        until("two leases to pass", LONG, || async { test.counted_time().await > before + 3_000 }).await;
        assert_eq!(runs.load(SeqCst), 5, "a step of {step} ms");
    }
    go.add_permits(5);
    until("five effects", LONG, || async { test.effects().await == (5, 5) }).await;
    one.stop().await;
    other.stop().await;
    assert!(on_postgres() || !test.step(1).await, "an empty queue of Redis keeps no time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_job_does_not_wait_for_a_clock_that_stepped_back() {
    let test = test_queue().await;
    test.enqueue(&[Stuck], &Options::default()).await;
    claim_and_die(&test).await;
    assert!(test.step(-HOUR).await);
    let body = |ctx: Context, _: Stuck| async move { once(&ctx, 0).await };
    let other = work(&Worker::builder(&test.queue).queue("default", 4).register::<Stuck>(body).build());
    until("the job to run elsewhere", LONG, || async { test.effects().await == (1, 1) }).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pace_is_kept_over_a_step() {
    let test = test_queue().await;
    let pace = Limits { rate_per_second: Some(20.0), burst: Some(1), ..Limits::default() };
    test.queue.queues().set_limits("default", &pace).await.unwrap();
    let worker = Worker::builder(&test.queue).queue("default", 4).register::<Effect>(effect).build();
    let worker = work(&worker);
    test.enqueue(&Effect::many(20), &Options::default()).await;
    until("the first ones", LONG, || async { test.effects().await.0 >= 3 }).await;
    // Also what stands in the bucket of a queue that was empty meanwhile.
    let ahead = test.counted_time().await.max(jiff::Timestamp::now().as_millisecond()) + HOUR;
    test.fill_bucket_at(ahead).await;
    test.step(-HOUR).await;
    until("the others", LONG, || async { test.effects().await == (20, 20) }).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_gone_leaves_the_list_although_the_clock_stepped_back() {
    let test = test_queue().await;
    let worker = work(&test.effect_worker(1));
    until("the worker to be listed", LONG, || async { test.queue.workers().await.unwrap().len() == 1 }).await;
    // Heard of an hour from now: by a clock that was ahead.
    let gone = Uuid::new_v4();
    let ahead = jiff::Timestamp::now().as_second() + 3_600;
    test.hear_of(&gone, ahead).await;
    until("the list to know better", LONG, || async {
        test.heard_of(&gone).await.is_none_or(|heard| heard < ahead - 1_000)
    })
    .await;
    worker.stop().await;
}
