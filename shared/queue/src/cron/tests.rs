//! Expressions against calendars, without engines.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::DateTime, tz::TimeZone};

use super::{
    CatchUp, Cause, CronError,
    expression::Expression,
    plan::{IN_TIME, MISSED_KEPT, jitter, plan},
    ticks::Ticks,
};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Local times and offsets of the first `n` ticks from `from` on.
fn ticks(cron: &str, in_zone: &str, from: &str, n: usize) -> Vec<String> {
    let (expression, zone) = (Expression::parse(cron).unwrap(), zone(in_zone));
    let from: DateTime = from.parse().unwrap();
    let mut last = zone.to_timestamp(from).unwrap() - SignedDuration::from_secs(1);
    let mut next = || {
        last = expression.next_after(last, &zone).unwrap();
        last.to_zoned(zone.clone()).strftime("%m-%d %H:%M:%S%:z").to_string()
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn fields_mean_what_crontabs_say() {
    let first = |cron| ticks(cron, "UTC", "2026-01-01T00:00", 3);
    assert_eq!(first("*/15 * * * *"), ["01-01 00:00:00+00:00", "01-01 00:15:00+00:00", "01-01 00:30:00+00:00"]);
    assert_eq!(first("*/20 * * * * *"), ["01-01 00:00:00+00:00", "01-01 00:00:20+00:00", "01-01 00:00:40+00:00"]);
    assert_eq!(
        first("5/30 9-10 * * MON-FRI"),
        ["01-01 09:05:00+00:00", "01-01 09:35:00+00:00", "01-01 10:05:00+00:00"]
    );
    assert_eq!(first("0 0 l * *"), ["01-31 00:00:00+00:00", "02-28 00:00:00+00:00", "03-31 00:00:00+00:00"]);
    assert_eq!(first("0 0 31 jan,mar-may *"), ["01-31 00:00:00+00:00", "03-31 00:00:00+00:00", "05-31 00:00:00+00:00"]);
    // Sunday is 0 and 7.
    assert_eq!(first("0 12 * * 7"), first("0 12 ? * sun"));
    assert_eq!(first("0 12 * * 6-7"), ["01-03 12:00:00+00:00", "01-04 12:00:00+00:00", "01-10 12:00:00+00:00"]);
    // Day and weekday both named: either of them.
    assert_eq!(first("0 0 13 * FRI"), ["01-02 00:00:00+00:00", "01-09 00:00:00+00:00", "01-13 00:00:00+00:00"]);
    // One of them with a star: both.
    assert_eq!(first("0 0 */2 * FRI"), ["01-09 00:00:00+00:00", "01-23 00:00:00+00:00", "02-13 00:00:00+00:00"]);
    assert_eq!(first("@monthly"), first("0 0 1 * *"));
    // February 29th on a Sunday: in 2032.
    let leap = ticks("0 0 29 2 */7", "UTC", "2028-03-01T00:00", 1);
    assert_eq!(leap, ["02-29 00:00:00+00:00"]);
}

#[test]
fn what_is_wrong_is_said() {
    let error = |cron| Expression::parse(cron).unwrap_err().to_string();
    assert_eq!(
        error("* * * *"),
        "`* * * *` has 4 fields; it takes five (minute hour day month weekday), or six with seconds first"
    );
    assert_eq!(error("61 * * * *"), "minute `61`: it takes a number from 0 to 59");
    assert_eq!(error("* 9,x-12 * * *"), "hour `x-12`: it takes a number from 0 to 23");
    assert_eq!(
        error("* * * * 1,funday"),
        "weekday `funday`: it takes a number from 0 to 7, or its name's first three letters"
    );
    assert_eq!(error("* * 5-1 * *"), "day `5-1`: a range goes from the lower to the higher value");
    assert_eq!(error("*/0 * * * *"), "minute `*/0`: a step is a number from 1 to 59");
    assert!(matches!(Expression::parse("@fortnightly"), Err(CronError::UnknownWord { .. })));
    for odd in ["", ",", "1,, * * * *", "? * * * *", "-1 * * * *", "1-2-3 * * * *", "*/ * * * *", "1/99 * * * *"] {
        assert!(Expression::parse(odd).is_err(), "{odd}");
    }
    let never = Expression::parse("0 0 30 2 *").unwrap();
    assert_eq!(never.next_after(at("2026-01-01T00:00:00Z"), &TimeZone::UTC), None);
}

#[test]
fn a_named_hour_that_does_not_exist_fires_at_the_jump_and_one_that_comes_twice_fires_once() {
    // New York jumps from 02:00 to 03:00 on 2026-03-08, and from 02:00 back to 01:00 on 2026-11-01.
    let spring = |cron| ticks(cron, "America/New_York", "2026-03-07T12:00", 2);
    assert_eq!(spring("30 2 * * *"), ["03-08 03:00:00-04:00", "03-09 02:30:00-04:00"]);
    assert_eq!(spring("0,15,30 2 * * *"), ["03-08 03:00:00-04:00", "03-09 02:00:00-04:00"]);
    assert_eq!(spring("0 2,3 * * *"), ["03-08 03:00:00-04:00", "03-09 02:00:00-04:00"]);
    let autumn = |cron| ticks(cron, "America/New_York", "2026-10-31T12:00", 2);
    assert_eq!(autumn("30 1 * * *"), ["11-01 01:30:00-04:00", "11-02 01:30:00-05:00"]);
    assert_eq!(autumn("15,45 1 * * *"), ["11-01 01:15:00-04:00", "11-01 01:45:00-04:00"]);
    // Where midnight is what is missing.
    assert_eq!(ticks("@daily", "America/Santiago", "2026-09-05T12:00", 1), ["09-06 01:00:00-03:00"]);
    // A whole day that was missing, and a jump of half an hour.
    assert_eq!(
        ticks("0 9 * * *", "Pacific/Apia", "2011-12-29T12:00", 2),
        ["12-31 00:00:00+14:00", "12-31 09:00:00+14:00"]
    );
    assert_eq!(ticks("10 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", 1), ["10-04 02:30:00+11:00"]);
}

#[test]
fn every_hour_follows_time_as_it_passes() {
    assert_eq!(
        ticks("0 * * * *", "America/New_York", "2026-03-08T01:00", 3),
        ["03-08 01:00:00-05:00", "03-08 03:00:00-04:00", "03-08 04:00:00-04:00"]
    );
    assert_eq!(
        ticks("30 * * * *", "America/New_York", "2026-11-01T00:30", 4),
        ["11-01 00:30:00-04:00", "11-01 01:30:00-04:00", "11-01 01:30:00-05:00", "11-01 02:30:00-05:00"]
    );
}

/// Every minute of three days around every jump of some odd zones, looked at one by one.
#[test]
fn the_search_finds_what_looking_at_every_minute_finds() {
    for name in ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca"] {
        let zone = zone(name);
        for jump in zone.following(at("2025-12-01T00:00:00Z")).take(4) {
            let (from, to) = (jump.timestamp() - 36.hours(), jump.timestamp() + 36.hours());
            let minutes: Vec<Timestamp> =
                std::iter::successors(Some(from), |at| Some(*at + 1.minute())).take_while(|at| *at <= to).collect();
            for cron in
                ["*/7 * * * *", "0 */2 * * *", "30 */3 * * *", "*/10 1-3 * * *", "0,30 0,1,2,23 * * *", "5 2 * * *"]
            {
                let expression = Expression::parse(cron).unwrap();
                let expected: BTreeSet<Timestamp> = if expression.every_hour {
                    let fits = |at: &Timestamp| shows(&expression, zone.to_datetime(*at));
                    minutes.iter().copied().filter(fits).collect()
                } else {
                    // Every local time of these days: the first instant at which a clock shows it, or has passed it.
                    let first = zone.to_datetime(from);
                    let locals = (0..4_320).map(|n| first + n.minutes()).filter(|local| shows(&expression, *local));
                    let instant = |local| minutes.iter().copied().find(|at| zone.to_datetime(*at) >= local);
                    locals.filter_map(instant).collect()
                };
                let next = |at: &Timestamp| expression.next_after(*at, &zone);
                let found: BTreeSet<Timestamp> =
                    std::iter::successors(next(&(from - 1.second())), next).take_while(|at| *at <= to).collect();
                // The last minutes of the local times are cut off differently.
                let inside = |set: BTreeSet<Timestamp>| -> Vec<_> {
                    set.into_iter().filter(|at| *at < to - 3.hours()).collect()
                };
                assert_eq!(inside(found), inside(expected), "{cron} in {name} around {}", jump.timestamp());
            }
        }
    }
}

fn shows(expression: &Expression, local: DateTime) -> bool {
    expression.minutes >> local.minute() & 1 == 1 && expression.hours >> local.hour() & 1 == 1
}

fn of(cron: &str, starts_at: Option<&str>, ends_at: Option<&str>) -> Ticks {
    Ticks::of(cron, TimeZone::UTC, starts_at.map(at), ends_at.map(at)).unwrap()
}

#[test]
fn bounds_cut_off_what_is_before_and_behind_them() {
    let ticks = of("@hourly", Some("2026-01-01T05:00:00Z"), Some("2026-01-01T07:00:00Z"));
    let next = |after| ticks.next_after(at(after)).map(|at| at.to_string());
    assert_eq!(next("2025-06-01T00:00:00Z").as_deref(), Some("2026-01-01T05:00:00Z"), "the start itself");
    assert_eq!(next("2026-01-01T05:00:00Z").as_deref(), Some("2026-01-01T06:00:00Z"));
    assert_eq!(next("2026-01-01T06:30:00Z").as_deref(), Some("2026-01-01T07:00:00Z"), "the end itself");
    assert_eq!(next("2026-01-01T07:00:00Z"), None);
    assert!(!ticks.never_comes());
    let all = plan(&ticks, CatchUp::All, at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
    assert_eq!((all.ticks.len(), all.next), (3, None));
    let latest = plan(&ticks, CatchUp::Latest, at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
    assert_eq!(latest.ticks.last().unwrap(), &(at("2026-01-01T07:00:00Z"), Cause::CaughtUp));
    assert!(of("0 0 30 2 *", None, None).never_comes());
}

#[test]
fn once_is_once_by_the_clocks_of_the_zone() {
    let zone = |name| TimeZone::get(name).unwrap();
    let once = |text: &str, name| Ticks::of(text, zone(name), None, None);
    let ticks = once("@at 2026-01-31T07:00", "America/Sao_Paulo").unwrap();
    assert_eq!(ticks.once(), Some(at("2026-01-31T10:00:00Z")));
    assert_eq!(ticks.next_after(at("2026-01-31T09:59:59Z")), Some(at("2026-01-31T10:00:00Z")));
    assert_eq!(ticks.next_after(at("2026-01-31T10:00:00Z")), None);
    assert_eq!(once("  @at  2026-01-31T07:00:00+01:00 ", "UTC").unwrap().once(), Some(at("2026-01-31T06:00:00Z")));
    let late = plan(&ticks, CatchUp::Latest, at("2026-01-31T00:00:00Z"), at("2026-02-02T00:00:00Z"));
    assert_eq!((late.ticks, late.next), (vec![(at("2026-01-31T10:00:00Z"), Cause::CaughtUp)], None));
    for wrong in ["@at", "@at soon", "@at 2026-13-01T00:00", "@atnoon", "@at 7:00"] {
        assert!(once(wrong, "UTC").is_err(), "{wrong}");
    }
    let error = once("@at soon", "UTC").unwrap_err().to_string();
    assert!(error.starts_with("`soon` is no time: `@at` takes one like"), "{error}");
}

fn planned(catch_up: CatchUp, cron: &str, since: &str, now: &str) -> Vec<(String, Cause)> {
    let plan = plan(&of(cron, None, None), catch_up, at(since), at(now));
    assert!(plan.until >= at(since) && plan.next.unwrap() > plan.until);
    plan.ticks.into_iter().map(|(at, cause)| (at.strftime("%d %H:%M:%S").to_string(), cause)).collect()
}

#[test]
fn a_gap_is_caught_up_as_its_schedule_says() {
    let hours = |catch_up| planned(catch_up, "@hourly", "2026-01-01T00:00:00Z", "2026-01-01T03:30:00Z");
    let tick = |text: &str, cause| (text.to_owned(), cause);
    assert_eq!(
        hours(CatchUp::Skip),
        [tick("01 01:00:00", Cause::Missed), tick("01 02:00:00", Cause::Missed), tick("01 03:00:00", Cause::Missed)]
    );
    assert_eq!(
        hours(CatchUp::Latest),
        [tick("01 01:00:00", Cause::Missed), tick("01 02:00:00", Cause::Missed), tick("01 03:00:00", Cause::CaughtUp)]
    );
    assert_eq!(
        hours(CatchUp::All),
        [
            tick("01 01:00:00", Cause::CaughtUp),
            tick("01 02:00:00", Cause::CaughtUp),
            tick("01 03:00:00", Cause::CaughtUp)
        ]
    );
    // With a tick in time there is a newer one than all that is late.
    assert_eq!(
        planned(CatchUp::Latest, "@hourly", "2026-01-01T01:30:00Z", "2026-01-01T03:00:04Z"),
        [tick("01 02:00:00", Cause::Missed), tick("01 03:00:00", Cause::Due)]
    );
    assert_eq!(planned(CatchUp::Skip, "@hourly", "2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z"), []);
    // A clock that was set back.
    assert_eq!(planned(CatchUp::All, "@hourly", "2026-01-01T05:00:00Z", "2026-01-01T03:00:00Z"), []);
}

#[test]
fn a_gap_of_years_is_bounded_and_soon_over() {
    let second = of("* * * * * *", None, None);
    let (since, now) = (at("2021-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
    let started = std::time::Instant::now();
    let latest = plan(&second, CatchUp::Latest, since, now);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    // The ten seconds in time, and the last hundred before them.
    assert_eq!(latest.ticks.iter().filter(|(_, cause)| *cause == Cause::Due).count() as i64, IN_TIME.as_secs());
    assert_eq!(latest.ticks.iter().filter(|(_, cause)| *cause == Cause::Missed).count(), MISSED_KEPT);
    assert_eq!(latest.until, now);
    // All of them, in slices.
    let all = plan(&second, CatchUp::All, since, now);
    assert_eq!((all.ticks.len(), all.until), (200, since + 200.seconds()));
    assert_eq!(all.next, Some(since + 201.seconds()));
}

#[test]
fn jitter_is_stable_and_spread() {
    let start = at("2026-01-01T00:00:00Z");
    let delays: Vec<i64> = (0..1_000).map(|n| jitter("bills", start + n.minutes(), 60).as_millis() as i64).collect();
    assert_eq!(delays[7], jitter("bills", start + 7.minutes(), 60).as_millis() as i64);
    assert!(delays.iter().all(|delay| (0..=60_000).contains(delay)));
    let mean = delays.iter().sum::<i64>() / 1_000;
    assert!((27_000..33_000).contains(&mean), "{mean}");
    assert_ne!(jitter("bills", start, 60), jitter("mails", start, 60));
    assert_eq!(jitter("bills", start, 0), SignedDuration::ZERO);
}
