//! A request that may do what it wants.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use serde::Serialize;
use sqlx::PgConnection;

use crate::{
    Http,
    access::{Answer, Right},
    problem::{Failure, Result, fault},
};

/// From somebody who may enqueue.
pub(crate) struct Producer {
    pub(crate) http: Http,
    parts: Parts,
}

/// From somebody who may work.
pub(crate) struct Worker {
    pub(crate) http: Http,
}

async fn allowed(parts: &Parts, right: Right) -> Result<Http> {
    let http = parts.extensions.get::<Http>().cloned();
    let http = http.ok_or_else(|| fault("no `gristmill_http::Http` is in the extensions of the request"))?;
    http.access().allows(parts, right).await?;
    Ok(http)
}

impl<S: Send + Sync> FromRequestParts<S> for Producer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self { http: allowed(parts, Right::Enqueue).await?, parts: parts.clone() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Worker {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self { http: allowed(parts, Right::Work).await? })
    }
}

impl Producer {
    /// The W3C trace that the request is part of, where it says so.
    pub(crate) fn trace_parent(&self) -> Option<String> {
        let text = self.parts.headers.get("traceparent")?.to_str().ok()?;
        let is_one = text.len() == 55
            && text.starts_with("00-")
            && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        is_one.then(|| text.to_owned())
    }

    /// The answer, which is kept with what the transaction does.
    pub(crate) async fn answer(
        &self,
        conn: &mut PgConnection,
        status: StatusCode,
        location: Option<&str>,
        body: &impl Serialize,
    ) -> Result<Response> {
        let body = serde_json::to_value(body).map_err(fault)?;
        let answer = Answer::new(status, location, &body);
        self.http.access().keep(&self.parts.extensions, conn, &answer).await?;
        let mut response = (status, axum::Json(&body)).into_response();
        if let Some(location) = location {
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(location).map_err(fault)?);
        }
        Ok(response)
    }
}
