//! What went wrong, as RFC 9457 problems: one type for every error answer of the API.

mod code;
mod question;
mod render;

use std::{borrow::Cow, error::Error, fmt, sync::Arc};

use axum::response::{IntoResponse, Response};
use gristmill_platform::database;
use gristmill_queue::QueueError;
use gristmill_uploads::UploadId;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use code::Code;
pub use question::{QuestionBody, QuestionExample};
pub(crate) use render::{internal, render};

/// What a handler answers.
pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

/// An error answer. It becomes JSON in [`render`], which knows the request's id.
#[derive(Clone)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    questions: Vec<QuestionBody>,
    upload_id: Option<UploadId>,
    headers: HeaderMap,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// An error answer on the wire (`application/problem+json`, RFC 9457).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Which problem it is: stable, and a page that explains it.
    #[serde(rename = "type")]
    #[schema(example = "/problems/wrong-header", format = "uri-reference")]
    pub kind: String,
    /// The same for people.
    #[schema(example = "The file's header is wrong")]
    pub title: String,
    /// The status of the answer.
    #[schema(example = 422)]
    pub status: u16,
    /// What is wrong, where, and what to do.
    #[schema(example = "the header lacks the column debtId: …")]
    pub detail: String,
    /// The id of the request (also in the header `x-request-id`): what to tell the people who run the server.
    pub instance: String,
    /// The fields at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What is to be said before the file can be read for certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<QuestionBody>,
    /// The upload that it is about, where one had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub upload_id: Option<UploadId>,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The parameter, header or column.
    #[schema(example = "debtId")]
    pub field: String,
    /// What is wrong with it and what would be right.
    #[schema(example = "missing")]
    pub detail: String,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            questions: Vec::new(),
            upload_id: None,
            headers: HeaderMap::new(),
            source: None,
        }))
    }

    /// Something that the client can do nothing about. The cause is logged, not told.
    pub(crate) fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            Code::Internal,
            "The request failed by a fault of the server. Try again; if it stays, tell its operators the instance.",
        )
        .caused_by(source)
    }

    /// What this needs is away; it comes back.
    pub(crate) fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            Code::Unavailable,
            "The server cannot reach what it needs for this right now. Try again in a few seconds.",
        )
        .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
        .caused_by(source)
    }

    /// The database gave up looking for the answer.
    fn too_slow(source: String) -> Self {
        Self::new(
            Code::Unavailable,
            "The answer was not found in time. Ask for less, by a narrower filter for instance, or try again in a few seconds.",
        )
        .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
        .caused_by(source)
    }

    /// A fault that comes from the database, at whatever depth: it may be an outage.
    fn fault(error: impl Error + Send + Sync + 'static) -> Self {
        match &error {
            error if gristmill_queue::is_outage(error) => {}
            error if database::took_too_long(error) => return Self::too_slow(error.to_string()),
            _ => return Self::internal(error),
        }
        Self::unavailable(error)
    }

    pub(crate) fn no_such_upload(id: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("There is no upload '{id}'. GET /v1/uploads lists those you sent."))
    }

    /// `what` is one of those that GET `list` lists.
    pub(crate) fn not_found(what: &str, id: impl fmt::Display, list: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no {what} '{id}'. GET {list} lists those you may see."))
    }

    /// One field of the body is at fault.
    pub(crate) fn bad_field(field: &str, detail: impl fmt::Display) -> Self {
        Self::about_field(Code::InvalidBody, field, &detail)
    }

    /// Nobody is called so.
    pub(crate) fn no_such_client(name: &str) -> Self {
        Self::about_field(Code::InvalidParameter, "client", &format_args!("there is no client '{name}'"))
    }

    fn about_field(code: Code, field: &str, detail: &dyn fmt::Display) -> Self {
        Self::new(code, format!("{field}: {detail}"))
            .errors(vec![FieldError { field: field.to_owned(), detail: detail.to_string() }])
    }

    pub(crate) fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    pub(crate) fn questions(mut self, questions: Vec<QuestionBody>) -> Self {
        self.0.questions = questions;
        self
    }

    pub(crate) fn about(mut self, upload_id: impl Into<Option<UploadId>>) -> Self {
        self.0.upload_id = upload_id.into();
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// What is kept of it where it is answered again later.
    pub(crate) fn kept(&self) -> ProblemBody {
        self.body("")
    }

    /// A problem that was kept. `None`: a version of this API has kept it whose problems are not known here.
    pub(crate) fn again(kept: ProblemBody) -> Option<Self> {
        let ProblemBody { kind, detail, errors, questions, upload_id, .. } = kept;
        Some(Self::new(Code::of_uri(&kind)?, detail).errors(errors).questions(questions).about(upload_id))
    }

    fn body(&self, instance: &str) -> ProblemBody {
        let Inner { code, detail, errors, questions, upload_id, .. } = &*self.0;
        ProblemBody {
            kind: code.uri(),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            detail: detail.clone().into_owned(),
            instance: instance.to_owned(),
            errors: errors.clone(),
            questions: questions.clone(),
            upload_id: *upload_id,
        }
    }
}

impl ProblemBody {
    /// One that was kept in the database.
    pub(crate) fn deserialize_kept(kept: &serde_json::Value) -> Result<Self> {
        Self::deserialize(kept).map_err(Problem::internal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem").field("code", &self.0.code).field("detail", &self.0.detail).finish_non_exhaustive()
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::fault(error)
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        if matches!(error, QueueError::BrokerUnavailable(_)) { Self::unavailable(error) } else { Self::fault(error) }
    }
}
