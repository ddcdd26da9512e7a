//! Reading a file in while the rest of it arrives.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use gristmill_queue::trace;
use gristmill_uploads::{
    NewUpload, ReceiveOutcome, Upload, client_limits,
    resumable::{self, Resumable},
};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::JoinHandle,
};

use crate::{
    app::AppState,
    body::{self, BodyError},
    params::Params,
    problem::{Problem, Result},
    routes::uploads::{CreateUpload, problem},
};

/// What is kept of a file is read in, and then what comes. Dropped before its end, nothing of the upload stays.
pub(super) struct Reading {
    arriving: Sender<Arrival>,
    reading: JoinHandle<Result<Upload>>,
}

enum Arrival {
    Piece(Vec<Bytes>),
    /// The file is whole.
    End,
}

impl Reading {
    pub(super) async fn begin(app: &AppState, file: &Resumable) -> Result<Self> {
        let kept = content(app, file).await?;
        let (arriving, arrivals) = mpsc::channel(1);
        let (app, file) = (app.clone(), file.clone());
        let reading = tokio::spawn(trace::carry(async move { take(&app, &file, kept.chain(live(arrivals))).await }));
        Ok(Self { arriving, reading })
    }

    /// Reads on; waits while enough is held. `false`: it is over, and [`Reading::over`] says why.
    pub(super) async fn push(&self, frames: Vec<Bytes>) -> bool {
        self.arriving.send(Arrival::Piece(frames)).await.is_ok()
    }

    /// Nothing is read any more.
    pub(super) fn is_over(&self) -> bool {
        self.reading.is_finished()
    }

    /// The file is whole: this is the upload.
    pub(super) async fn end(self) -> Result<Upload> {
        // Where nothing is read any more, it says why.
        let _ = self.arriving.send(Arrival::End).await;
        self.over().await
    }

    pub(super) async fn over(self) -> Result<Upload> {
        drop(self.arriving);
        self.reading.await.map_err(Problem::internal)?
    }
}

fn live(arrivals: Receiver<Arrival>) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    let pieces = stream::unfold(Some(arrivals), async |arrivals| {
        let mut arrivals = arrivals?;
        match arrivals.recv().await {
            Some(Arrival::Piece(frames)) => Some((Ok(stream::iter(frames.into_iter().map(Ok))), Some(arrivals))),
            Some(Arrival::End) => None,
            None => Some((Err(BodyError::Halted), None)),
        }
    });
    pieces.try_flatten()
}

/// Reads in what is kept of a file, which is all of it.
pub(super) async fn receive(app: &AppState, file: &Resumable) -> Result<Upload> {
    take(app, file, content(app, file).await?).await
}

async fn content(
    app: &AppState,
    file: &Resumable,
) -> Result<impl Stream<Item = Result<Bytes, BodyError>> + Send + use<>> {
    let kept = resumable::content(&app.pool, app.uploads.store.clone(), file).await?;
    Ok(kept.map_err(|error| BodyError::Kept(io::Error::other(error))))
}

async fn take(
    app: &AppState,
    file: &Resumable,
    content: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
) -> Result<Upload> {
    let parameters = file.parameters.as_deref().unwrap_or_default();
    let mut wanted = CreateUpload::take(Params::of_query(parameters), "")?;
    wanted.find_profile(app, file.client_id).await?;
    let CreateUpload { kind, policy, on_duplicate, filename, force, said, profile: _, dry_run: _ } = wanted;
    let (encoding, packed) = body::packed(content, None).await;
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
