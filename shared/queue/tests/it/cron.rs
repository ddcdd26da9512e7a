//! Jobs by the clock: each tick once, whatever happens to those who fire it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use gristmill_queue::{CatchUp, Cause, Cron, CronError, Fired, JobSpec, NewSchedule, ScheduleError, TickView};
use jiff::{Timestamp, ToSpan as _};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::support::{Background, Bench, Effect, LONG, bench, sweep, until, work};

/// A scheduler in the background.
fn schedule(bench: &Bench) -> Background {
    let (cron, stop) = (Cron::new(&bench.queue), CancellationToken::new());
    let token = stop.clone();
    Background { stop, task: AbortOnDropHandle::new(tokio::spawn(cron.run(token))) }
}

fn every(name: &str, cron: &str) -> NewSchedule {
    NewSchedule::new(name, cron, JobSpec::of(&Effect::new(7)).unwrap())
}

impl Bench {
    async fn put(&self, new: &NewSchedule) {
        self.queue.schedules().put(new).await.unwrap();
    }

    /// As if nobody had been there for this long: the clock has moved on, and the schedules have not.
    async fn asleep_for(&self, interval: &str) {
        sqlx::query(
            "update schedules set ticked_until = ticked_until - $1::interval, next_at = next_at - $1::interval",
        )
        .bind(interval)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn fire(&self) -> Fired {
        Cron::new(&self.queue).fire().await.unwrap()
    }

    /// All of them, the oldest first.
    async fn ticks(&self, name: &str) -> Vec<TickView> {
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

    async fn jobs(&self) -> i64 {
        self.count("select count(*) from jobs").await
    }
}

fn with(ticks: &[TickView], cause: Cause) -> usize {
    ticks.iter().filter(|tick| tick.cause == cause).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_that_die_all_the_time_fire_every_tick_once() {
    let bench = bench().await;
    for name in ["a", "b", "c"] {
        bench.put(&NewSchedule { catch_up: CatchUp::All, ..every(name, "* * * * * *") }).await;
    }
    let worker = work(&bench.effect_worker(4));
    let started = Instant::now();
    let mut schedulers = [schedule(&bench), schedule(&bench), schedule(&bench)];
    let mut turn = 0;
    while started.elapsed() < Duration::from_secs(6) {
        tokio::time::sleep(Duration::from_millis(rand::random_range(20..120))).await;
        // Dropped in the middle of whatever it does, its connection with it.
        schedulers[turn % 3] = schedule(&bench);
        turn += 1;
    }
    for scheduler in schedulers {
        scheduler.stop().await;
    }
    let mut jobs = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let ticks = bench.ticks(name).await;
        assert!(ticks.len() >= 5, "{name} fired {} times", ticks.len());
        for pair in ticks.windows(2) {
            assert_eq!(pair[1].fire_at, pair[0].fire_at + 1.second(), "{name}");
        }
        jobs.extend(ticks.iter().map(|tick| tick.job_id.unwrap()));
    }
    assert_eq!(jobs.len() as i64, bench.jobs().await, "a job without a tick, or two ticks with one job");
    let sweeper = sweep(&bench.queue);
    until("the jobs", LONG, || async { bench.effects().await == (jobs.len() as i64, jobs.len() as i64) }).await;
    worker.stop().await;
    sweeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_becomes_a_job_at_once() {
    let bench = bench().await;
    bench.put(&every("seconds", "* * * * * *")).await;
    let crew = (work(&bench.effect_worker(4)), schedule(&bench), schedule(&bench));
    until("some jobs", LONG, || async { bench.effects().await.0 >= 6 }).await;
    let mut lags: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from e.at - t.fire_at)::float8 from schedule_ticks t join effects e on e.job = t.job_id",
    )
    .fetch_all(&bench.pool)
    .await
    .unwrap();
    lags.sort_by(f64::total_cmp);
    println!("from the fire time to the job's effect, in seconds: {lags:.4?}");
    assert!(lags[0] >= 0.0 && lags[lags.len() / 2] < 0.5, "{lags:?}");
    crew.1.stop().await;
    crew.2.stop().await;
    crew.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_effect_within_a_second_on_every_scheduler() {
    let bench = bench().await;
    // They know of nothing that is due this year.
    bench.put(&every("yearly", "@yearly")).await;
    let schedulers = (schedule(&bench), schedule(&bench));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let put = Timestamp::now();
    bench.put(&every("seconds", "* * * * * *")).await;
    until("the new one to fire", Duration::from_secs(5), || async { !bench.ticks("seconds").await.is_empty() }).await;
    let first = bench.ticks("seconds").await[0].clone();
    assert!(first.fire_at.duration_since(put) <= 1.second().try_into().unwrap(), "{first:?}");
    assert!(first.created_at.duration_since(first.fire_at).as_millis() < 1_100, "{first:?}");
    // From the answer on it does not fire.
    assert!(bench.queue.schedules().pause("seconds").await.unwrap().paused);
    let paused = bench.ticks("seconds").await.len();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(bench.ticks("seconds").await.len(), paused);
    // And what was to be meanwhile does not come later.
    let resumed = bench.queue.schedules().resume("seconds").await.unwrap();
    assert!(!resumed.paused && resumed.next.len() == 5);
    until("it to fire again", Duration::from_secs(5), || async { bench.ticks("seconds").await.len() > paused }).await;
    let ticks = bench.ticks("seconds").await;
    assert!(ticks[paused].fire_at.duration_since(ticks[paused - 1].fire_at).as_secs() >= 2, "{ticks:?}");
    assert_eq!(with(&ticks, Cause::Due), ticks.len());
    schedulers.0.stop().await;
    schedulers.1.stop().await;
}

#[tokio::test]
async fn a_gap_is_dealt_with_once_and_as_the_schedule_says() {
    let bench = bench().await;
    for (name, catch_up) in [("skip", CatchUp::Skip), ("latest", CatchUp::Latest), ("all", CatchUp::All)] {
        bench.put(&NewSchedule { catch_up, ..every(name, "*/10 * * * *") }).await;
    }
    assert_eq!(bench.fire().await, Fired::default());
    bench.asleep_for("3 hours").await;
    // Five schedulers wake up at once.
    let fired = futures::future::join_all((0..5).map(|_| bench.fire())).await;
    let (skip, latest, all) = (bench.ticks("skip").await, bench.ticks("latest").await, bench.ticks("all").await);
    // Eighteen, when the gap does not end just after a tick.
    assert_eq!((skip.len(), latest.len(), all.len()), (18, 18, 18));
    assert_eq!(with(&all, Cause::Missed), 0);
    let fresh = with(&all, Cause::Due);
    assert_eq!(with(&skip, Cause::Missed) + fresh, 18);
    assert_eq!((with(&latest, Cause::CaughtUp) + fresh, with(&latest, Cause::Missed)), (1, 17));
    assert_eq!(latest[17].job_state.as_deref(), Some("available"));
    assert_eq!(bench.jobs().await, 18 + 1 + fresh as i64);
    assert_eq!(fired.iter().map(|fired| fired.fired).sum::<u64>() as i64, bench.jobs().await);
    // Looked at again from before the gap, as after a restored backup of the schedules: the ticks are there.
    bench.asleep_for("3 hours").await;
    assert_eq!(bench.fire().await, Fired::default());
    assert_eq!(bench.queue.schedules().get("latest").await.unwrap().missed, 17);
    assert_eq!(bench.queue.schedules().get("latest").await.unwrap().last.unwrap(), latest[17]);
}

#[tokio::test]
async fn a_long_gap_leaves_a_hundred_missed_ticks_and_all_of_it_when_all_are_wanted() {
    let bench = bench().await;
    bench.put(&every("latest", "* * * * *")).await;
    bench.put(&NewSchedule { catch_up: CatchUp::All, ..every("all", "* * * * *") }).await;
    bench.asleep_for("1 day").await;
    let fired = bench.fire().await;
    assert_eq!(fired.missed, 100);
    let all = bench.count("select count(*) from schedule_ticks where schedule = 'all'").await;
    assert_eq!((all, bench.jobs().await as u64), (1_440, fired.fired));
}

#[tokio::test]
async fn a_scheduler_that_dies_in_the_middle_leaves_the_tick_to_others() {
    let bench = bench().await;
    bench.put(&every("hourly", "@hourly")).await;
    bench.put(&every("other", "@hourly")).await;
    bench.asleep_for("61 minutes").await;
    let mut dying = bench.pool.begin().await.unwrap();
    sqlx::query("select from schedules where name = 'hourly' for update").execute(&mut *dying).await.unwrap();
    // It does not hold up what it does not hold.
    bench.fire().await;
    assert!(bench.ticks("hourly").await.is_empty() && !bench.ticks("other").await.is_empty());
    dying.rollback().await.unwrap();
    assert_eq!(bench.fire().await.fired, 1);
}

#[tokio::test]
async fn a_scheduler_that_freezes_in_the_middle_holds_a_tick_up_for_seconds_and_does_not_double_it() {
    let bench = bench().await;
    bench.put(&every("hourly", "@hourly")).await;
    bench.asleep_for("61 minutes").await;
    let free = async || {
        let free = "select count(*) from (select from schedules for update skip locked) s";
        bench.count(free).await == 1
    };
    let cron = Cron::new(&bench.queue);
    let mut freezing = Box::pin(cron.fire());
    while free().await {
        assert!(futures::poll!(&mut freezing).is_pending());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // As by SIGSTOP: nobody polls it any more, and its connection stays open.
    assert!(bench.ticks("hourly").await.is_empty());
    let scheduler = schedule(&bench);
    until("another one to fire", Duration::from_secs(15), || async { bench.jobs().await == 1 }).await;
    assert!(freezing.await.is_err());
    scheduler.stop().await;
    assert_eq!(bench.jobs().await, 1);
}

#[tokio::test]
async fn jitter_delays_the_job_and_not_the_tick() {
    let bench = bench().await;
    bench.put(&NewSchedule { jitter_seconds: 3_600, catch_up: CatchUp::All, ..every("spread", "* * * * *") }).await;
    bench.asleep_for("20 minutes").await;
    bench.fire().await;
    let delays: Vec<(f64, bool)> = sqlx::query_as(
        "select extract(epoch from j.run_at - t.fire_at)::float8, j.state = 'scheduled'
         from schedule_ticks t join jobs j on j.id = t.job_id",
    )
    .fetch_all(&bench.pool)
    .await
    .unwrap();
    assert_eq!(delays.len(), 20);
    assert!(delays.iter().any(|(_, scheduled)| *scheduled), "{delays:?}");
    assert!(delays.iter().filter(|(_, scheduled)| *scheduled).all(|(delay, _)| *delay <= 3_600.0), "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_now_runs_once_more_also_while_paused() {
    let bench = bench().await;
    let schedules = bench.queue.schedules();
    bench.put(&every("yearly", "@yearly")).await;
    schedules.pause("yearly").await.unwrap();
    let tick = schedules.run_now("yearly").await.unwrap();
    let worker = work(&bench.effect_worker(1));
    until("the job", LONG, || async { bench.effects().await == (1, 1) }).await;
    worker.stop().await;
    let view = schedules.get("yearly").await.unwrap();
    assert_eq!(view.last.as_ref().map(|last| (last.job_id, last.cause)), Some((tick.job_id, Cause::RunNow)));
    assert_eq!(view.last.unwrap().job_state.as_deref(), Some("completed"));
    assert_eq!((view.next, view.missed), (Vec::new(), 0));
}

#[tokio::test]
async fn putting_it_again_keeps_what_it_owes_and_its_pause() {
    let bench = bench().await;
    let schedules = bench.queue.schedules();
    let hourly = every("hourly", "@hourly");
    bench.put(&hourly).await;
    bench.asleep_for("90 minutes").await;
    // A deployment: the same schedule with another job.
    let job: JobSpec = serde_json::from_str(r#"{"name": "effect", "payload": {"n": 9}}"#).unwrap();
    bench.put(&NewSchedule { job, ..hourly.clone() }).await;
    assert_eq!(bench.fire().await.fired, 1);
    assert_eq!(bench.count("select count(*) from jobs where payload->>'n' = '9' and queue = 'default'").await, 1);
    // Another expression owes nothing of the past.
    bench.asleep_for("90 minutes").await;
    bench.put(&every("hourly", "30 * * * *")).await;
    assert_eq!(bench.fire().await, Fired::default());
    schedules.pause("hourly").await.unwrap();
    let view = schedules.put(&hourly).await.unwrap();
    assert!(view.paused);
    schedules.delete("hourly").await.unwrap();
    assert_eq!(schedules.list().await.unwrap().len(), 0);
    assert_eq!((bench.jobs().await, bench.count("select count(*) from schedule_ticks").await), (1, 0));
}

#[tokio::test]
async fn a_view_says_what_comes_next() {
    let bench = bench().await;
    let berlin = NewSchedule { time_zone: "europe/berlin".into(), ..every("berlin", "30 8 1 1 *") };
    bench.put(&berlin).await;
    bench.put(&every("another", "@daily")).await;
    let views = bench.queue.schedules().list().await.unwrap();
    assert_eq!(views.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["another", "berlin"]);
    let next: Vec<String> = views[1].next.iter().map(|at| at.strftime("%m-%d %H:%M").to_string()).collect();
    assert_eq!(next, ["01-01 07:30"; 5]);
    let json = serde_json::to_value(&views[1]).unwrap();
    assert_eq!((&json["time_zone"], &json["catch_up"]), (&"Europe/Berlin".into(), &"latest".into()));
    assert_eq!((&json["last"], &json["job"]["name"]), (&serde_json::Value::Null, &"effect".into()));
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let bench = bench().await;
    let schedules = bench.queue.schedules();
    let put = async |new: NewSchedule| schedules.put(&new).await.unwrap_err();
    assert!(matches!(put(every("a/b", "@daily")).await, ScheduleError::Name(_)));
    assert!(matches!(put(every("a", "* * * *")).await, ScheduleError::Cron(CronError::FieldCount { fields: 4, .. })));
    assert!(matches!(put(every("a", "0 0 30 2 *")).await, ScheduleError::Cron(CronError::Never { .. })));
    let zone = put(NewSchedule { time_zone: "Mars/Base".into(), ..every("a", "@daily") }).await;
    assert_eq!(zone.to_string(), "`Mars/Base` is no time zone of the IANA database, like `America/Sao_Paulo`");
    let job: JobSpec = serde_json::from_str(r#"{"name": "x", "priority": 10, "payload": null}"#).unwrap();
    let job = put(NewSchedule::new("a", "@daily", job)).await;
    assert_eq!(job.to_string(), "the job's priority is more than 9");
    assert!(matches!(schedules.get("a").await, Err(ScheduleError::NotFound(_))));
    assert!(matches!(schedules.pause("a").await, Err(ScheduleError::NotFound(_))));
    assert!(matches!(schedules.resume("a").await, Err(ScheduleError::NotFound(_))));
    assert!(matches!(schedules.run_now("a").await, Err(ScheduleError::NotFound(_))));
    assert!(matches!(schedules.delete("a").await, Err(ScheduleError::NotFound(_))));
    assert!(matches!(schedules.ticks("a", None, 10).await, Err(ScheduleError::NotFound(_))));
}

#[tokio::test]
async fn a_schedule_of_a_newer_version_is_put_off_and_harms_no_other() {
    let bench = bench().await;
    bench.put(&every("newer", "@hourly")).await;
    bench.put(&every("plain", "@hourly")).await;
    bench.asleep_for("61 minutes").await;
    sqlx::query("update schedules set cron = '@fortnightly' where name = 'newer'").execute(&bench.pool).await.unwrap();
    assert!(bench.fire().await.fired >= 1);
    assert!(bench.ticks("newer").await.is_empty() && !bench.ticks("plain").await.is_empty());
    // A newer scheduler comes: nothing was lost.
    sqlx::query("update schedules set cron = '@hourly', next_at = now() where name = 'newer'")
        .execute(&bench.pool)
        .await
        .unwrap();
    assert_eq!(bench.fire().await.fired, 1);
}
