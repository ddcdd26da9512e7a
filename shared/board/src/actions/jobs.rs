use std::time::{Duration, Instant};

use axum::extract::State;
use gristmill_queue::{ChangeError, JobAction, JobChange, JobFilter, JobId};

use super::{
    answer::{Answer, NotDone, done},
    form::Form,
    params::Params,
};
use crate::{board::App, format, pages, visit::PageQuery};

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

/// Runs a scheduled job now.
pub(super) async fn promote(State(app): State<App>, Params(id): Params<JobId>) -> Answer {
    let mut tx = app.queue.pool().begin().await?;
    app.queue.jobs().promote_in(&mut tx, id).await.map_err(not_done)?;
    tx.commit().await?;
    done("It is due now")
}

/// Makes a job that waits be as the form says.
pub(super) async fn change(State(app): State<App>, Params(id): Params<JobId>, form: Form) -> Answer {
    alone(&app, id).await?;
    app.queue.jobs().change(id, &wished(&form)?).await.map_err(not_done)?;
    done("The job is changed")
}

/// The same with one that has ended badly, and runs it again.
pub(super) async fn retry(State(app): State<App>, Params(id): Params<JobId>, form: Form) -> Answer {
    alone(&app, id).await?;
    app.queue.jobs().retry_with(id, &wished(&form)?).await.map_err(not_done)?;
    done("The job is changed, and will run again")
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
    if let Some(owner) = app.owners.needs_job(&found).filter(|_| ends(action)) {
        return Err(NotDone::needed("job", &owner));
    }
    act(app, action, JobFilter::ids([id])).await
}

/// Those that are ticked, or all that a question finds.
async fn many(app: &App, form: &Form, action: JobAction) -> Answer {
    let ids: Vec<JobId> = form.all("id").filter_map(|id| id.parse().ok()).collect();
    let filter = match (ids.is_empty(), form.get("matching")) {
        (false, _) => JobFilter::ids(ids),
        (true, Some(query)) => {
            match pages::job_filter(app, &PageQuery::parse(query)).await.map_err(NotDone::Failed)? {
                Some(filter) if !filter.is_empty() => filter,
                _ => return Err(NotDone::Gone),
            }
        }
        (true, None) => return Err(NotDone::Refused("No job is ticked: nothing was done".to_owned())),
    };
    act(app, action, filter).await
}

/// A job that nobody needs as it is.
async fn alone(app: &App, id: JobId) -> Result<(), NotDone> {
    let Some(found) = app.queue.jobs().get(id).await? else { return Err(NotDone::Gone) };
    match app.owners.needs_job(&found) {
        Some(owner) => Err(NotDone::Refused(format!("The job is {owner}'s, which needs it as it is"))),
        None => Ok(()),
    }
}

/// What a form wants a job to be: a field that is empty, or not there, leaves it as it is; but for the tags, which are what stands
/// there.
fn wished(form: &Form) -> Result<JobChange, NotDone> {
    let text = |field: &str| form.get(field).map(str::trim).filter(|text| !text.is_empty());
    let refused =
        |field: &str, text: &str| NotDone::Refused(format!("`{field}` cannot be {text}: the job stays as it was"));
    let payload = text("payload").map(serde_json::from_str).transpose();
    let payload = payload.map_err(|error| NotDone::Refused(format!("The payload is not JSON: {error}")))?;
    let priority = text("priority").map(|text| text.parse().map_err(|_| refused("priority", text))).transpose()?;
    let max_attempts = text("max_attempts");
    let max_attempts = max_attempts.map(|text| text.parse().map_err(|_| refused("max_attempts", text))).transpose()?;
    let tags = form.get("tags").map(|tags| tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()));
    Ok(JobChange {
        payload,
        priority,
        max_attempts,
        queue: text("queue").map(str::to_owned),
        tags: tags.map(|tags| tags.map(str::to_owned).collect()),
        ..JobChange::default()
    })
}

fn not_done(error: ChangeError) -> NotDone {
    match error {
        ChangeError::NotFound(_) => NotDone::Gone,
        ChangeError::Queue(error) => error.into(),
        error => NotDone::Refused(error.to_string()),
    }
}

/// Whether the action ends jobs, which who needs them would wait for.
fn ends(action: JobAction) -> bool {
    match action {
        JobAction::Cancel | JobAction::Discard => true,
        JobAction::Redrive { .. } => false,
    }
}

async fn act(app: &App, action: JobAction, mut filter: JobFilter) -> Answer {
    if ends(action) {
        filter.excluded_names.extend(app.owners.needed_names());
    }
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
