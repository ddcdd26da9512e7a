//! The routes of `gristmill-http`: who may use them here, and its problems as this API writes them.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use gristmill_http::{Access, Allowed, Answer, Kept, ProblemKind, Refused, Right, parts::Parts};
use http::{Extensions, HeaderValue, header};
use sqlx::PgConnection;

use crate::{
    app::AppState,
    auth::{Caller, forbidden},
    idempotency::Once,
    problem::{Code, FieldError, Problem},
};

/// Operators' keys only: jobs are known by their names, and whoever enqueues one by its name enqueues any.
pub(crate) struct ByKey;

impl Access for ByKey {
    fn allows<'a>(&'a self, request: &'a Parts, _: Right) -> Allowed<'a> {
        Box::pin(async move {
            let is_operator = request.extensions.get::<Caller>().is_some_and(Caller::is_operator);
            if is_operator { Ok(()) } else { Err(Refused(forbidden().into_response())) }
        })
    }

    fn keep<'a>(&'a self, request: &'a Extensions, conn: &'a mut PgConnection, answer: &'a Answer<'a>) -> Kept<'a> {
        Box::pin(async move {
            let once = request.get::<Once>().cloned().unwrap_or_default();
            let kept = async {
                let location = answer.location.map(HeaderValue::from_str).transpose().map_err(Problem::internal)?;
                once.keep(conn, answer.status, location.as_ref(), answer.body).await
            };
            kept.await.map_err(|problem| Refused(problem.into_response()))
        })
    }
}

/// Writes the problems of these routes as all others.
pub(crate) async fn told(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<gristmill_http::Problem>() else { return response };
    let code = match problem.kind {
        ProblemKind::Unauthorized => Code::Unauthorized,
        ProblemKind::Forbidden => Code::Forbidden,
        ProblemKind::NotFound => Code::NotFound,
        ProblemKind::InvalidBody => Code::InvalidBody,
        ProblemKind::NoObject => Code::NoObject,
        ProblemKind::BodyTooLarge => Code::BodyTooLarge,
        ProblemKind::WrongState => Code::WrongState,
        ProblemKind::Unavailable => Code::Unavailable,
        _ => Code::Internal,
    };
    let errors = problem.errors.iter();
    let errors = errors.map(|error| FieldError { field: error.field.clone(), detail: error.detail.clone() }).collect();
    let mut told = Problem::new(code, problem.detail.clone()).errors(errors);
    if code == Code::Unavailable {
        told = told.header(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    told.into_response()
}

/// Who waits for jobs is sent away when the server stops: what it would have been given stays in its queue.
pub(crate) async fn while_serving(State(app): State<AppState>, request: Request, next: Next) -> Response {
    tokio::select! {
        response = next.run(request) => response,
        () = app.stop_events.cancelled() => Problem::unavailable("the server stops").into_response(),
    }
}
