//! By a clock that the test moves.

use std::time::Duration;

use gristmill_platform::testing::{Clock, stack};
use gristmill_queue::{CatchUp, Cause, NewSchedule, Options, Sweeper, Unique};
use jiff::{Timestamp, civil::date, tz::TimeZone};

use crate::{
    cron::{every, schedule},
    support::{Background, Effect, LONG, TestQueue, on, sweep, until, work},
};

const DAY: Duration = Duration::from_secs(86_400);

async fn test_queue() -> (TestQueue, Clock) {
    let stack = stack().await;
    let clock = Clock::install(&stack.pool).await;
    (on(stack).await, clock)
}

#[tokio::test]
async fn it_goes_on_and_moves_for_every_session_and_for_defaults() {
    let (test, clock) = test_queue().await;
    let real = Timestamp::now();
    clock.advance(DAY * 400).await;
    let seen: Vec<(f64, f64)> = futures::future::join_all((0..8).map(|_| async {
        let sql = "select extract(epoch from now())::float8, extract(epoch from clock_timestamp())::float8";
        sqlx::query_as(sql).fetch_one(&test.pool).await.unwrap()
    }))
    .await;
    let expected = real.as_second() as f64 + 400.0 * 86_400.0;
    for (now, clock) in seen {
        assert!((expected - 1.0..expected + 60.0).contains(&now) && clock >= now, "{now} {clock}, not {expected}");
    }
    test.enqueue(&[Effect::new(1)], &Options::default()).await;
    assert_eq!(
        test.count("select count(*) from gristmill.jobs where created_at > pg_catalog.now() + interval '399 days'")
            .await,
        1
    );
    let to: Timestamp = "2031-01-01T00:00:00Z".parse().unwrap();
    clock.set(to).await;
    let now = clock.now().await;
    assert!(now >= to && now.duration_since(to).as_secs() < 60, "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_tomorrow_runs_tomorrow() {
    let (test, clock) = test_queue().await;
    let options = Options { delay: Some(DAY), ..Options::default() };
    let id = test.enqueue(&[Effect::new(1)], &options).await[0];
    let tomorrow = Options { run_at: Some(clock.now().await + DAY), ..Options::default() };
    let other = test.enqueue(&[Effect::new(2)], &tomorrow).await[0];
    let (worker, sweeper) = (work(&test.effect_worker(2)), sweep(&test.queue));
    clock.advance(DAY - Duration::from_secs(60)).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!((test.state(id).await.0.as_str(), test.state(other).await.0.as_str()), ("scheduled", "scheduled"));
    clock.advance(Duration::from_secs(61)).await;
    until("both to run", LONG, || async { test.effects().await == (2, 2) }).await;
    Background::stop(worker).await;
    sweeper.stop().await;
}

#[tokio::test]
async fn one_a_month() {
    let (test, clock) = test_queue().await;
    let options = Options { unique: Some(Unique::within("bill:7", DAY * 30)), ..Options::default() };
    let mut enqueued = 0;
    for _ in 0..61 {
        enqueued += test.enqueue(&[Effect::new(1)], &options).await.len();
        clock.advance(DAY).await;
    }
    assert_eq!(enqueued, 3, "on the first day, the 31st and the 61st");
}

#[tokio::test]
async fn what_is_old_by_the_clock_is_pruned() {
    let (test, clock) = test_queue().await;
    test.enqueue(&Effect::many(3), &Options::default()).await;
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    assert_eq!(test.queue.prune(DAY * 7).await.unwrap().jobs, 0);
    clock.advance(DAY * 8).await;
    assert_eq!(test.queue.prune(DAY * 7).await.unwrap().jobs, 3);
}

#[tokio::test]
async fn a_day_with_a_missing_hour_and_one_with_an_hour_twice() {
    let (test, clock) = test_queue().await;
    let zone = TimeZone::get("America/New_York").unwrap();
    let at = |month, day, hour, minute| zone.to_timestamp(date(2027, month, day).at(hour, minute, 0, 0)).unwrap();
    let night =
        |cron| NewSchedule { time_zone: "America/New_York".into(), catch_up: CatchUp::All, ..every("night", cron) };
    // On 14 March 2027 the clock goes from 2:00 to 3:00, on 7 November from 2:00 back to 1:00.
    clock.set(at(3, 13, 1, 0)).await;
    test.put(&night("30 2 * * *")).await;
    for _ in 0..8 * 6 {
        clock.advance(Duration::from_secs(600)).await;
        test.fire().await;
    }
    assert_eq!(test.ticks("night").await.len(), 1);
    clock.set(at(3, 14, 1, 59)).await;
    test.fire().await;
    assert_eq!(test.ticks("night").await.len(), 1);
    clock.set(at(3, 14, 3, 0)).await;
    test.fire().await;
    let ticks = test.ticks("night").await;
    assert_eq!(ticks.iter().map(|tick| tick.fire_at).collect::<Vec<_>>(), [at(3, 13, 2, 30), at(3, 14, 3, 0)]);
    assert_eq!(ticks[1].cause, Cause::Due);

    clock.set(at(11, 7, 0, 0)).await;
    test.queue.schedules().delete("night").await.unwrap();
    test.put(&night("30 1 * * *")).await;
    for _ in 0..5 * 6 {
        clock.advance(Duration::from_secs(600)).await;
        test.fire().await;
    }
    let ticks = test.ticks("night").await;
    assert_eq!(ticks.len(), 1, "{ticks:?}");
    assert_eq!(ticks[0].fire_at, "2027-11-07T05:30:00Z".parse().unwrap(), "the first of two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_months_in_a_moment() {
    let (test, clock) = test_queue().await;
    test.put(&NewSchedule { catch_up: CatchUp::All, ..every("monthly", "@monthly") }).await;
    let scheduler = schedule(&test);
    for month in 1..=12 {
        clock.advance(DAY * 31).await;
        until("a month's tick", LONG, || async { test.ticks("monthly").await.len() >= month }).await;
    }
    scheduler.stop().await;
    Sweeper::new(&test.queue).sweep().await.unwrap();
    test.queue.drain(&test.effect_worker(2), LONG).await.unwrap();
    let (all, once) = test.effects().await;
    assert!(all == once && all >= 12, "{all} {once}");
}
