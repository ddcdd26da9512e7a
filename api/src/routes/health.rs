//! Whether the process lives, whether it can work, and what it has counted.

use std::time::Duration;

use axum::{Json, extract::State, response::IntoResponse};
use gristmill_platform::{
    broker::{self, Unfit},
    database, telemetry,
};
use http::header;
use redis::RedisError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::AppState,
    auth::Operator,
    openapi::NotOperator,
    problem::{Code, FieldError, Problem, ProblemBody, Result},
};

/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// A word that all is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

const OK: Json<Health> = Json(Health { status: "ok" });

/// The process is alive
#[utoipa::path(get, path = "/healthz", operation_id = "getHealth", tag = "about", responses((status = 200, description = "It does", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    OK
}

/// The server can work: Postgres and Redis answer and the migrations have run
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = "about",
    responses((status = 200, description = "It can", body = Health),
    (status = 503, description = "`errors` says what is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn readyz(State(app): State<AppState>) -> Result<Json<Health>> {
    let (postgres, redis) = tokio::join!(
        tokio::time::timeout(CHECK_TIMEOUT, database::ready(&app.pool)),
        tokio::time::timeout(CHECK_TIMEOUT, examine(&app)),
    );
    let late = |_| "does not answer".to_owned();
    let mut errors = Vec::new();
    if let Err(detail) = postgres.map_err(late).and_then(|ready| ready.map_err(|error| error.to_string())) {
        errors.push(FieldError { field: "postgres".to_owned(), detail });
    }
    if let Err(detail) = redis.map_err(late).and_then(|fit| match fit {
        Ok(None) => Ok(()),
        Ok(Some(unfit)) => Err(unfit.to_string()),
        Err(_) => Err("does not answer".to_owned()),
    }) {
        errors.push(FieldError { field: "redis".to_owned(), detail });
    }
    if errors.is_empty() {
        return Ok(OK);
    }
    let missing: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect();
    Err(Problem::new(Code::NotReady, missing.join("; ")).errors(errors))
}

async fn examine(app: &AppState) -> Result<Option<Unfit>, RedisError> {
    let mut connection = app.events.client().get_multiplexed_async_connection().await?;
    broker::examine(&mut connection).await
}

/// Metrics of this process in Prometheus' format, for operators
#[utoipa::path(get, path = "/metrics", operation_id = "getMetrics", tag = "about",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain"), NotOperator))]
pub(crate) async fn metrics(_: Operator) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::metrics().render())
}
