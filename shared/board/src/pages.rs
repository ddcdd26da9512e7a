//! The pages' insides.

mod attention;
mod audit;
mod dead_letters;
mod groups;
mod jobs;
mod limits;
mod overview;
mod queues;
mod schedules;
mod workers;

pub(crate) use jobs::filter as job_filter;

use crate::{Error, board::App, frame::PageBody, visit::Visit};

/// What stands below an address; none: nothing does.
pub(crate) async fn inside(app: &App, visit: &Visit) -> Result<Option<PageBody>, Error> {
    match visit.segments()[..] {
        [] => overview::page(app, visit).await,
        ["jobs"] => jobs::list(app, visit).await,
        ["jobs", id] => jobs::one(app, visit, id).await,
        ["groups"] => groups::list(app, visit).await,
        ["groups", id] => groups::one(app, visit, id).await,
        ["queues"] => queues::page(app, visit).await,
        ["queues", name] => queues::one(app, visit, name).await,
        ["limits"] => limits::page(app, visit).await,
        ["workers"] => workers::page(app, visit).await,
        ["schedules"] => schedules::page(app, visit).await,
        ["dead"] => dead_letters::page(app, visit).await,
        ["audit"] => audit::page(app, visit).await,
        [first, ..] => {
            let mut added = app.pages.iter();
            match added.find(|page| page.entry().is_some_and(|entry| entry.path == first)) {
                Some(page) => page.show(visit).await,
                None => Ok(None),
            }
        }
    }
}
