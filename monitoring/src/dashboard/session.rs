//! Who has logged in.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use sha2::{Digest as _, Sha256};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::{app::App, audit, page};

const COOKIE: &str = "gristmill_session";
/// Hours that a login lasts.
const LASTS: i32 = 12;
/// How long to wait for Postgres to say who asks.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
/// Minutes that a link works.
const LINK_LASTS: i32 = 60;

/// Somebody who has logged in.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Session {
    /// For the audit log.
    pub(super) who: String,
    /// Else a viewer.
    pub(super) operator: bool,
    /// What every action must bring along.
    pub(super) csrf: String,
    /// The beginning of the key that was logged in with; none: by a link.
    pub(super) key: Option<String>,
    hash: Vec<u8>,
}

/// How often it is asked whether a session still stands, by what goes on in it.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Ends when the session does: by a logout, by the end of its key, by its age. While the database is away, it goes on.
pub(super) async fn ended(app: App, session: Session) {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        match stands(&app.pool, &session.hash).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "whether a session still stands cannot be read"),
        }
    }
}

async fn stands(pool: &PgPool, hash: &[u8]) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from dashboard_sessions s left join api_keys k on k.id = s.key_id
                        where s.hash = $1 and s.expires_at > now() and k.revoked_at is null)",
    )
    .bind(hash)
    .fetch_one(pool)
    .await
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}

fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

/// Begins a session and returns its cookie.
pub(super) async fn begin(
    db: impl PgExecutor<'_>,
    key_id: Option<Uuid>,
    who: &str,
    operator: bool,
) -> Result<HeaderValue, sqlx::Error> {
    let token = secret();
    sqlx::query(
        "with old as (delete from dashboard_sessions where expires_at < now())
         insert into dashboard_sessions (hash, key_id, who, operator, csrf, expires_at)
         values ($1, $2, $3, $4, $5, now() + make_interval(hours => $6))",
    )
    .bind(hash(&token))
    .bind(key_id)
    .bind(who)
    .bind(operator)
    .bind(secret())
    .bind(LASTS)
    .execute(db)
    .await?;
    Ok(cookie(&token, LASTS * 3_600))
}

/// No `Secure`: on a machine of one's own there is no TLS, and a proxy that adds it may add that too.
fn cookie(token: &str, seconds: i32) -> HeaderValue {
    let text = format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict");
    // Letters and digits of Base64.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn token(headers: &HeaderMap) -> Option<&str> {
    cookie_of(headers, COOKIE)
}

/// The cookie of this name.
pub(super) fn cookie_of<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, token)| token)
}

/// Who asks; none: nobody who has logged in.
pub(super) async fn find(pool: &PgPool, headers: &HeaderMap) -> Result<Option<Session>, sqlx::Error> {
    let Some(token) = token(headers) else { return Ok(None) };
    sqlx::query_as(
        "select s.who, s.operator, s.csrf, k.prefix as key, s.hash from dashboard_sessions s left join api_keys k on k.id = s.key_id
         where s.hash = $1 and s.expires_at > now() and k.revoked_at is null",
    )
    .bind(hash(token))
    .fetch_optional(pool)
    .await
}

/// Ends the session; returns the cookie that takes its cookie away.
pub(super) async fn end(pool: &PgPool, headers: &HeaderMap) -> Result<HeaderValue, sqlx::Error> {
    if let Some(token) = token(headers) {
        sqlx::query("delete from dashboard_sessions where hash = $1").bind(hash(token)).execute(pool).await?;
    }
    Ok(cookie("", 0))
}

/// See [`super::Dashboard::link`].
pub(super) async fn link(pool: &PgPool, who: &str) -> Result<String, sqlx::Error> {
    let token = secret();
    sqlx::query(
        "with old as (delete from dashboard_links where expires_at < now())
         insert into dashboard_links (hash, who, expires_at) values ($1, $2, now() + make_interval(mins => $3))",
    )
    .bind(hash(&token))
    .bind(who)
    .bind(LINK_LASTS)
    .execute(pool)
    .await?;
    Ok(token)
}

/// Whom a link is for; it does not work again.
pub(super) async fn redeem(db: impl PgExecutor<'_>, token: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("delete from dashboard_links where hash = $1 and expires_at > now() returning who")
        .bind(hash(token))
        .fetch_optional(db)
        .await
}

/// Lets in who has logged in, and what changes something only with the session's token.
pub(super) async fn require(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let found = tokio::time::timeout(DATABASE_TIMEOUT, find(&app.pool, request.headers())).await;
    let session = match found {
        Ok(Ok(session)) => session,
        failed => {
            let late = failed.is_err();
            let error = failed.ok().and_then(Result::err).map(|error| error.to_string());
            tracing::error!(error, late, "sessions cannot be looked up");
            // A page has a frame, whoever asks: it shows nothing.
            if is_page(&request) {
                return page::unreachable(&app, None, request.uri().path());
            }
            return (StatusCode::SERVICE_UNAVAILABLE, "The database does not answer. Try again.").into_response();
        }
    };
    let Some(session) = session else { return to_login(&request) };
    if request.method() != Method::GET
        && request.headers().get("x-csrf-token") != HeaderValue::try_from(&session.csrf).ok().as_ref()
    {
        let what = request.uri().path().to_owned();
        audit::refused(&app.pool, &session, &what, "the session's token was not brought along").await;
        return (StatusCode::FORBIDDEN, "This page is of another session. Load it again.").into_response();
    }
    request.extensions_mut().insert(session);
    next.run(request).await
}

/// Whether somebody looks at what comes, and not a script.
fn is_page(request: &Request) -> bool {
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    request.method() == Method::GET && accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// A page is shown after the login; for anything else the answer says what is missing.
fn to_login(request: &Request) -> Response {
    if is_page(request) {
        return Redirect::to("/login").into_response();
    }
    (StatusCode::UNAUTHORIZED, [("hx-redirect", "/login")], "Your session has ended. Log in again.").into_response()
}
