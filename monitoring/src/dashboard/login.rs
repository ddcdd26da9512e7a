//! Coming in: with a key, or by the link that `gristmill up` prints.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use askama::Template as _;
use axum::{
    Form,
    extract::{Query, State},
    response::{Html, IntoResponse as _, Redirect, Response},
};
use gristmill_platform::keys;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::{app::App, assets::VERSION, page::broken, session};

#[derive(askama::Template)]
#[template(path = "login.html")]
struct Page<'a> {
    version: &'a str,
    fault: Option<&'a str>,
}

#[derive(Deserialize)]
pub(super) struct Link {
    token: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Given {
    key: String,
}

/// Logins that failed lately. Behind a proxy all of them come from one address, so they are counted together.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Vec<Instant>>);

impl Attempts {
    const MANY: usize = 10;
    const WINDOW: Duration = Duration::from_secs(60);

    fn recent(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|at| at.elapsed() < Self::WINDOW);
        failed
    }

    fn too_many(&self) -> bool {
        self.recent().len() >= Self::MANY
    }

    fn failed(&self) {
        self.recent().push(Instant::now());
    }
}

fn show(status: StatusCode, fault: Option<&str>) -> Response {
    match (Page { version: VERSION, fault }).render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => broken(&error),
    }
}

pub(super) async fn form(State(app): State<App>, headers: HeaderMap, Query(link): Query<Link>) -> Response {
    let Some(token) = link.token else { return show(StatusCode::OK, None) };
    match session::redeem(&app.pool, &token).await {
        Ok(Some(who)) => match session::begin(&app.pool, None, &who, true).await {
            Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
            Err(error) => broken(&error),
        },
        // Who has come in by it, or otherwise, opens it again: a bookmark does.
        Ok(None) => match session::find(&app.pool, &headers).await {
            Ok(Some(_)) => Redirect::to("/").into_response(),
            Ok(None) => show(
                StatusCode::UNAUTHORIZED,
                Some(
                    "This link has been used, or is older than an hour. `gristmill dashboard` prints a new one; or log in \
                     with a key.",
                ),
            ),
            Err(error) => broken(&error),
        },
        Err(error) => broken(&error),
    }
}

pub(super) async fn login(State(app): State<App>, Form(given): Form<Given>) -> Response {
    match keys::visitor(&app.pool, given.key.trim()).await {
        Ok(Some(visitor)) => {
            let begun = session::begin(&app.pool, Some(visitor.key_id), &visitor.client, visitor.operator).await;
            match begun {
                Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
                Err(error) => broken(&error),
            }
        }
        // Only of wrong ones: nobody keeps others from logging in by trying.
        Ok(None) if app.attempts.too_many() => {
            show(StatusCode::TOO_MANY_REQUESTS, Some("Too many keys were wrong. Wait a minute."))
        }
        Ok(None) => {
            app.attempts.failed();
            let fault = "This is not the key of an operator or a viewer. `gristmill keys create --client NAME --operator` \
                         makes one, `--viewer` one for looking only.";
            show(StatusCode::UNAUTHORIZED, Some(fault))
        }
        Err(error) => broken(&error),
    }
}

pub(super) async fn logout(State(app): State<App>, headers: HeaderMap) -> Response {
    match session::end(&app.pool, &headers).await {
        Ok(cookie) => {
            ([(header::SET_COOKIE, cookie)], [("hx-redirect", "/login")], StatusCode::NO_CONTENT).into_response()
        }
        Err(error) => broken(&error),
    }
}
