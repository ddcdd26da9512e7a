//! Who is asking: keys, checked against the database and remembered for seconds.

mod revocations;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use gristmill_core::ClientId;
use gristmill_platform::keys::{self, Client};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use crate::{
    app::AppState,
    problem::{Code, Problem, Result},
};

pub(crate) use revocations::{RevocationSignal, Revocations};

/// The SHA-256 of a key.
type KeyHash = [u8; 32];

/// How long a revoked key still works, at most.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Keys remembered at the same time; beyond it, the expired ones go.
const MAX_CACHED_KEYS: usize = 10_000;
/// How long to wait for the database before saying that it is away.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Lets a request through if it has a key, and tells the handlers whose.
pub(crate) async fn require_key(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    match app.keys.client(&app.pool, request.headers()).await {
        Ok((client, key)) => {
            tracing::Span::current().record("client_id", client.id.get());
            request.extensions_mut().insert(Caller { client, key });
            next.run(request).await
        }
        Err(problem) => axum::response::IntoResponse::into_response(problem),
    }
}

/// The client that a route behind [`require_key`] works for.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client,
    key: KeyHash,
}

impl Caller {
    pub(crate) fn id(&self) -> ClientId {
        self.client.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.client.name
    }

    /// The hash of the key that it came with.
    pub(crate) fn key(&self) -> KeyHash {
        self.key
    }

    pub(crate) fn is_operator(&self) -> bool {
        self.client.operator
    }

    /// Whether it may see what is this client's, or nobody's.
    pub(crate) fn may_see(&self, client_id: Option<ClientId>) -> bool {
        self.is_operator() || client_id == Some(self.id())
    }
}

/// Somebody who may steer what belongs to no client.
pub(crate) struct Operator;

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        if Caller::from_request_parts(parts, state).await?.is_operator() { Ok(Self) } else { Err(forbidden()) }
    }
}

pub(crate) fn forbidden() -> Problem {
    Problem::new(
        Code::Forbidden,
        "The key is a client's, and this is for operators. `gristmill keys create --client NAME --operator` makes a key for one.",
    )
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.get().cloned().ok_or_else(|| unauthorized("No key was checked."))
    }
}

/// The keys seen lately, by their hashes: the keys themselves are not kept.
#[derive(Default)]
pub(crate) struct Keys(Mutex<HashMap<KeyHash, (Client, Instant)>>);

impl Keys {
    async fn client(&self, pool: &PgPool, headers: &HeaderMap) -> Result<(Client, KeyHash)> {
        let key = bearer(headers)?;
        let hash: KeyHash = Sha256::digest(key).into();
        if let Some(client) = self.remembered(&hash) {
            return Ok((client, hash));
        }
        let client = tokio::time::timeout(DATABASE_TIMEOUT, keys::authenticate(pool, key))
            .await
            .map_err(Problem::unavailable)??
            .ok_or_else(|| unauthorized("The key is unknown or revoked."))?;
        self.remember(hash, client.clone());
        Ok((client, hash))
    }

    fn remembered(&self, hash: &KeyHash) -> Option<Client> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, since) = known.get(hash)?;
        (since.elapsed() < REMEMBERED).then(|| client.clone())
    }

    fn remember(&self, hash: KeyHash, client: Client) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_CACHED_KEYS {
            known.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        }
        if known.len() < MAX_CACHED_KEYS {
            known.insert(hash, (client, Instant::now()));
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(unauthorized("The request has no key."));
    };
    let (scheme, key) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(|| unauthorized("The header Authorization has no key in it."))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthorized("The header Authorization is not of the scheme Bearer."));
    }
    Ok(key.trim())
}

fn unauthorized(what: &str) -> Problem {
    Problem::new(
        Code::Unauthorized,
        format!("{what} Send `Authorization: Bearer gm_…`; `gristmill keys create --client NAME` makes a key."),
    )
    .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gristmill\""))
}
