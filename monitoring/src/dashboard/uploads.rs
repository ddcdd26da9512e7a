//! Files that are dropped on the page, and rejects that are taken away from it.

use std::task::Poll;

use axum::{
    body::{Body, Bytes},
    extract::{Path, Query, State},
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _, stream};
use gristmill_board::{Person, broken};
use gristmill_core::ClientId;
use gristmill_pipelines::{Kind, Said};
use gristmill_platform::keys;
use gristmill_uploads::{NewUpload, OnDuplicate, Policy, ReceiveError, ReceiveOutcome, UploadId, read, rejects_csv};
use http::{StatusCode, header};
use serde::Deserialize;

use super::{app::App, audit, session};

#[derive(Deserialize)]
pub(super) struct UploadQuery {
    client: ClientId,
    kind: Kind,
    policy: Policy,
    filename: Option<String>,
}

/// Takes a file in, as the API does; answers with the upload's id.
pub(super) async fn receive(
    State(app): State<App>,
    person: Person,
    Query(sent): Query<UploadQuery>,
    body: Body,
) -> Response {
    if !person.may_act {
        refused(&app, &person).await;
        return (StatusCode::FORBIDDEN, "A viewer may look, not send files. Log in with the key of an operator.")
            .into_response();
    }
    match keys::client_names(&app.pool, &[sent.client]).await {
        Ok(names) if names.is_empty() => return (StatusCode::NOT_FOUND, "There is no such client.").into_response(),
        Ok(_) => {}
        Err(error) => return broken(&error),
    }
    let new = NewUpload {
        client_id: sent.client,
        kind: sent.kind,
        policy: sent.policy,
        on_duplicate: OnDuplicate::default(),
        filename: sent.filename.filter(|name| name.chars().count() <= 200 && !name.chars().any(char::is_control)),
        force: false,
        idempotency_key: None,
        said: Said::default(),
    };
    match app.uploads.receive(new, while_it_stands(&app, &person, body)).await {
        Ok(ReceiveOutcome::Accepted(upload) | ReceiveOutcome::Same(upload) | ReceiveOutcome::Replayed(upload)) => {
            let id = upload.id.to_string();
            let detail = upload.filename.unwrap_or_default();
            if let Err(error) = audit::enter(&app.pool, &person, "uploads.send", &id, &detail).await {
                tracing::error!(%error, id, "a file that was dropped is not in the audit log");
            }
            (StatusCode::ACCEPTED, id).into_response()
        }
        Err(error @ (ReceiveError::Store(_) | ReceiveError::Database(_) | ReceiveError::Queue(_))) => broken(&error),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, format!("The file was not taken: {error}")).into_response(),
    }
}

/// Notes that a viewer has tried.
async fn refused(app: &App, person: &Person) {
    let (what, why) = ("uploads/send", "a viewer may look, not send files");
    tracing::warn!(who = person.name, key = person.key, what, why, "refused on the dashboard");
    if let Err(error) = audit::enter(&app.pool, person, "refused", what, &format!("Refused: {why}")).await {
        tracing::error!(%error, who = person.name, what, "what was refused is not in the audit log");
    }
}

/// The body, broken off when the session ends before it does.
fn while_it_stands(
    app: &App,
    person: &Person,
    body: Body,
) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin + use<> {
    let mut body = body.into_data_stream();
    let mut ended = Some(Box::pin(session::ended(app.clone(), person.clone())));
    stream::poll_fn(move |cx| match ended.as_mut().map(|ended| ended.as_mut().poll(cx)) {
        Some(Poll::Pending) => body.poll_next_unpin(cx),
        Some(Poll::Ready(())) => {
            ended = None;
            Poll::Ready(Some(Err(axum::Error::new("the session has ended"))))
        }
        None => Poll::Ready(None),
    })
}

#[derive(Deserialize)]
pub(super) struct As {
    /// Whether a spreadsheet is to open it.
    #[serde(default)]
    spreadsheet: bool,
}

/// All rejects of an upload, as the API gives them.
pub(super) async fn rejects(
    State(app): State<App>,
    _: Person,
    Path(id): Path<UploadId>,
    Query(As { spreadsheet }): Query<As>,
) -> Response {
    let header = match read::header(&app.pool, id).await {
        Ok(Some(header)) => header,
        Ok(None) => return (StatusCode::NOT_FOUND, "There is no such upload.").into_response(),
        Err(error) => return broken(&error),
    };
    let name = format!("attachment; filename=\"rejects-{id}.csv\"");
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    (headers, Body::from_stream(rejects_csv::file(app.pool.clone(), id, &header, spreadsheet))).into_response()
}
