//! The pages' insides.

mod attention;
mod audit;
mod bills;
mod claims;
mod clients;
mod dead_letters;
mod groups;
mod jobs;
mod keys;
mod mail;
mod normalizations;
mod overview;
mod queues;
mod schedules;
mod uploads;
mod usage;
mod webhooks;
mod workers;

pub(super) use bills::totals::Totals;
pub(super) use jobs::filter as job_filter;

use super::{
    app::App,
    page::{DashboardError, PageBody, PageQuery},
};

/// What stands below an address; none: nothing does.
pub(super) async fn inside(
    app: &App,
    operator: bool,
    segments: &[&str],
    asked: &PageQuery,
) -> Result<Option<PageBody>, DashboardError> {
    match segments {
        [] => overview::page(app).await,
        ["uploads"] => uploads::list(app, operator, asked).await,
        ["uploads", id] => uploads::one(app, operator, id).await,
        ["jobs"] => jobs::list(app, operator, asked).await,
        ["jobs", id] => jobs::one(app, operator, id).await,
        ["groups"] => groups::list(app, asked).await,
        ["groups", id] => groups::one(app, operator, id).await,
        ["queues"] => queues::page(app, operator).await,
        ["queues", name] => queues::one(app, operator, name).await,
        ["workers"] => workers::page(app, operator).await,
        ["schedules"] => schedules::page(app, operator).await,
        ["dead"] => dead_letters::page(app, operator).await,
        ["bills"] => bills::page(app, asked).await,
        ["bills", id] => bills::one(app, operator, id).await,
        ["mail"] => mail::list(app, asked).await,
        ["mail", id] => mail::one(app, operator, asked, id).await,
        ["webhooks"] => webhooks::list(app, operator, asked).await,
        ["webhooks", id] => webhooks::one(app, operator, asked, id).await,
        ["claims"] => claims::list(app, asked).await,
        ["claims", id] => claims::one(app, operator, asked, id).await,
        ["usage"] => usage::page(app, asked).await,
        ["normalizations"] => normalizations::page(app, asked).await,
        ["keys"] => keys::page(app, operator).await,
        ["audit"] => audit::page(app, asked).await,
        _ => Ok(None),
    }
}
