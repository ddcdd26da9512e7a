//! What an action answers: to the person who pressed the button, and for the audit log.

use std::error::Error;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// What an action returns.
pub type Answer = Result<Done, NotDone>;

/// It is done; the text says what came of it.
pub struct Done(String);

/// Why an action is not done. Any error becomes [`NotDone::Failed`] by `?`.
pub enum NotDone {
    /// It cannot be done now; the text says why.
    Refused(String),
    /// What it is about is not there, or has moved on.
    Gone,
    /// A step failed.
    Failed(crate::Error),
}

/// What the audit log keeps of an answer. It goes with the response, for the frame.
#[derive(Clone)]
pub(super) struct Outcome(pub(super) String);

const GONE: &str = "It is gone, or cannot be done any more. Load the page again.";

/// The answer that says what was done.
///
/// # Errors
/// Never: it is what an action returns at its end.
pub fn done(said: impl Into<String>) -> Answer {
    Ok(Done(said.into()))
}

impl NotDone {
    /// Refuses to end a `what` by itself that its owner needs.
    pub(super) fn needed(what: &str, owner: &str) -> Self {
        Self::Refused(format!("The {what} is {owner}'s, which cannot do without it: cancel that instead"))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for NotDone {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        answer(StatusCode::OK, self.0.clone(), self.0)
    }
}

impl IntoResponse for NotDone {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(said) => answer(StatusCode::CONFLICT, format!("Not done: {said}"), said),
            Self::Gone => answer(
                StatusCode::NOT_FOUND,
                "Not done: it is not there, or cannot be done any more".into(),
                GONE.into(),
            ),
            Self::Failed(error) => answer(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("It failed, perhaps in the middle: {error}"),
                format!("It was not done: {error}"),
            ),
        }
    }
}

fn answer(status: StatusCode, outcome: String, said: String) -> Response {
    let mut response = (status, said).into_response();
    response.extensions_mut().insert(Outcome(outcome));
    response
}

/// Answers for an action that there is not.
pub(crate) async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, GONE)
}
