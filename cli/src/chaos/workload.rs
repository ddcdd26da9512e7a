//! What is asked of the system meanwhile, and what it has promised.

mod bills;
mod groups;
mod jobs;
mod uploads;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use gristmill_pipelines::generate::Counts;
use gristmill_queue::{GroupId, JobId};
use gristmill_uploads::UploadId;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{cluster::Cluster, processes::Role};

/// What was accepted, and what may have been.
#[derive(Default)]
pub(super) struct Workload {
    /// Jobs whose transaction was committed.
    pub(super) jobs: Mutex<Vec<JobId>>,
    /// Groups that were begun, by their number.
    pub(super) groups: Mutex<BTreeMap<i64, GroupId>>,
    /// Files by their name.
    pub(super) uploads: Mutex<BTreeMap<String, SentUpload>>,
    /// Billing runs that were answered for.
    pub(super) runs: Mutex<Vec<Uuid>>,
    /// Payments that were told of, by their ids.
    pub(super) paid: Mutex<BTreeMap<String, Payment>>,
}

/// A payment.
#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) debt: Uuid,
    /// In hundredths.
    pub(super) amount: i64,
    pub(super) answered: bool,
}

/// A file.
#[derive(Debug, Clone)]
pub(super) struct SentUpload {
    pub(super) counts: Counts,
    pub(super) atomic: bool,
    /// The upload, once it was accepted, and when: seconds since 1970.
    pub(super) accepted: Option<(UploadId, f64)>,
    /// An answer that no client should get.
    pub(super) refused: Option<String>,
}

impl SentUpload {
    /// Whether its rows are to be there in the end.
    pub(super) fn stays(&self) -> bool {
        !(self.atomic && self.counts.rejected > 0)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks until `stop`; what has been begun then is brought to its end, for which the system must have healed.
pub(super) async fn load(cluster: &Cluster, seed: u64, workload: &Workload, stop: &CancellationToken) {
    let apis: Vec<_> = cluster.of(Role::Api).map(|api| api.addr).collect();
    let builds = cluster.of(Role::Worker).count() > 1;
    // two to each: one of them may be waiting for the end of an upload whose API has died
    let clients = (0..2 * apis.len()).map(|first| uploads::send(&apis, first, &cluster.key, seed, workload, stop));
    tokio::join!(
        jobs::enqueue(&cluster.queue, seed, builds, workload, stop),
        groups::enqueue(&cluster.queue, seed, workload, stop),
        futures::future::join_all(clients),
        bills::bill(&apis, &cluster.key, seed, workload, stop),
    );
}
