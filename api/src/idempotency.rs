//! The same small POST again, told by its `Idempotency-Key`, gets the same answer and does nothing.
//!
//! An answer is kept for a day when it is a success: what was refused has done nothing, so it is asked anew. After a fault
//! nobody knows, so the key stays in flight for a minute. A route writes its answer down in the transaction of its effect
//! ([`Once`]); one of several transactions in each of them. Uploads have a way of their own, because their bodies are not held.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use gristmill_core::ClientId;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgExecutor, PgPool};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    app::AppState,
    auth::Caller,
    params::{bad_header, text_header},
    problem::{Code, Problem, Result},
    whole::MAX_LARGE_BODY,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Who worked on a request for longer is gone: requests are bounded to less.
const IN_FLIGHT: Duration = Duration::from_secs(60);
/// The longest answer that is kept.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// The header, if it is there and can be a key.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    match text_header(headers, &IDEMPOTENCY_KEY)? {
        None => Ok(None),
        Some(key) if key.is_empty() || key.len() > 255 => {
            Err(bad_header(&IDEMPOTENCY_KEY, format!("has {} characters; 1 to 255 are allowed", key.len())))
        }
        Some(key) => Ok(Some(key.to_owned())),
    }
}

/// Lets a request through once.
pub(crate) async fn idempotent(
    State(app): State<AppState>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response> {
    // The other methods are safe to repeat as they are.
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let Some(key) = idempotency_key(request.headers())? else { return Ok(next.run(request).await) };
    let (parts, body) = request.into_parts();
    // It is here already: `whole` has read it, or its sister.
    let body = to_bytes(body, MAX_LARGE_BODY).await.map_err(Problem::internal)?;
    let mut hash = Sha256::new();
    hash.update(format!("{} {}\n", parts.method, parts.uri));
    hash.update(&body);
    let run = Run {
        pool: app.pool.clone(),
        client_id: caller.id(),
        key,
        fingerprint: hash.finalize().to_vec(),
        attempt: Uuid::now_v7(),
        kept: AtomicBool::new(false),
    };
    if let Some(answer) = run.begin().await? {
        return Ok(answer);
    }
    let run = Arc::new(run);
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(Once(Some(run.clone())));
    // On a task of its own: once begun it is finished and its answer kept, even if the client hangs up.
    let running = async move {
        let response = next.run(request).await;
        run.end(response).await
    };
    tokio::spawn(running.in_current_span()).await.map_err(Problem::internal)?
}

/// The key of a request, for who writes its answer down in the transaction of its effect. Of a request without one it does
/// nothing.
#[derive(Clone, Default)]
pub(crate) struct Once(Option<Arc<Run>>);

impl<S: Sync> FromRequestParts<S> for Once {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl Once {
    /// Whether the request has a key.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps the answer of a success, with its header `Location`. The last statement before the commit, whose failure must be
    /// the request's.
    ///
    /// # Errors
    /// When the request has taken so long that another one with the key runs by now: it must have no effect.
    pub(crate) async fn keep(
        &self,
        conn: &mut PgConnection,
        status: StatusCode,
        location: Option<&HeaderValue>,
        answer: &impl Serialize,
    ) -> Result<()> {
        let Some(run) = &self.0 else { return Ok(()) };
        let location = location.map(HeaderValue::to_str).transpose().map_err(Problem::internal)?;
        run.keep_json(conn, status, location, answer, false).await?;
        run.kept.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Keeps what a request of several transactions answers if it ends with this one. Whoever sends it again has that, once
    /// nobody works on it any more; the answer to the end takes its place.
    ///
    /// # Errors
    /// As those of [`Once::keep`].
    pub(crate) async fn keep_so_far(&self, conn: &mut PgConnection, answer: &impl Serialize) -> Result<()> {
        let Some(run) = &self.0 else { return Ok(()) };
        run.keep_json(conn, StatusCode::OK, None, answer, true).await
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2)
}

fn in_flight(detail: &'static str) -> Problem {
    Problem::new(Code::KeyInFlight, detail).header(header::RETRY_AFTER, HeaderValue::from_static("2"))
}

/// One request on its way.
struct Run {
    pool: PgPool,
    client_id: ClientId,
    key: String,
    fingerprint: Vec<u8>,
    attempt: Uuid,
    /// The answer of a success is in the transaction of its effect.
    kept: AtomicBool,
}

#[derive(sqlx::FromRow)]
struct StoredAnswer {
    fingerprint: Vec<u8>,
    status: Option<i16>,
    content_type: Option<String>,
    location: Option<String>,
    body: Option<Vec<u8>>,
    /// It is of a request of several transactions that may be working on the next one.
    running: bool,
}

impl Run {
    /// None: it is for us to answer.
    async fn begin(&self) -> Result<Option<Response>> {
        loop {
            let begun = sqlx::query(
                "insert into idempotent_requests as r (client_id, key, fingerprint, attempt) values ($1, $2, $3, $4)
                 on conflict (client_id, key) do update set
                    fingerprint = excluded.fingerprint, attempt = excluded.attempt, status = null, content_type = null,
                    location = null, body = null, provisional = false, created_at = now()
                 where r.created_at < now() - interval '1 day'
                    or (r.status is null and r.created_at < now() - $5 * interval '1 millisecond')",
            )
            .bind(self.client_id)
            .bind(&self.key)
            .bind(&self.fingerprint)
            .bind(self.attempt)
            .bind(millis(IN_FLIGHT))
            .execute(&self.pool)
            .await?;
            if begun.rows_affected() > 0 {
                return Ok(None);
            }
            let kept: Option<StoredAnswer> = sqlx::query_as(
                "select fingerprint, status, content_type, location, body,
                        provisional and created_at >= now() - $3 * interval '1 millisecond' as running
                 from idempotent_requests where client_id = $1 and key = $2",
            )
            .bind(self.client_id)
            .bind(&self.key)
            .bind(millis(IN_FLIGHT))
            .fetch_optional(&self.pool)
            .await?;
            // None: it was refused in this moment, so the key is free.
            if let Some(kept) = kept {
                return self.again(kept).map(Some);
            }
        }
    }

    fn again(&self, kept: StoredAnswer) -> Result<Response> {
        if kept.fingerprint != self.fingerprint {
            return Err(Problem::new(
                Code::KeyReused,
                "This Idempotency-Key was sent before with another request. Use a new key for new work.",
            ));
        }
        let Some(status) = kept.status.filter(|_| !kept.running) else {
            let detail = "The first request with this Idempotency-Key is still running. Send it again in a moment.";
            return Err(in_flight(detail));
        };
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.ok_or_else(|| Problem::internal("a kept answer has no status"))?;
        let mut response = (status, kept.body.unwrap_or_default()).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        for (name, value) in [(header::CONTENT_TYPE, kept.content_type), (header::LOCATION, kept.location)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(&value).map_err(Problem::internal)?);
            }
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }

    /// Keeps a success; forgets a refusal, and leaves a fault in flight.
    async fn end(&self, response: Response) -> Result<Response> {
        if response.status().is_server_error() {
            return Ok(response);
        }
        if !response.status().is_success() {
            let forgotten = sqlx::query(
                "delete from idempotent_requests where client_id = $1 and key = $2 and attempt = $3 and status is null",
            )
            .bind(self.client_id)
            .bind(&self.key)
            .bind(self.attempt)
            .execute(&self.pool)
            .await;
            self.note(forgotten);
            return Ok(response);
        }
        if self.kept.load(Ordering::Relaxed) {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body: Bytes = to_bytes(body, MAX_ANSWER).await.map_err(Problem::internal)?;
        let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let kept =
            self.keep(&self.pool, parts.status, text(header::CONTENT_TYPE), text(header::LOCATION), &body, false);
        self.note(kept.await);
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    async fn keep_json(
        &self,
        conn: &mut PgConnection,
        status: StatusCode,
        location: Option<&str>,
        answer: &impl Serialize,
        provisional: bool,
    ) -> Result<()> {
        let body = serde_json::to_vec(answer).map_err(Problem::internal)?;
        if self.keep(conn, status, Some("application/json"), location, &body, provisional).await? {
            return Ok(());
        }
        Err(in_flight("Another request with this Idempotency-Key is running meanwhile. Send it again in a moment."))
    }

    /// `false`: it has taken so long that another run has the key.
    async fn keep(
        &self,
        on: impl PgExecutor<'_>,
        status: StatusCode,
        content_type: Option<&str>,
        location: Option<&str>,
        body: &[u8],
        provisional: bool,
    ) -> sqlx::Result<bool> {
        let kept = sqlx::query(
            "update idempotent_requests set status = $4, content_type = $5, location = $6, body = $7, provisional = $8
             where client_id = $1 and key = $2 and attempt = $3",
        )
        .bind(self.client_id)
        .bind(&self.key)
        .bind(self.attempt)
        .bind(status.as_u16().cast_signed())
        .bind(content_type)
        .bind(location)
        .bind(body)
        .bind(provisional)
        .execute(on)
        .await?;
        Ok(kept.rows_affected() == 1)
    }

    /// The work is done: that its answer cannot be kept must not look as if it were not.
    fn note<T>(&self, result: sqlx::Result<T>) {
        if let Err(error) = result {
            tracing::warn!(%error, "an idempotency key stays in flight for a minute");
        }
    }
}
