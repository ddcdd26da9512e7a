//! Billing by a clock that is moved: each debt is billed once, on the right day of its client's calendar, however the
//! clocks of its time zone jump, and wherever it lies.

use std::collections::BTreeMap;

use gristmill_clients::{Cycle, Settings};
use gristmill_platform::testing::Clock;
use jiff::{
    ToSpan as _,
    civil::{Date, date},
    tz::TimeZone,
};
use uuid::Uuid;

use crate::harness::{HEADER, Harness};

/// Ticks just after a day has begun there and just before it ends, on each of these days. A debt is due on each of them,
/// and one was due long ago.
async fn bills_on_the_right_day(zone: &str, cycle: Cycle, cycle_day: i32, days: &[Date]) {
    let harness = Harness::new(10_000).await;
    let clock = Clock::install(&harness.stack.pool).await;
    let settings = Settings { time_zone: zone.into(), cycle, cycle_day, days_ahead: 0, ..Settings::default() };
    harness.set(settings).await;
    let zone = TimeZone::get(zone).unwrap();
    let start = |day: Date| day.to_zoned(zone.clone()).unwrap();
    let due: Vec<Date> = days.iter().copied().chain([date(2016, 2, 29)]).collect();
    let file = due.iter().zip(1..).fold(HEADER.to_owned(), |file, (due, n)| {
        file + &format!("Ana Lima,1234,ana@example.com,100.50,{due},{}\n", Uuid::from_u128(n))
    });
    clock.set((&start(days[0]) - 1.hour()).timestamp()).await;
    harness.run_file(file).await;
    for &day in days {
        for moment in [&start(day) + 2.seconds(), &start(day.tomorrow().unwrap()) - 30.seconds()] {
            clock.set(moment.timestamp()).await;
            harness.tick().await;
        }
    }
    let bills: Vec<(jiff_sqlx::Date, jiff_sqlx::Date)> =
        sqlx::query_as("select due_on, issued_on from bills b join billing_runs r on r.id = b.run_id")
            .fetch_all(&harness.stack.pool)
            .await
            .unwrap();
    let found: BTreeMap<Date, Date> = bills.iter().map(|(due, issued)| (due.to_jiff(), issued.to_jiff())).collect();
    assert_eq!(found.len(), bills.len(), "each once");
    let billed = |day: Date| match cycle {
        Cycle::Daily => true,
        Cycle::Weekly => i32::from(day.weekday().to_monday_one_offset()) == cycle_day,
        Cycle::Monthly => {
            i32::from(day.day()) == cycle_day || (day.day() == day.days_in_month() && i32::from(day.day()) < cycle_day)
        }
    };
    // A run makes good the latest day to bill, when something was due on it, and bills what is due by then.
    let mut wanted = BTreeMap::new();
    for &day in days {
        let latest = (0..).map(|back| day - back.days()).find(|day| billed(*day)).unwrap();
        let left: Vec<Date> = due.iter().copied().filter(|due| *due <= day && !wanted.contains_key(due)).collect();
        if latest >= days[0].yesterday().unwrap() && left.iter().any(|due| *due <= latest) {
            wanted.extend(left.into_iter().map(|due| (due, day)));
        }
    }
    assert_eq!(found, wanted);
}

fn days(from: Date, many: usize) -> Vec<Date> {
    from.series(1.day()).take(many).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sao_paulo_skipped_its_midnight_and_had_it_twice() {
    let zone = "America/Sao_Paulo";
    bills_on_the_right_day(zone, Cycle::Daily, 1, &days(date(2018, 11, 3), 3)).await;
    bills_on_the_right_day(zone, Cycle::Daily, 1, &days(date(2018, 2, 16), 4)).await;
    // The midnight that did not exist was a Sunday's.
    bills_on_the_right_day(zone, Cycle::Weekly, 7, &days(date(2018, 11, 2), 4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lisbon_changes_its_clocks() {
    let zone = "Europe/Lisbon";
    bills_on_the_right_day(zone, Cycle::Daily, 1, &days(date(2027, 3, 27), 3)).await;
    bills_on_the_right_day(zone, Cycle::Daily, 1, &days(date(2026, 10, 24), 3)).await;
    // The last Sunday of the month, and its last day.
    bills_on_the_right_day(zone, Cycle::Monthly, 31, &days(date(2027, 10, 30), 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_york_changes_its_clocks() {
    let zone = "America/New_York";
    bills_on_the_right_day(zone, Cycle::Daily, 1, &days(date(2028, 3, 11), 3)).await;
    bills_on_the_right_day(zone, Cycle::Weekly, 7, &days(date(2026, 10, 25), 9)).await;
    bills_on_the_right_day(zone, Cycle::Monthly, 1, &days(date(2026, 10, 31), 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_date_line_is_between_two_clients() {
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        bills_on_the_right_day(zone, Cycle::Daily, 1, &days(date(2026, 12, 30), 4)).await;
        bills_on_the_right_day(zone, Cycle::Monthly, 1, &days(date(2026, 12, 30), 4)).await;
    }
    // Samoa had no December 30th in 2011: its 29th was followed by the 31st.
    let days = [date(2011, 12, 29), date(2011, 12, 31), date(2012, 1, 1)];
    bills_on_the_right_day("Pacific/Apia", Cycle::Daily, 1, &days).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn months_end_when_they_do() {
    let ends = |leap: i16, last| {
        [(1, 30), (1, 31), (2, 1), (2, 28), (2, last), (3, 1), (3, 30), (3, 31), (4, 30)].map(|(m, d)| date(leap, m, d))
    };
    bills_on_the_right_day("America/Sao_Paulo", Cycle::Monthly, 31, &ends(2028, 29)).await;
    bills_on_the_right_day("America/Sao_Paulo", Cycle::Monthly, 30, &ends(2028, 29)).await;
    let mut common = ends(2027, 28).to_vec();
    common.dedup();
    bills_on_the_right_day("America/Sao_Paulo", Cycle::Monthly, 29, &common).await;
}
