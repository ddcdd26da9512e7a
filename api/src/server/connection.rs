use std::{pin::pin, time::Duration};

use axum::Router;
use gristmill_platform::config::ApiConfig;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{linger::LingeringStream, unread_body};

/// Everything that is connected.
pub(super) struct Connections {
    http: http1::Builder,
    router: Router,
    shutdown: CancellationToken,
    abandon: CancellationToken,
    running: TaskTracker,
}

impl Connections {
    pub(super) fn new(config: &ApiConfig, router: Router, shutdown: CancellationToken) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(config.header_timeout);
        Self { http, router, shutdown, abandon: CancellationToken::new(), running: TaskTracker::new() }
    }

    pub(super) async fn accept(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    self.running.spawn(self.serve(stream));
                }
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    // Out of file descriptors, most likely: some will be free again.
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        let _ = stream.set_nodelay(true);
        let (io, must_linger) = LingeringStream::new(stream);
        let router = self.router.clone();
        let service = service_fn(move |request| unread_body::answer(router.clone(), request, must_linger.clone()));
        let connection = self.http.serve_connection(TokioIo::new(io), service);
        let (shutdown, abandon) = (self.shutdown.clone(), self.abandon.clone());
        async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = abandon.cancelled() => return,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection => ended,
                        () = abandon.cancelled() => return,
                    }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke");
            }
        }
    }

    pub(super) async fn ended_within(&self, time: Duration) -> bool {
        self.running.close();
        tokio::time::timeout(time, self.running.wait()).await.is_ok()
    }

    pub(super) fn abandon(&self) {
        self.abandon.cancel();
    }
}

fn is_the_peers(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
