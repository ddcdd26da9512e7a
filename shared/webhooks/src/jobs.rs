//! The jobs of webhooks: payloads of ids and numbers. Their bodies are in the worker.

use std::time::Duration;

use gristmill_core::ClientId;
use gristmill_queue::Job;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::deliveries::State;

/// One event to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliver {
    /// The delivery.
    pub delivery_id: Uuid,
}

/// The waits between attempts: after these, the delivery has failed.
const WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(10),
];

impl Deliver {
    /// How long to wait after this failed attempt, from 1, before jitter; `None` after the last one.
    #[must_use]
    pub fn wait(attempt: u32) -> Option<Duration> {
        WAITS.get(attempt.saturating_sub(1) as usize).copied()
    }
}

impl Job for Deliver {
    const NAME: &'static str = "webhooks.deliver";
    const QUEUE: &'static str = "webhooks";
    const MAX_ATTEMPTS: u16 = WAITS.len() as u16 + 1;
    /// The call itself has 15 seconds; the rest is for the database.
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// What became of it is told by the delivery.
    const RETAIN: Option<Duration> = Some(Duration::from_hours(1));

    fn backoff(attempt: u32) -> Option<Duration> {
        Self::wait(attempt)
    }
}

/// `bill.created` of a client's bills with these numbers, slice by slice: a run may make a million.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnounceBills {
    /// Whose bills they are.
    pub client_id: ClientId,
    /// The first bill.
    pub from_number: i64,
    /// The last one.
    pub to_number: i64,
}

impl Job for AnnounceBills {
    const NAME: &'static str = "webhooks.announce_bills";
    const QUEUE: &'static str = "webhooks";
    const MAX_ATTEMPTS: u16 = 25;
}

/// Deliveries of an endpoint that are sent again, slice by slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayDeliveries {
    /// Whose endpoint it is.
    pub client_id: ClientId,
    /// To where.
    pub endpoint_id: Uuid,
    /// Those that stand like this.
    pub state: State,
    /// Made then or later.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
    /// Those behind this one.
    pub after: Uuid,
}

impl Job for ReplayDeliveries {
    const NAME: &'static str = "webhooks.replay";
    const QUEUE: &'static str = "webhooks";
    const MAX_ATTEMPTS: u16 = 25;
}
