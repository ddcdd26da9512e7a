//! Jobs by the clock.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gristmill::{CatchUp, Cause, Overlap, prelude::*};
use jiff::Timestamp;

use crate::support::{End, app};

type Ticks = Arc<Mutex<Vec<Option<Tick>>>>;

async fn digest(_: End, tick: Option<Tick>, Data(ticks): Data<Ticks>) {
    ticks.lock().unwrap().push(tick);
}

#[tokio::test]
async fn a_handler_knows_the_tick_that_it_runs_for() {
    let ticks = Ticks::default();
    let app = app().data(ticks.clone()).job(digest).cron("digest", "0 7 * * *", |c| {
        c.zone("America/Sao_Paulo").catch_up(CatchUp::All).jitter(Duration::ZERO).job(&End::by("digest"))
    });
    let app = app.test().await.unwrap();
    let start: Timestamp = "2031-03-03T09:59:00Z".parse().unwrap();
    app.clock().set(start).await;
    // The schedule was made by the clock of before.
    app.queue().unwrap().schedules().pause("digest").await.unwrap();
    app.queue().unwrap().schedules().resume("digest").await.unwrap();
    assert_eq!(app.advance(Duration::from_secs(120)).await.unwrap().fired, 1);
    assert_eq!(app.advance(Duration::from_secs(86_400)).await.unwrap().fired, 1);
    app.enqueue(End::by("by hand")).await.unwrap();
    assert_eq!(app.drain().await.unwrap().completed, 3);
    let mut seen = std::mem::take(&mut *ticks.lock().unwrap());
    seen.sort_by_key(|tick| tick.as_ref().map(|tick| tick.at));
    let [None, Some(first), Some(second)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((&*first.schedule, first.at), ("digest", "2031-03-03T10:00:00Z".parse().unwrap()));
    assert_eq!(second.at, "2031-03-04T10:00:00Z".parse().unwrap());
    assert_eq!(first.cause, Cause::CaughtUp);
}

#[tokio::test]
async fn a_schedule_has_an_overlap_policy_and_bounds_and_one_fires_once() {
    let start: Timestamp = "2031-03-03T09:59:00Z".parse().unwrap();
    let hour = Duration::from_secs(3_600);
    let declared = || {
        app()
            .data(Ticks::default())
            .job(digest)
            .cron("bounded", "0 * * * *", |c| {
                c.catch_up(CatchUp::All)
                    .overlap(Overlap::Skip)
                    .starts_at(start + hour)
                    .ends_at(start + 3 * hour)
                    .job(&End::by("b"))
            })
            .at("once", start + 2 * hour, |c| c.job(&End::by("o")))
    };
    let app = declared().test().await.unwrap();
    let schedules = app.queue().unwrap().schedules();
    app.clock().set(start).await;
    for name in ["bounded", "once"] {
        // They were made by the clock of before.
        schedules.pause(name).await.unwrap();
        schedules.resume(name).await.unwrap();
    }
    // Ten o'clock is before the start; of eleven and twelve, which come at once, one runs.
    assert_eq!(app.advance(hour).await.unwrap().fired, 0);
    assert_eq!(app.advance(2 * hour).await.unwrap().fired, 2, "the last one of `bounded`, and `once`");
    // What has not run keeps the next tick back; and after the end there is none.
    assert_eq!(app.advance(2 * hour).await.unwrap().fired, 0);
    assert_eq!(app.drain().await.unwrap().completed, 2);
    let views = schedules.list().await.unwrap();
    let told: Vec<_> = views.iter().map(|view| (view.name.as_str(), view.ended, view.overlap)).collect();
    assert_eq!(told, [("bounded", true, Overlap::Skip), ("once", true, Overlap::Allow)]);
    assert_eq!(views[1].at, Some(start + 2 * hour));
    let ticks = schedules.ticks("bounded", None, 10).await.unwrap().ticks;
    assert_eq!(ticks.iter().map(|tick| tick.cause).collect::<Vec<_>>(), [Cause::CaughtUp, Cause::Skipped]);
    // It starts again: nothing of it comes a second time, also when it was pruned.
    schedules.delete("once").await.unwrap();
    let again = declared().with(|settings| *settings = app.settings().clone()).role(Role::Scheduler);
    again.start().await.unwrap().stop().await.unwrap();
    assert_eq!(schedules.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_handler_that_wants_a_tick_runs_for_no_other_job() {
    async fn only(_: End, _: Tick) {}
    let app = app().job(only).test().await.unwrap();
    let job = app.enqueue(End::by("hand")).await.unwrap();
    app.drain().await.unwrap();
    let error = job.wait::<()>(Duration::from_secs(60)).await.unwrap_err().to_string();
    assert!(error.contains("let it take an `Option<Tick>`"), "{error}");
}
