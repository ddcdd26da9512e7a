//! Who has logged in.

use std::time::Duration;

use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::BoxFuture;
use gristmill_board::{Access, Denied, Person, wants_page};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use sha2::{Digest as _, Sha256};
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::{app::App, login};

const COOKIE: &str = "gristmill_session";
/// Hours that a login lasts.
const LASTS: i32 = 12;
/// How long to wait for Postgres to say who asks.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
/// Minutes that a link works.
const LINK_LASTS: i32 = 60;

/// Who has logged in, for the board.
pub(super) struct Sessions(pub(super) App);

impl Access for Sessions {
    fn person<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Person, Denied>> {
        Box::pin(async move {
            match tokio::time::timeout(DATABASE_TIMEOUT, find(&self.0.pool, &request.headers)).await {
                Ok(Ok(Some(person))) => Ok(person),
                Ok(Ok(None)) => Err(to_login(request).into()),
                Ok(Err(error)) => Err(Denied::Unknown(error.into())),
                Err(_) => Err(Denied::Unknown("Postgres does not say in time who has logged in".into())),
            }
        })
    }

    /// Ends with a logout, with its key, with its age. While the database is away, it goes on.
    fn stands<'a>(&'a self, person: &'a Person) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            stands(&self.0.pool, &person.session).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "whether a session still stands cannot be read");
                true
            })
        })
    }

    fn has_tokens(&self) -> bool {
        true
    }

    fn entrance(&self) -> Router {
        login::routes(&self.0)
    }

    fn has_exit(&self) -> bool {
        true
    }

    fn exit<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Response> {
        Box::pin(login::logout(&self.0, headers))
    }
}

/// How often it is asked whether a session still stands, by what goes on in it.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Ends when the session does.
pub(super) async fn ended(app: App, person: Person) {
    let sessions = Sessions(app);
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        if !sessions.stands(&person).await {
            return;
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

#[derive(sqlx::FromRow)]
struct Row {
    who: String,
    operator: bool,
    csrf: String,
    /// The beginning of the key that was logged in with; none: by a link.
    key: Option<String>,
    hash: Vec<u8>,
}

impl Row {
    fn into_person(self) -> Person {
        let mut person = if self.operator { Person::operator(self.who) } else { Person::viewer(self.who) };
        (person.key, person.token, person.session) = (self.key, Some(self.csrf), self.hash);
        person
    }
}

/// Who asks; none: nobody who has logged in.
pub(super) async fn find(pool: &PgPool, headers: &HeaderMap) -> Result<Option<Person>, sqlx::Error> {
    let Some(token) = token(headers) else { return Ok(None) };
    let row: Option<Row> = sqlx::query_as(
        "select s.who, s.operator, s.csrf, k.prefix as key, s.hash from dashboard_sessions s left join api_keys k on k.id = s.key_id
         where s.hash = $1 and s.expires_at > now() and k.revoked_at is null",
    )
    .bind(hash(token))
    .fetch_optional(pool)
    .await?;
    Ok(row.map(Row::into_person))
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

/// A page is shown after the login; for anything else the answer says what is missing.
fn to_login(request: &Parts) -> Response {
    if wants_page(request) {
        return Redirect::to("/login").into_response();
    }
    (StatusCode::UNAUTHORIZED, [("hx-redirect", "/login")], "Your session has ended. Log in again.").into_response()
}
