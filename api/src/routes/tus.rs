//! `/v1/tus`: files that go on where they broke off, by [tus 1.0](https://tus.io/protocols/resumable-upload).

mod add;
mod begin;
mod checksum;
mod finish;
mod headers;
mod reading;

use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use gristmill_uploads::{
    UploadId,
    resumable::{self, Reader, Resumable, ResumableId},
};
use http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::AppState,
    auth::Caller,
    openapi::{NotResumable, NotTaken},
    params::{Named, Params, bad_header},
    problem::{Code, Problem, ProblemBody, Result},
};

// The documentation macros make an item beside each handler.
pub(crate) use add::*;
pub(crate) use begin::*;
use finish::finish;
pub(crate) use finish::finish_whole;
use headers::Names;
use reading::Reading;

/// The version that is spoken.
const VERSION: &str = "1.0.0";
/// What is spoken beyond the core.
const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation";

/// A file that arrives in several requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResumableUpload {
    /// Of version 7: sorted by time of creation.
    #[schema(value_type = Uuid)]
    id: ResumableId,
    /// Bytes that it will have; null until that is said.
    length: Option<i64>,
    /// Bytes that have arrived and are kept.
    offset: i64,
    /// It is a part of files and none by itself.
    partial: bool,
    /// When it goes, unless something arrives before.
    expires_at: jiff::Timestamp,
    /// The upload that it became.
    #[schema(value_type = Option<Uuid>)]
    upload_id: Option<UploadId>,
    /// Why it did not become one.
    problem: Option<ProblemBody>,
}

/// What is spoken by tus at this address: `OPTIONS` of it and of each upload.
pub(crate) async fn options(State(app): State<AppState>) -> (StatusCode, HeaderMap) {
    (StatusCode::NO_CONTENT, headers::options(app.uploads.limits.max_file_bytes))
}

/// How far a resumable upload is
///
/// `HEAD` is answered by the headers alone, and only with `Tus-Resumable`: `Upload-Offset` is from where it goes on, `Gristmill-Upload` the
/// upload that it became. One that was refused is answered with the problem then, and one that is whole and was not read in yet, as a process
/// died, is read in.
#[utoipa::path(get, path = "/v1/tus/{id}", operation_id = "getTusUpload", tag = "uploads", params(("id" = Uuid, Path, description = "The resumable upload")),
    responses((status = 200, description = "Where it stands", body = ResumableUpload), NotResumable))]
pub(crate) async fn one(about: AboutResumable, method: Method) -> Result<Response> {
    let file = about.find().await?;
    if method == Method::HEAD {
        return about.offset(file).await;
    }
    let problem = file.problem.as_ref().map(|kept| ProblemBody::deserialize_kept(&kept.0)).transpose()?;
    let shown = ResumableUpload {
        id: file.id,
        length: file.length,
        offset: file.received,
        partial: file.is_part(),
        expires_at: file.expires_at.to_jiff(),
        upload_id: file.upload_id,
        problem,
    };
    Ok((headers::of(&file), Json(shown)).into_response())
}

/// Remove a resumable upload
///
/// What has arrived of it is dropped. An upload that it became stays: `DELETE /v1/uploads/{id}` is for that.
#[utoipa::path(delete, path = "/v1/tus/{id}", operation_id = "deleteTusUpload", tag = "uploads", params(("id" = Uuid, Path, description = "The resumable upload")),
    responses((status = 204, description = "It is removed"), NotResumable))]
pub(crate) async fn terminate(about: AboutResumable) -> Result<StatusCode> {
    let file = about.find().await?;
    if !resumable::remove(&about.app.pool, about.caller.id(), file.id).await? {
        // It may be gone by now, too.
        about.find().await?;
        return Err(headers::locked());
    }
    if let Err(error) = resumable::drop_objects(&*about.app.uploads.store, file.id).await {
        tracing::warn!(resumable_id = %file.id, %error, "the scheduler drops what is left of a removed upload");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// PATCH, DELETE or HEAD, for clients that can only POST
///
/// `X-HTTP-Method-Override` names the method.
#[utoipa::path(post, path = "/v1/tus/{id}", operation_id = "overrideTusUpload", tag = "uploads", params(("id" = Uuid, Path, description = "The resumable upload"),
        ("X-HTTP-Method-Override" = String, Header, description = "`PATCH`, `DELETE` or `HEAD`")),
    responses((status = 204, description = "As of the method"), NotTaken, NotResumable))]
pub(crate) async fn overridden(about: AboutResumable, headers: HeaderMap, body: Body) -> Result<Response> {
    let named = headers.get(Names::METHOD_OVERRIDE).map(|method| method.as_bytes().to_ascii_uppercase());
    match named.as_deref() {
        Some(b"PATCH") => add(about, headers, body).await,
        Some(b"DELETE") => terminate(about).await.map(axum::response::IntoResponse::into_response),
        Some(b"HEAD") => {
            let file = about.find().await?;
            about.offset(file).await
        }
        _ => Err(bad_header(&Names::METHOD_OVERRIDE, "names none of PATCH, DELETE and HEAD: a POST here needs one")),
    }
}

/// A request about one resumable upload.
pub(crate) struct AboutResumable {
    app: AppState,
    caller: Caller,
    id: ResumableId,
}

impl AboutResumable {
    async fn find(&self) -> Result<Resumable> {
        let found = resumable::find(&self.app.pool, self.caller.id(), self.id).await?;
        let file = found.ok_or_else(|| no_such_resumable(self.id))?;
        // One that is whole is read in, whenever that is.
        if file.expired && file.upload_id.is_none() && (file.is_part() || !file.is_whole()) {
            return Err(Problem::new(
                Code::UploadExpired,
                format!("The resumable upload '{}' has expired: begin a new one with POST /v1/tus.", file.id),
            ));
        }
        Ok(file)
    }

    /// Up to where it is kept.
    async fn offset(&self, file: Resumable) -> Result<Response> {
        let file = self.finished(file).await?;
        Ok((StatusCode::OK, headers::of(&file)).into_response())
    }

    /// The file read in, when it is whole; the problem, when it was refused.
    async fn finished(&self, file: Resumable) -> Result<Resumable> {
        if let Some(kept) = &file.problem {
            return Err(refusal(&kept.0));
        }
        if !file.is_whole() || file.is_part() || file.upload_id.is_some() {
            return Ok(file);
        }
        let Some(reader) = resumable::read_in(&self.app.pool, file.id).await? else {
            return self.read_elsewhere().await;
        };
        self.read(file, reader, None).await
    }

    /// Reads a whole file in, or to its end what is read in already.
    async fn read(&self, file: Resumable, reader: Reader, reading: Option<Reading>) -> Result<Resumable> {
        let upload_id = finish(&self.app, &file, reader, reading).await?;
        Ok(Resumable { upload_id: Some(upload_id), ..file })
    }

    async fn read_elsewhere(&self) -> Result<Resumable> {
        match self.find().await? {
            Resumable { problem: Some(kept), .. } => Err(refusal(&kept.0)),
            found if found.upload_id.is_some() => Ok(found),
            _ => Err(headers::locked()),
        }
    }
}

impl FromRequestParts<AppState> for AboutResumable {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let Named(text) = Named::from_request_parts(parts, app).await?;
        let id = text.parse().map_err(|_| {
            Problem::new(Code::NotFound, format!("'{text}' is not a resumable upload's id: those are UUIDs."))
        })?;
        Params::of(&parts.uri).finish()?;
        Ok(Self { app: app.clone(), caller, id })
    }
}

fn no_such_resumable(id: ResumableId) -> Problem {
    Problem::new(Code::NotFound, format!("There is no resumable upload '{id}'. POST /v1/tus begins one."))
}

/// A problem that was kept.
fn refusal(kept: &serde_json::Value) -> Problem {
    let problem = ProblemBody::deserialize_kept(kept).map(Problem::again);
    problem.ok().flatten().unwrap_or_else(|| Problem::internal("a problem that was kept cannot be read"))
}

/// What stands before the routes: requests of other versions are refused, and every answer says the version.
pub(crate) async fn spoken(request: Request, next: Next) -> Response {
    let asked = request.headers().get(Names::RESUMABLE).map(|version| version.as_bytes().to_owned());
    // A browser shows what it GETs, and asks before it sends.
    let needs_none = [Method::GET, Method::OPTIONS].contains(request.method());
    let mut response = match asked.as_deref() {
        Some(version) if version == VERSION.as_bytes() => next.run(request).await,
        _ if needs_none => next.run(request).await,
        _ => headers::other_version().into_response(),
    };
    let answer = response.headers_mut();
    answer.insert(Names::RESUMABLE, http::HeaderValue::from_static(VERSION));
    answer.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

/// Says what is spoken where another layer answers OPTIONS.
pub(crate) async fn say_options(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let asked = request.method() == Method::OPTIONS && (path == "/v1/tus" || path.starts_with("/v1/tus/"));
    let mut response = next.run(request).await;
    if asked {
        response.headers_mut().extend(headers::options(app.uploads.limits.max_file_bytes));
        response.headers_mut().insert(Names::RESUMABLE, http::HeaderValue::from_static(VERSION));
    }
    response
}

/// What a query and `Upload-Metadata` say together.
fn said(uri: &Uri, metadata: Option<&str>) -> Result<Params> {
    let mut params = Params::of(uri);
    for (name, value) in headers::metadata(metadata)? {
        if !headers::SAYS_NOTHING.contains(&name.as_str()) {
            params.add(name, value);
        }
    }
    Ok(params)
}
