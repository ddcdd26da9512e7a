//! Claims for a remote worker: waits for jobs, and gives it those that it can run.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::select_all;
use gristmill_core::chain;
use rand::RngExt as _;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

use super::{
    Inner, MAX_CLAIM, MAX_WAIT, RemoteClaim, RemoteDelivery, RemoteJobs, RemoteWorker, Resume, Ticket, keeper::Line,
    sessions::Held,
};
use crate::{
    CodecError, Content, ContentKind, JobId, QueueError,
    broker::{BrokerError, Lease, LeaseRelease, ReleaseReason, Throttle},
    codec, delivery,
    envelope::Envelope,
    ledger::{
        fail::{Outcome, Run, Settle, Verdict},
        fence::{self, JobStatus, Runnable},
        limits,
        park::Reader,
    },
    run::{
        attempt::{count, record_wait},
        known::{self, LIST_SETTLE_TIME, MAX_LIST_AGE, REQUEUE_DELAY, UNPARK_INTERVAL, Wanted},
    },
};

/// Before the next claim, after one that failed.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// How often a worker that may take nothing looks whether it may, and a paused queue is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long a suspected job is put back for where others run.
const SUSPECT_DELAY: Duration = Duration::from_millis(500);

/// One look at all queues of a worker.
#[derive(Default)]
struct Look {
    deliveries: Vec<RemoteDelivery>,
    /// Jobs that the worker cannot run were left to others: their wake-ups are not for it.
    left: bool,
    /// When to look again; nothing: when woken.
    again: Option<Duration>,
}

/// Who can read a message.
enum Read {
    /// The worker.
    AsItIs,
    /// The worker, in this form.
    Decoded(Vec<u8>),
    /// Another worker, or that is not known.
    ByOthers,
    /// Nobody, as far as is known.
    ByNobody { name: String, why: String },
}

impl Inner {
    pub(super) async fn claim(self: &Arc<Self>, mut wanted: RemoteClaim) -> Result<RemoteJobs, QueueError> {
        let deadline = Instant::now() + wanted.wait.min(MAX_WAIT);
        wanted.names.sort_unstable();
        wanted.names.dedup();
        limit(&mut wanted.queues);
        self.sessions.with(&wanted.worker, |session| {
            session.describe(&wanted.worker);
            session.wants(&wanted.queues, &wanted.names, self.lease);
        });
        let lines: Vec<(Arc<Line>, usize)> =
            wanted.queues.iter().filter(|(_, room)| **room > 0).map(|(name, room)| (self.line(name), *room)).collect();
        let wanted = Arc::new(wanted);
        loop {
            self.beat(&wanted.worker, false).await;
            self.look_for_parked(&wanted);
            let (draining, reserved) = self.sessions.with(&wanted.worker, |session| {
                session.forget_expired(self.lease);
                (session.draining, session.is_reserved())
            });
            let pause = if draining || reserved || lines.is_empty() {
                Some(POLL_INTERVAL)
            } else {
                match self.look_to_the_end(&lines, &wanted).await {
                    Ok(look) if !look.deliveries.is_empty() => {
                        return Ok(RemoteJobs { deliveries: look.deliveries, lease: self.lease, drain: false });
                    }
                    // Wake-ups go from worker to worker: they are for the others now.
                    Ok(Look { left: true, .. }) => Some(delivery::MAX_WAIT.mul_f64(rand::rng().random_range(0.1..0.5))),
                    Ok(look) => look.again,
                    Err(error) if Instant::now() + RETRY_DELAY >= deadline => return Err(error),
                    Err(error) => {
                        debug!(error = chain(&error), "claiming for a remote worker failed; retrying");
                        Some(RETRY_DELAY)
                    }
                }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let drain = self.sessions.with(&wanted.worker, |session| session.draining);
                return Ok(RemoteJobs { deliveries: Vec::new(), lease: self.lease, drain });
            }
            match pause {
                Some(pause) => tokio::time::sleep(pause.min(left)).await,
                None => {
                    let _ = tokio::time::timeout(left, self.woken(&lines)).await;
                }
            }
        }
    }

    /// Until one of these queues may have a job.
    async fn woken(&self, lines: &[(Arc<Line>, usize)]) {
        match self.thread() {
            Ok(thread) => {
                let asleep = lines.iter().map(|(line, _)| Box::pin(thread.wakes.sleep(line.claims.wake_name())));
                select_all(asleep).await;
            }
            Err(error) => {
                warn!(%error, "no thread can be started that waits for jobs: queues are looked at instead");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    fn thread(&self) -> std::io::Result<Arc<crate::broker::LeaseThread>> {
        let mut thread = super::lock(&self.thread);
        if let Some(thread) = &*thread {
            return Ok(Arc::clone(thread));
        }
        Ok(Arc::clone(thread.insert(self.queue.links().thread()?)))
    }

    /// On a task of its own: who hangs up meanwhile loses no job, as what it would have been given is given back.
    async fn look_to_the_end(
        self: &Arc<Self>,
        lines: &[(Arc<Line>, usize)],
        wanted: &Arc<RemoteClaim>,
    ) -> Result<Look, QueueError> {
        let (answer, looked) = oneshot::channel();
        let (inner, lines, wanted) = (Arc::clone(self), lines.to_vec(), Arc::clone(wanted));
        tokio::spawn(async move {
            let look = inner.look(&lines, &wanted).await;
            if let Err(Ok(look)) = answer.send(look) {
                inner.give_back(&wanted.worker, look.deliveries).await;
            }
        });
        // It answers, unless the runtime ends.
        looked.await.unwrap_or_else(|_| Ok(Look { again: Some(RETRY_DELAY), ..Look::default() }))
    }

    async fn look(&self, lines: &[(Arc<Line>, usize)], wanted: &RemoteClaim) -> Result<Look, QueueError> {
        static TURN: AtomicU32 = AtomicU32::new(0);
        // As local workers do: now and then from the least urgent.
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let mut look = Look::default();
        let mut sleeps = false;
        for at in 0..lines.len() {
            let (line, room) = &lines[(turn as usize + at) % lines.len()];
            let claimed = match line.claims.claim(self.lease, *room, turn.is_multiple_of(16)).await {
                Ok(claimed) => claimed,
                // What other queues gave must be worked on.
                Err(error) if !look.deliveries.is_empty() => {
                    debug!(%error, queue = line.name, "claiming for a remote worker failed");
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            match claimed.throttle {
                Throttle::None | Throttle::AtLimit => sleeps = true,
                Throttle::Paused => look.again_in(POLL_INTERVAL),
                Throttle::RateLimited(next) => look.again_in(next.min(delivery::MAX_WAIT)),
            }
            if claimed.leases.is_empty() {
                continue;
            }
            let leases = claimed.leases;
            let given_back = leases.clone();
            match self.sort(line, leases, wanted, &mut look).await {
                Ok(()) => {}
                Err(error) => {
                    self.release(line, given_back.iter().map(|lease| release(lease, RETRY_DELAY, ReleaseReason::Wait)))
                        .await;
                    if look.deliveries.is_empty() {
                        return Err(error);
                    }
                    debug!(error = chain(&error), queue = line.name, "the ledger does not say what is to be done");
                    break;
                }
            }
        }
        if sleeps && look.again.is_some() {
            // A wake-up may come for one of them, and for the others there is none.
            look.again_in(POLL_INTERVAL);
        }
        Ok(look)
    }

    /// Of what was leased, what the worker runs; the rest ends here.
    async fn sort(
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
            self.sessions.with(worker, super::sessions::Session::make_room);
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

    /// Whether the worker can read a message, for which this process decodes it.
    async fn read(&self, wanted: &RemoteClaim, queue: &str, message: &[u8]) -> Read {
        let job = match serde_json::from_slice::<Envelope<'_>>(message) {
            Ok(job) => job,
            Err(error) => {
                return Read::ByNobody { name: String::new(), why: format!("the message does not decode: {error}") };
            }
        };
        let known = wanted.names.binary_search_by(|name| name.as_str().cmp(&job.name)).is_ok();
        let decoded = match known.then(|| self.decode(&job)) {
            Some(decoded) => decoded.map_err(|error| (error.is_missing_key(), error.to_string())),
            None => Err((true, format!("unknown job `{}`", job.name))),
        };
        match decoded {
            Ok(None) => Read::AsItIs,
            Ok(Some(message)) => Read::Decoded(message),
            Err((true, _)) if self.may_be_read(&wanted.worker, queue, &Wanted::of(&job)).await => Read::ByOthers,
            Err((_, why)) => Read::ByNobody { name: job.name.into_owned(), why },
        }
    }

    /// The message with its payload decoded; nothing: it is plain.
    fn decode(&self, job: &Envelope<'_>) -> Result<Option<Vec<u8>>, CodecError> {
        let content = Content::new(&job.name, ContentKind::Payload);
        let Cow::Owned(json) = codec::decode(self.queue.config().codec(), content, job.payload.get())? else {
            return Ok(None);
        };
        let (kind, key) = (content.kind, codec::key_of(job.payload.get()).unwrap_or_default());
        let payload: Box<RawValue> =
            RawValue::from_string(json).map_err(|error| CodecError::Decode { kind, key, source: error.into() })?;
        let decoded = Envelope {
            name: Cow::Borrowed(&job.name),
            trace_parent: job.trace_parent.clone(),
            payload: &payload,
            ..*job
        };
        Ok(Some(decoded.to_body().into_bytes()))
    }

    /// Whether another live worker of this queue can read the job, or that is unknown.
    async fn may_be_read(&self, worker: &RemoteWorker, queue: &str, job: &Wanted<'_>) -> bool {
        for age in [MAX_LIST_AGE, Duration::ZERO] {
            match self.roster.seen(&self.queue, age).await {
                Ok(workers) if workers.iter().any(|worker| known::reads(worker, queue, job)) => {
                    return true;
                }
                Ok(_) => {}
                Err(error) => {
                    debug!(error = chain(&error), queue, "reading the worker registry failed");
                    return true;
                }
            }
        }
        let registered = self.sessions.with(worker, |session| session.registered);
        registered.is_none_or(|since| since.elapsed() < LIST_SETTLE_TIME)
    }

    /// Who parks what this worker cannot read.
    fn reader(&self, wanted: &RemoteClaim) -> String {
        let known = self.sessions.with(&wanted.worker, |session| session.known_jobs());
        known::reader(&self.queue.config().version, &known, &self.payload_keys())
    }

    /// What others could not read this worker may: tried when it comes, and then again and again.
    fn look_for_parked(self: &Arc<Self>, wanted: &Arc<RemoteClaim>) {
        let patient = self.sessions.with(&wanted.worker, |session| {
            if session.registered.is_none() || session.unparked.is_some_and(|at| at.elapsed() < UNPARK_INTERVAL) {
                return None;
            }
            Some(session.unparked.replace(Instant::now()).is_some())
        });
        let Some(patient) = patient else { return };
        let (inner, wanted) = (Arc::clone(self), Arc::clone(wanted));
        tokio::spawn(async move {
            let queues: Vec<String> = wanted.queues.keys().cloned().collect();
            let jobs = inner.sessions.with(&wanted.worker, |session| session.known_jobs());
            let (id, keys) = (inner.reader(&wanted), inner.payload_keys());
            let reader = Reader { id: &id, jobs: &jobs, keys: &keys };
            loop {
                match inner.queue.unpark(reader, &queues, patient).await {
                    Ok(0) => return,
                    Ok(jobs) => {
                        info!(jobs, worker = wanted.worker.name, "unparked jobs that other workers could not read")
                    }
                    Err(error) => {
                        warn!(error = chain(&error), "looking for parked jobs failed; it is tried again later");
                        return;
                    }
                }
            }
        });
    }

    async fn give_back(&self, worker: &RemoteWorker, deliveries: Vec<RemoteDelivery>) {
        let mut queues: HashMap<String, Vec<LeaseRelease>> = HashMap::new();
        self.sessions.with(worker, |session| {
            for job in &deliveries {
                session.held.remove(&job.ticket.id);
            }
        });
        for job in deliveries {
            let (id, number) = (job.ticket.id.to_string(), job.ticket.number());
            let release = LeaseRelease { id, number, delay: Duration::ZERO, reason: ReleaseReason::Wait };
            queues.entry(job.queue).or_default().push(release);
        }
        let links = self.queue.links();
        for (queue, releases) in queues {
            let released =
                links.answers().queue(&queue).release(self.lease, self.queue.config().max_deliveries, &releases).await;
            if let Err(error) = released {
                debug!(%error, queue, "jobs that nobody waits for any more come back when their leases run out");
            }
        }
    }

    pub(super) async fn release(&self, line: &Line, releases: impl Iterator<Item = LeaseRelease>) {
        let releases: Vec<LeaseRelease> = releases.collect();
        if releases.is_empty() {
            return;
        }
        let released = line.answers.release(self.lease, self.queue.config().max_deliveries, &releases).await;
        if let Err(error) = released {
            debug!(%error, queue = line.name, "jobs for others come back when their leases run out");
        }
    }
}

impl Look {
    fn again_in(&mut self, pause: Duration) {
        self.again = Some(self.again.map_or(pause, |again| again.min(pause)));
    }
}

fn release(lease: &Lease, delay: Duration, reason: ReleaseReason) -> LeaseRelease {
    LeaseRelease { id: lease.id.clone(), number: lease.number, delay, reason }
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

/// So many jobs in all.
fn limit(queues: &mut BTreeMap<String, usize>) {
    let mut left = MAX_CLAIM;
    for room in queues.values_mut() {
        *room = (*room).min(left);
        left -= *room;
    }
}
