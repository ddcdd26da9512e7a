use std::sync::Arc;

use gristmill_core::Batcher;
use gristmill_http::Http;
use gristmill_platform::config::ApiConfig;
use gristmill_queue::Queue;
use gristmill_uploads::{UploadService, events::Events};
use gristmill_webhooks::outbound::Outbound;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    auth::{Keys, Revocations},
    hub::Hub,
    lanes::Lanes,
    quota::Quotas,
    routes::{ByKey, SingleRequest, gathering},
};

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Inner>);

pub(crate) struct Inner {
    /// The ledger's database.
    pub(crate) pool: PgPool,
    pub(crate) queue: Queue,
    /// Producers and workers in any language.
    pub(crate) http: Http,
    /// Publishes the progress of uploads.
    pub(crate) events: Events,
    /// Takes uploads in and away.
    pub(crate) uploads: UploadService,
    /// Knows which addresses may be called.
    pub(crate) outbound: Outbound,
    /// Counts what may not be asked for too often.
    pub(crate) quotas: Quotas,
    /// Who may ask the database at the same time.
    pub(crate) lanes: Lanes,
    /// Enters single requests for merchants.
    pub(crate) normalizing: Batcher<SingleRequest, Uuid>,
    pub(crate) keys: Keys,
    /// Ends what a key has begun once it is revoked.
    pub(crate) revocations: Revocations,
    pub(crate) hub: Hub,
    /// One permit an upload that is being received.
    pub(crate) receiving: Arc<Semaphore>,
    /// One permit a file that is being checked: what is held of them has bounds.
    pub(crate) checking: Semaphore,
    /// One permit a piece of such a file that is being read: they share the processor with all other requests.
    pub(crate) check_pieces: Semaphore,
    /// How patient it is.
    pub(crate) config: ApiConfig,
    /// Ends bodies that still arrive.
    pub(crate) stop_bodies: CancellationToken,
    /// Ends streams of events.
    pub(crate) stop_events: CancellationToken,
}

/// Files that are checked at the same time.
const MAX_CHECKING: usize = 4;

impl AppState {
    pub(crate) fn new(
        uploads: UploadService,
        hub: Hub,
        outbound: Outbound,
        quotas: Quotas,
        lanes: Lanes,
        config: &ApiConfig,
    ) -> Self {
        Self(Arc::new(Inner {
            pool: uploads.pool.clone(),
            queue: uploads.queue.clone(),
            http: Http::new(&uploads.queue, ByKey),
            events: uploads.events.clone(),
            normalizing: gathering(uploads.queue.clone()),
            keys: Keys::default(),
            revocations: Revocations::default(),
            receiving: Arc::new(Semaphore::new(uploads.limits.max_receiving)),
            checking: Semaphore::new(MAX_CHECKING),
            check_pieces: Semaphore::new(
                std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
            ),
            uploads,
            outbound,
            quotas,
            lanes,
            hub,
            config: config.clone(),
            stop_bodies: CancellationToken::new(),
            stop_events: CancellationToken::new(),
        }))
    }
}

impl std::ops::Deref for AppState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
