//! Jobs by the clock.

use std::collections::HashMap;

use askama::Template;
use gristmill_queue::{CatchUp, Overlap, ScheduleView};
use jiff::{SignedDuration, Timestamp};
use strum::VariantNames as _;

use crate::{Error, board::App, cron, format, frame::PageBody, visit::Visit};

#[derive(Template)]
#[template(path = "schedules.html")]
struct Page<'a> {
    visit: &'a Visit,
    schedules: Vec<(ScheduleView, Strip)>,
    when_empty: String,
    overlaps: &'static [&'static str],
    catch_ups: &'static [&'static str],
}

/// The last 24 hours in slots of half an hour, the oldest first.
type Strip = Vec<Slot>;

#[derive(Clone)]
struct Slot {
    tone: &'static str,
    title: String,
}

const SLOTS: usize = 48;
const SLOT: i64 = 1_800;

pub(super) async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let now = Timestamp::now();
    let mut ticks = ticks(app, now).await?;
    let mut schedules = Vec::new();
    for schedule in app.queue.schedules().list().await? {
        let strip = strip(&ticks.remove(&schedule.name).unwrap_or_default(), now);
        schedules.push((schedule, strip));
    }
    let when_empty = app.when_empty("schedules");
    let (overlaps, catch_ups) = (Overlap::VARIANTS, CatchUp::VARIANTS);
    PageBody::of("Schedules", &Page { visit, schedules, when_empty, overlaps, catch_ups })
}

/// What became of the ticks of one slot.
#[derive(Clone, Copy, Default, sqlx::FromRow)]
struct Counts {
    ran: i64,
    died: i64,
    missed: i64,
}

/// Slots begin at full half hours, so that the strip moves twice an hour and not with every look. The number of the one
/// after this.
fn end_of(now: Timestamp) -> i64 {
    now.as_second().div_euclid(SLOT) + 1
}

/// All ticks of the strip, by schedule, with the number of their slot. A schedule of every second has 86,400.
async fn ticks(app: &App, now: Timestamp) -> Result<HashMap<String, Vec<(i64, Counts)>>, sqlx::Error> {
    #[derive(sqlx::FromRow)]
    struct Row {
        schedule: String,
        slot: i64,
        #[sqlx(flatten)]
        counts: Counts,
    }
    let rows: Vec<Row> = sqlx::query_as(app.queue.schema().sql(
        "select t.schedule, floor(extract(epoch from t.fire_at) / $1)::bigint as slot,
                count(t.job_id) filter (where j.state is null or j.state not in ('dead', 'parked')) as ran,
                count(*) filter (where j.state in ('dead', 'parked')) as died,
                count(*) filter (where t.job_id is null) as missed
         from gristmill.schedule_ticks t left join gristmill.jobs j on j.id = t.job_id
         where t.fire_at >= to_timestamp($1 * $2)
         group by 1, 2",
    ))
    .bind(SLOT)
    .bind(end_of(now) - SLOTS as i64)
    .fetch_all(app.queue.pool())
    .await?;
    let mut found: HashMap<String, Vec<(i64, Counts)>> = HashMap::new();
    for row in rows {
        found.entry(row.schedule).or_default().push((row.slot, row.counts));
    }
    Ok(found)
}

/// The slots, by when their ticks were to be.
fn strip(ticks: &[(i64, Counts)], now: Timestamp) -> Strip {
    let end = end_of(now);
    let mut counts = vec![Counts::default(); SLOTS];
    for (slot, of_slot) in ticks {
        if let Some(counts) = usize::try_from(slot - end + SLOTS as i64).ok().and_then(|n| counts.get_mut(n)) {
            *counts = *of_slot;
        }
    }
    let from = |n: usize| Timestamp::from_second((end - SLOTS as i64 + n as i64) * SLOT).unwrap_or(now);
    counts
        .iter()
        .enumerate()
        .map(|(n, Counts { ran, died, missed })| {
            let tone = match (ran, died, missed) {
                (0, 0, 0) => "calm",
                (_, 0, 0) => "done",
                (_, 0, _) => "flawed",
                _ => "dead",
            };
            let start = from(n);
            let end = start + SignedDuration::from_secs(SLOT);
            let hours = format!("{} to {} UTC", start.strftime("%H:%M"), end.strftime("%H:%M"));
            Slot { tone, title: format!("{hours}: {} ran, {died} died, {missed} missed", ran + died) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_ends_now() {
        let slots = strip(&[], "2026-11-27T10:10:00Z".parse().unwrap());
        assert_eq!(slots.len(), 48);
        assert!(slots[47].title.starts_with("10:00 to 10:30 UTC: 0 ran"), "{}", slots[47].title);
        assert!(slots[0].title.starts_with("10:30 to 11:00 UTC"), "{}", slots[0].title);
    }

    #[test]
    fn a_tick_stands_in_its_slot() {
        let now: Timestamp = "2026-11-27T10:10:00Z".parse().unwrap();
        let slot = |at: &str| at.parse::<Timestamp>().unwrap().as_second() / SLOT;
        let ran = Counts { ran: 30, ..Counts::default() };
        let missed = Counts { ran: 1, missed: 2, ..Counts::default() };
        let old = slot("2026-11-26T10:29:00Z");
        let ticks = [(slot("2026-11-26T10:30:00Z"), ran), (slot("2026-11-27T10:05:00Z"), missed), (old, ran)];
        let slots = strip(&ticks, now);
        let told: Vec<_> = slots.iter().filter(|slot| slot.tone != "calm").map(|slot| slot.title.as_str()).collect();
        let wanted = ["10:30 to 11:00 UTC: 30 ran, 0 died, 0 missed", "10:00 to 10:30 UTC: 1 ran, 0 died, 2 missed"];
        assert_eq!(told, wanted);
    }
}
