//! Connections of a monitoring port: so many, and none that is kept for nothing.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    response::{IntoResponse as _, Response},
};
use http::{Request, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use super::timeout_body::TimeoutBody;
use crate::{host, stalled::Stalled};

/// How long a peer is heard that does not send what it has to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For the whole head of a request; a connection without one is closed after it too.
    pub(super) head: Duration,
    /// Without a byte of a body that is waited for.
    pub(super) body: Duration,
    /// Without a byte of an answer that is taken.
    pub(super) answer: Duration,
    /// Connections at the same time; those beyond are closed at once.
    pub(super) connections: usize,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { head: seconds(10), body: seconds(30), answer: seconds(120), connections: 1_024 }
    }
}

/// Everything that is connected.
pub(super) struct Connections {
    http: http1::Builder,
    router: Router,
    timeouts: Timeouts,
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
    running: TaskTracker,
}

impl Connections {
    pub(super) fn new(router: Router, timeouts: Timeouts, shutdown: CancellationToken) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(timeouts.head);
        let places = Arc::new(Semaphore::new(timeouts.connections));
        Self { http, router, timeouts, places, shutdown, running: TaskTracker::new() }
    }

    /// Takes connections for ever.
    pub(super) async fn accept(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => match self.places.clone().try_acquire_owned() {
                    Ok(place) => drop(self.running.spawn(self.serve(stream, peer, place))),
                    Err(_) => tracing::debug!(%peer, "there are too many connections"),
                },
                Err(error) => {
                    tracing::debug!(%error, "a connection was not taken");
                    // Out of file descriptors, most likely: some will be free again.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + 'static {
        let _ = stream.set_nodelay(true);
        let (router, timeouts, shutdown) = (self.router.clone(), self.timeouts, self.shutdown.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(|body| Body::new(TimeoutBody::new(body, timeouts.body)));
            request.extensions_mut().insert(ConnectInfo(peer));
            answer(router.clone(), request)
        });
        let connection = self.http.serve_connection(TokioIo::new(Stalled::new(stream, timeouts.answer)), service);
        async move {
            let _place = place;
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke");
            }
        }
    }

    /// Waits until all have ended.
    pub(super) async fn ended(&self) {
        self.running.close();
        self.running.wait().await;
    }
}

async fn answer(router: Router, request: Request<Body>) -> Result<Response, Infallible> {
    match host::fault(request.version(), request.headers()) {
        Some(fault) => Ok((StatusCode::BAD_REQUEST, format!("Host {fault}\n")).into_response()),
        None => router.oneshot(request).await,
    }
}
