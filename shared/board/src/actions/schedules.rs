use std::str::FromStr;

use axum::extract::State;
use gristmill_queue::{JobSpec, NewSchedule, ScheduleError};

use super::{
    answer::{Answer, NotDone, done},
    form::Form,
    params::Params,
};
use crate::board::App;

pub(super) async fn pause(State(app): State<App>, Params(name): Params<String>) -> Answer {
    app.queue.schedules().pause(&name).await.map_err(not_done)?;
    done(format!("Schedule {name}: paused"))
}

pub(super) async fn resume(State(app): State<App>, Params(name): Params<String>) -> Answer {
    app.queue.schedules().resume(&name).await.map_err(not_done)?;
    done(format!("Schedule {name}: resumed"))
}

pub(super) async fn run(State(app): State<App>, Params(name): Params<String>) -> Answer {
    app.queue.schedules().run_now(&name).await.map_err(not_done)?;
    done(format!("Schedule {name}: a run is started"))
}

/// Makes a schedule, or makes the one of this name be like this.
pub(super) async fn put(State(app): State<App>, form: Form) -> Answer {
    let text = |field: &str| form.get(field).map(str::trim).filter(|text| !text.is_empty());
    let name = text("name").ok_or_else(|| NotDone::Refused("It has no name".to_owned()))?;
    let job = text("job").ok_or_else(|| NotDone::Refused("Its job has no name".to_owned()))?;
    let cron = match (text("cron"), text("at")) {
        (Some(cron), None) => cron.to_owned(),
        (None, Some(at)) => format!("@at {at}"),
        _ => return Err(NotDone::Refused("It has a cron expression, or a time at which it fires once".to_owned())),
    };
    let payload = serde_json::from_str(text("payload").unwrap_or("{}"))
        .map_err(|error| NotDone::Refused(format!("The payload is not JSON: {error}")))?;
    let mut spec = JobSpec::new(job, payload);
    if let Some(queue) = text("queue") {
        spec = spec.queue(queue);
    }
    let new = NewSchedule {
        time_zone: text("time_zone").unwrap_or("UTC").to_owned(),
        overlap: field(&form, "overlap")?.unwrap_or_default(),
        catch_up: field(&form, "catch_up")?.unwrap_or_default(),
        starts_at: field(&form, "starts_at")?,
        ends_at: field(&form, "ends_at")?,
        ..NewSchedule::new(name, cron, spec)
    };
    match app.queue.schedules().put(&new).await {
        Ok(_) => done(format!("Schedule {name}: it is so from now on")),
        Err(ScheduleError::Queue(error)) => Err(error.into()),
        Err(error) => Err(NotDone::Refused(error.to_string())),
    }
}

/// What a field stands for, unless it is empty or not there.
fn field<T: FromStr>(form: &Form, name: &str) -> Result<Option<T>, NotDone> {
    let text = form.get(name).unwrap_or("").trim();
    if text.is_empty() {
        return Ok(None);
    }
    let refused = |_| NotDone::Refused(format!("`{name}` cannot be {text}: the schedule stays as it was"));
    text.parse().map(Some).map_err(refused)
}

fn not_done(error: ScheduleError) -> NotDone {
    match error {
        ScheduleError::NotFound(_) => NotDone::Gone,
        error => error.into(),
    }
}
