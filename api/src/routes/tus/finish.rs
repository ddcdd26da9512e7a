//! Reading a file in that has arrived whole.

use std::{io, time::Duration};

use futures::TryStreamExt as _;
use gristmill_uploads::{
    NewUpload, ReceiveOutcome, Upload, UploadId, client_limits,
    resumable::{self, Reader, Resumable},
};
use http::StatusCode;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    app::AppState,
    body::{self, BodyError},
    params::Params,
    problem::{Problem, Result},
    routes::uploads::{CreateUpload, problem},
};

/// How often it is looked for files that are whole and that nobody reads in: their process died.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long one waits that could not be read in for now.
const PUT_OFF: Duration = Duration::from_secs(15);

/// What became of it.
pub(super) enum Finished {
    /// It is this upload.
    Upload(UploadId),
    /// Somebody else reads it in, or has.
    Elsewhere,
}

/// Reads in what was left lying, until the server stops.
pub(crate) async fn finish_whole(app: AppState) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let stop = app.stop_bodies.clone();
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let unread = match resumable::unread(&app.pool).await {
            Ok(unread) => unread,
            Err(error) => {
                tracing::warn!(%error, "resumable uploads that are whole could not be looked for");
                continue;
            }
        };
        for file in unread {
            let Ok(_permit) = app.receiving.clone().try_acquire_owned() else { break };
            let id = file.id;
            match finish(&app, file).await {
                Ok(Finished::Upload(upload_id)) => {
                    tracing::info!(resumable_id = %id, %upload_id, "read in a file that was left lying");
                }
                Ok(Finished::Elsewhere) => {}
                Err(problem) => {
                    tracing::warn!(resumable_id = %id, ?problem, "a file that was left lying was not read in")
                }
            }
        }
    }
}

/// Reads a whole file in. However often it is tried, and by whom: it becomes one upload.
pub(super) async fn finish(app: &AppState, file: Resumable) -> Result<Finished> {
    let Some(reader) = resumable::read_in(&app.pool, file.id).await? else { return Ok(Finished::Elsewhere) };
    let _lease = AbortOnDropHandle::new(tokio::spawn(reader.renew(app.pool.clone())));
    let received = receive(app, &file).await;
    let (kept, answer) = match received {
        Ok(upload) => (Ok(upload.id), Ok(Finished::Upload(upload.id))),
        Err(problem) if is_passing(&problem) => return Err(put_off(app, reader, problem).await),
        Err(problem) => (Err(serde_json::to_value(problem.kept()).map_err(Problem::internal)?), Err(problem)),
    };
    reader.end(&app.pool, kept).await?;
    // A part may belong to other files, too.
    if file.parts.is_none()
        && let Err(error) = resumable::drop_objects(&*app.uploads.store, file.id).await
    {
        tracing::warn!(resumable_id = %file.id, %error, "the scheduler drops the pieces of a file that was read in");
    }
    answer
}

/// It says nothing of the file, and will not be so for ever.
fn is_passing(problem: &Problem) -> bool {
    let status = problem.status();
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || problem.code() == crate::problem::Code::KeyInFlight
}

async fn put_off(app: &AppState, reader: Reader, problem: Problem) -> Problem {
    if let Err(error) = reader.put_off(&app.pool, PUT_OFF).await {
        tracing::warn!(%error, "a lease runs out by itself");
    }
    problem
}

async fn receive(app: &AppState, file: &Resumable) -> Result<Upload> {
    let parameters = file.parameters.as_deref().unwrap_or_default();
    let mut wanted = CreateUpload::take(Params::of_query(parameters), "")?;
    wanted.find_profile(app, file.client_id).await?;
    let CreateUpload { kind, policy, on_duplicate, filename, force, said, profile: _, dry_run: _ } = wanted;
    let kept = resumable::content(&app.pool, app.uploads.store.clone(), file).await?;
    let kept = kept.map_err(|error| BodyError::Kept(io::Error::other(error)));
    let (encoding, packed) = body::packed(kept, None).await;
    let max_ratio = match encoding {
        Some(_) => client_limits::find(&app.pool, file.client_id).await?.over(&app.uploads.limits).max_ratio,
        None => 0,
    };
    let plain = body::decode(packed, encoding, max_ratio);
    let idempotency_key = Some(file.idempotency_key());
    let new =
        NewUpload { client_id: file.client_id, kind, policy, on_duplicate, filename, force, idempotency_key, said };
    match app.uploads.receive(new, plain).await.map_err(problem)? {
        ReceiveOutcome::Accepted(upload) | ReceiveOutcome::Replayed(upload) | ReceiveOutcome::Same(upload) => {
            Ok(upload)
        }
    }
}
