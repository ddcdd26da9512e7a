//! Coming in: with a key, or by the link that `gristmill up` prints.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use askama::Template as _;
use axum::{
    Form, Router,
    extract::{ConnectInfo, Query, State},
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::get,
};
use gristmill_board::{ASSETS_VERSION, broken};
use gristmill_platform::keys;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{app::App, session};

#[derive(askama::Template)]
#[template(path = "login.html")]
struct Page<'a> {
    version: &'a str,
    fault: Option<&'a str>,
}

#[derive(Deserialize)]
struct Link {
    token: Option<String>,
}

#[derive(Deserialize)]
struct LoginForm {
    key: String,
}

/// Wrong keys and links of late, by who tried them: an address, or the network that an IPv6 address is of.
///
/// Behind a proxy all come from one address: so keys that were right before, by their hashes, may always be tried, and
/// nobody keeps those who have been here from logging in by trying.
#[derive(Default)]
pub(super) struct Attempts {
    tried: Mutex<HashMap<IpAddr, Vec<Instant>>>,
    right: Mutex<HashSet<[u8; 32]>>,
}

impl Attempts {
    const MAX_FAILED_LOGINS: usize = 10;
    const WINDOW: Duration = Duration::from_secs(60);
    /// Whom it remembers at the same time.
    const PEOPLE: usize = 10_000;

    /// Whether somebody may try once more; it counts as wrong until [`Attempts::was_right`].
    fn may_try(&self, peer: IpAddr, key: &str) -> bool {
        if self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash(key)) {
            return true;
        }
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.len() >= Self::PEOPLE {
            tried.retain(|_, at| at.last().is_some_and(|at| at.elapsed() < Self::WINDOW));
        }
        if tried.len() >= Self::PEOPLE && !tried.contains_key(&network(peer)) {
            return false;
        }
        let mine = tried.entry(network(peer)).or_default();
        mine.retain(|at| at.elapsed() < Self::WINDOW);
        let may = mine.len() < Self::MAX_FAILED_LOGINS;
        if may {
            mine.push(Instant::now());
        }
        may
    }

    /// The last try was none of a wrong key.
    fn was_right(&self, peer: IpAddr, key: &str) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() < Self::PEOPLE && !right.insert(hash(key)) {
            return;
        }
        drop(right);
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = tried.get_mut(&network(peer)) {
            mine.pop();
        }
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn show(status: StatusCode, fault: Option<&str>) -> Response {
    match (Page { version: ASSETS_VERSION, fault }).render() {
        Ok(page) => (status, Html(page)).into_response(),
        Err(error) => broken(&error),
    }
}

/// Open to everybody.
pub(super) fn routes(app: &App) -> Router {
    Router::new().route("/login", get(form).post(login)).with_state(Arc::clone(app))
}

async fn form(State(app): State<App>, headers: HeaderMap, Query(link): Query<Link>) -> Response {
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

async fn login(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Form(given): Form<LoginForm>,
) -> Response {
    let peer = peer.ip();
    // Before it is looked up: a try costs a statement.
    let key = given.key.trim();
    if !app.attempts.may_try(peer, key) {
        return show(StatusCode::TOO_MANY_REQUESTS, Some("Too many keys were wrong. Wait a minute."));
    }
    let visitor = keys::visitor(&app.pool, key).await;
    if let Ok(Some(_)) = visitor {
        app.attempts.was_right(peer, key);
    }
    match visitor {
        Ok(Some(visitor)) => {
            let begun = session::begin(&app.pool, Some(visitor.key_id), &visitor.client, visitor.operator).await;
            match begun {
                Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
                Err(error) => broken(&error),
            }
        }
        Ok(None) => {
            let fault = "This is not the key of an operator or a viewer. `gristmill keys create --client NAME --operator` \
                         makes one, `--viewer` one for looking only.";
            show(StatusCode::UNAUTHORIZED, Some(fault))
        }
        Err(error) => broken(&error),
    }
}

pub(super) async fn logout(app: &App, headers: &HeaderMap) -> Response {
    match session::end(&app.pool, headers).await {
        Ok(cookie) => {
            ([(header::SET_COOKIE, cookie)], [("hx-redirect", "/login")], StatusCode::NO_CONTENT).into_response()
        }
        Err(error) => broken(&error),
    }
}
