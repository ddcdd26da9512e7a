//! Limits by the name of a job, and pools of slots.

use askama::Template;
use gristmill_queue::{JobLimitsView, SlotPoolView};

use crate::{Error, board::App, format, frame::PageBody, visit::Visit};

#[derive(Template)]
#[template(path = "limits.html")]
struct Page<'a> {
    visit: &'a Visit,
    /// With the slots that it takes of pools, as they are written.
    jobs: Vec<(JobLimitsView, String)>,
    pools: Vec<SlotPoolView>,
}

pub(super) async fn page(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    let limits = app.queue.limits().list().await?;
    let jobs = limits.jobs.into_iter().map(|job| {
        let uses: Vec<String> = job.limits.uses.iter().map(|(pool, slots)| format!("{pool}={slots}")).collect();
        (job, uses.join(" "))
    });
    PageBody::of("Limits", &Page { visit, jobs: jobs.collect(), pools: limits.pools })
}
