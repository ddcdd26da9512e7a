//! Errors as RFC 9457 problems.

use std::fmt;

use axum::response::{IntoResponse, Response};
use gristmill_core::{BatchError as _, Source, chain};
use gristmill_queue::QueueError;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// What a handler answers.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// An error answer. It is also in the extensions of its response, for an application that writes problems its own way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Which one.
    pub kind: ProblemKind,
    /// What is wrong, where, and what to do.
    pub detail: String,
    /// The fields at fault, with the line before them where there are lines: `line 3: delay`.
    pub errors: Vec<FieldError>,
}

/// Which problem it is. The name on the wire is the last part of `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// There is no valid key.
    Unauthorized,
    /// The key may not do this.
    Forbidden,
    /// What it names does not exist.
    NotFound,
    /// The body is not as it should be.
    InvalidBody,
    /// The body is no JSON object.
    NoObject,
    /// The body is longer than the route takes.
    BodyTooLarge,
    /// What it is about does not allow this now.
    WrongState,
    /// The ledger or the broker is away.
    Unavailable,
    /// A fault of the server.
    Internal,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldError {
    /// Where it is.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

impl ProblemKind {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::InvalidBody => StatusCode::BAD_REQUEST,
            Self::NoObject => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongState => StatusCode::CONFLICT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Unauthorized => "A valid key is needed",
            Self::Forbidden => "The key may not do this",
            Self::NotFound => "There is nothing here",
            Self::InvalidBody => "The body is not as it should be",
            Self::NoObject => "The body is no JSON object",
            Self::BodyTooLarge => "The body is larger than this route takes",
            Self::WrongState => "What it is about does not allow this now",
            Self::Unavailable => "What this needs is away",
            Self::Internal => "The server is at fault",
        }
    }
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { field: field.into(), detail: detail.to_string() }
    }
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new() }
    }

    /// These fields are wrong.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [first] => format!("{}: {}.", first.field, first.detail),
            [first, others @ ..] => {
                format!("{}: {}; and {} more in `errors`.", first.field, first.detail, others.len())
            }
            [] => "The body is not as it should be.".to_owned(),
        };
        Self { errors, ..Self::new(ProblemKind::InvalidBody, detail) }
    }

    pub(crate) fn field(field: &str, detail: impl fmt::Display) -> Self {
        Self::fields(vec![FieldError::new(field, detail)])
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
        }
        let status = self.kind.status();
        let body = Body {
            r#type: format!("/problems/{}", <&str>::from(self.kind)),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.kind == ProblemKind::Unavailable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Whatever a handler ends with in place of its answer.
pub(crate) struct Failure(Box<Response>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem.into_response()))
    }
}

impl From<crate::access::Refused> for Failure {
    fn from(refused: crate::access::Refused) -> Self {
        Self(Box::new(refused.0))
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        QueueError::from(error).into()
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        let problem = match &error {
            QueueError::Payload { .. } => Problem::field("payload", &error),
            QueueError::Nul(_) | QueueError::LongKey(_) => Problem::new(ProblemKind::InvalidBody, format!("{error}.")),
            QueueError::GroupClosed(_) => Problem::new(
                ProblemKind::WrongState,
                format!("{error}: it is sealed, has ended, or does not exist. Create another one."),
            ),
            QueueError::Codec(error) => Problem::new(ProblemKind::WrongState, format!("{error}.")),
            QueueError::Ledger(_) if !error.is_transient() => internal(&error),
            QueueError::BrokerUnavailable(_) | QueueError::Ledger(_) => unavailable(&error),
            _ => internal(&error),
        };
        problem.into()
    }
}

fn unavailable(error: &QueueError) -> Problem {
    tracing::warn!(error = chain(error), "a request was answered that the queue is away");
    Problem::new(
        ProblemKind::Unavailable,
        "The server cannot reach what it needs for this right now. Send the request again in a second.",
    )
}

fn internal(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error = chain(error), "a request failed");
    Problem::new(ProblemKind::Internal, "The request failed by a fault of the server. Its log says more.")
}

/// What cannot be, such as an answer that does not serialize.
pub(crate) fn fault(error: impl Into<Source>) -> Failure {
    internal(&*error.into()).into()
}
