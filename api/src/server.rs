//! The listener and its connections: HTTP/1.1, patient with slow networks and not with slow attackers.

mod connection;
mod linger;
mod unread_body;

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use gristmill_platform::config::ApiConfig;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::connection::Connections;

/// How long interrupted requests may take to clean up and answer, after the grace period.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);

/// A bound API, not serving yet.
pub struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) config: ApiConfig,
    /// Ends bodies that still arrive.
    pub(crate) stop_bodies: CancellationToken,
    /// Ends streams of events.
    pub(crate) stop_events: CancellationToken,
    /// What runs beside the requests.
    pub(crate) tasks: TaskTracker,
}

impl Server {
    /// Where it listens: tells the port when 0 was asked for.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then lets running requests end: streams of events at once, uploads within the grace
    /// period; what is left after that is broken off and cleaned up.
    pub async fn serve(self, shutdown: CancellationToken) {
        let connections = Connections::new(&self.config, self.router, shutdown.clone());
        tokio::select! {
            () = connections.accept(&self.listener) => {}
            () = shutdown.cancelled() => {}
        }
        // From here on, connecting is refused: a load balancer sends elsewhere.
        drop(self.listener);
        self.stop_events.cancel();
        if !connections.ended_within(self.config.api_grace).await {
            tracing::warn!("the grace period is over: uploads that still arrive are broken off");
            self.stop_bodies.cancel();
            connections.ended_within(CLEANUP_TIMEOUT).await;
        }
        connections.abandon();
        self.tasks.close();
        let _ = tokio::time::timeout(CLEANUP_TIMEOUT, self.tasks.wait()).await;
    }
}
