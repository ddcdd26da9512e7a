//! Schedules in the hands of those who run the queue.

use std::time::Duration;

use gristmill_queue::{CatchUp, Cause, CronError, JobSpec, NewSchedule, ScheduleError, TickCounts};
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;

use crate::{
    cron::{every, jobs, schedule, with},
    support::{LONG, test_queue, until, work},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_effect_on_every_scheduler() {
    let test = test_queue().await;
    // They know of nothing that is due this year.
    test.put(&every("yearly", "@yearly")).await;
    let schedulers = (schedule(&test), schedule(&test));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    test.put(&every("seconds", "* * * * * *")).await;
    until("the new one to fire", LONG, || async { !test.ticks("seconds").await.is_empty() }).await;
    // From the answer on it does not fire.
    assert!(test.queue.schedules().pause("seconds").await.unwrap().paused);
    let paused = test.ticks("seconds").await.len();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(test.ticks("seconds").await.len(), paused);
    // And what was to be meanwhile does not come later.
    let resumed = test.queue.schedules().resume("seconds").await.unwrap();
    assert!(!resumed.paused && resumed.next.len() == 5);
    until("it to fire again", LONG, || async { test.ticks("seconds").await.len() > paused }).await;
    let ticks = test.ticks("seconds").await;
    assert!(ticks[paused].fire_at.duration_since(ticks[paused - 1].fire_at).as_secs() >= 2, "{ticks:?}");
    assert_eq!(with(&ticks, Cause::Due), ticks.len());
    schedulers.0.stop().await;
    schedulers.1.stop().await;
}

#[tokio::test]
async fn putting_it_again_keeps_what_it_owes_and_its_pause() {
    let test = test_queue().await;
    let schedules = test.queue.schedules();
    let yearly = every("yearly", "@yearly");
    test.put(&yearly).await;
    test.asleep_for("366 days").await;
    // A deployment: the same schedule with another job.
    let job: JobSpec = serde_json::from_str(r#"{"name": "effect", "payload": {"n": 9}}"#).unwrap();
    test.put(&NewSchedule { job, ..yearly.clone() }).await;
    assert_eq!(test.fire().await.fired, 1);
    assert_eq!(
        test.count("select count(*) from gristmill.jobs where payload->>'n' = '9' and queue = 'default'").await,
        1
    );
    // Another expression owes nothing of the past.
    test.asleep_for("366 days").await;
    test.put(&every("yearly", "0 0 2 1 *")).await;
    assert_eq!(test.fire().await, TickCounts::default());
    schedules.pause("yearly").await.unwrap();
    let view = schedules.put(&yearly).await.unwrap();
    assert!(view.paused);
    schedules.delete("yearly").await.unwrap();
    assert_eq!(schedules.list().await.unwrap().len(), 0);
    assert_eq!((jobs(&test).await, test.count("select count(*) from gristmill.schedule_ticks").await), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_now_runs_once_more_also_while_paused() {
    let test = test_queue().await;
    let schedules = test.queue.schedules();
    test.put(&every("yearly", "@yearly")).await;
    schedules.pause("yearly").await.unwrap();
    let tick = schedules.run_now("yearly").await.unwrap();
    let worker = work(&test.effect_worker(1));
    until("the job", LONG, || async { test.effects().await == (1, 1) }).await;
    worker.stop().await;
    let view = schedules.get("yearly").await.unwrap();
    assert_eq!(view.last.as_ref().map(|last| (last.job_id, last.cause)), Some((tick.job_id, Cause::RunNow)));
    assert_eq!(view.last.unwrap().job_state.as_deref(), Some("completed"));
    assert_eq!((view.next, view.missed), (Vec::new(), 0));
}

#[tokio::test]
async fn a_view_says_what_comes_next() {
    let test = test_queue().await;
    let berlin = NewSchedule { time_zone: "europe/berlin".into(), ..every("berlin", "30 8 1 1 *") };
    test.put(&berlin).await;
    test.put(&every("another", "@daily")).await;
    let views = test.queue.schedules().list().await.unwrap();
    assert_eq!(views.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["another", "berlin"]);
    let next: Vec<String> = views[1].next.iter().map(|at| at.strftime("%m-%d %H:%M").to_string()).collect();
    assert_eq!(next, ["01-01 07:30"; 5]);
    let json = serde_json::to_value(&views[1]).unwrap();
    assert_eq!((&json["time_zone"], &json["catch_up"]), (&"Europe/Berlin".into(), &"latest".into()));
    assert_eq!((&json["last"], &json["job"]["name"]), (&serde_json::Value::Null, &"effect".into()));
}

#[tokio::test]
async fn what_fires_once_is_over_then_and_goes_with_the_rest() {
    let test = test_queue().await;
    let schedules = test.queue.schedules();
    let job = every("once", "@daily").job;
    let at = Timestamp::now() + Duration::from_secs(3_600);
    let once = NewSchedule::once("once", at, job.clone());
    let view = schedules.put(&once).await.unwrap();
    let micros = Timestamp::from_microsecond(at.as_microsecond()).unwrap();
    assert_eq!((view.at, view.next, view.ended), (Some(micros), vec![micros], false));
    assert_eq!(test.fire().await, TickCounts::default());
    // Its time comes.
    let now = Timestamp::now() - Duration::from_secs(2);
    test.put(&every("daily", "@daily")).await;
    sqlx::query("update gristmill.schedules set cron = $1, next_at = $2, ticked_until = $2 - interval '1 s' where name = 'once'")
        .bind(format!("@at {now}"))
        .bind(now.to_sqlx())
        .execute(&test.pool)
        .await
        .unwrap();
    assert_eq!((test.fire().await.fired, test.fire().await.fired), (1, 0));
    assert_eq!(jobs(&test).await, 1);
    let over = schedules.get("once").await.unwrap();
    assert!(over.ended && over.next.is_empty() && over.last.unwrap().cause == Cause::Due);
    // An application that starts again says it again: nothing comes of it.
    let again = schedules.put(&NewSchedule::once("once", now, job.clone())).await.unwrap();
    assert!(again.ended);
    assert_eq!(test.fire().await, TickCounts::default());
    // One that is not there and has had its time is a mistake.
    let error = schedules.put(&NewSchedule::once("other", now, job)).await.unwrap_err();
    assert_eq!(error.to_string(), "the schedule `other` would be over: no tick of it is to come");
    assert_eq!(test.queue.prune(Duration::from_secs(3_600)).await.unwrap().schedules, 0);
    test.asleep_for("2 hours").await;
    assert_eq!(test.queue.prune(Duration::from_secs(3_600)).await.unwrap().schedules, 1);
    let left: Vec<String> = schedules.list().await.unwrap().into_iter().map(|view| view.name).collect();
    assert_eq!(left, ["daily"], "what is to fire again stays");
    assert_eq!(jobs(&test).await, 1, "its job stays as long as any");
}

#[tokio::test]
async fn nothing_fires_before_the_start_and_after_the_end() {
    let test = test_queue().await;
    let schedules = test.queue.schedules();
    let now = Timestamp::now();
    let hours = |n: i64| now + SignedDuration::from_hours(n);
    let bounded = NewSchedule {
        starts_at: Some(hours(48)),
        ends_at: Some(hours(50)),
        catch_up: CatchUp::All,
        ..every("bounded", "0 * * * *")
    };
    let view = schedules.put(&bounded).await.unwrap();
    assert_eq!((view.next.len(), view.ended), (2, false), "{view:?}");
    assert!(view.next[0] >= hours(48) && view.next[1] <= hours(50));
    // A start of the past is none.
    let begun = NewSchedule { starts_at: Some(hours(-3)), ends_at: Some(hours(1)), ..bounded.clone() };
    let view = schedules.put(&begun).await.unwrap();
    assert!((1..=2).contains(&view.next.len()) && view.starts_at.is_some());
    // With an end of the past one that is there is over, and a later one lets it go on.
    let ended = NewSchedule { starts_at: None, ends_at: Some(hours(-1)), ..bounded.clone() };
    assert!(schedules.put(&ended).await.unwrap().ended);
    assert_eq!(test.fire().await, TickCounts::default());
    let view = schedules.put(&NewSchedule { starts_at: None, ends_at: None, ..bounded.clone() }).await.unwrap();
    assert_eq!((view.next.len(), view.ended, view.ends_at), (5, false, None));
    // Paused until it is over.
    schedules.put(&NewSchedule { starts_at: None, ..bounded.clone() }).await.unwrap();
    schedules.pause("bounded").await.unwrap();
    sqlx::query("update gristmill.schedules set ends_at = now() - interval '1 s'").execute(&test.pool).await.unwrap();
    let resumed = schedules.resume("bounded").await.unwrap();
    assert!(resumed.ended && !resumed.paused && resumed.next.is_empty());
    let wrong = NewSchedule { starts_at: Some(hours(2)), ends_at: Some(hours(1)), ..bounded };
    assert!(matches!(schedules.put(&wrong).await, Err(ScheduleError::Bounds { .. })));
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let test = test_queue().await;
    let schedules = test.queue.schedules();
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
