//! What a file becomes that has arrived whole.

use std::time::Duration;

use gristmill_uploads::{
    UploadId,
    resumable::{self, Reader, Resumable},
};
use http::StatusCode;
use tokio_util::task::AbortOnDropHandle;

use super::reading::{Reading, receive};
use crate::{
    app::AppState,
    problem::{Code, Problem, Result},
};

/// How often it is looked for files that are whole and that nobody reads in: their process died.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long one waits that could not be read in for now.
const PUT_OFF: Duration = Duration::from_secs(15);
/// How often, and at what intervals, it is tried while an upload of before is given up, which a scheduler does when its process died.
const TRIES: usize = 25;
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Reads in what was left lying, until the server stops.
pub(crate) async fn finish_whole(app: AppState) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let stop = app.stop_bodies.clone();
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if let Err(problem) = finish_unread(&app).await {
            tracing::warn!(?problem, "resumable uploads that are whole could not be looked for");
        }
    }
}

async fn finish_unread(app: &AppState) -> Result<()> {
    for file in resumable::unread(&app.pool).await? {
        let Ok(_permit) = app.receiving.clone().try_acquire_owned() else { break };
        let Some(reader) = resumable::read_in(&app.pool, file.id).await? else { continue };
        match finish(app, &file, reader, None).await {
            Ok(upload_id) => tracing::info!(resumable_id = %file.id, %upload_id, "read in a file that was left lying"),
            Err(problem) => {
                tracing::warn!(resumable_id = %file.id, ?problem, "a file that was left lying was not read in");
            }
        }
    }
    Ok(())
}

/// Reads a whole file in, or to its end where that goes on already. However often it is tried, and by which process: it becomes one
/// upload.
pub(super) async fn finish(
    app: &AppState,
    file: &Resumable,
    reader: Reader,
    reading: Option<Reading>,
) -> Result<UploadId> {
    let _lease = AbortOnDropHandle::new(tokio::spawn(reader.renew(app.pool.clone())));
    let mut received = match reading {
        Some(reading) => reading.end().await,
        None => receive(app, file).await,
    };
    let mut tries = 1;
    while tries < TRIES && received.as_ref().is_err_and(|problem| problem.code() == Code::KeyInFlight) {
        tokio::time::sleep(RETRY_INTERVAL).await;
        received = receive(app, file).await;
        tries += 1;
    }
    match received {
        Ok(upload) => {
            reader.end(&app.pool, Ok(upload.id)).await?;
            drop_pieces(app, file).await;
            Ok(upload.id)
        }
        Err(problem) if is_passing(&problem) => {
            if let Err(error) = reader.put_off(&app.pool, PUT_OFF).await {
                tracing::warn!(resumable_id = %file.id, %error, "a lease runs out by itself");
            }
            Err(problem)
        }
        Err(problem) => Err(refuse(app, file, reader, problem).await?),
    }
}

/// The file is none that is taken: this stays so.
pub(super) async fn refuse(app: &AppState, file: &Resumable, reader: Reader, problem: Problem) -> Result<Problem> {
    let kept = serde_json::to_value(problem.kept()).map_err(Problem::internal)?;
    reader.end(&app.pool, Err(kept)).await?;
    drop_pieces(app, file).await;
    Ok(problem)
}

/// Parts may belong to other files, too.
async fn drop_pieces(app: &AppState, file: &Resumable) {
    if file.parts.is_none()
        && let Err(error) = resumable::drop_objects(&*app.uploads.store, file.id).await
    {
        tracing::warn!(resumable_id = %file.id, %error, "the scheduler drops the pieces of a file that was read in");
    }
}

/// It says nothing of the file, and will not be so for ever.
pub(super) fn is_passing(problem: &Problem) -> bool {
    let status = problem.status();
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || problem.code() == Code::KeyInFlight
}
