mod connections;
mod timeout_body;

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use gristmill_platform::telemetry::{self, Metrics};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::connections::{Connections, Timeouts};
use crate::Health;

/// The three routes, for a role that serves HTTP anyway.
pub fn routes(health: Health) -> Router {
    let asked = PageQuery { health, metrics: telemetry::metrics() };
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
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// For answers that are on their way when a role stops. A dashboard that is looked at never ends of itself.
const GRACE: Duration = Duration::from_secs(1);

/// A port on which a role answers the three routes.
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    timeouts: Timeouts,
}

impl Server {
    /// Takes the port; port 0 takes a free one.
    pub async fn bind(addr: SocketAddr) -> anyhow::Result<Self> {
        let doing = || format!("cannot listen on {addr} for /metrics and /healthz: set GRISTMILL_MONITOR_ADDR");
        let listener = TcpListener::bind(addr).await.with_context(doing)?;
        let addr = listener.local_addr().with_context(doing)?;
        // what is counted from now on is seen
        telemetry::metrics();
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
    pub async fn serve(self, health: Health, shutdown: CancellationToken) -> anyhow::Result<()> {
        self.serve_beside(Router::new(), health, shutdown).await
    }

    /// The same, with more routes.
    pub async fn serve_beside(self, more: Router, health: Health, shutdown: CancellationToken) -> anyhow::Result<()> {
        let router = routes(health).merge(more);
        let connections = Connections::new(router, self.timeouts, shutdown.clone());
        tokio::select! {
            () = connections.accept(&self.listener) => {}
            () = shutdown.cancelled() => {}
        }
        drop(self.listener);
        // What is left then is broken off with the process.
        let _ = tokio::time::timeout(GRACE, connections.ended()).await;
        Ok(())
    }
}
