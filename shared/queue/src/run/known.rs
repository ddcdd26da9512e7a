//! Which workers can read a job. Every worker reports the jobs that it knows with its first heartbeat, so that a worker that
//! does not know a job releases it to one that does, whatever their versions are called. If no worker knows it, the job is
//! parked.

use std::{collections::HashMap, time::Duration};

use gristmill_core::chain;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{Delivery, Runner};
use crate::{
    Claim, ContentKind, Queue, WorkerView, broker::KnownJob, codec, delivery::Release, envelope::Envelope,
    ledger::park::Reader, worker::RegisteredJob,
};

mod others;
mod roster;
pub(super) use others::Others;
pub(crate) use roster::Roster;

/// How long until a job that was released to other workers is back in line.
pub(crate) const REQUEUE_DELAY: Duration = Duration::from_millis(500);
/// How old a read of the worker registry may be to release a job to one of them: they send heartbeats every two seconds.
pub(crate) const MAX_LIST_AGE: Duration = Duration::from_secs(1);
/// Between two looks of a worker for what others have parked and it can read.
pub(crate) const UNPARK_INTERVAL: Duration = Duration::from_secs(30);
/// Every live worker has sent a heartbeat within this time: two of their intervals, and a margin.
pub(crate) const LIST_SETTLE_TIME: Duration = Duration::from_secs(5);

impl Runner {
    /// The body of this job, or why this worker cannot read it.
    pub(super) fn body(&self, job: &Envelope<'_>) -> Result<&RegisteredJob, String> {
        match self.bodies.get(&*job.name) {
            Some(body) if job.version <= body.version => {
                codec::readable(self.queue.config().codec(), ContentKind::Payload, job.payload.get())
                    .map(|()| body)
                    .map_err(|error| error.to_string())
            }
            Some(RegisteredJob { version, .. }) => Err(format!(
                "the payload does not decode: it is of version {}, this binary knows {version}",
                job.version
            )),
            None => Err(format!("unknown job `{}`", job.name)),
        }
    }

    /// Releases a job that this worker cannot read to workers that can; parks it, for the reason `why`, if there are none.
    pub(super) async fn leave_or_park(
        &self,
        delivery: &Delivery,
        claim: &Claim,
        job: &Envelope<'_>,
        why: String,
    ) -> Result<(), Release> {
        let queue = &*delivery.queue;
        // Not delivered by a broker: there are no other workers.
        if delivery.lease_check.is_none() {
            return self.park(claim, queue, &job.name, why).await;
        }
        let wanted = Wanted::of(job);
        if self.may_be_read(queue, &wanted).await? {
            debug!(job = %delivery.id, queue, name = &*job.name, "left to a worker that can read it");
            self.within_grace(self.others.turn()).await?;
            metrics::counter!("gristmill_jobs_left_total").increment(1);
            return Err(Release::Unreadable(REQUEUE_DELAY));
        }
        self.park(claim, queue, &job.name, why).await?;
        self.look_around(queue, &wanted).await
    }

    /// Whether a live worker of this queue can read this job, or that is unknown.
    pub(super) async fn may_be_read(&self, queue: &str, job: &Wanted<'_>) -> Result<bool, Release> {
        for age in [MAX_LIST_AGE, Duration::ZERO] {
            match self.within_grace(self.others.roster.seen(&self.queue, age)).await? {
                Ok(workers) if workers.iter().any(|worker| reads(worker, queue, job)) => {
                    return Ok(true);
                }
                Ok(_) => {}
                Err(error) => {
                    debug!(
                        error = chain(&error),
                        queue,
                        name = job.name,
                        "reading the worker registry failed: the job may be readable elsewhere"
                    );
                    return Ok(true);
                }
            }
        }
        Ok(!self.others.list_is_complete(LIST_SETTLE_TIME))
    }

    /// A worker that can read the job may have started between the last read of the registry and the ledger's commit. It has
    /// not seen the job parked, so the job is unparked for it. A worker that starts later sees the job, because it is in the
    /// registry before it looks.
    async fn look_around(&self, queue: &str, job: &Wanted<'_>) -> Result<(), Release> {
        match self.within_grace(self.others.roster.seen(&self.queue, Duration::ZERO)).await? {
            Ok(workers) if workers.iter().any(|worker| reads(worker, queue, job)) => {
                let jobs = [KnownJob { name: job.name.to_owned(), version: job.version }];
                let reader = Reader { id: "", jobs: &jobs, keys: job.key.as_slice() };
                match self.within_grace(self.queue.unpark(reader, &[queue.to_owned()], false)).await? {
                    Ok(jobs) => info!(
                        jobs,
                        queue,
                        name = job.name,
                        "a worker that can read this job has started: it is tried again"
                    ),
                    Err(error) => {
                        warn!(error = chain(&error), queue, "unparking jobs failed; they are tried again later")
                    }
                }
            }
            Ok(_) => {}
            Err(error) => debug!(error = chain(&error), queue, "reading the worker registry failed"),
        }
        Ok(())
    }
}

/// Waits until the registry lists this worker, with all its queues.
pub(crate) async fn is_registered(queue: &Queue, id: Uuid, queues: &[String]) {
    loop {
        match queue.workers().await {
            Ok(workers) => {
                let works = |worker: &WorkerView, queue: &String| worker.lines.iter().any(|line| line.queue == *queue);
                let mut me = workers.iter().filter(|worker| worker.id == id && !worker.known_jobs.is_empty());
                if me.any(|worker| queues.iter().all(|queue| works(worker, queue))) {
                    return;
                }
            }
            Err(error) => debug!(error = chain(&error), "reading the worker registry failed; retrying"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What a worker must know to read a job.
pub(crate) struct Wanted<'a> {
    name: &'a str,
    version: u16,
    /// That its payload is encrypted with.
    key: Option<String>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn of(job: &'a Envelope<'_>) -> Self {
        Self { name: &job.name, version: job.version, key: codec::key_of(job.payload.get()) }
    }
}

/// Whether this worker takes such jobs from this queue.
pub(crate) fn reads(worker: &WorkerView, queue: &str, job: &Wanted<'_>) -> bool {
    !worker.draining
        && worker.unwell.is_none()
        && worker.lines.iter().any(|line| line.queue == queue)
        && worker.known_jobs.iter().any(|known| known.name == job.name && known.version >= job.version)
        && job.key.as_ref().is_none_or(|key| worker.payload_keys.contains(key))
}

/// The jobs of these bodies, by name.
pub(crate) fn jobs(bodies: &HashMap<&'static str, RegisteredJob>) -> Vec<KnownJob> {
    let mut jobs: Vec<_> =
        bodies.iter().map(|(name, body)| KnownJob { name: (*name).into(), version: body.version }).collect();
    jobs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    jobs
}

/// The reader that parks a job (`jobs.parked_by`): a binary's version, the jobs that it knows, and the keys of payloads that it has. A
/// reader with the same of all would park the job again. The digits are an FNV-1a hash, which is the same in every build.
pub(crate) fn reader(version: &str, jobs: &[KnownJob], keys: &[String]) -> String {
    let jobs = jobs.iter().flat_map(|job| format!("{}@{} ", job.name, job.version).into_bytes());
    let keys = keys.iter().flat_map(|key| format!("key {key} ").into_bytes());
    let hash = jobs
        .chain(keys)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{version}+{hash:016x}")
}
