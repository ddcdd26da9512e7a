//! Jobs by the clock: each tick once, whatever happens to those who fire it.

use std::{collections::BTreeSet, time::Duration};

use gristmill_queue::{CatchUp, Cause, Cron, JobSpec, NewSchedule, Overlap, TickCounts, TickView};
use jiff::ToSpan as _;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::support::{Background, Effect, LONG, TestQueue, sweep, test_queue, until, work};

/// A scheduler in the background.
pub(crate) fn schedule(test: &TestQueue) -> Background {
    let (cron, stop) = (Cron::new(&test.queue), CancellationToken::new());
    let token = stop.clone();
    Background { stop, task: AbortOnDropHandle::new(tokio::spawn(cron.run(token))) }
}

pub(crate) fn every(name: &str, cron: &str) -> NewSchedule {
    NewSchedule::new(name, cron, JobSpec::of(&Effect::new(7)).unwrap())
}

impl TestQueue {
    pub(crate) async fn put(&self, new: &NewSchedule) {
        self.queue.schedules().put(new).await.unwrap();
    }

    /// As if nobody had been there for this long: the clock has moved on, and the schedules have not.
    pub(crate) async fn asleep_for(&self, interval: &str) {
        sqlx::query(
            "update gristmill.schedules set ticked_until = ticked_until - $1::interval, next_at = next_at - $1::interval",
        )
        .bind(interval)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    pub(crate) async fn fire(&self) -> TickCounts {
        Cron::new(&self.queue).fire().await.unwrap()
    }

    /// All of them, the oldest first.
    pub(crate) async fn ticks(&self, name: &str) -> Vec<TickView> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.queue.schedules().ticks(name, cursor, 3).await.unwrap();
            all.extend(page.ticks);
            cursor = page.next;
            if cursor.is_none() {
                all.reverse();
                return all;
            }
        }
    }
}

pub(crate) async fn jobs(test: &TestQueue) -> i64 {
    test.count("select count(*) from gristmill.jobs").await
}

pub(crate) fn with(ticks: &[TickView], cause: Cause) -> usize {
    ticks.iter().filter(|tick| tick.cause == cause).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_that_die_all_the_time_fire_every_tick_once() {
    let test = test_queue().await;
    for name in ["a", "b", "c"] {
        test.put(&NewSchedule { catch_up: CatchUp::All, ..every(name, "* * * * * *") }).await;
    }
    let worker = work(&test.effect_worker(4));
    let mut schedulers = [schedule(&test), schedule(&test), schedule(&test)];
    let mut turn = 0;
    while test.ticks("a").await.len().min(test.ticks("c").await.len()) < 5 || turn < 60 {
        tokio::time::sleep(Duration::from_millis(rand::random_range(20..120))).await;
        // Dropped in the middle of whatever it does, its connection with it.
        schedulers[turn % 3] = schedule(&test);
        turn += 1;
    }
    for scheduler in schedulers {
        scheduler.stop().await;
    }
    let mut ids = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let ticks = test.ticks(name).await;
        assert!(ticks.len() >= 3, "{name} fired {} times", ticks.len());
        for pair in ticks.windows(2) {
            assert_eq!(pair[1].fire_at, pair[0].fire_at + 1.second(), "{name}");
        }
        ids.extend(ticks.iter().map(|tick| tick.job_id.unwrap()));
    }
    assert_eq!(ids.len() as i64, jobs(&test).await, "a job without a tick, or two ticks with one job");
    let sweeper = sweep(&test.queue);
    until("the jobs", LONG, || async { test.effects().await == (ids.len() as i64, ids.len() as i64) }).await;
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_becomes_a_job() {
    let test = test_queue().await;
    test.put(&every("seconds", "* * * * * *")).await;
    let crew = (work(&test.effect_worker(4)), schedule(&test), schedule(&test));
    until("some jobs", LONG, || async { test.effects().await.0 >= 6 }).await;
    let mut lags: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from e.at - t.fire_at)::float8 from gristmill.schedule_ticks t join effects e on e.job = t.job_id",
    )
    .fetch_all(&test.pool)
    .await
    .unwrap();
    lags.sort_by(f64::total_cmp);
    println!("from the fire time to the job's effect, in seconds: {lags:.4?}");
    assert!(lags[0] >= 0.0, "before its time: {lags:?}");
    crew.1.stop().await;
    crew.2.stop().await;
    crew.0.stop().await;
}

#[tokio::test]
async fn a_gap_is_dealt_with_once_and_as_the_schedule_says() {
    let test = test_queue().await;
    for (name, catch_up) in [("skip", CatchUp::Skip), ("latest", CatchUp::Latest), ("all", CatchUp::All)] {
        test.put(&NewSchedule { catch_up, ..every(name, "@monthly") }).await;
    }
    assert_eq!(test.fire().await, TickCounts::default());
    test.asleep_for("18 months").await;
    // Five schedulers wake up at once.
    let fired = futures::future::join_all((0..5).map(|_| test.fire())).await;
    let (skip, latest, all) = (test.ticks("skip").await, test.ticks("latest").await, test.ticks("all").await);
    assert_eq!((skip.len(), latest.len(), all.len()), (18, 18, 18));
    assert_eq!(with(&all, Cause::Missed), 0);
    let fresh = with(&all, Cause::Due);
    assert_eq!(with(&skip, Cause::Missed) + fresh, 18);
    assert_eq!((with(&latest, Cause::CaughtUp) + fresh, with(&latest, Cause::Missed)), (1, 17));
    assert_eq!(latest[17].job_state.as_deref(), Some("available"));
    assert_eq!(jobs(&test).await, 18 + 1 + fresh as i64);
    assert_eq!(fired.iter().map(|fired| fired.fired).sum::<u64>() as i64, jobs(&test).await);
    // Looked at again from before the gap, as after a restored backup of the schedules: the ticks are there.
    test.asleep_for("18 months").await;
    assert_eq!(test.fire().await, TickCounts::default());
    assert_eq!(test.queue.schedules().get("latest").await.unwrap().missed, 17);
    assert_eq!(test.queue.schedules().get("latest").await.unwrap().last.unwrap(), latest[17]);
}

#[tokio::test]
async fn a_long_gap_leaves_a_hundred_missed_ticks_and_all_of_it_when_all_are_wanted() {
    let test = test_queue().await;
    test.put(&every("latest", "* * * * *")).await;
    test.put(&NewSchedule { catch_up: CatchUp::All, ..every("all", "* * * * *") }).await;
    test.asleep_for("1 day").await;
    let fired = test.fire().await;
    assert_eq!(fired.missed, 100);
    let all = test.count("select count(*) from gristmill.schedule_ticks where schedule = 'all'").await;
    assert!((1_440..=1_441).contains(&all), "{all}");
    assert_eq!(jobs(&test).await as u64, fired.fired);
}

#[tokio::test]
async fn a_scheduler_that_dies_in_the_middle_leaves_the_tick_to_others() {
    let test = test_queue().await;
    test.put(&every("yearly", "@yearly")).await;
    test.put(&every("other", "@yearly")).await;
    test.asleep_for("366 days").await;
    let mut dying = test.pool.begin().await.unwrap();
    sqlx::query("select from gristmill.schedules where name = 'yearly' for update").execute(&mut *dying).await.unwrap();
    // It does not hold up what it does not hold.
    test.fire().await;
    assert!(test.ticks("yearly").await.is_empty() && !test.ticks("other").await.is_empty());
    dying.rollback().await.unwrap();
    assert_eq!(test.fire().await.fired, 1);
}

#[tokio::test]
async fn a_scheduler_that_freezes_in_the_middle_holds_a_tick_up_for_seconds_and_does_not_double_it() {
    let test = test_queue().await;
    test.put(&every("yearly", "@yearly")).await;
    test.asleep_for("366 days").await;
    let free = async || {
        let free = "select count(*) from (select from gristmill.schedules for update skip locked) s";
        test.count(free).await == 1
    };
    let cron = Cron::new(&test.queue);
    // It gets no further than to its job.
    let mut held = test.pool.begin().await.unwrap();
    sqlx::query("lock table gristmill.jobs in exclusive mode").execute(&mut *held).await.unwrap();
    let mut freezing = Box::pin(cron.fire());
    while free().await {
        assert!(futures::poll!(&mut freezing).is_pending());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // As by SIGSTOP: nobody polls it any more, and its connection stays open.
    held.rollback().await.unwrap();
    assert!(test.ticks("yearly").await.is_empty());
    let scheduler = schedule(&test);
    until("another one to fire", LONG, || async { jobs(&test).await == 1 }).await;
    assert!(freezing.await.is_err());
    scheduler.stop().await;
    assert_eq!(jobs(&test).await, 1);
}

#[tokio::test]
async fn jitter_delays_the_job_and_not_the_tick() {
    let test = test_queue().await;
    test.put(&NewSchedule { jitter_seconds: 3_600, catch_up: CatchUp::All, ..every("spread", "* * * * *") }).await;
    test.asleep_for("20 minutes").await;
    test.fire().await;
    let delays: Vec<(f64, bool)> = sqlx::query_as(
        "select extract(epoch from j.run_at - t.fire_at)::float8, j.state = 'scheduled'
         from gristmill.schedule_ticks t join gristmill.jobs j on j.id = t.job_id",
    )
    .fetch_all(&test.pool)
    .await
    .unwrap();
    assert!(delays.len() >= 20, "{delays:?}");
    assert!(delays.iter().any(|(_, scheduled)| *scheduled), "{delays:?}");
    assert!(delays.iter().filter(|(_, scheduled)| *scheduled).all(|(delay, _)| *delay <= 3_600.0), "{delays:?}");
}

#[tokio::test]
async fn a_schedule_of_a_newer_version_is_put_off_and_harms_no_other() {
    let test = test_queue().await;
    test.put(&every("newer", "@yearly")).await;
    test.put(&every("plain", "@yearly")).await;
    test.asleep_for("366 days").await;
    sqlx::query("update gristmill.schedules set cron = '@fortnightly' where name = 'newer'")
        .execute(&test.pool)
        .await
        .unwrap();
    assert!(test.fire().await.fired >= 1);
    assert!(test.ticks("newer").await.is_empty() && !test.ticks("plain").await.is_empty());
    // A newer scheduler comes: nothing was lost.
    sqlx::query("update gristmill.schedules set cron = '@yearly', next_at = now() where name = 'newer'")
        .execute(&test.pool)
        .await
        .unwrap();
    assert_eq!(test.fire().await.fired, 1);
}

#[tokio::test]
async fn a_tick_is_skipped_while_the_job_of_the_one_before_runs() {
    let test = test_queue().await;
    let overlap = Overlap::Skip;
    test.put(&NewSchedule { overlap, catch_up: CatchUp::All, ..every("alone", "* * * * *") }).await;
    test.asleep_for("3 minutes").await;
    test.fire().await;
    assert_eq!(jobs(&test).await, 1, "of all that are owed, the last one");
    test.asleep_for("2 minutes").await;
    test.fire().await;
    assert_eq!(jobs(&test).await, 1, "the first one has not ended");
    let (fired, skipped): (Vec<_>, Vec<_>) =
        test.ticks("alone").await.into_iter().partition(|tick| tick.cause != Cause::Skipped);
    assert!(fired.len() == 1 && skipped.len() >= 2, "{fired:?} {skipped:?}");
    assert!(skipped.iter().all(|tick| tick.job_id.is_none()));
    sqlx::query("update gristmill.jobs set state = 'completed', finished_at = now()")
        .execute(&test.pool)
        .await
        .unwrap();
    sqlx::query("delete from gristmill.schedule_ticks").execute(&test.pool).await.unwrap();
    test.asleep_for("2 minutes").await;
    test.fire().await;
    assert_eq!(jobs(&test).await, 2, "it has ended: the next one fires");
}
