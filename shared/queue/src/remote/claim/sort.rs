//! Of what was leased for a remote worker, what it runs; the rest is ended or put back here.

use std::{collections::HashMap, time::Duration};

use tracing::{debug, error, info};

use super::{
    super::{
        Inner, RemoteClaim, RemoteDelivery, RemoteWorker, Resume, Ticket,
        keeper::Line,
        sessions::{Held, Session},
    },
    Look,
    put_back::release,
    read::Read,
};
use crate::{
    JobId, QueueError,
    broker::{BrokerError, Lease, LeaseRelease, ReleaseReason},
    envelope::Envelope,
    ledger::{
        fail::{Outcome, Run, Settle, Verdict},
        fence::{self, JobStatus, Runnable},
        limits,
    },
    run::{
        attempt::{count, record_wait},
        known::REQUEUE_DELAY,
    },
};

/// How long a suspected job is put back for where others run.
const SUSPECT_DELAY: Duration = Duration::from_millis(500);

impl Inner {
    /// Of what was leased, what the worker runs; the rest ends here.
    pub(super) async fn sort(
        &self,
        line: &Line,
        leases: Vec<Lease>,
        wanted: &RemoteClaim,
        look: &mut Look,
    ) -> Result<(), QueueError> {
        let lost: Vec<_> = leases.iter().flat_map(|lease| lease.failed_deliveries.lost(&lease.id)).collect();
        self.record_lost(&lost).await;
        let ids: Vec<JobId> = leases.iter().filter_map(|lease| lease.id.parse().ok()).collect();
        let statuses = fence::statuses(self.queue.schema(), self.queue.pool(), &ids).await?;
        let (mut gone, mut verdicts, mut releases) = (Vec::new(), Vec::new(), Vec::new());
        let mut runnable = Vec::new();
        for lease in leases {
            let known = lease.id.parse::<JobId>().ok().and_then(|id| Some((id, *statuses.get(&id)?)));
            match known {
                Some((id, JobStatus::Runnable(found))) if found.expired => {
                    let run = Run { delivery: lease.number, ..Run::default() };
                    let verdict = Verdict::expired();
                    verdicts.push(Settle { id, verdict, run: Some(run) });
                    gone.push((lease.id, lease.number));
                }
                Some((id, JobStatus::Runnable(found))) => runnable.push((id, found, lease)),
                Some((id, JobStatus::Cancelled)) => {
                    verdicts.push(Settle { id, verdict: Verdict::CANCELLED, run: None });
                    gone.push((lease.id, lease.number));
                }
                Some((_, JobStatus::Finished)) | None => gone.push((lease.id, lease.number)),
            }
        }
        let mut readable = Vec::new();
        for (id, found, mut lease) in runnable {
            let (name, why) = match self.read(wanted, &line.name, &lease.payload).await {
                Read::AsItIs => {
                    readable.push((id, found, lease));
                    continue;
                }
                Read::Decoded(message) => {
                    lease.payload = message;
                    readable.push((id, found, lease));
                    continue;
                }
                Read::ByOthers => {
                    metrics::counter!("gristmill_jobs_left_total").increment(1);
                    look.left = true;
                    releases.push(release(&lease, REQUEUE_DELAY, ReleaseReason::Unreadable));
                    continue;
                }
                Read::ByNobody { name, why } => (name, why),
            };
            verdicts.push(park(id, &lease, &line.name, &name, why));
            gone.push((lease.id, lease.number));
        }
        let (mut resumes, unreadable) = self.resumes(&readable).await?;
        for (id, why) in unreadable {
            let Some(at) = readable.iter().position(|(job, ..)| *job == id) else { continue };
            let (_, _, lease) = readable.swap_remove(at);
            verdicts.push(park(id, &lease, &line.name, "", why));
            gone.push((lease.id, lease.number));
        }
        if !verdicts.is_empty() {
            self.settle_as(&self.reader(wanted), verdicts).await?;
        }
        let alone = self.isolate(line, &wanted.worker, &mut readable, &mut releases, look).await?;
        self.keep_within_limits(&mut readable, &mut gone).await?;
        let ids: Vec<JobId> = readable.iter().map(|(id, ..)| *id).collect();
        let mut ticks = match ids.is_empty() {
            true => HashMap::new(),
            false => self.queue.schedules().ticks_of(&ids).await?,
        };
        let given = readable.into_iter().filter_map(|(id, found, lease)| {
            let given = give(line, id, found, &lease, resumes.remove(&id).unwrap_or_default())?;
            Some(RemoteDelivery { tick: ticks.remove(&id), ..given })
        });
        let given: Vec<RemoteDelivery> = given.collect();
        self.sessions.with(&wanted.worker, |session| {
            for job in &given {
                let held = Held::new(job.ticket, &line.name, &job.name, true, alone);
                session.held.insert(job.ticket.id, held);
            }
        });
        look.deliveries.extend(given);
        if !gone.is_empty()
            && let Err(error) = line.answers.ack(&gone).await
        {
            debug!(%error, queue = line.name, "the broker keeps jobs that have ended until their leases run out");
        }
        self.release(line, releases.into_iter()).await;
        Ok(())
    }

    /// Those that there is no room for wait in the ledger until they are called.
    async fn keep_within_limits(
        &self,
        readable: &mut Vec<(JobId, Runnable, Lease)>,
        gone: &mut Vec<(String, u64)>,
    ) -> Result<(), QueueError> {
        let limited: Vec<JobId> = readable.iter().filter(|(_, found, _)| found.limited).map(|(id, ..)| *id).collect();
        if limited.is_empty() {
            return Ok(());
        }
        let admitted = limits::admit(self.queue.schema(), self.queue.pool(), &limited).await?;
        readable.retain(|(id, found, lease)| {
            let stays = !found.limited || admitted.contains(id);
            if !stays {
                gone.push((lease.id.clone(), lease.number));
            }
            stays
        });
        Ok(())
    }

    /// A job that is suspected of taking its workers down is given alone, so that it is blamed for what happens, and no other.
    /// Returns whether what is left in `readable` is such a job.
    async fn isolate(
        &self,
        line: &Line,
        worker: &RemoteWorker,
        readable: &mut Vec<(JobId, Runnable, Lease)>,
        releases: &mut Vec<LeaseRelease>,
        look: &Look,
    ) -> Result<bool, BrokerError> {
        let max_deliveries = self.queue.config().max_deliveries;
        let is_suspect = |lease: &Lease| lease.failed_deliveries.is_suspect(max_deliveries);
        let Some(first) = readable.iter().position(|(.., lease)| is_suspect(lease)) else { return Ok(false) };
        let is_empty = look.deliveries.is_empty() && self.sessions.with(worker, |session| session.held.is_empty());
        if !is_empty {
            let (suspects, others) = std::mem::take(readable).into_iter().partition(|(.., lease)| is_suspect(lease));
            *readable = others;
            let suspects: Vec<_> = suspects;
            releases.extend(suspects.iter().map(|(.., lease)| release(lease, SUSPECT_DELAY, ReleaseReason::Wait)));
            self.sessions.with(worker, Session::make_room);
            return Ok(false);
        }
        let suspect = readable.swap_remove(first);
        let others = std::mem::take(readable);
        releases.extend(others.iter().map(|(.., lease)| release(lease, Duration::ZERO, ReleaseReason::Wait)));
        if line.answers.alone(&suspect.2.id, suspect.2.number).await? {
            info!(job = suspect.2.id, worker = worker.name, "workers were lost with the job: it is given alone");
            readable.push(suspect);
        }
        Ok(true)
    }
}

/// For another worker, or for somebody who looks.
fn park(id: JobId, lease: &Lease, queue: &str, name: &str, why: String) -> Settle {
    error!(job = %id, queue, error = why, "parked");
    count(queue, name, Outcome::Parked.into());
    let run = Run { delivery: lease.number, ..Run::default() };
    Settle { id, verdict: Outcome::Parked.because(why), run: Some(run) }
}

fn give(line: &Line, id: JobId, found: Runnable, lease: &Lease, resume: Resume) -> Option<RemoteDelivery> {
    let ticket = Ticket::new(id, found.round, lease.number);
    // It was read already.
    let envelope: Envelope<'_> = serde_json::from_slice(&lease.payload).ok()?;
    record_wait(&line.name, &envelope.name, envelope.due);
    if lease.number > 1 {
        metrics::counter!("gristmill_redeliveries_total").increment(1);
    }
    Some(RemoteDelivery {
        ticket,
        queue: line.name.clone(),
        version: envelope.version,
        attempt: found.attempt.unsigned_abs() + 1,
        max_attempts: found.max_attempts.unsigned_abs(),
        payload: envelope.payload.to_owned(),
        client_id: envelope.client_id,
        trace_parent: envelope.trace_parent,
        timeout: found.timeout,
        resume,
        backoff: found.backoff,
        tick: None,
        name: envelope.name.into_owned(),
    })
}
