use std::time::{Duration, Instant};

use axum::extract::State;
use gristmill_kinds::{Owner, owner};
use gristmill_queue::{JobAction, JobFilter, JobId};

use super::{
    answer::{Answer, NotDone, done},
    form::Form,
    params::Params,
};
use crate::dashboard::{
    app::App,
    format,
    page::{PageQuery, PageUrl},
    pages,
};

/// Jobs are acted on for so long at most; what is left can be asked for again.
const ACTION_DEADLINE: Duration = Duration::from_secs(20);

const REDRIVE: JobAction = JobAction::Redrive { per_second: None };

pub(super) async fn cancel(State(app): State<App>, Params(id): Params<JobId>) -> Answer {
    one(&app, id, JobAction::Cancel).await
}

pub(super) async fn redrive(State(app): State<App>, Params(id): Params<JobId>) -> Answer {
    one(&app, id, REDRIVE).await
}

pub(super) async fn discard(State(app): State<App>, Params(id): Params<JobId>) -> Answer {
    one(&app, id, JobAction::Discard).await
}

pub(super) async fn cancel_many(State(app): State<App>, form: Form) -> Answer {
    many(&app, &form, JobAction::Cancel).await
}

pub(super) async fn redrive_many(State(app): State<App>, form: Form) -> Answer {
    many(&app, &form, REDRIVE).await
}

pub(super) async fn discard_many(State(app): State<App>, form: Form) -> Answer {
    many(&app, &form, JobAction::Discard).await
}

async fn one(app: &App, id: JobId, action: JobAction) -> Answer {
    let Some(found) = app.queue.jobs().get(id).await? else { return Err(NotDone::Gone) };
    if let Some(owner) = Owner::of_job(&found).filter(|_| owner::is_terminating(action)) {
        return Err(NotDone::needed("job", owner));
    }
    act(app, action, JobFilter::ids([id])).await
}

/// Those that are ticked, or all that a question finds.
async fn many(app: &App, form: &Form, action: JobAction) -> Answer {
    let ids: Vec<JobId> = form.all("id").filter_map(|id| id.parse().ok()).collect();
    let filter = match (ids.is_empty(), form.get("matching")) {
        (false, _) => JobFilter::ids(ids),
        (true, Some(query)) => {
            let asked = PageUrl::parse(&format!("/jobs?{query}")).map_or_else(PageQuery::default, PageUrl::into_query);
            match pages::job_filter(app, &asked).await.map_err(NotDone::Failed)? {
                Some(filter) if !filter.is_empty() => filter,
                _ => return Err(NotDone::Gone),
            }
        }
        (true, None) => return Err(NotDone::Refused("No job is ticked: nothing was done".to_owned())),
    };
    act(app, action, filter).await
}

async fn act(app: &App, action: JobAction, filter: JobFilter) -> Answer {
    let filter = owner::exclude_owned(action, filter);
    let begun = Instant::now();
    let (mut changed, mut requested, mut place) = (0, 0, None);
    loop {
        let acted = app.queue.jobs().act(action, &filter, place, Duration::from_secs(2)).await?;
        changed += acted.changed;
        requested += acted.requested;
        place = acted.next;
        if place.is_none() || begun.elapsed() > ACTION_DEADLINE {
            break;
        }
    }
    let past = match action {
        JobAction::Cancel => "cancelled",
        JobAction::Redrive { .. } => "will run again",
        JobAction::Discard => "discarded",
    };
    let mut said = format!("{} {past}", format::count(changed));
    if requested > 0 {
        said += &format!(", {} asked to stop", format::count(requested));
    }
    if place.is_some() {
        said += "; there are more: press again";
    }
    done(said)
}
