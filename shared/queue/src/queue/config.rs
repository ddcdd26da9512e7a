//! What a queue is made of.

use std::{fmt, sync::Arc, time::Duration};

use crate::{BrokerConfig, Codec, Schema, codec::Intake};

/// What a [`Queue`](crate::Queue) is made of, beside a pool.
#[derive(Clone)]
pub struct QueueConfig {
    /// Where the broker is.
    pub broker: BrokerConfig,
    /// The prefix of its keys, where it is Redis. Applications that share a Redis need a prefix each.
    pub namespace: String,
    /// The Postgres schema of the queue's tables: see [`migrate`](crate::migrate). Applications that share a database need one each.
    pub schema: Schema,
    /// How long a worker keeps its jobs without renewing their leases. About a second after that they run elsewhere.
    pub lease: Duration,
    /// Jobs of one queue that the broker holds; what is beyond waits in the ledger and is pushed by the sweep as there is place.
    /// Each line (a priority and a fair key) has its share of this in any case, 16 jobs at least.
    pub window: u64,
    /// How many deliveries of one job may end with a lost worker before the job is dead.
    pub max_deliveries: u32,
    /// Wait before the second attempt; doubles with every further one.
    pub backoff: Duration,
    /// The longest wait between two attempts.
    pub backoff_limit: Duration,
    /// How long running jobs may take to finish when a worker stops.
    pub grace: Duration,
    /// This binary's version, for people, and to retry jobs that another version has parked because they did not decode.
    /// Which worker can read which job does not depend on it: workers report the jobs that they know.
    pub version: String,
    /// How long a worker may make no progress while jobs wait before it replaces its connections. After as long again it is
    /// unhealthy.
    pub watchdog: Duration,
    /// Bytes of JSON that a job may be given: it carries ids, and content is kept elsewhere.
    pub payload_limit: usize,
    /// Encodes payloads, results and steps before Postgres and Redis have them: [`Encryption`](crate::Encryption), say. None: they are
    /// kept as they are.
    pub codec: Option<Arc<dyn Codec>>,
}

impl QueueConfig {
    /// The defaults, with this Redis as the broker.
    #[must_use]
    pub fn new(redis_url: impl Into<String>) -> Self {
        Self::on(BrokerConfig::Redis { url: redis_url.into() })
    }

    /// The defaults, with Postgres alone.
    #[must_use]
    pub fn postgres() -> Self {
        Self::on(BrokerConfig::Postgres)
    }

    /// The defaults, with this broker.
    #[must_use]
    pub fn on(broker: BrokerConfig) -> Self {
        Self {
            broker,
            namespace: "gm".into(),
            schema: Schema::default(),
            lease: Duration::from_secs(6),
            window: 50_000,
            max_deliveries: 10,
            backoff: Duration::from_secs(1),
            backoff_limit: Duration::from_secs(600),
            grace: Duration::from_secs(25),
            version: env!("CARGO_PKG_VERSION").into(),
            watchdog: Duration::from_secs(30),
            payload_limit: 256 * 1_024,
            codec: None,
        }
    }

    pub(crate) fn codec(&self) -> Option<&dyn Codec> {
        self.codec.as_deref()
    }

    /// What payloads come in by.
    pub(crate) fn intake(&self) -> Intake<'_> {
        Intake { limit: self.payload_limit, codec: self.codec() }
    }
}

impl fmt::Debug for QueueConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueConfig")
            .field("broker", &self.broker)
            .field("namespace", &self.namespace)
            .field("schema", &self.schema)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
