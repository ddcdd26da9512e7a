//! Who may do what, which an application says.

mod keys;

use axum::response::{IntoResponse, Response};
use futures::future::{BoxFuture, ready};
use http::{Extensions, HeaderValue, StatusCode, header, request::Parts};
use sqlx::PgConnection;

use crate::problem::{Problem, ProblemKind};

pub use keys::{KeyError, Keys};

/// Says who may do what, and keeps answers where an application repeats them.
pub trait Access: Send + Sync + 'static {
    /// Whether this request may do this.
    fn allows<'a>(&'a self, request: &'a Parts, right: Right) -> Allowed<'a>;

    /// Keeps the answer of a request that enqueues or creates something, in the transaction that does so and before its
    /// commit: for an application that gives the same answer to the same request sent again (`Idempotency-Key`). It knows the
    /// request by what it has put into its extensions.
    fn keep<'a>(&'a self, request: &'a Extensions, conn: &'a mut PgConnection, answer: &'a Answer<'a>) -> Kept<'a> {
        let _ = (request, conn, answer);
        Box::pin(ready(Ok(())))
    }
}

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Right {
    /// Enqueue jobs, create groups.
    Enqueue,
    /// Claim jobs of any queue and say what has become of them.
    Work,
}

/// The answer of [`Access::allows`].
pub type Allowed<'a> = BoxFuture<'a, Result<(), Refused>>;
/// The answer of [`Access::keep`]: an error is answered in place of what was to be kept, and nothing is committed.
pub type Kept<'a> = BoxFuture<'a, Result<(), Refused>>;

/// What a request is answered that may not do what it wants.
pub struct Refused(pub Response);

impl Refused {
    /// It has no key, or none that is known here.
    #[must_use]
    pub fn unauthorized() -> Self {
        let problem = Problem::new(
            ProblemKind::Unauthorized,
            "The request has no valid key. Send `Authorization: Bearer …` with one.",
        );
        let mut response = problem.into_response();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Self(response)
    }

    /// It is known who it is, and may not do this.
    #[must_use]
    pub fn forbidden() -> Self {
        Self(Problem::new(ProblemKind::Forbidden, "This key may not do this.").into_response())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0
    }
}

/// A success.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Answer<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its header `Location`.
    pub location: Option<&'a str>,
    /// Its body.
    pub body: &'a serde_json::Value,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(status: StatusCode, location: Option<&'a str>, body: &'a serde_json::Value) -> Self {
        Self { status, location, body }
    }
}
