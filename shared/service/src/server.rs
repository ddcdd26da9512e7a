//! The port on which a process answers for itself.

mod connections;
mod timeout_body;

use std::{io, net::SocketAddr, time::Duration};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use gristmill_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::connections::{Connections, Timeouts};
use crate::Health;

/// The three routes, for a role that serves HTTP anyway.
pub fn routes(health: Health) -> Router {
    let asked = PageQuery { health, metrics: gristmill_telemetry::metrics() };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(asked)
}

#[derive(Clone)]
struct PageQuery {
    health: Health,
    metrics: Metrics,
}

async fn metrics(State(asked): State<PageQuery>) -> Response {
    const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, PROMETHEUS)], asked.metrics.render()).into_response()
}

async fn healthz(State(asked): State<PageQuery>) -> Response {
    match asked.health.unhealthy_reason() {
        None => "ok\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn readyz(State(asked): State<PageQuery>) -> Response {
    let readiness = asked.health.examine().await;
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// For answers that are on their way when a role stops. A dashboard that is looked at never ends of itself.
const GRACE: Duration = Duration::from_secs(1);

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} for /metrics and /healthz: set GRISTMILL_MONITOR_ADDR")]
pub struct ServeError {
    addr: SocketAddr,
    source: io::Error,
}

/// A port on which a role answers the three routes.
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    timeouts: Timeouts,
}

impl Server {
    /// Takes the port; port 0 takes a free one.
    ///
    /// # Errors
    /// When it is taken, or may not be.
    pub async fn bind(addr: SocketAddr) -> Result<Self, ServeError> {
        let wrong = |source| ServeError { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(wrong)?;
        let addr = listener.local_addr().map_err(wrong)?;
        // what is counted from now on is seen
        gristmill_telemetry::metrics();
        Ok(Self { listener, addr, timeouts: Timeouts::default() })
    }

    /// The port that was taken.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits so long for a request's head, for the next bytes of its body and for its answer to be taken, each; and serves
    /// so many connections at the same time. Else 10 s, 30 s, 2 minutes and 1,024.
    #[must_use]
    pub fn with_timeouts(self, head: Duration, body: Duration, answer: Duration, connections: usize) -> Self {
        Self { timeouts: Timeouts { head, body, answer, connections }, ..self }
    }

    /// Answers until `shutdown`, and what was asked before for a second after it.
    pub async fn serve(self, health: Health, shutdown: CancellationToken) {
        self.serve_beside(Router::new(), health, shutdown).await;
    }

    /// The same, with more routes.
    pub async fn serve_beside(self, more: Router, health: Health, shutdown: CancellationToken) {
        let router = routes(health).merge(more);
        let connections = Connections::new(router, self.timeouts, shutdown.clone());
        tokio::select! {
            () = connections.accept(&self.listener) => {}
            () = shutdown.cancelled() => {}
        }
        drop(self.listener);
        // What is left then is broken off with the process.
        let _ = tokio::time::timeout(GRACE, connections.ended()).await;
    }
}
