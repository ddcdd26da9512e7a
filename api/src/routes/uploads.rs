//! `/v1/uploads`: files in, and what became of them.

mod create;
mod delta;
mod dry_run;
mod events;
mod fetch;
mod rejects;
mod said;

use axum::{
    Json,
    extract::{FromRequestParts, State},
};
use gristmill_platform::keys;
use gristmill_queue::trace;
use gristmill_uploads::{FileKind, RemoveError, RemoveOutcome, State as UploadState, Upload, UploadId, read};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::AppState,
    auth::{Caller, forbidden},
    cursor,
    openapi::{Absent, NoReceipt, NotOperator, Over},
    params::{Params, UploadPath},
    problem::{Code, Problem, Result},
};

// The documentation macros make an item beside each handler.
pub(crate) use create::*;
pub(crate) use delta::*;
pub(crate) use events::*;
pub(crate) use fetch::*;
pub(crate) use rejects::*;

/// A page of uploads, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct UploadList {
    items: Vec<ListedUpload>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// An upload, as a list shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedUpload {
    #[serde(flatten)]
    upload: Upload,
    /// The name of its client, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "acme")]
    client: Option<String>,
}

/// Which uploads, and how many of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the documentation: the fields are taken by name")]
struct ListQuery {
    /// Only uploads in this state.
    state: Option<UploadState>,
    /// Only uploads of this kind.
    #[param(value_type = Option<FileKind>, example = "debts")]
    kind: Option<String>,
    /// Only your upload that was sent with this `Idempotency-Key`.
    idempotency_key: Option<String>,
    /// Only uploads of the client of this name.
    client: Option<String>,
    /// Items a page, 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 2, pattern = "^u[0-9a-fA-F]{1,32}$")]
    cursor: Option<String>,
}

/// Uploads, newest first
///
/// A client's key lists its own, an operator's those of all clients.
#[utoipa::path(get, path = "/v1/uploads", operation_id = "listUploads", tag = "uploads", params(ListQuery),
    responses((status = 200, description = "A page", body = UploadList), NotOperator, Absent))]
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, uri: Uri) -> Result<Json<UploadList>> {
    let mut query = Params::of(&uri);
    let limit = query.limit();
    let filter = read::Filter {
        state: query.take("state"),
        kind: query.take("kind"),
        idempotency_key: query.take("idempotency_key"),
        before: query.take::<cursor::Uploads>("cursor").map(|cursor| cursor.id().into()),
        limit: limit + 1,
    };
    let client = query.take::<String>("client");
    query.finish()?;
    let pool = &app.pool;
    let named = |client: Option<String>, upload| ListedUpload { upload, client };
    let found: Vec<ListedUpload> = match client {
        Some(name) if caller.is_operator() => {
            let client_id = keys::client_id(pool, &name).await?.ok_or_else(|| Problem::no_such_client(&name))?;
            let found = read::list(pool, client_id, &filter).await?;
            found.into_iter().map(|upload| named(Some(name.clone()), upload)).collect()
        }
        Some(name) if name != caller.name() => return Err(forbidden()),
        // Keys of two clients may be the same.
        None if caller.is_operator() && filter.idempotency_key.is_none() => {
            let found = read::recent(pool, &filter).await?;
            found.into_iter().map(|(client, upload)| named(Some(client), upload)).collect()
        }
        Some(_) | None => {
            let found = read::list(pool, caller.id(), &filter).await?;
            found.into_iter().map(|upload| named(None, upload)).collect()
        }
    };
    let (items, next_cursor) =
        cursor::Uploads::page(found, limit, |last| cursor::Uploads::after_id(last.upload.id.get()));
    Ok(Json(UploadList { items, next_cursor }))
}

/// One upload
#[utoipa::path(get, path = "/v1/uploads/{id}", operation_id = "getUpload", tag = "uploads", params(("id" = Uuid, Path, description = "The upload")),
    responses((status = 200, description = "The upload", body = Upload)))]
pub(crate) async fn one(about: About) -> Result<Json<Upload>> {
    about.find().await.map(Json)
}

/// The proof that a completed upload adds up
#[utoipa::path(get, path = "/v1/uploads/{id}/receipt", operation_id = "getReceipt", tag = "uploads",
    params(("id" = Uuid, Path, description = "The upload")), responses((status = 200, description = "The receipt", body = read::Receipt), NoReceipt))]
pub(crate) async fn receipt(about: About) -> Result<Json<read::Receipt>> {
    let upload = about.find().await?;
    let id = upload.id;
    let receipt = read::receipt(&about.app.pool, id).await?.ok_or_else(|| {
        let what_to_do =
            if upload.state.is_final() { "it will not have a receipt" } else { "watch its events and ask again" };
        Problem::new(Code::NotCompleted, format!("The upload is {}, not completed: {what_to_do}.", upload.state))
            .about(id)
    })?;
    Ok(Json(receipt))
}

/// Cancel a running upload, undo a completed one
#[utoipa::path(delete, path = "/v1/uploads/{id}", operation_id = "deleteUpload", tag = "uploads",
    params(("id" = Uuid, Path, description = "The upload")),
    responses((status = 202, description = "It is cancelled: none of its rows counts any more, and they are being removed", body = Upload), Over))]
pub(crate) async fn remove(about: About) -> Result<(StatusCode, HeaderMap, Json<Upload>)> {
    let About { app, caller, id } = about;
    // On a task of its own: once begun it is finished, even if the client hangs up.
    let (uploads, client_id) = (app.uploads.clone(), caller.id());
    let removing = tokio::spawn(trace::carry(async move { uploads.remove(client_id, id).await }));
    match removing.await.map_err(Problem::internal)? {
        Ok(RemoveOutcome::Cancelled(upload) | RemoveOutcome::Undone(upload)) => {
            Ok((StatusCode::ACCEPTED, location(id), Json(upload)))
        }
        Err(RemoveError::NotFound) => Err(Problem::no_such_upload(id)),
        Err(error @ (RemoveError::Over { .. } | RemoveError::RowsDropped)) => {
            Err(Problem::new(Code::AlreadyOver, format!("{error}.")).about(id))
        }
        Err(error @ (RemoveError::Billed | RemoveError::ReplacedAreBilled)) => {
            Err(Problem::new(Code::AlreadyBilled, format!("{error}.")).about(id))
        }
        Err(RemoveError::Database(error)) => Err(error.into()),
        Err(RemoveError::Queue(error)) => Err(error.into()),
    }
}

/// A request about one upload that takes no parameters.
pub(crate) struct About {
    app: AppState,
    caller: Caller,
    id: UploadId,
}

impl About {
    async fn find(&self) -> Result<Upload> {
        find(&self.app, &self.caller, self.id).await
    }
}

impl FromRequestParts<AppState> for About {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let UploadPath(id) = UploadPath::from_request_parts(parts, app).await?;
        Params::of(&parts.uri).finish()?;
        Ok(Self { app: app.clone(), caller, id })
    }
}

/// The client's upload; another client's is not there.
pub(super) async fn find(app: &AppState, caller: &Caller, id: UploadId) -> Result<Upload> {
    read::find(&app.pool, caller.id(), id).await?.ok_or_else(|| Problem::no_such_upload(id))
}

fn location(id: UploadId) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("/v1/uploads/{id}")).expect("a UUID is plain ASCII");
    HeaderMap::from_iter([(header::LOCATION, value)])
}
