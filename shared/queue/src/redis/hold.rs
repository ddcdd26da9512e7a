//! Whether a delivery is still this worker's, asked when it matters.

use std::{sync::Arc, time::Duration};

use tracing::debug;
use uuid::Uuid;

use super::{Broker, fetch::Claims, link::Link};

/// Whom to ask about the deliveries of a worker. Every task carries it in its data.
pub(crate) struct Hold {
    pub(super) broker: Broker,
    pub(super) link: Link,
    pub(super) claims: Arc<Claims>,
    pub(super) lease: Duration,
}

/// Nobody waits longer for a broker that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

impl Hold {
    /// Whether nobody else has the job, or will get it. None: the broker is silent, and the lease may have run out.
    pub(crate) async fn is_ours(&self, id: Uuid, number: u64) -> Option<bool> {
        let (mut conn, held) = (self.link.conn(), [(id.to_string(), number)]);
        match tokio::time::timeout(PATIENCE, self.broker.renew(&mut conn, self.lease, &held)).await {
            Ok(Ok(lost)) => return Some(lost.is_empty()),
            Ok(Err(error)) => debug!(job = %id, %error, "the broker cannot be asked whose job this is"),
            Err(_) => debug!(job = %id, "the broker is too slow to say whose job this is"),
        }
        (self.claims.kept_for() < self.lease).then_some(true)
    }
}
