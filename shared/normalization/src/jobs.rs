//! The job of a normalization. Its body is in the worker.

use std::time::Duration;

use gristmill_queue::Job;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Find the merchant of one request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Normalize {
    /// The request.
    pub request_id: Uuid,
}

impl Job for Normalize {
    const NAME: &'static str = "normalizations.normalize";
    const QUEUE: &'static str = "normalizations";
    /// A client's own heuristic may take 60 s.
    const TIMEOUT: Duration = Duration::from_secs(75);
    const RETAIN: Option<Duration> = Some(Duration::from_secs(3_600));
}
