//! The buttons. Each says what it did, and the audit log keeps it.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use gristmill_billing::bills;
use gristmill_mail::Resent;
use gristmill_platform::{escapes, keys};
use gristmill_queue::{GroupId, JobAction, JobFilter, Limits, LimitsError, ScheduleError};
use gristmill_uploads::{
    RemoveError, Removed,
    jobs::QUEUES,
    owner::{self, Owner},
};
use gristmill_webhooks::{
    deliveries,
    endpoints::{self, Change},
    jobs::ReplayDeliveries,
};
use http::StatusCode;
use uuid::Uuid;

use super::{
    app::App,
    audit, format,
    page::{DashboardError, PageQuery, PageUrl, broken},
    pages,
    session::Session,
};

/// What came of it: for who pressed the button, and what it was done to.
struct Done {
    said: String,
    /// Else it cannot be done, and that is said.
    done: bool,
}

/// Jobs are acted on for so long at most; what is left can be asked for again.
const ACTION_DEADLINE: Duration = Duration::from_secs(20);

pub(super) async fn act(State(app): State<App>, session: Session, Path(what): Path<String>, body: Bytes) -> Response {
    if !session.operator {
        audit::refused(&app.pool, &session, &what, "a viewer may look, not act").await;
        return (StatusCode::FORBIDDEN, "A viewer may look, not act. Log in with the key of an operator.")
            .into_response();
    }
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    // A field may be a query itself: what a button was pressed for.
    let fault = form.iter().find_map(|(_, value)| escapes::check(value).err());
    if let Some(fault) = fault.or_else(|| escapes::check(&String::from_utf8_lossy(&body)).err()) {
        audit::refused(&app.pool, &session, &what, &format!("the form {fault}")).await;
        return (StatusCode::BAD_REQUEST, format!("The form {fault}. Nothing was done.")).into_response();
    }
    // On a task of its own: once begun it is finished and in the audit log, even if the browser goes away.
    match tokio::spawn(logged(app, session, what, form)).await {
        Ok(response) => response,
        Err(error) => broken(&error),
    }
}

async fn logged(app: App, session: Session, what: String, form: Vec<(String, String)>) -> Response {
    let segments: Vec<&str> = what.split('/').collect();
    let (verb, target) = (segments.last().copied().unwrap_or_default(), target(&segments));
    let action = format!("{}.{verb}", segments[0]);
    // Before it is done: who dies in the middle has left a line.
    let line = match audit::begin(&app.pool, &session, &action, &target).await {
        Ok(line) => line,
        Err(error) => {
            tracing::error!(%error, who = session.who, action, target, "an action that cannot be noted is not done");
            let said = format!("It was not done: the audit log cannot be written ({error})");
            return (StatusCode::SERVICE_UNAVAILABLE, said).into_response();
        }
    };
    let note = async |said: &str| {
        if let Err(error) = audit::end(&app.pool, line, said).await {
            tracing::error!(%error, who = session.who, action, target, said, "the outcome is not in the audit log");
        }
    };
    match run(&app, &segments, &form).await {
        Ok(Some(Done { said, done: false })) => {
            note(&format!("Not done: {said}")).await;
            (StatusCode::CONFLICT, said).into_response()
        }
        Ok(Some(Done { said, done: true })) => {
            note(&said).await;
            tracing::info!(who = session.who, action, target, said, "done on the dashboard");
            said.into_response()
        }
        Ok(None) => {
            note("Not done: it is not there, or cannot be done any more").await;
            (StatusCode::NOT_FOUND, "It is gone, or cannot be done any more. Load the page again.").into_response()
        }
        Err(error) => {
            tracing::error!(%error, what, "an action of the dashboard failed");
            note(&format!("It failed, perhaps in the middle: {error}")).await;
            (StatusCode::SERVICE_UNAVAILABLE, format!("It was not done: {error}")).into_response()
        }
    }
}

fn needed(what: &str, owner: Owner) -> String {
    format!("The {what} is {owner}'s, which cannot do without it: cancel that instead")
}

/// What stands between the first segment and the verb.
fn target(segments: &[&str]) -> String {
    let inner = segments.get(1..segments.len().saturating_sub(1)).unwrap_or_default();
    if inner.is_empty() { "many".to_owned() } else { inner.join("/") }
}

async fn run(app: &App, segments: &[&str], form: &[(String, String)]) -> Result<Option<Done>, DashboardError> {
    let said = match segments {
        ["jobs", verb] => return many_jobs(app, verb, form).await,
        ["jobs", id, verb] => {
            let Ok(id) = id.parse() else { return Ok(None) };
            let Some(found) = app.queue.jobs().get(id).await? else { return Ok(None) };
            if let Some(owner) = Owner::of_job(&found).filter(|_| job_action(verb).is_some_and(owner::ends)) {
                return Ok(Some(Done { said: needed("job", owner), done: false }));
            }
            return jobs(app, verb, JobFilter::ids([id])).await;
        }
        ["queues", name, ..] if !QUEUES.contains(name) && !app.queue.queues().is_known(name).await? => return Ok(None),
        ["queues", name, "limits"] => return limits(app, name, form).await,
        ["queues", name, verb] => {
            let queues = app.queue.queues();
            match *verb {
                "pause" => queues.pause(name).await?,
                "resume" => queues.resume(name).await?,
                "drain" => queues.drain(name).await?,
                _ => return Ok(None),
            };
            format!(
                "Queue {name}: {}",
                match *verb {
                    "pause" => "paused",
                    "resume" => "resumed",
                    _ => "drains, then pauses",
                }
            )
        }
        ["workers", id, "drain"] => {
            let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
            if !app.queue.drain_worker(id).await? {
                return Ok(None);
            }
            "The worker finishes what it has and takes no more".to_owned()
        }
        ["schedules", name, verb] => {
            let schedules = app.queue.schedules();
            let done = match *verb {
                "pause" => schedules.pause(name).await.map(drop),
                "resume" => schedules.resume(name).await.map(drop),
                "run" => schedules.run_now(name).await.map(drop),
                _ => return Ok(None),
            };
            match done {
                Err(ScheduleError::NotFound(_)) => return Ok(None),
                done => done?,
            }
            format!(
                "Schedule {name}: {}",
                match *verb {
                    "pause" => "paused",
                    "resume" => "resumed",
                    _ => "a run is started",
                }
            )
        }
        ["groups", id, "cancel"] => {
            let Ok(id) = id.parse().map(GroupId) else { return Ok(None) };
            // Its end is more than the end of its jobs, here and below.
            if let Some(owner) = Owner::of_group(&app.pool, id).await? {
                return Ok(Some(Done { said: needed("group", owner), done: false }));
            }
            let mut tx = app.pool.begin().await?;
            let jobs = app.queue.cancel_group(&mut tx, id).await?;
            tx.commit().await?;
            format!("The group is cancelled, with {} jobs", format::count(jobs))
        }
        ["groups", id, "retry"] => {
            let Ok(id) = id.parse().map(GroupId) else { return Ok(None) };
            if Owner::of_group(&app.pool, id).await?.is_some() {
                return Ok(None);
            }
            let mut tx = app.pool.begin().await?;
            let jobs = app.queue.retry_group(&mut tx, id).await?;
            if jobs.is_empty() {
                return Ok(None);
            }
            tx.commit().await?;
            let many = jobs.ids().len() as u64;
            app.queue.push(jobs).await;
            format!("{} failed members run again", format::count(many))
        }
        ["uploads", id, "cancel" | "undo"] => {
            let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
            let owner: Option<i32> = sqlx::query_scalar("select client_id from uploads where id = $1")
                .bind(id)
                .fetch_optional(&app.pool)
                .await?;
            let Some(owner) = owner else { return Ok(None) };
            match app.uploads.remove(owner, id).await {
                Ok(Removed::Cancelled(_)) => "The upload is cancelled".to_owned(),
                Ok(Removed::Undone(_)) => "The upload is undone: its rows are being removed".to_owned(),
                Err(RemoveError::NotFound) => return Ok(None),
                Err(error @ (RemoveError::Over { .. } | RemoveError::Billed)) => {
                    return Ok(Some(Done { said: error.to_string(), done: false }));
                }
                Err(error) => return Err(error.into()),
            }
        }
        ["claims", client, id, "void"] => {
            let (Ok(client), Ok(id)) = (client.parse(), id.parse::<Uuid>()) else { return Ok(None) };
            let mut tx = app.pool.begin().await?;
            if !gristmill_uploads::void_claim(&mut tx, client, id).await? {
                return Ok(None);
            }
            tx.commit().await?;
            "The claim is void".to_owned()
        }
        ["bills", id, "cancel"] => {
            let Ok(id) = id.parse() else { return Ok(None) };
            if !bills::cancel(&app.pool, id).await? {
                return Ok(None);
            }
            "The bill is withdrawn".to_owned()
        }
        ["keys", id, "revoke"] => match keys::revoke(&app.pool, id).await? {
            0 => return Ok(None),
            _ => "The key works no more".to_owned(),
        },
        ["webhooks", client, id, verb @ ("enable" | "disable")] => {
            let (Ok(client), Ok(id)) = (client.parse(), id.parse()) else { return Ok(None) };
            let change = Change { enabled: Some(*verb == "enable"), ..Change::default() };
            if endpoints::change(&app.pool, client, id, &change).await?.is_none() {
                return Ok(None);
            }
            format!("The webhook is {verb}d")
        }
        ["webhooks", client, id, "test"] => {
            let (Ok(client), Ok(id)) = (client.parse(), id.parse()) else { return Ok(None) };
            let mut tx = app.pool.begin().await?;
            let Some((_, jobs)) = gristmill_webhooks::test(&mut tx, &app.queue, client, id).await? else {
                return Ok(None);
            };
            tx.commit().await?;
            app.queue.push(jobs).await;
            "A test is sent: it is the newest delivery".to_owned()
        }
        ["webhooks", client, id, "replay"] => {
            let (Ok(client_id), Ok(endpoint_id)) = (client.parse(), id.parse()) else { return Ok(None) };
            if endpoints::find(&app.pool, client_id, endpoint_id).await?.is_none() {
                return Ok(None);
            }
            let job = ReplayDeliveries {
                client_id,
                endpoint_id,
                state: deliveries::State::Failed,
                since: None,
                until: None,
                after: Uuid::nil(),
            };
            let mut tx = app.pool.begin().await?;
            let jobs = deliveries::replay_all(&mut tx, &app.queue, &job).await?;
            tx.commit().await?;
            app.queue.push(jobs).await;
            "Failed deliveries are retried".to_owned()
        }
        ["mail", client, id, verb @ ("resend" | "send_twice")] => {
            let (Ok(client), Ok(id)) = (client.parse(), id.parse()) else { return Ok(None) };
            let mut tx = app.pool.begin().await?;
            let said = match gristmill_mail::resend(&mut tx, &app.queue, client, id, *verb == "send_twice").await? {
                Resent::Again(mail, jobs) => {
                    tx.commit().await?;
                    app.queue.push(jobs).await;
                    return Ok(Some(Done { said: format!("It is sent again to {}", mail.recipient), done: true }));
                }
                Resent::None => return Ok(None),
                Resent::Sending => "It is on its way already",
                Resent::Sent => "It was sent meanwhile",
                Resent::Suppressed => "Its address takes no mail: its client lifts that (gristmill mail lift ADDRESS)",
            };
            return Ok(Some(Done { said: said.to_owned(), done: false }));
        }
        ["deliveries", client, endpoint, id, "replay"] => {
            let (Ok(client), Ok(endpoint), Ok(id)) = (client.parse(), endpoint.parse(), id.parse()) else {
                return Ok(None);
            };
            let mut tx = app.pool.begin().await?;
            let replayed = deliveries::replay(&mut tx, &app.queue, client, endpoint, id).await?;
            let deliveries::Replayed::Again(jobs) = replayed else { return Ok(None) };
            tx.commit().await?;
            app.queue.push(jobs).await;
            "It is sent again".to_owned()
        }
        _ => return Ok(None),
    };
    Ok(Some(Done { said, done: true }))
}

/// Sets all limits of a queue: what is left empty is none.
async fn limits(app: &App, name: &str, form: &[(String, String)]) -> Result<Option<Done>, DashboardError> {
    let limits = match given_limits(form) {
        Ok(limits) => limits,
        Err(said) => return Ok(Some(Done { said, done: false })),
    };
    match app.queue.queues().set_limits(name, &limits).await {
        Ok(_) => Ok(Some(Done { said: format!("The queue {name} has these limits within a second"), done: true })),
        Err(LimitsError::Queue(error)) => Err(error.into()),
        Err(error) => Ok(Some(Done { said: error.to_string(), done: false })),
    }
}

fn given_limits(form: &[(String, String)]) -> Result<Limits, String> {
    Ok(Limits {
        concurrency: given(form, "concurrency")?,
        rate_per_second: given(form, "rate_per_second")?,
        burst: given(form, "burst")?,
        key_concurrency: given(form, "key_concurrency")?,
    })
}

/// A number of a form, unless its field is empty.
fn given<T: FromStr>(form: &[(String, String)], field: &str) -> Result<Option<T>, String> {
    let text = form.iter().find(|(name, _)| name == field).map_or("", |(_, value)| value.trim());
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("`{field}` cannot be {text}: the limits stay as they were"))
}

/// Those that are ticked, or all that a question finds.
async fn many_jobs(app: &App, verb: &str, form: &[(String, String)]) -> Result<Option<Done>, DashboardError> {
    let ids: Vec<Uuid> = form.iter().filter(|(name, _)| name == "id").filter_map(|(_, id)| id.parse().ok()).collect();
    let question = form.iter().find(|(name, _)| name == "matching").map(|(_, query)| query.as_str());
    let filter = match (ids.is_empty(), question) {
        (false, _) => JobFilter::ids(ids),
        (true, Some(query)) => {
            let asked = PageUrl::parse(&format!("/jobs?{query}")).map_or_else(PageQuery::default, PageUrl::into_query);
            match pages::job_filter(app, &asked).await? {
                Some(filter) if !filter.is_empty() => filter,
                _ => return Ok(None),
            }
        }
        (true, None) => return Ok(Some(Done { said: "No job is ticked: nothing was done".to_owned(), done: false })),
    };
    jobs(app, verb, filter).await
}

fn job_action(verb: &str) -> Option<JobAction> {
    match verb {
        "cancel" => Some(JobAction::Cancel),
        "redrive" => Some(JobAction::Redrive { per_second: None }),
        "discard" => Some(JobAction::Discard),
        _ => None,
    }
}

async fn jobs(app: &App, verb: &str, filter: JobFilter) -> Result<Option<Done>, DashboardError> {
    let Some(action) = job_action(verb) else { return Ok(None) };
    let filter = owner::spared(action, filter);
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
        said += &format!(", {} told to stop", format::count(requested));
    }
    if place.is_some() {
        said += "; there are more: press again";
    }
    Ok(Some(Done { said, done: true }))
}
