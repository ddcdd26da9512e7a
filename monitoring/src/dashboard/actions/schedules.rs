use axum::extract::State;
use gristmill_queue::ScheduleError;

use super::{
    answer::{Answer, NotDone, done},
    params::Params,
};
use crate::dashboard::app::App;

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

fn not_done(error: ScheduleError) -> NotDone {
    match error {
        ScheduleError::NotFound(_) => NotDone::Gone,
        error => error.into(),
    }
}
