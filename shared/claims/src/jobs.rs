//! The jobs of claims: payloads of ids. Their bodies are in the worker.

use std::time::Duration;

use gristmill_core::ClientId;
use gristmill_queue::{Job, JobFilter, JobState, RedriveJobs};
use gristmill_uploads::UploadId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Post the payment of one claim.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessPayment {
    /// The claim.
    pub claim_id: Uuid,
}

impl Job for ProcessPayment {
    const NAME: &'static str = "payments.process";
    const QUEUE: &'static str = "payments";
    const PRIORITY: u8 = 5;
    const MAX_ATTEMPTS: u16 = 5;
    const RETAIN: Option<Duration> = Some(Duration::from_hours(1));
}

/// What brings payments back that have failed for good, by the clock: a hundred times each, and no faster than the causes of
/// their failing can be seen to last.
#[must_use]
pub fn redrive() -> RedriveJobs {
    RedriveJobs { filter: dead(None), per_second: Some(50.0), max_rounds: Some(100) }
}

/// What brings a client's payments back that have failed for good, when what kept them is over.
#[must_use]
pub fn redrive_of(client_id: ClientId) -> RedriveJobs {
    RedriveJobs { filter: dead(Some(client_id)), per_second: Some(500.0), max_rounds: None }
}

fn dead(client_id: Option<ClientId>) -> JobFilter {
    let name = Some(ProcessPayment::NAME.to_owned());
    JobFilter { states: vec![JobState::Dead], name, client_id, ..JobFilter::default() }
}

/// Enqueue the payments of an upload's claims, a slice after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PayUpload {
    /// Whose it is.
    pub client_id: ClientId,
    /// The upload.
    pub upload_id: UploadId,
    /// Those up to this claim are enqueued already.
    pub after: Option<Uuid>,
}

impl Job for PayUpload {
    const NAME: &'static str = "claims.pay_upload";
    const QUEUE: &'static str = "uploads";
    const MAX_ATTEMPTS: u16 = 25;
}

/// Take back what an undone upload's claims have in the books, a slice after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VoidUpload {
    /// Whose it is.
    pub client_id: ClientId,
    /// The upload.
    pub upload_id: UploadId,
}

impl Job for VoidUpload {
    const NAME: &'static str = "claims.void_upload";
    const QUEUE: &'static str = "uploads";
    const PRIORITY: u8 = 3;
    const MAX_ATTEMPTS: u16 = 25;
}
