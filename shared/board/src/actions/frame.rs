//! What goes for every action: only an operator acts, the form is one, the audit log has a line before it begins and the
//! outcome when it has ended.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest as _, MatchedPath, RawPathParams, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{Method, StatusCode};

use super::{answer::Outcome, form::Form};
use crate::{access::Person, audit, board::App, frame::broken};

/// Runs an action, and notes it in the audit log.
pub(super) async fn noted(
    State(app): State<App>,
    person: Person,
    matched: MatchedPath,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    // Whoever only looks at an action's address is told that it is to be pressed.
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let values: Vec<&str> = params.iter().map(|(_, value)| value).collect();
    let button = Button::of(&app.base, matched.as_str(), &values);
    if !person.may_act {
        audit::refused(&app, &person, &button.path, "a viewer may look, not act").await;
        return (StatusCode::FORBIDDEN, "A viewer may look, not act. Come as an operator.").into_response();
    }
    let (mut parts, body) = request.into_parts();
    let body = match Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    match Form::read(&body) {
        Ok(form) => parts.extensions.insert(form),
        Err(fault) => {
            audit::refused(&app, &person, &button.path, &format!("the form {fault}")).await;
            return (StatusCode::BAD_REQUEST, format!("The form {fault}. Nothing was done.")).into_response();
        }
    };
    // On a task of its own: once begun it is finished and in the audit log, even if the browser goes away.
    let request = Request::from_parts(parts, Body::empty());
    match tokio::spawn(run(app, person, button, request, next)).await {
        Ok(response) => response,
        Err(error) => broken(&error),
    }
}

async fn run(app: App, person: Person, button: Button, request: Request, next: Next) -> Response {
    let (who, Button { action, target, .. }) = (&person.name, &button);
    // Before it is done: who dies in the middle has left a line.
    let line = match app.audit.begin(&person, action, target).await {
        Ok(line) => line,
        Err(error) => {
            tracing::error!(%error, who, action, target, "an action that cannot be noted is not done");
            let said = format!("It was not done: the audit log cannot be written ({error})");
            return (StatusCode::SERVICE_UNAVAILABLE, said).into_response();
        }
    };
    let response = next.run(request).await;
    let status = response.status();
    let outcome = match response.extensions().get() {
        Some(Outcome(outcome)) => outcome.clone(),
        None => format!("It was answered with {status}"),
    };
    if status.is_success() {
        tracing::info!(who, action, target, said = outcome, "done on the dashboard");
    } else if status.is_server_error() {
        tracing::error!(who, action, target, said = outcome, "an action of the dashboard failed");
    }
    if let Err(error) = app.audit.end(line, &outcome).await {
        tracing::error!(%error, who, action, target, said = outcome, "the outcome is not in the audit log");
    }
    response
}

/// Which button was pressed, as the audit log has it.
struct Button {
    /// `queues.pause`
    action: String,
    /// What it is done to: the parameters of its route.
    target: String,
    /// Its address below `/act/`.
    path: String,
}

impl Button {
    /// Of `/act/queues/{name}/pause`, below the base, and the values of its parameters, in order.
    fn of(base: &str, route: &str, values: &[&str]) -> Self {
        // Whoever has merged the board's router below yet another path has put that before the base.
        let start = format!("{base}/act/");
        let route = route.find(&start).map_or(route, |at| &route[at + start.len()..]);
        let mut values_left = values.iter().copied();
        let (mut words, mut path) = (Vec::new(), Vec::new());
        for segment in route.split('/').filter(|segment| !segment.is_empty()) {
            if segment.starts_with('{') {
                path.extend(values_left.next());
            } else {
                words.push(segment);
                path.push(segment);
            }
        }
        let target = if values.is_empty() { "many".to_owned() } else { values.join("/") };
        Self { action: words.join("."), target, path: path.join("/") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_is_noted_by_its_words_and_its_target() {
        for (route, values, action, target, path) in [
            ("/act/jobs/redrive", &[][..], "jobs.redrive", "many", "jobs/redrive"),
            ("/act/queues/{name}/pause", &["default"], "queues.pause", "default", "queues/default/pause"),
            ("/act/orders/{shop}/{id}/ship", &["7", "a/b"], "orders.ship", "7/a/b", "orders/7/a/b/ship"),
        ] {
            let button = Button::of("", route, values);
            let below = Button::of("/admin/act", &format!("/admin/act{route}"), values);
            assert_eq!((&below.action, &below.path), (&button.action, &button.path));
            assert_eq!((button.action.as_str(), button.target.as_str(), button.path.as_str()), (action, target, path));
        }
    }
}
