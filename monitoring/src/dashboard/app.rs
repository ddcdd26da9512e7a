use std::sync::Arc;

use anyhow::Context as _;
use gristmill_board::Samples;
use gristmill_platform::{
    broker,
    config::{LimitsConfig, RoleConfig},
    database, store,
};
use gristmill_queue::{Queue, QueueConfig};
use gristmill_uploads::{MemoryBudget, Spool, UploadService, events::Events};
use sqlx::PgPool;

use super::{login::Attempts, pages::bills::totals::Totals, session};
use crate::Health;

/// What the pages are made from. Cheap to make; [`Dashboard::routes`] begins its work.
pub struct Dashboard {
    pub(super) pool: PgPool,
    pub(super) queue: Queue,
    /// Takes dropped files in, and uploads away.
    pub(super) uploads: UploadService,
    pub(super) health: Health,
    /// Rows read a second.
    pub(super) rows: Samples,
    pub(super) attempts: Attempts,
    pub(super) totals: Totals,
}

pub(super) type App = Arc<Dashboard>;

impl Dashboard {
    /// Opens what it needs; connects to Postgres when it is first asked.
    ///
    /// # Errors
    /// When a setting is unusable.
    pub async fn open(role: &RoleConfig, limits: &LimitsConfig, health: Health) -> anyhow::Result<Self> {
        broker::refuse_unfit(&role.redis).await?;
        let (url, namespace) = (role.redis.url()?, &role.redis.redis_namespace);
        let pool = database::connect_lazily(&role.database)?;
        let config = QueueConfig {
            namespace: namespace.clone(),
            window: role.redis.redis_window,
            codec: role.payloads.codec(&gristmill_kinds::JOBS)?,
            ..QueueConfig::new(url)
        };
        let uploads = UploadService {
            queue: Queue::connect(pool.clone(), config).await.context("connecting to the queue's broker")?,
            pool,
            store: store::open(&role.store)?,
            events: Events::connect(url, namespace).context("REDIS_URL is not a Redis URL")?,
            limits: limits.clone(),
            memory: MemoryBudget::new(limits),
            spool: Spool::new(limits),
            hooks: gristmill_kinds::HOOKS,
        };
        Ok(Self::new(uploads, health))
    }

    /// On the ledger that `uploads` is on; `health` is asked for the engines.
    #[must_use]
    pub fn new(uploads: UploadService, health: Health) -> Self {
        Self {
            pool: uploads.pool.clone(),
            queue: uploads.queue.clone(),
            uploads,
            health,
            rows: Samples::default(),
            attempts: Attempts::default(),
            totals: Totals::default(),
        }
    }

    /// [`link`] to this one.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement.
    pub async fn link(&self, who: &str) -> Result<String, sqlx::Error> {
        session::link(&self.pool, who).await
    }
}

/// A token for `/login?token=…` that logs somebody in as an operator, once, within the hour. `who` is for the audit log.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn link(pool: &PgPool, who: &str) -> Result<String, sqlx::Error> {
    session::link(pool, who).await
}
