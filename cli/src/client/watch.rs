//! Following an upload by its Server-Sent Events, over as many connections as it takes.

use std::{io, process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use futures::TryStreamExt;
use gristmill_uploads::{Upload, UploadId};
use reqwest::{Method, StatusCode};
use tokio::time::sleep;

use super::{
    api::Api,
    error::Failure,
    progress::{Meter, Screen, Style},
    server::Server,
    sse::Events,
    upload::summary,
};

/// Watch an upload until it ends
#[derive(Args, Debug)]
#[command(
    override_usage = "gristmill watch [OPTIONS] <ID>",
    after_help = "Example:\n  gristmill watch 0195b3a4-7c1e-7000-8000-2f6c3f1a9d55\n\n\
    Exit code: 0 completed, 3 failed or cancelled."
)]
pub(crate) struct Watch {
    /// The upload
    #[arg(value_parser = super::human::upload)]
    id: UploadId,

    /// Print each change as a line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: Server,
}

impl Watch {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(self.server)?;
        let meter = Meter::new(None);
        meter.sent_whole();
        // What is wrong from the beginning does not pass by waiting.
        meter.learn(api.upload(self.id).await?);
        let screen = Screen::open(&meter, Style::new(self.json));
        let watched = tokio::select! {
            watched = follow(&api, self.id, &meter) => Some(watched),
            _ = tokio::signal::ctrl_c() => None,
        };
        screen.close().await;
        match watched {
            Some(upload) => {
                let upload = upload?;
                let took = upload.completed_at.map(|end| end.duration_since(upload.created_at).unsigned_abs());
                summary::print(&api, &upload, took, self.json).await
            }
            None => Ok(stopped(self.id)),
        }
    }
}

/// Ctrl-C ends the watching, not the upload.
pub(super) fn stopped(id: UploadId) -> ExitCode {
    eprintln!("the upload goes on: `gristmill watch {id}` shows it, `gristmill cancel {id}` stops it");
    ExitCode::from(130)
}

/// Tells the meter how the upload goes on until it has ended. A connection that drops, or a server that starts again,
/// only makes a pause: the next one goes on after the last event.
pub(super) async fn follow(api: &Api, id: UploadId, meter: &Arc<Meter>) -> Result<Upload, Failure> {
    const FIRST: Duration = Duration::from_millis(100);
    const MAX_RETRY_DELAY: Duration = Duration::from_secs(5);
    let mut last_id = None;
    let mut pause = FIRST;
    loop {
        let before = last_id.clone();
        match listen(api, id, meter, &mut last_id).await {
            Ok(Some(upload)) => return Ok(upload),
            // A server that stops ends its streams in good order.
            Ok(None) => {}
            Err(failure) if failure.is_passing() => meter.note(format!("{}: trying again", brief(&failure))),
            Err(failure) => return Err(failure),
        }
        if last_id != before {
            pause = FIRST;
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_RETRY_DELAY);
    }
}

/// One connection. The upload, if it has ended.
async fn listen(
    api: &Api,
    id: UploadId,
    meter: &Arc<Meter>,
    last_id: &mut Option<String>,
) -> Result<Option<Upload>, Failure> {
    let mut request = api.request(Method::GET, &format!("v1/uploads/{id}/events"), &[]);
    request = request.header("accept", "text/event-stream");
    if let Some(last) = &*last_id {
        request = request.header("last-event-id", last);
    }
    let response = api.send(request).await?;
    if response.status() == StatusCode::NO_CONTENT {
        let upload = api.upload(id).await?;
        return Ok(Some(upload).filter(|upload| upload.state.is_final()));
    }
    let broken = |source: io::Error| Failure::Broken { api: api.base(), source: source.into() };
    let mut events = Events::new(Box::pin(response.bytes_stream().map_err(io::Error::other)));
    while let Some(event) = events.next().await.map_err(broken)? {
        if event.id.is_some() {
            *last_id = event.id;
        }
        // `rejected` says in examples what the counts of the upload say too; `reset` is followed by the whole state.
        if !matches!(event.name.as_str(), "progress" | "completed" | "failed" | "cancelled") {
            continue;
        }
        let upload: Upload = serde_json::from_str(&event.data).map_err(|error| broken(error.into()))?;
        meter.learn(upload.clone());
        if upload.state.is_final() {
            return Ok(Some(upload));
        }
    }
    Ok(None)
}

/// For the progress line, where there is no room for what to do.
pub(super) fn brief(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unreachable { .. } => "the server does not answer",
        Failure::Broken { .. } => "the connection broke",
        _ => "the server cannot right now",
    }
}
