//! Jobs by the clock.

use askama::Template;
use gristmill_queue::{ScheduleView, TickView};
use jiff::{SignedDuration, Timestamp};

use crate::dashboard::{
    app::App,
    cron,
    page::{Fault, Inside},
    say,
};

#[derive(Template)]
#[template(path = "schedules.html")]
struct Page {
    schedules: Vec<(ScheduleView, Strip)>,
    operator: bool,
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

pub(super) async fn page(app: &App, operator: bool) -> Result<Option<Inside>, Fault> {
    let mut schedules = Vec::new();
    for schedule in app.queue.schedules().list().await? {
        let ticks = app.queue.schedules().ticks(&schedule.name, None, 200).await?.ticks;
        let strip = strip(&ticks, Timestamp::now());
        schedules.push((schedule, strip));
    }
    Inside::of("Schedules", &Page { schedules, operator })
}

/// What became of the newest 200 ticks, by when they were to be.
fn strip(ticks: &[TickView], now: Timestamp) -> Strip {
    // Slots begin at full half hours, so that the strip moves twice an hour and not with every look.
    let end = now.as_second().div_euclid(SLOT) + 1;
    let mut counts = vec![[0_usize; 3]; SLOTS];
    for tick in ticks {
        let back = end - 1 - tick.fire_at.as_second().div_euclid(SLOT);
        let Some(slot) = usize::try_from(back).ok().filter(|back| *back < SLOTS) else { continue };
        let state = tick.job_state.as_deref().unwrap_or("");
        let kind = if tick.job_id.is_none() { 2 } else { usize::from(matches!(state, "dead" | "parked")) };
        counts[SLOTS - 1 - slot][kind] += 1;
    }
    let from = |n: usize| Timestamp::from_second((end - SLOTS as i64 + n as i64) * SLOT).unwrap_or(now);
    counts
        .iter()
        .enumerate()
        .map(|(n, [ran, died, missed])| {
            let tone = match (ran, died, missed) {
                (0, 0, 0) => "calm",
                (_, 0, 0) => "done",
                (_, 0, _) => "rejects",
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
}
